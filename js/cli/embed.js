/** mudpt embed: features of pictures or texts, as a file for other programs. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { MudptError } from '../base/errors.js';
import { writeFeatures } from '../features/file.js';
import { printable } from '../node/names.js';
import { checkTarget, writeWhole } from '../node/whole-files.js';
import { onInterrupt } from './interrupt.js';
import { openModel } from './model.js';
import { npyOf } from './npy.js';
import { given, linesIn, withLongWork, withOutput, withPictures } from './options.js';
import { BrokenFiles, listPictures, withSkip } from './pictures.js';
import { openTerminal, plural, size } from './terminal.js';

const KINDS = ['.safetensors', '.npy'];

const target = (text) => {
  if (KINDS.includes(path.extname(text).toLowerCase())) return text;
  throw new InvalidArgumentError(`expected a name that ends with ${KINDS.join(' or ')}`);
};

export function embedCommand() {
  const command = new Command('embed')
    .description('features of pictures or of texts, for other programs')
    .argument('[picture...]', 'picture files, or folders of them')
    .addOption(new Option('--texts <text...>', 'texts instead, each as it stands').argParser(someTexts))
    .addOption(new Option('--texts-file <file>', 'the same, one a line').argParser(linesIn('texts')).conflicts('texts'))
    .addOption(
      new Option('--out <file>', `where to write: ${KINDS.join(' or ')}`).argParser(target).makeOptionMandatory(),
    )
    .option('--no-unit', 'rows as they leave the tower (default: of length one)')
    .option('--no-projected', "rows before the tower's projection")
    .option('--truncate', 'cut texts that the model cannot read whole');
  return withOutput(withSkip(withPictures(withLongWork(command)))).action(run);
}

const someTexts = (text, before = []) => [...before, given(text)];

async function run(pictures, options) {
  const texts = options.texts ?? options.textsFile;
  if (!pictures.length === !texts) {
    const what = texts ? 'both pictures and texts are given' : 'there is nothing to embed';
    throw new MudptError('argument', what, 'give pictures, or --texts A B C, or --texts-file FILE');
  }
  const { out, json } = options;
  await checkTarget(out);
  const terminal = openTerminal(options);
  // --texts takes all that follows it, pictures too.
  for (const text of options.texts ?? [])
    if (existsSync(text)) terminal.warn(`${printable(text)} is taken as a text; pictures are embedded by themselves`);
  const { signal, release } = onInterrupt();
  let clip;
  try {
    const list = texts ? [] : await listPictures(pictures, terminal);
    clip = await openModel(options, terminal, signal);
    const made = texts ? await ofTexts(clip, texts, options, terminal, signal) : null;
    const { features, ...about } = made ?? (await ofPictures(clip, list, options, terminal, signal));
    const { unit, projected } = options;
    const bytes = /\.npy$/i.test(out)
      ? npyOf(features.data, features.dims)
      : writeFeatures(features, { ...about, unit, projected, info: clip.info, samples: await clip.samples() });
    await writeWhole(out, bytes);
    const [count, width] = features.dims;
    const what = plural(count, texts ? 'text' : 'picture');
    terminal.print(`Saved in ${terminal.colors.bold(out)}: ${what}, ${width} numbers each (${size(bytes.length)})`);
    if (!json) return;
    const { kind, names, labels, leftOut } = about;
    const named = kind === 'image' ? { paths: names, labels, leftOut } : { texts: names };
    process.stdout.write(`${JSON.stringify({ output: out, dims: [count, width], unit, projected, ...named })}\n`);
  } finally {
    release();
    terminal.wipe();
    await clip?.dispose();
  }
}

/** @param {any} clip @param {string[]} texts */
async function ofTexts(clip, texts, { unit, projected, truncate = false }, terminal, signal) {
  const onProgress = ({ done, total }) => terminal.progress(done / total, `${done} of ${total} texts`);
  const features = await clip.embedTexts(texts, { unit, projected, truncate, signal, onProgress });
  return { features, kind: /** @type {const} */ ('text'), names: texts, labels: undefined, leftOut: [] };
}

/** @param {any} clip @param {Awaited<ReturnType<typeof listPictures>>} list */
async function ofPictures(clip, list, { unit, projected, skipBroken }, terminal, signal) {
  const broken = list.flatMap(({ path: file, error }) => (error ? [{ path: file, error }] : []));
  const whole = list.filter(({ error }) => !error);
  const gone = new Set();
  const features = await clip.embedImages(
    whole.map(({ path: file }) => file),
    {
      ...{ unit, projected, signal },
      onProgress: ({ done, total }) => terminal.progress(done / total, `${done} of ${total} pictures`),
      onBroken({ index, code, message, hint }) {
        gone.add(index);
        broken.push({ path: whole[index].path, error: Object.assign(new MudptError(code, ''), { message, hint }) });
      },
    },
  );
  terminal.wipe();
  if (broken.length && !skipBroken) {
    const remedy = 'mend or remove them, or leave them out with --skip-broken';
    throw new BrokenFiles(/** @type {any} */ (broken), list.length, remedy);
  }
  if (!features.dims[0]) throw new MudptError('image', 'no picture can be read', 'give JPEG, PNG, GIF or BMP files');
  for (const { error } of broken) terminal.warn(`left out: ${printable(error.message)}`);
  const kept = whole.filter((_, index) => !gone.has(index));
  const labels = kept.map(({ label = '' }) => label);
  return {
    ...{ features, kind: /** @type {const} */ ('image'), names: kept.map(({ path: file }) => file) },
    labels: labels.some(Boolean) ? labels : undefined,
    leftOut: broken.map(({ path: file }) => file),
  };
}
