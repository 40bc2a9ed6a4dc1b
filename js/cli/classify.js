/** mudpt classify: what is on pictures. One that cannot be read gets its error line; the others are classified. */
import { Command, Option } from 'commander';
import { MudptError } from '../base/errors.js';
import { printable } from '../node/names.js';
import { EXIT_FAILED, EXIT_INTERRUPTED } from './failures.js';
import { onInterrupt } from './interrupt.js';
import { openClassifier, openModel } from './model.js';
import { classesOf, given, whole, withAnswers, withModel, withOutput, withPictures } from './options.js';
import { learnKnown, withNone } from './none.js';
import { listPictures, withSkip } from './pictures.js';
import { apart, cut, openTerminal, pad, percent, table, width } from './terminal.js';

export function classifyCommand() {
  const command = new Command('classify')
    .description('name what is on pictures')
    .argument('<picture...>', 'picture files, or folders of them');
  withAnswers(command)
    .addOption(new Option('--top <n>', 'names a picture, or all').argParser(top).default(5))
    .addOption(
      new Option(
        '--scores <kind>',
        'softmax: which name fits best; sigmoid, of SigLIP’s kind: whether each of them fits',
      )
        .choices(['softmax', 'sigmoid'])
        .default('softmax')
        .conflicts('none'),
    )
    .addOption(new Option('--data <path>', 'with --none: labelled pictures of the classes').argParser(given));
  withNone(command, 'whether each picture fits none of the classes');
  return withOutput(withSkip(withPictures(withModel(command)))).action(run);
}

/** A sigmoid score below which something is rather not there than there. */
const EVEN = 0.5;

const top = (text) => (text === 'all' ? Infinity : whole(1, 100000)(text));

async function run(given, options) {
  const classes = classesOf(options);
  if (!options.classifier && !classes) {
    throw new MudptError(
      'argument',
      'classify needs names to choose from',
      'give --classifier FILE or --classes a,b,c',
    );
  }
  const terminal = openTerminal(options);
  const { signal, release } = onInterrupt();
  let clip;
  try {
    const pictures = await listPictures(given, terminal);
    clip = await openModel(options, terminal, signal);
    const classifier = options.classifier
      ? await openClassifier(clip, options.classifier)
      : await clip.zeroShot(classes, options.template && { templates: options.template });
    if (options.none) await learnKnown(classifier, options.data, terminal, signal);
    const results = [];
    for (const file of pictures) {
      if (signal.aborted) break;
      results.push(await classifyOne(classifier, file, options, terminal));
    }
    if (results.some((result) => result.error) && !options.skipBroken) process.exitCode = EXIT_FAILED;
    if (signal.aborted) process.exitCode = EXIT_INTERRUPTED;
    if (options.json) process.stdout.write(`${JSON.stringify({ results })}\n`);
  } finally {
    release();
    await clip?.dispose();
  }
}

/** @param {any} classifier @param {{ path: string, error?: MudptError }} picture */
async function classifyOne(classifier, { path: file, error: known }, { top: topK, scores, ...how }, terminal) {
  try {
    if (known) throw known;
    const more = how.none ? { none: true } : scores === 'sigmoid' ? { scores } : {};
    const top = await classifier.classify(file, { topK, ...more });
    terminal.print(terminal.colors.bold(printable(file)));
    const names = apart(classifier.classes);
    const room = Math.min(terminal.columns() - 40, Math.max(...names.map(width)));
    const rows = top.map(({ index, score }) => [
      percent(score).padStart(7),
      pad(cut(names[index], room), room),
      '━'.repeat(Math.round(20 * score)),
    ]);
    const paint = (text, y, x) => (x === 2 ? terminal.colors.cyan(text) : y ? text : terminal.colors.bold(text));
    for (const line of table(rows, 'rll', { paint })) terminal.print(line);
    if (scores === 'sigmoid' && top[0].score < EVEN) terminal.print(terminal.colors.dim('  probably none of these'));
    if (!how.none) return { file, top };
    const isNone = top.none > 1 - how.falseAlarms;
    if (isNone) terminal.print(terminal.colors.bold('  none of these'));
    return { file, top, none: top.none, isNone };
  } catch (error) {
    if (!(error instanceof MudptError)) throw error;
    terminal.warn(`mudpt: ${printable(error.message)}`);
    return { file, error: { code: error.code, message: error.message, hint: error.hint } };
  }
}
