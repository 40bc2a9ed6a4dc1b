/**
 * mudpt train: from a folder of pictures to a tuned classifier, with what tuning gained.
 *
 * The classifier is saved before it is measured. Where the run is interrupted, or its numbers stop being finite, what
 * was trained until then is saved all the same.
 */
import path from 'node:path';
import { Command, Option } from 'commander';
import { MudptError } from '../base/errors.js';
import { mean } from '../classifier/metrics.js';
import { createCore } from '../core/core.js';
import { TRAINABLE } from '../methods/methods.js';
import { DEFAULT_TEMPLATE } from '../methods/sentences.js';
import { resolveSettings } from '../methods/settings.js';
import { loadDataset } from '../node/datasets.js';
import { fileName } from '../node/names.js';
import { checkTarget, writeWhole } from '../node/whole-files.js';
import { countEach, drawShots } from '../training/shots.js';
import { keeper, openRun, requireSameRun, withCheckpoint } from './checkpoint.js';
import { EXIT_INTERRUPTED } from './failures.js';
import { onInterrupt } from './interrupt.js';
import { evaluate, openModel } from './model.js';
import {
  given,
  memoryOption,
  templateOption,
  withData,
  withLongWork,
  withOutput,
  withPictures,
  withSettings,
} from './options.js';
import { wholePictures, withSkip } from './pictures.js';
import { sampleTask } from './sample.js';
import { apart, change, clock, count, cut, duration, openTerminal, percent, plural, size, table } from './terminal.js';

const MOST_ROWS = 8; // classes shown

export function trainCommand() {
  const command = new Command('train')
    .description('tune prompts on a data set and compare with zero-shot')
    .addOption(new Option('--data <path>', 'folder per class, split.json or split_zhou_*.json').argParser(given))
    .addOption(
      new Option('--task <name>', 'sample task to render where there is no --data').argParser(given).conflicts('data'),
    );
  withData(command).addOption(
    new Option('--method <name>', 'how to tune; see mudpt methods').choices(TRAINABLE).default('mudpt'),
  );
  withCheckpoint(withSettings(command))
    .option('--recompute', 'keep less in memory and compute it again: slower, the same numbers')
    .addOption(memoryOption())
    .option('--val', 'also hold out min(shots, 4) pictures a class, and measure on them')
    .addOption(templateOption())
    .addOption(new Option('--out <file>', 'where to save (default: <data>-<method>.safetensors)').argParser(given))
    .option('--raw', 'save the trained parameters, too, as mudpt export needs them');
  return withOutput(withSkip(withPictures(withLongWork(command)))).action(run);
}

async function run(options, command) {
  const begun = performance.now();
  const terminal = openTerminal(options);
  const { method, asked, before, resume, target } = await openRun(options, command);
  let job;
  const interrupt = onInterrupt(() => {
    terminal.note('Stopping; press Ctrl-C again to end at once.');
    job?.stop();
  });
  const { signal } = interrupt;
  let clip;
  try {
    const sample = options.data ? null : await sampleTask(options.task, terminal, signal);
    const read = await loadDataset(sample?.folder ?? options.data, { ...options, listBroken: true });
    if (read.classes.length < 2) {
      const what = `${options.data}: has one class only, ${read.classes[0]}`;
      throw new MudptError('dataset', what, 'give a folder with a folder of pictures for each of two classes or more');
    }
    const output = options.out ?? `${fileName(read.name)}-${method}.safetensors`;
    await checkTarget(output);
    if (target && path.resolve(target) === path.resolve(output)) {
      throw new MudptError('argument', `${target} is to be the checkpoint and the result`, 'give --out another name');
    }
    clip = await openModel(options, terminal, signal);
    requireSameRun(resume, clip, { classes: read.classes, ...asked });
    const { settings } = resolveSettings({ method, ...before, ...asked }, clip.info.architecture);
    const parts = /** @type {const} */ (['train', 'test', ...(options.val ? ['val'] : [])]);
    const data = await wholePictures(read, { ...options, parts: [...parts] }, terminal, signal);
    const used = await checkRun(clip, data, settings, options);
    introduce(terminal, clip, data, settings, options);

    const templates = options.template ?? [data.template ?? DEFAULT_TEMPLATE];
    const plain = await clip.zeroShot(data.classes, { templates });
    const zeroShot = await evaluate(plain, data.test, 'zero-shot', terminal, signal);
    const named = `${percent(zeroShot.accuracy)} of the test pictures are named rightly`;
    terminal.note(`${terminal.colors.dim('zero-shot')}    ${named}`);

    const examples = toExamples(data.train);
    const validation = options.val && (data.val?.length ? toExamples(data.val) : true);
    const { recompute, memory: memoryLimit } = options;
    const room = { recompute, memoryLimit };
    const skip = options.skipBroken && { onBroken: (broken) => terminal.warn(`left out: ${broken.message}`) };
    job = clip.tune({ method, ...asked, ...room, ...skip, classes: data.classes, examples, validation, resume });
    const losses = [];
    const validated = [];
    const classifier = await follow(job, settings, losses, validated, keeper(job, target), terminal).catch(
      async (error) => {
        if (!job.classifier || !losses.length) throw error;
        await writeWhole(output, await job.classifier.export());
        throw error.named ? error.named(`what was trained before is saved in ${output}, but`) : error;
      },
    );
    if (!losses.length) signal.throwIfAborted();
    const bytes = await classifier.export({ raw: options.raw });
    await writeWhole(output, bytes);

    const tuned = signal.aborted
      ? undefined
      : await evaluate(classifier, data.test, 'tuned', terminal, signal).catch(stopped);
    if (signal.aborted) process.exitCode = EXIT_INTERRUPTED;
    const seconds = (performance.now() - begun) / 1000;
    const peakBytes = process.resourceUsage().maxRSS * 1024;
    if (tuned && !options.json) compare(terminal, data.classes, zeroShot, tuned);
    if (tuned && validated.length) {
      const last = `${percent(validated.at(-1))} of the pictures held out to validate on are named rightly`;
      terminal.print();
      terminal.print(`  ${last}`);
    }
    conclude(terminal, { output, target, bytes, seconds, peakBytes, sample, interrupted: signal.aborted });
    if (options.json) {
      const result = {
        task: data.name,
        method,
        settings,
        templates,
        model: { name: clip.info.name, fingerprint: clip.info.fingerprint },
        classes: data.classes,
        pictures: { train: data.train.length, test: data.test.length, used: used.pictures },
        shots: { asked: settings.shots, least: used.least, most: used.most },
        zeroShot: { accuracy: zeroShot.accuracy, macroF1: zeroShot.macroF1, ece: zeroShot.ece },
        tuned: tuned ? { accuracy: tuned.accuracy, macroF1: tuned.macroF1, ece: tuned.ece } : null,
        perClass: tuned ? pairs(data.classes, zeroShot, tuned) : null,
        lossPerEpoch: losses.map(mean),
        ...(options.val && { validationPerEpoch: validated }),
        ...(data.broken.length && {
          leftOut: data.broken.map(({ path: file, error }) => ({ file, message: error.message })),
        }),
        interrupted: signal.aborted,
        seconds,
        peakBytes,
        output,
        ...(target && { checkpoint: target }),
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

/**
 * What tune() would refuse, before zero-shot is measured: too few pictures, names that do not fit a sentence, more
 * memory than there is or than is allowed.
 * @param {any} clip
 * @param {import('../node/datasets.js').Dataset} data
 * @param {import('../methods/method.js').Settings} settings
 * @param {Record<string, any>} options
 */
async function checkRun(clip, { classes, train, val }, settings, { method, val: validates, recompute, memory }) {
  const core = await createCore({ threads: 1 });
  try {
    const labels = train.map(({ label }) => label);
    const drawn = drawShots(core, classes, labels, { ...settings, validation: Boolean(validates && !val?.length) });
    const room = { recompute: Boolean(recompute), memoryLimit: memory ?? Infinity };
    await clip.plan({ method, ...settings, classes, pictures: drawn.train.length, ...room });
    return countEach(
      classes.length,
      drawn.train.map((index) => labels[index]),
    );
  } finally {
    core.dispose();
  }
}

/** A stop while the saved classifier is being measured costs its figures, not the run. */
function stopped(error) {
  if (error.name === 'AbortError') return undefined;
  throw error;
}

const toExamples = (list) => list.map(({ path, label }) => ({ image: path, label }));

/**
 * Shows a run until it ends.
 * @param {import('../training/tune.js').TuneJob} job
 * @param {import('../methods/method.js').Settings} settings
 * @param {number[][]} losses  receives each epoch's losses, one a step
 * @param {number[]} validated  receives each epoch's accuracy on the pictures that were held out
 * @param {ReturnType<typeof keeper>} kept
 * @param {ReturnType<typeof openTerminal>} terminal
 */
async function follow(job, { batchSize }, losses, validated, kept, terminal) {
  const begun = performance.now();
  let last;
  let count = 0;
  const line = () => {
    const { epoch, epochs, learningRate, etaMs, validationAccuracy: accuracy } = last;
    const pictures = (count * batchSize) / ((performance.now() - begun) / 1000);
    return [
      `epoch ${terminal.live ? epoch : String(epoch).padStart(String(epochs).length)}/${epochs}`,
      `loss ${mean(losses[epoch - 1]).toFixed(3)}`,
      `rate ${learningRate.toExponential(1)}`,
      `${pictures.toFixed(pictures < 10 ? 1 : 0)} pictures/s`,
      ...(accuracy === undefined ? [] : [`val ${percent(accuracy)}`]),
      ...(etaMs > 0 ? [`${clock(etaMs)} left`] : []),
    ].join('  ');
  };
  for await (const step of job) {
    if (last && step.epoch !== last.epoch && !terminal.live) terminal.note(line());
    (losses[step.epoch - 1] ??= []).push(step.loss);
    if (step.replayed) continue;
    if (step.note) terminal.note(step.note);
    count++;
    if (step.validationAccuracy !== undefined) validated.push(step.validationAccuracy);
    last = step;
    terminal.progress(step.step / step.steps, line());
    await kept.after(step);
  }
  if (losses.length) await kept.end();
  if (last && !terminal.live) terminal.note(line());
  terminal.wipe();
  return job.finished;
}

// ------------------------------------------------------------------------------------------ what is shown

/** @param {any} terminal @param {any} clip @param {import('../node/datasets.js').Dataset} data */
function introduce(terminal, clip, { name, classes, train, test, val, notes }, { shots }, { val: validates }) {
  const { weightBytes, threads, variant, precision, device, adapter } = clip.info;
  const model = clip.info.name.split(/[\\/]/).filter(Boolean).at(-1);
  const counts = classes.map(() => 0);
  for (const { label } of train) counts[label]++;
  const used = counts.map((each) => Math.min(each, shots));
  const [least, most] = [Math.min, Math.max].map((which) => used.reduce((a, b) => which(a, b)));
  const each = least === most ? most : `${least} to ${most}`;
  const fewer = least < shots && shots < Infinity ? ` (${each} a class, ${shots} asked for)` : '';
  const sum = used.reduce((a, b) => a + b, 0);
  const rows = [
    ['model', `${model}, ${size(weightBytes)}`],
    ['data', `${name}, ${plural(classes.length, 'class', 'classes')}`],
    ['pictures', `${count(sum)} of ${count(train.length)} to train on${fewer}, ${count(test.length)} to test`],
    [
      'running on',
      `${plural(threads, 'thread')}, ${variant === 'relaxed' ? 'relaxed ' : ''}SIMD, precision ${precision}` +
        (device === 'webgpu' ? `; WebGPU, ${adapter}` : ''),
    ],
  ];
  const paint = (text, _, x) => (x ? text : terminal.colors.dim(text));
  for (const line of table(rows, 'll', { indent: 0, paint })) terminal.note(line);
  for (const note of notes) terminal.note(note);
  if (val?.length && !validates)
    terminal.note(`${count(val.length)} pictures to validate on are used with --val alone.`);
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
  const ranked = pairs(apart(classes), zeroShot, tuned)
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

function conclude(terminal, { output, target, bytes, seconds, peakBytes, sample, interrupted }) {
  const { bold, dim } = terminal.colors;
  terminal.print();
  const how = interrupted ? 'Stopped early; saved what was trained in' : 'Saved in';
  terminal.print(`${how} ${bold(output)} (${size(bytes.length)})`);
  terminal.print(dim(`${duration(seconds * 1000)}, at most ${size(peakBytes)} of memory`));
  if (interrupted && target) terminal.print(`Go on: mudpt train ... --resume ${target}`);
  if (interrupted) return;
  if (sample) {
    const credits = path.join(sample.folder, 'ATTRIBUTION.md');
    const near = path.relative('.', credits);
    terminal.print(dim(`Credits of the pictures: ${near.length < credits.length ? near : credits}`));
  }
  terminal.print(`Use it: mudpt classify PICTURE --classifier ${output}`);
}

/** Accuracies of each class; null for a class without test pictures. */
function pairs(classes, zeroShot, tuned) {
  return classes.map((label, i) => ({
    label,
    count: tuned.perClass[i].count,
    zeroShot: zeroShot.perClass[i].accuracy,
    tuned: tuned.perClass[i].accuracy,
  }));
}
