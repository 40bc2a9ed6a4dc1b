/** Options that several commands share, and the checks of their values. */
import { InvalidArgumentError, Option } from 'commander';
import { fileURLToPath } from 'node:url';

export const DEFAULT_MODEL = fileURLToPath(new URL('../../models/pictoclip', import.meta.url));
export const DTYPES = ['f32', 'f16', 'int8'];

/** A whole number from `least` to `most`. */
export const whole = (least, most) => (text) => {
  const value = Number(text);
  if (!/^[+-]?\d+$/.test(text) || value < least || value > most) {
    throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}`);
  }
  return value;
};

/** A number above `above` (or from it on, if `inclusive`) to `most`. */
export const decimal =
  (above, most, inclusive = false) =>
  (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(inclusive ? value >= above : value > above) || !(value <= most)) {
      throw new InvalidArgumentError(`expected a number ${inclusive ? 'from' : 'above'} ${above} to ${most}`);
    }
    return value;
  };

/** A sentence with one {} where the class name goes. */
export const template = (text) => {
  if (text.split('{}').length !== 2 || text.length > 1000) {
    throw new InvalidArgumentError('expected a sentence with one {}, for instance "a photo of a {}."');
  }
  return text;
};

/** a,b,c */
export const names = (text) => {
  const list = text.split(',').map((name) => name.trim());
  if (list.some((name) => !name)) throw new InvalidArgumentError('expected names with commas between them');
  if (list.length < 2) throw new InvalidArgumentError('expected two names at least, with commas between them');
  if (new Set(list.map((name) => name.toLowerCase())).size < list.length)
    throw new InvalidArgumentError('a name comes twice');
  return list;
};

/** Not an empty text, as a variable that is not set leaves it. */
export const given = (text) => {
  if (!text.trim()) throw new InvalidArgumentError('expected a name, not an empty text');
  return text;
};

/** Options of every command that loads a model and computes with it. */
export function withModel(command) {
  return command
    .addOption(
      new Option('--model <model>', 'folder, file or URL of a CLIP')
        .argParser(given)
        .default(DEFAULT_MODEL, 'pictoclip'),
    )
    .addOption(new Option('--dtype <type>', 'keep weights as (default: as stored)').choices(DTYPES))
    .addOption(new Option('--threads <n>', 'threads (default: one a core, at most 8)').argParser(whole(1, 64)))
    .addOption(
      new Option('--variant <name>', 'WebAssembly build').choices(['auto', 'plain', 'relaxed']).default('auto'),
    );
}

export function withData(command) {
  return command
    .addOption(new Option('--images <dir>', 'folder that the paths of a split file start from').argParser(given))
    .addOption(new Option('--split <style>', 'read split-STYLE.json: other test pictures').argParser(given));
}

export function withOutput(command) {
  return command
    .option('--json', 'print JSON alone on stdout, the result on the last line')
    .option('--quiet', 'print results only, no progress');
}
