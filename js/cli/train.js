/**
 * mudpt train: from a folder of pictures to a tuned classifier, with what tuning gained. On the way, seconds after the
 * start, there is an answer of a head on features (instant.js); with --preset instant it is all there is.
 *
 * Classifiers are saved before they are measured. Where the run is interrupted, or its numbers stop being finite, what
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
import { checkInstant, featuresShown, instantAnswer, whyOf, withHead } from './instant.js';
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
import {
  apart,
  change,
  clock,
  count,
  cut,
  duration,
  openTerminal,
  percent,
  plural,
  size,
  table,
  wrap,
} from './terminal.js';

const MOST_ROWS = 8; // classes shown
const INSTANT = 'instant'; // a preset that trains no prompts

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
  withCheckpoint(withHead(withSettings(command, [INSTANT])))
    .option('--recompute', 'keep less in memory and compute it again: slower, the same numbers')
    .addOption(memoryOption())
    .option('--val', 'also hold out min(shots, 4) pictures a class, and measure on them')
    .addOption(templateOption())
    .addOption(
      new Option(
        '--out <file>',
        'where to save (default: <data>-<method>.safetensors; the instant answer beside it)',
      ).argParser(given),
    )
    .option('--raw', 'save the trained parameters, too, as mudpt export needs them');
  return withOutput(withSkip(withPictures(withLongWork(command)))).action(run);
}

async function run(options, command) {
  const begun = performance.now();
  const terminal = openTerminal(options);
  const only = options.preset === INSTANT ? checkInstant(options, command) : null;
  const { method, asked, before, resume, target } = only ? NO_RUN : await openRun(options, command);
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
    const instantOutput = only ? output : `${output.replace(/\.safetensors$/i, '')}-${INSTANT}.safetensors`;
    const hasInstant = only || options.head !== 'none';
    if (options.views && options.head === 'none')
      throw new MudptError('argument', '--views is of a head, and --head is none', 'leave out one of them');
    for (const file of hasInstant ? [output, instantOutput] : [output]) await checkTarget(file);
    for (const file of [output, instantOutput]) {
      if (!target || path.resolve(target) !== path.resolve(file)) continue;
      throw new MudptError('argument', `${target} is to be the checkpoint and the result`, 'give --out another name');
    }
    clip = await openModel(options, terminal, signal);
    requireSameRun(resume, clip, { classes: read.classes, ...asked });
    // What a budget takes differs from this in its length alone.
    const longer = options.budget && { preset: 'balanced' };
    /** @type {any} */
    const settings =
      only ?? resolveSettings({ method, ...longer, ...before, ...asked }, clip.info.architecture).settings;
    const parts = /** @type {const} */ (['train', 'test', ...(options.val ? ['val'] : [])]);
    const data = await wholePictures(read, { ...options, parts: [...parts] }, terminal, signal);
    const used = await checkRun(clip, data, settings, only ? null : options);
    introduce(terminal, clip, data, settings, options);

    const templates = options.template ?? [data.template ?? DEFAULT_TEMPLATE];
    const plain = await timed(clip.zeroShot(data.classes, { templates }));
    const zeroShot = { ...plain, ...(await evaluate(plain.classifier, data.test, 'zero-shot', terminal, signal)) };
    const named = `${percent(zeroShot.accuracy)} of the test pictures are named rightly`;
    terminal.note(`${terminal.colors.dim('zero-shot')}    ${named}`);

    const skip = options.skipBroken && { onBroken: (broken) => terminal.warn(`left out: ${broken.message}`) };
    /** @type {any} */
    let instant = null;
    if (hasInstant) {
      const { head, goal, views } = options;
      const { shots, seed } = settings;
      const more = { head, goal, shots, seed, views, templates, ...skip, output: instantOutput };
      instant = await instantAnswer(clip, data, more, terminal, signal);
    }

    const losses = [];
    const validated = [];
    /** @type {any} */
    let tuned = null;
    let bytes = instant?.bytes;
    if (!only) {
      const validation = options.val && (data.val?.length ? toExamples(data.val) : true);
      const { recompute, memory: memoryLimit } = options;
      // Where a head is named, also on the prompts.
      const head = command.getOptionValueSource('head') === 'cli' ? options.head : 'none';
      const wanted = options.budget
        ? { head: options.head, goal: options.goal, budget: Math.max(options.budget - (instant?.seconds ?? 0), 1e-3) }
        : { head, ...(head !== 'none' && { views: options.views }), resume };
      const shown = (options.budget || head !== 'none') && { onProgress: featuresShown(terminal) };
      const more = { method, ...asked, ...wanted, recompute, memoryLimit, ...skip, ...shown, validation };
      job = clip.tune({ ...more, classes: data.classes, examples: toExamples(data.train) });
      const run = await timed(
        follow(job, settings, losses, validated, keeper(job, target), terminal).catch(async (error) => {
          if (!job.classifier || !losses.length) throw error;
          await writeWhole(output, await job.classifier.export());
          throw error.named ? error.named(`what was trained before is saved in ${output}, but`) : error;
        }),
      );
      if (!losses.length) signal.throwIfAborted();
      const why = whyOf(run.classifier).flatMap((line) => wrap(line, terminal.columns()));
      for (const line of why) terminal.note(line);
      bytes = await run.classifier.export({ raw: options.raw });
      await writeWhole(output, bytes);
      const measured = signal.aborted
        ? undefined
        : await evaluate(run.classifier, data.test, 'tuned', terminal, signal).catch(stopped);
      tuned = measured ? { ...run, ...measured } : null;
    }
    if (signal.aborted) process.exitCode = EXIT_INTERRUPTED;
    const seconds = (performance.now() - begun) / 1000;
    const peakBytes = process.resourceUsage().maxRSS * 1024;
    const answers = { 'zero-shot': zeroShot, ...(instant && { instant }), ...(tuned && { tuned }) };
    const last = only ? instant : tuned;
    if (last && !options.json) compare(terminal, data.classes, answers);
    if (tuned && validated.length) {
      const share = `${percent(validated.at(-1))} of the pictures held out to validate on are named rightly`;
      terminal.print();
      terminal.print(`  ${share}`);
    }
    const saved = { output, bytes, instantOutput: !only && instant && instantOutput };
    const better = instant && tuned && instant.accuracy > tuned.accuracy;
    conclude(terminal, { ...saved, better, target, seconds, peakBytes, sample, interrupted: signal.aborted });
    if (options.json) {
      const result = {
        task: data.name,
        method,
        settings: (options.budget && tuned?.classifier.settings) || settings,
        templates,
        model: { name: clip.info.name, fingerprint: clip.info.fingerprint },
        classes: data.classes,
        pictures: { train: data.train.length, test: data.test.length, used: used.pictures },
        shots: { asked: settings.shots, least: used.least, most: used.most },
        zeroShot: said(zeroShot),
        instant: instant && { ...said(instant), heldOut: instant.classifier.heldOut, output: instantOutput },
        tuned: tuned && { ...said(tuned), ...headOf(tuned.classifier) },
        perClass: last && pairs(data.classes, zeroShot, last),
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

/** What stands on the prompts, where something does. @param {any} classifier */
const headOf = ({ head, weight, heldOut, recipe }) => ({
  ...(heldOut && { head, weight, heldOut }),
  ...(recipe && { recipe }),
});

/** What is asked for where no prompts are trained. */
const NO_RUN = { method: INSTANT, asked: {}, before: {}, resume: undefined, target: undefined };

/** A classifier, and the seconds that it took. @param {Promise<any>} making @returns {Promise<any>} */
async function timed(making) {
  const begun = performance.now();
  const classifier = await making;
  return { classifier, seconds: (performance.now() - begun) / 1000 };
}

/** An answer as JSON has it: seconds until it could be asked, from when it was begun. */
const said = ({ classifier, accuracy, macroF1, ece, seconds }) => ({
  method: classifier.method,
  ...{ accuracy, macroF1, ece, seconds },
});

/**
 * What tune() would refuse, before zero-shot is measured: too few pictures, names that do not fit a sentence, more
 * memory than there is or than is allowed.
 * @param {any} clip
 * @param {import('../node/datasets.js').Dataset} data
 * @param {any} settings
 * @param {Record<string, any> | null} options null: no prompts are trained
 */
async function checkRun(clip, { classes, train, val }, settings, options) {
  const core = await createCore({ threads: 1 });
  try {
    const labels = train.map(({ label }) => label);
    const validation = Boolean(options?.val && !val?.length);
    const drawn = drawShots(core, classes, labels, { ...settings, validation });
    if (options) {
      const room = { recompute: Boolean(options.recompute), memoryLimit: options.memory ?? Infinity };
      await clip.plan({ method: options.method, ...settings, classes, pictures: drawn.train.length, ...room });
    }
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

/**
 * The answers side by side, with what the last of them gained, then the classes that it changed most.
 * @param {any} terminal
 * @param {string[]} classes
 * @param {Record<string, any>} answers by name; the first is zero-shot
 */
function compare(terminal, classes, answers) {
  const { bold, green, red, dim } = terminal.colors;
  const all = Object.values(answers);
  const [zeroShot, last] = [all[0], all[all.length - 1]];
  const row = (name, values) => [name, ...values.map(percent), change(values[values.length - 1] - values[0])];
  const rows = [
    ['', ...Object.keys(answers), 'change'],
    row(
      'accuracy',
      all.map(({ accuracy }) => accuracy),
    ),
    row(
      'macro-F1',
      all.map(({ macroF1 }) => macroF1),
    ),
  ];
  const ranked = apart(classes)
    .map((label, i) => [label, all.map(({ perClass }) => perClass[i].accuracy)])
    .map(([label, values]) => ({ label, values, gain: values[values.length - 1] - values[0] }))
    .filter(({ values, gain }) => values[0] !== null && gain !== 0)
    .sort((a, b) => Math.abs(b.gain) - Math.abs(a.gain));
  const shown = ranked.slice(0, MOST_ROWS).sort((a, b) => b.gain - a.gain);
  const room = terminal.columns() - 20 - 10 * all.length;
  for (const { label, values } of shown) rows.push(row(cut(label, room), values));

  const paint = (text, y, x) => {
    if (y === 0) return dim(text);
    if (x === all.length + 1 && text.includes('+')) return green(text);
    if (x === all.length + 1 && text.includes('−')) return red(text);
    return y < 3 ? bold(text) : text;
  };
  const lines = table(rows, `lr${'r'.repeat(all.length)}`, { paint });
  terminal.note();
  for (const line of lines.slice(0, 3)) terminal.print(line);
  if (!shown.length) return;
  terminal.print();
  terminal.print(dim(`  Classes that changed most, ${shown.length} of ${classes.length}`));
  for (const line of lines.slice(3)) terminal.print(line);
}

function conclude(terminal, saved) {
  const { output, instantOutput, better, target, bytes, seconds, peakBytes, sample, interrupted } = saved;
  const { bold, dim } = terminal.colors;
  terminal.print();
  const how = interrupted ? 'Stopped early; saved what was trained in' : 'Saved in';
  terminal.print(`${how} ${bold(output)} (${size(bytes.length)})`);
  if (instantOutput) terminal.print(`The instant answer is in ${bold(instantOutput)}`);
  terminal.print(dim(`${duration(seconds * 1000)}, at most ${size(peakBytes)} of memory`));
  if (interrupted && target) terminal.print(`Go on: mudpt train ... --resume ${target}`);
  if (interrupted) return;
  if (sample) {
    const credits = path.join(sample.folder, 'ATTRIBUTION.md');
    const near = path.relative('.', credits);
    terminal.print(dim(`Credits of the pictures: ${near.length < credits.length ? near : credits}`));
  }
  const use = better ? instantOutput : output;
  terminal.print(`Use it: mudpt classify PICTURE --classifier ${use}`);
  if (better) terminal.print(dim('  the instant answer, which names more of the test pictures rightly'));
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
