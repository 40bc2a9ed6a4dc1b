/**
 * mudpt train: from a folder of pictures to a tuned classifier, with what tuning gained.
 *
 * The classifier is saved before it is measured. Where the run is interrupted, or its numbers stop being finite, what
 * was trained until then is saved all the same.
 */
import { Command, Option } from 'commander';
import path from 'node:path';
import { resolveSettings, TRAINABLE } from '../methods.js';
import { loadDataset } from '../node/datasets.js';
import { EXIT_INTERRUPTED } from './failures.js';
import { checkTarget, writeWhole } from './files.js';
import { onInterrupt } from './interrupt.js';
import { evaluate, openModel } from './model.js';
import { decimal, given, template, whole, withData, withModel, withOutput } from './options.js';
import { sampleTask } from './sample.js';
import { change, clock, count, cut, duration, openTerminal, percent, plural, size, table } from './terminal.js';

const DEFAULT_TEMPLATE = 'a photo of a {}.';
const MOST_ROWS = 8; // classes shown

export function trainCommand() {
  const command = new Command('train')
    .description('tune prompts on a data set and compare with zero-shot')
    .addOption(new Option('--data <path>', 'folder per class, split.json or split_zhou_*.json').argParser(given))
    .addOption(
      new Option('--task <name>', 'sample task to render where there is no --data').argParser(given).conflicts('data'),
    );
  withData(command)
    .addOption(new Option('--method <name>', 'how to tune').choices(TRAINABLE).default('mudpt'))
    .addOption(new Option('--shots <n>', 'pictures a class to train on (default: 16)').argParser(whole(1, 1000000)))
    .addOption(new Option('--epochs <n>', 'passes over them (default: 10)').argParser(whole(1, 100000)))
    .addOption(new Option('--batch <n>', 'pictures a step (default: 4)').argParser(whole(1, 4096)))
    .addOption(new Option('--lr <rate>', 'learning rate (default: 0.0025)').argParser(decimal(0, 1000)))
    .addOption(new Option('--prompt-length <n>', 'prompt tokens a layer (default: 4)').argParser(whole(1, 1024)))
    .addOption(new Option('--depth <n>', 'layers with prompts (default: all)').argParser(whole(1, 128)))
    .option('--phrase <words>', 'words that the text prompts start from (default: "a photo of a")')
    .addOption(new Option('--seed <n>', 'of everything random (default: 1)').argParser(whole(0, 2 ** 32 - 1)))
    .addOption(new Option('--template <text>', 'zero-shot sentence, {} is the class').argParser(template))
    .option('--no-augment', 'no random crops and mirror images')
    .addOption(new Option('--smallest-crop <share>', 'of the area (default: 0.08)').argParser(decimal(0, 1)))
    .addOption(new Option('--out <file>', 'where to save (default: <data>-<method>.safetensors)').argParser(given));
  return withOutput(withModel(command)).action(run);
}

async function run(options) {
  const begun = performance.now();
  const terminal = openTerminal(options);
  let job;
  const interrupt = onInterrupt(() => {
    terminal.note('Stopping; press Ctrl-C again to end at once.');
    job?.stop();
  });
  const { signal } = interrupt;
  let clip;
  try {
    const sample = options.data ? null : await sampleTask(options.task, terminal, signal);
    const data = await loadDataset(sample?.folder ?? options.data, options);
    const output = options.out ?? `${data.name}-${options.method}.safetensors`.replace(/[^\w.-]+/g, '-');
    await checkTarget(output);
    clip = await openModel(options, terminal, signal);
    const { settings } = resolveSettings(tuneOptions(options), clip.info.architecture);
    introduce(terminal, clip, data, settings);

    const sentence = options.template ?? data.template ?? DEFAULT_TEMPLATE;
    const plain = await clip.zeroShot(data.classes, { template: sentence });
    const zeroShot = await evaluate(plain, data.test, 'zero-shot', terminal, signal);
    const named = `${percent(zeroShot.accuracy)} of the test pictures are named rightly`;
    terminal.note(`${terminal.colors.dim('zero-shot')}    ${named}`);

    const examples = data.train.map(({ path, label }) => ({ image: path, label }));
    job = clip.tune({ ...tuneOptions(options), classes: data.classes, examples });
    const losses = [];
    const classifier = await follow(job, settings, losses, terminal).catch(async (error) => {
      if (!job.classifier || !losses.length) throw error;
      await writeWhole(output, await job.classifier.export());
      throw error.named ? error.named(`what was trained before is saved in ${output}, but`) : error;
    });
    if (!losses.length) signal.throwIfAborted();
    const bytes = await classifier.export();
    await writeWhole(output, bytes);

    const tuned = signal.aborted
      ? undefined
      : await evaluate(classifier, data.test, 'tuned', terminal, signal).catch(stopped);
    if (signal.aborted) process.exitCode = EXIT_INTERRUPTED;
    const seconds = (performance.now() - begun) / 1000;
    const peakBytes = process.resourceUsage().maxRSS * 1024;
    if (tuned && !options.json) compare(terminal, data.classes, zeroShot, tuned);
    conclude(terminal, { output, bytes, seconds, peakBytes, sample, interrupted: signal.aborted });
    if (options.json) {
      const result = {
        task: data.name,
        method: options.method,
        settings,
        template: sentence,
        model: { name: clip.info.name, fingerprint: clip.info.fingerprint },
        classes: data.classes,
        pictures: { train: data.train.length, test: data.test.length },
        zeroShot: { accuracy: zeroShot.accuracy, macroF1: zeroShot.macroF1 },
        tuned: tuned ? { accuracy: tuned.accuracy, macroF1: tuned.macroF1 } : null,
        perClass: tuned ? pairs(data.classes, zeroShot, tuned) : null,
        lossPerEpoch: losses.map(mean),
        interrupted: signal.aborted,
        seconds,
        peakBytes,
        output,
        ...(sample && { attribution: sample.attribution }),
      };
      process.stdout.write(`${JSON.stringify(result)}\n`);
    }
  } finally {
    terminal.wipe();
    interrupt.release();
    await clip?.dispose();
  }
}

/** A stop while the saved classifier is being measured costs its figures, not the run. */
function stopped(error) {
  if (error.name === 'AbortError') return undefined;
  throw error;
}

/** Options of this command as those of tune(). */
function tuneOptions(options) {
  const { method, shots, epochs, batch, lr, promptLength, depth, phrase, seed, augment, smallestCrop } = options;
  return {
    ...{ method, shots, epochs, batchSize: batch, learningRate: lr, promptLength, depth, phrase, seed, augment },
    smallestCrop,
  };
}

/**
 * Shows a run until it ends.
 * @param {number[][]} losses  receives each epoch's losses, one a step
 */
async function follow(job, { batchSize }, losses, terminal) {
  const begun = performance.now();
  let last;
  const line = () => {
    const { epoch, epochs, learningRate, step, etaMs } = last;
    const pictures = (step * batchSize) / ((performance.now() - begun) / 1000);
    return [
      `epoch ${terminal.live ? epoch : String(epoch).padStart(String(epochs).length)}/${epochs}`,
      `loss ${mean(losses[epoch - 1]).toFixed(3)}`,
      `rate ${learningRate.toExponential(1)}`,
      `${pictures.toFixed(pictures < 10 ? 1 : 0)} pictures/s`,
      ...(etaMs > 0 ? [`${clock(etaMs)} left`] : []),
    ].join('  ');
  };
  for await (const step of job) {
    if (last && step.epoch !== last.epoch && !terminal.live) terminal.note(line());
    (losses[step.epoch - 1] ??= []).push(step.loss);
    last = step;
    terminal.progress(step.step / step.steps, line());
  }
  if (last && !terminal.live) terminal.note(line());
  terminal.wipe();
  return job.finished;
}

// ------------------------------------------------------------------------------------------ what is shown

function introduce(terminal, clip, { name, classes, train, test, notes }, { shots }) {
  const { weightBytes, threads, variant } = clip.info;
  const model = clip.info.name.split(/[\\/]/).filter(Boolean).at(-1);
  const counts = classes.map(() => 0);
  for (const { label } of train) counts[label]++;
  const used = counts.reduce((sum, each) => sum + Math.min(each, shots), 0);
  const rows = [
    ['model', `${model}, ${size(weightBytes)}`],
    ['data', `${name}, ${plural(classes.length, 'class', 'classes')}`],
    ['pictures', `${count(used)} of ${count(train.length)} to train on, ${count(test.length)} to test`],
    ['running on', `${plural(threads, 'thread')}, ${variant === 'relaxed' ? 'relaxed ' : ''}SIMD`],
  ];
  const paint = (text, _, x) => (x ? text : terminal.colors.dim(text));
  for (const line of table(rows, 'll', { indent: 0, paint })) terminal.note(line);
  for (const note of notes) terminal.note(note);
}

/** Zero-shot and tuned side by side, then the classes that differ most. */
function compare(terminal, classes, zeroShot, tuned) {
  const { bold, green, red, dim } = terminal.colors;
  const row = (name, before, after) => [name, percent(before), percent(after), change(after - before)];
  const rows = [
    ['', 'zero-shot', 'tuned', 'change'],
    row('accuracy', zeroShot.accuracy, tuned.accuracy),
    row('macro-F1', zeroShot.macroF1, tuned.macroF1),
  ];
  const ranked = pairs(classes, zeroShot, tuned)
    .filter((pair) => pair.tuned !== null && pair.tuned !== pair.zeroShot)
    .sort((a, b) => Math.abs(b.tuned - b.zeroShot) - Math.abs(a.tuned - a.zeroShot));
  const shown = ranked.slice(0, MOST_ROWS).sort((a, b) => b.tuned - b.zeroShot - (a.tuned - a.zeroShot));
  const room = terminal.columns() - 40;
  for (const pair of shown) rows.push(row(cut(pair.label, room), pair.zeroShot, pair.tuned));

  const paint = (text, y, x) => {
    if (y === 0) return dim(text);
    if (x === 3 && text.includes('+')) return green(text);
    if (x === 3 && text.includes('−')) return red(text);
    return y < 3 ? bold(text) : text;
  };
  const lines = table(rows, 'lrrr', { paint });
  terminal.note();
  for (const line of lines.slice(0, 3)) terminal.print(line);
  if (!shown.length) return;
  terminal.print();
  terminal.print(dim(`  Classes that changed most, ${shown.length} of ${classes.length}`));
  for (const line of lines.slice(3)) terminal.print(line);
}

function conclude(terminal, { output, bytes, seconds, peakBytes, sample, interrupted }) {
  const { bold, dim } = terminal.colors;
  terminal.print();
  const how = interrupted ? 'Stopped early; saved what was trained in' : 'Saved in';
  terminal.print(`${how} ${bold(output)} (${size(bytes.length)})`);
  terminal.print(dim(`${duration(seconds * 1000)}, at most ${size(peakBytes)} of memory`));
  if (interrupted) return;
  if (sample) {
    const credits = path.join(sample.folder, 'ATTRIBUTION.md');
    const near = path.relative('.', credits);
    terminal.print(dim(`Credits of the pictures: ${near.length < credits.length ? near : credits}`));
  }
  terminal.print(`Use it: mudpt classify PICTURE --classifier ${output}`);
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Accuracies of each class; null for a class without test pictures. */
function pairs(classes, zeroShot, tuned) {
  return classes.map((label, i) => ({
    label,
    count: tuned.perClass[i].count,
    zeroShot: zeroShot.perClass[i].accuracy,
    tuned: tuned.perClass[i].accuracy,
  }));
}
