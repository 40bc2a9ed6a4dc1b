/** Options that several commands share, and the checks of their values. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError, Option } from 'commander';
import { MOST_SEED } from '../base/limits.js';
import { METHODS, TRAINABLE } from '../methods/methods.js';
import { PRESETS } from '../methods/presets.js';
import { checkOption } from '../methods/settings.js';

export const DEFAULT_MODEL = fileURLToPath(new URL('../../models/pictoclip', import.meta.url));
export const DTYPES = ['f32', 'f16', 'int8', 'int16'];

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

/** Sentences with one {} where the class name goes; the option may be repeated. */
const templates = (text, before = []) => {
  if (text.split('{}').length !== 2 || text.length > 1000) {
    throw new InvalidArgumentError('expected a sentence with one {}, for instance "a photo of a {}."');
  }
  return [...before, text];
};

/** Zero-shot sentences, as zeroShot() takes them. */
export const templateOption = () =>
  new Option('--template <text>', 'zero-shot sentence, {} is the class; repeat it to average several').argParser(
    templates,
  );

/** a or a,b,c; a name with a comma in it stands in double quotes. */
const someNames = (text) => {
  const pattern = /\s*(?:"((?:[^"]|"")*)"\s*|([^,]*))(,|$)/gy;
  const list = [];
  for (let more = ','; more === ',';) {
    const [, quoted, plain, end] = /** @type {RegExpExecArray} */ (pattern.exec(text));
    list.push((quoted?.replaceAll('""', '"') ?? plain).trim());
    more = end;
  }
  if (list.some((name) => !name)) throw new InvalidArgumentError('expected names with commas between them');
  return list;
};

/** What stands in a file, one a line: names, texts. @param {string} what they are */
export const linesIn = (what) => (file) => {
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (/** @type {any} */ error) {
    throw new InvalidArgumentError(`expected a file of ${what}, one a line, in UTF-8 (${error.code ?? error.message})`);
  }
  const list = text.split(/\r\n?|\n/).map((line) => line.trim());
  if (!list.some(Boolean)) throw new InvalidArgumentError(`there are no ${what} in it; expected one a line`);
  return list.filter(Boolean);
};

/**
 * --classes and --classes-file, of which one may be given: classesOf() has the names.
 * @param {import('commander').Command} command
 * @param {string} about
 * @param {{ least?: number, conflicts?: string }} [options]
 */
export function withClasses(command, about, { least = 1, conflicts } = {}) {
  const checked = (read) => (text) => {
    const list = read(text);
    if (list.length >= least) return list;
    throw new InvalidArgumentError('expected two names at least, with commas between them');
  };
  const own = new Option('--classes <a,b,c>', `${about}; a name with a comma in it in double quotes`);
  const file = new Option('--classes-file <file>', 'the same, one a line');
  const others = conflicts ? [conflicts] : [];
  return command
    .addOption(own.argParser(checked(someNames)).conflicts([...others, 'classesFile']))
    .addOption(file.argParser(checked(linesIn('names'))).conflicts(others));
}

/** A saved classifier, or names for zero-shot. @param {import('commander').Command} command */
export const withAnswers = (command) =>
  withClasses(
    command.addOption(new Option('--classifier <file>', 'a file that mudpt train saved').argParser(given)),
    'without --classifier: zero-shot names',
    { least: 2, conflicts: 'classifier' },
  ).addOption(templateOption().conflicts('classifier'));

/** What withClasses() read. @param {Record<string, any>} options @returns {string[] | undefined} */
export const classesOf = ({ classes, classesFile }) => classes ?? classesFile;

/** Not an empty text, as a variable that is not set leaves it. */
export const given = (text) => {
  if (!text.trim()) throw new InvalidArgumentError('expected a name, not an empty text');
  return text;
};

/** `sha256-...` of the weights, or FILE=sha256-... of files; the latter may be repeated. */
const digests = (text, before) => {
  const [, file, digest] = /^(?:([^=]+)=)?(sha256-.*)$/s.exec(text) ?? [];
  if (!digest || (before && (!file || typeof before === 'string'))) {
    throw new InvalidArgumentError('expected sha256- and the digest in base64, or several FILE=sha256-...');
  }
  return file ? { ...before, [file]: digest } : digest;
};

/** Options of every command that loads a model and computes with it. */
export function withModel(command) {
  return command
    .addOption(
      new Option('--model <model>', 'folder, file or URL of a CLIP')
        .argParser(given)
        .default(DEFAULT_MODEL, 'pictoclip'),
    )
    .addOption(
      new Option(
        '--integrity <sha256>',
        'refuse weights with another digest, sha256-BASE64; FILE=sha256-BASE64 for other files',
      ).argParser(digests),
    )
    .addOption(new Option('--dtype <type>', 'keep weights as (default: as stored)').choices(DTYPES))
    .addOption(
      new Option('--precision <name>', 'f32, or block integers where they are faster; int8 trains nothing').choices([
        'high',
        'fast',
        'int8',
      ]),
    )
    .addOption(
      new Option('--device <name>', 'wasm, or a GPU where that is faster (auto) or wherever there is one (webgpu)')
        .choices(['auto', 'wasm', 'webgpu'])
        .default('wasm'),
    )
    .addOption(new Option('--threads <n>', 'threads (default: one a core, at most 8)').argParser(whole(1, 64)))
    .addOption(
      new Option('--variant <name>', 'WebAssembly build').choices(['auto', 'plain', 'relaxed']).default('auto'),
    )
    .option('--no-store', 'keep no features of pictures for later runs (mudpt cache)');
}

/** Of commands that compute long enough for V8 to be told, and checked, first. */
export const withLongWork = (command) =>
  withModel(command).addOption(
    new Option(
      '--no-wide-vectors',
      'leave V8 at vectors of 128 bits, where it could join them (Node 24 or later, AVX2)',
    ),
  );

/** What training may take. */
export const memoryOption = () =>
  new Option('--memory <MB>', 'refuse to train where it would take more, and say what would fit').argParser(
    (text) => whole(1, 1000000)(text) * 1e6,
  );

/** Options of every command that reads pictures. */
export const withPictures = (command) =>
  command
    .option('--upright', 'turn pictures as their EXIF orientation says (default: as they are stored)')
    .addOption(
      new Option('--convention <name>', "crops, transparency and Σ as in OpenAI's code or as in transformers")
        .choices(['openai', 'transformers'])
        .default('openai'),
    );

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

/** Options of tune() by their flags. */
export const FLAGS = {
  preset: '--preset',
  shots: '--shots',
  epochs: '--epochs',
  batchSize: '--batch',
  learningRate: '--lr',
  promptLength: '--prompt-length',
  depth: '--depth',
  phrase: '--phrase',
  classPosition: '--class-position',
  classSpecific: '--class-specific',
  injection: '--injection',
  layer0Fusion: '--no-layer0-fusion',
  layer: '--layer',
  fromLayer: '--from-layer',
  space: '--space',
  alpha: '--alpha',
  beta: '--beta',
  rank: '--rank',
  projectionRank: '--projection-rank',
  textWeight: '--text-weight',
  imageWeight: '--image-weight',
  klWeight: '--kl-weight',
  averageMean: '--average-mean',
  averageDeviation: '--average-deviation',
  seed: '--seed',
  augment: '--no-augment',
  smallestCrop: '--smallest-crop',
};

const said = (value) => (value === Infinity ? 'all' : value === '' || /\s/.test(value) ? `"${value}"` : String(value));

/** What an option is, with its default in every method. */
function explained(key, text) {
  const defaults = (method) => /** @type {any} */ (METHODS[method].defaults);
  const having = TRAINABLE.filter((method) => Object.hasOwn(defaults(method), key));
  const lacking = TRAINABLE.filter((method) => !having.includes(method));
  const usual = having.includes('mudpt') ? 'mudpt' : having[0];
  const others = having.filter((method) => defaults(method)[key] !== defaults(usual)[key]);
  const notes = [[said(defaults(usual)[key]), ...others.map((method) => `${method} ${said(defaults(method)[key])}`)]];
  const few = having.length < lacking.length;
  if (lacking.length && !few) notes.push([`not for ${lacking.join(', ')}`]);
  const about = notes.map((each) => each.join(', ')).join('; ');
  return `${few ? `${having.join(', ')}: ` : ''}${text} (default: ${about})`;
}

/** Options of commands that tune: a method and its settings. @param {string[]} [presets] others than of prompts */
export function withSettings(command, presets = []) {
  const option = (key, argument, text) => new Option(`${FLAGS[key]} ${argument}`, explained(key, text));
  return command
    .addOption(
      new Option('--preset <name>', "settings by name; single ones can still be given (default: the paper's)").choices([
        ...presets,
        ...Object.keys(PRESETS),
      ]),
    )
    .addOption(option('shots', '<n>', 'pictures a class to train on').argParser(whole(1, 1000000)))
    .addOption(option('epochs', '<n>', 'passes over them').argParser(whole(1, 100000)))
    .addOption(option('batchSize', '<n>', 'pictures a step').argParser(whole(1, 4096)))
    .addOption(option('learningRate', '<rate>', 'learning rate').argParser(decimal(0, 1000)))
    .addOption(option('promptLength', '<n>', 'prompt tokens a layer').argParser(whole(1, 1024)))
    .addOption(option('depth', '<n>', 'layers with prompts').argParser(whole(1, 128)))
    .addOption(option('phrase', '<words>', 'words that the text prompts start from, "" for a random start'))
    .addOption(option('classPosition', '<where>', 'place of the name').choices(['end', 'middle', 'front']))
    .option('--class-specific', 'coop: a context of its own for every class')
    .addOption(option('injection', '<kind>', 'network between the towers').choices(['linear', 'transformer']))
    .option('--no-layer0-fusion', 'mudpt: no injection in the first layer')
    .addOption(option('layer', '<l>', "text layer of the class's own rows").argParser(whole(1, 127)))
    .addOption(option('fromLayer', '<l>', 'first layer with prompts, from 1').argParser(whole(1, 128)))
    .addOption(option('space', '<width>', 'of what prompts are made of').argParser(whole(1, 8192)))
    .addOption(option('alpha', '<share>', 'of the first of two features').argParser(decimal(0, 1, true)))
    .addOption(option('beta', '<share>', "of a layer's own prompt").argParser(decimal(0, 1, true)))
    .addOption(option('rank', '<r>', "of a layer's own projection").argParser(whole(1, 8192)))
    .addOption(option('projectionRank', '<r>', "of the second feature's").argParser(whole(1, 8192)))
    .addOption(option('textWeight', '<w>', 'holds class features near the frozen').argParser(decimal(0, 1e6, true)))
    .addOption(option('imageWeight', '<w>', "holds pictures' features there").argParser(decimal(0, 1e6, true)))
    .addOption(option('klWeight', '<w>', 'holds scores there').argParser(decimal(0, 1e6, true)))
    .addOption(option('averageMean', '<epoch>', 'where prompts are averaged').argParser(decimal(0, 1e6, true)))
    .addOption(option('averageDeviation', '<n>', 'its width, 0: nowhere').argParser(decimal(0, 1e6, true)))
    .addOption(option('seed', '<n>', 'of everything random').argParser(whole(0, MOST_SEED)))
    .option('--no-augment', 'no random crops and mirror images')
    .addOption(option('smallestCrop', '<share>', 'of the area').argParser(decimal(0, 1)));
}

/**
 * The settings that were given, as options of tune(). What the method does not have is refused with its flag.
 * @param {string} method
 * @param {Record<string, any>} options of a command with withSettings
 */
export function settingsOf(method, options) {
  const { batch: batchSize, lr: learningRate, augment, layer0Fusion, ...rest } = options;
  const given = {
    ...rest,
    batchSize,
    learningRate,
    augment: augment && undefined,
    layer0Fusion: layer0Fusion && undefined,
  };
  const settings = {};
  for (const [key, flag] of Object.entries(FLAGS)) {
    if (given[key] === undefined) continue;
    checkOption(method, key, flag);
    settings[key] = given[key];
  }
  return settings;
}
