/** mudpt suggest: which of many pictures to label next. */
import { Command, Option } from 'commander';
import { MudptError } from '../base/errors.js';
import { choosePictures, unsureOf } from '../features/suggest.js';
import { loadDataset } from '../node/datasets.js';
import { printable } from '../node/names.js';
import { EXIT_FAILED } from './failures.js';
import { onInterrupt } from './interrupt.js';
import { embedFiles, openClassifier, openModel } from './model.js';
import { classesOf, given, whole, withAnswers, withModel, withOutput, withPictures } from './options.js';
import { listPictures, withSkip } from './pictures.js';
import { apart, cut, openTerminal, percent, table } from './terminal.js';

export function suggestCommand() {
  const command = new Command('suggest')
    .description('which pictures to label next: unsure ones, that differ, and stand for many')
    .argument('<picture...>', 'pictures without labels, or folders of them');
  withAnswers(command)
    .addOption(new Option('--data <path>', 'pictures that have labels: what is like them helps less').argParser(given))
    .addOption(new Option('--top <n>', 'how many').argParser(whole(1, 2000)).default(10));
  return withOutput(withSkip(withPictures(withModel(command)))).action(run);
}

async function run(pictures, options) {
  const classes = classesOf(options);
  if (!options.classifier && !classes)
    throw new MudptError('argument', 'suggest needs names', 'give --classifier FILE or --classes a,b,c');
  const terminal = openTerminal(options);
  const { signal, release } = onInterrupt();
  let clip;
  try {
    const known = options.data && (await loadDataset(options.data));
    const listed = await listPictures(pictures, terminal);
    clip = await openModel(options, terminal, signal);
    const classifier = options.classifier
      ? await openClassifier(clip, options.classifier)
      : await clip.zeroShot(classes, options.template && { templates: options.template });
    const broken = listed.flatMap(({ path: file, error }) => (error ? [{ file, message: error.message }] : []));
    const whole = listed.filter(({ error }) => !error).map(({ path }) => path);
    const gone = new Set();
    const onBroken = ({ index, message }) => {
      gone.add(index);
      broken.push({ file: whole[index], message });
    };
    const features = await embedFiles(clip, whole, terminal, signal, onBroken);
    const files = whole.filter((_, index) => !gone.has(index));
    const guesses = [];
    for (const [i, file] of files.entries()) {
      signal.throwIfAborted();
      guesses.push(await classifier.classify(file, { topK: Infinity }));
      terminal.progress((i + 1) / files.length, `classifying, ${i + 1} of ${files.length}`);
    }
    const labelled =
      known &&
      (await embedFiles(
        clip,
        known.train.map(({ path }) => path),
        terminal,
        signal,
      ));
    const unsure = guesses.map((all) => unsureOf(all.map(({ score }) => score)));
    const chosen = choosePictures(features, unsure, options.top, labelled);
    terminal.wipe();
    for (const { message } of broken) terminal.warn(`left out: ${printable(message)}`);
    if (broken.length && !options.skipBroken) process.exitCode = EXIT_FAILED;
    const names = apart(classifier.classes);
    const room = Math.max(16, Math.floor(terminal.columns() / 4));
    const suggestions = chosen.map((i) => ({ file: files[i], unsure: unsure[i], top: guesses[i].slice(0, 2) }));
    const rows = suggestions.map(({ file, top }) => [
      top.map(({ index, score }) => `${cut(names[index], room)} ${percent(score)}`).join(', '),
      file,
    ]);
    for (const line of table(rows, 'll', { indent: 0 })) terminal.print(line);
    const more = broken.length ? { leftOut: broken } : {};
    if (options.json) process.stdout.write(`${JSON.stringify({ pictures: files.length, suggestions, ...more })}\n`);
  } finally {
    terminal.wipe();
    release();
    await clip?.dispose();
  }
}
