/** mudpt search: pictures of a folder by a text or by another picture, and those that are nearly the same. */
import { Command, Option } from 'commander';
import { MudptError } from '../base/errors.js';
import { printable } from '../node/names.js';
import { checkTarget, writeWhole } from '../node/whole-files.js';
import { EXIT_FAILED } from './failures.js';
import { readGiven } from './given-file.js';
import { onInterrupt } from './interrupt.js';
import { openModel } from './model.js';
import { decimal, given, whole, withLongWork, withOutput, withPictures } from './options.js';
import { listPictures, withSkip } from './pictures.js';
import { openTerminal, plural, table } from './terminal.js';

/** Cosine from which on two pictures are nearly the same. */
const ALIKE = 0.97;

export function searchCommand() {
  const command = new Command('search')
    .description('find pictures by a text or a picture, or those that are nearly the same')
    .argument('<where>', 'a folder, or features of pictures that --save or mudpt embed wrote')
    .argument('[text]', 'what to look for')
    .addOption(new Option('--like <picture>', 'look for what is like this picture').argParser(given))
    .addOption(
      new Option('--duplicates [cosine]', 'groups of pictures that are nearly the same')
        .argParser(decimal(-1, 1))
        .preset(String(ALIKE)),
    )
    .addOption(new Option('--top <n>', 'how many to show').argParser(whole(1, 1000000)).default(10))
    .addOption(new Option('--save <file>', 'keep the features, to search them again').argParser(given));
  return withOutput(withSkip(withPictures(withLongWork(command)))).action(run);
}

async function run(where, text, options) {
  const { like, duplicates, top, save, json } = options;
  const wanted = [text, like, duplicates].filter((each) => each !== undefined);
  if (wanted.length > 1 || !(save || wanted.some((each) => each !== '')))
    throw new MudptError('argument', 'one thing can be looked for', 'give a text, --like PICTURE or --duplicates');
  if (save) await checkTarget(save, '--save');
  const terminal = openTerminal(options);
  const { signal, release } = onInterrupt();
  let clip;
  try {
    const isFile = /\.safetensors$/i.test(where);
    const pictures = isFile ? [] : await listPictures([where], terminal);
    clip = await openModel(options, terminal, signal);
    const index = isFile ? await openFile(clip, where) : await indexOf(clip, pictures, options, terminal, signal);
    if (save) await writeWhole(save, index.export(), '--save');
    const said = { pictures: index.count, ...(save && { saved: save }) };
    if (save) terminal.print(`Saved in ${terminal.colors.bold(save)}: ${plural(index.count, 'picture')}`);
    if (duplicates !== undefined) {
      const onProgress = ({ done, total }) => terminal.progress(done / total, `comparing, ${done} of ${total}`);
      const groups = await index.duplicates({ least: duplicates, onProgress, signal });
      terminal.wipe();
      showGroups(groups, terminal);
      if (json) process.stdout.write(`${JSON.stringify({ ...said, groups })}\n`);
      return;
    }
    const query = text ?? (like && { image: like });
    const results = query ? await index.search(query, { topK: top, signal }) : [];
    const rows = results.map(({ name, score }) => [score.toFixed(3), name]);
    for (const line of rows.length ? table(rows, 'rl', { indent: 0 }) : []) terminal.print(line);
    if (json) process.stdout.write(`${JSON.stringify({ ...said, results })}\n`);
  } finally {
    release();
    terminal.wipe();
    await clip?.dispose();
  }
}

/** @param {any[]} groups */
function showGroups(groups, terminal) {
  for (const { pictures, score } of groups) {
    terminal.print(terminal.colors.bold(`${plural(pictures.length, 'picture')}, ${score.toFixed(3)}`));
    for (const { name } of pictures) terminal.print(`  ${printable(name)}`);
  }
  const many = plural(groups.length, 'group');
  terminal.print(groups.length ? many : 'No two pictures are nearly the same.');
}

/** @param {any} clip @param {string} name of the file */
const openFile = async (clip, name) =>
  clip.importIndex(await readGiven(name, 'give what --save has written'), { name });

/**
 * What cannot be read is named, and not found; the others are.
 * @param {any} clip
 * @param {Awaited<ReturnType<typeof listPictures>>} list
 */
async function indexOf(clip, list, { skipBroken }, terminal, signal) {
  const whole = list.filter(({ error }) => !error).map(({ path }) => path);
  const warn = ({ message }) => {
    terminal.warn(`left out: ${printable(message)}`);
    if (!skipBroken) process.exitCode = EXIT_FAILED;
  };
  for (const { error } of list) if (error) warn(error);
  return clip.index(whole, {
    signal,
    onBroken: warn,
    onProgress: ({ done, total }) => terminal.progress(done / total, `${done} of ${total} pictures`),
  });
}
