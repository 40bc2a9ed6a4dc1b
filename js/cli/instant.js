/** The instant answer of mudpt train: pictures go through the tower once, and a head learns from their features. */
import { InvalidArgumentError, Option } from 'commander';
import { MudptError } from '../base/errors.js';
import { MOST_VIEWS } from '../base/limits.js';
import { HEADS } from '../heads/heads.js';
import { writeWhole } from '../node/whole-files.js';
import { evaluate } from './model.js';
import { FLAGS, settingsOf, whole } from './options.js';
import { percent } from './terminal.js';

/** @param {import('commander').Command} command */
export const withHead = (command) =>
  command
    .addOption(
      new Option(
        '--head <name>',
        'head of the instant answer (none: no such answer); where it is given, on tuned prompts as well',
      )
        .choices(['auto', 'none', ...Object.keys(HEADS)])
        .default('auto'),
    )
    .addOption(
      new Option('--goal <name>', 'what auto chooses by: these classes, or names that are added later')
        .choices(['accuracy', 'new-names'])
        .default('accuracy'),
    )
    .addOption(
      new Option(
        '--views <n>',
        'views of each picture that a head learns from: the picture and random crops',
      ).argParser(whole(1, MOST_VIEWS)),
    )
    .addOption(
      new Option('--budget <seconds>', 'train what fits in this time here, as 30s or 2m; in place of a preset')
        .argParser(secondsIn)
        .conflicts(['preset', 'epochs', 'batch', 'smallestCrop', 'views', 'checkpoint', 'resume']),
    );

/** @param {string} text */
function secondsIn(text) {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(s|m|h)?$/.exec(text.trim()) ?? [];
  const seconds = Number(number) * { s: 1, m: 60, h: 3600 }[unit ?? 's'];
  if (seconds > 0) return seconds;
  throw new InvalidArgumentError('expected a time above 0, as 30s, 2m or 1h');
}

/** What an instant answer has nothing to do with, by its flag. */
const FOREIGN = {
  budget: '--budget',
  checkpoint: '--checkpoint',
  resume: '--resume',
  val: '--val',
  recompute: '--recompute',
  memory: '--memory',
  raw: '--raw',
};

/**
 * Refuses with --preset instant what belongs to prompts.
 * @param {Record<string, any>} options of mudpt train
 * @param {import('commander').Command} command
 */
export function checkInstant(options, command) {
  const { preset: _, ...rest } = options;
  const { shots = 16, seed = 1, ...others } = settingsOf('mudpt', rest);
  const isGiven = (name) => command.getOptionValueSource(name) !== 'default' && command.getOptionValueSource(name);
  const given = [
    ...(isGiven('method') ? ['--method'] : []),
    ...Object.keys(FOREIGN).flatMap((name) => (isGiven(name) ? [FOREIGN[name]] : [])),
    ...Object.keys(others).map((name) => FLAGS[name]),
  ];
  if (given.length) {
    throw new MudptError(
      'argument',
      `${given[0]} is of prompts that are trained, and --preset instant trains none`,
      'leave it out, or take another preset',
    );
  }
  return { shots, seed };
}

/**
 * @param {any} clip
 * @param {import('../node/datasets.js').Dataset} data
 * @param {object} options
 * @param {string} options.output where it is saved
 * @param {string} options.head
 * @param {string} options.goal
 * @param {number} options.shots
 * @param {number} options.seed
 * @param {string[]} options.templates
 * @param {(broken: any) => void} [options.onBroken]
 * @param {ReturnType<typeof import('./terminal.js').openTerminal>} terminal
 * @param {AbortSignal} signal
 */
export async function instantAnswer(clip, { classes, train, test }, { output, ...options }, terminal, signal) {
  const begun = performance.now();
  const examples = train.map(({ path: image, label }) => ({ image, label }));
  try {
    const more = { classes, examples, onProgress: featuresShown(terminal), signal };
    const job = clip.tune({ preset: 'instant', ...options, ...more });
    for await (const { step, steps, loss } of job)
      terminal.progress(step / steps, `head, step ${step} of ${steps}, loss ${loss.toFixed(3)}`);
    const classifier = await job.finished;
    const seconds = (performance.now() - begun) / 1000;
    const bytes = await classifier.export();
    await writeWhole(output, bytes);
    const measured = await evaluate(classifier, test, 'instant', terminal, signal);
    const named = `${percent(measured.accuracy)}, ${seconds.toFixed(1)} s later, by ${classifier.method}`;
    terminal.note(`${terminal.colors.dim('instant')}      ${named}`);
    return { classifier, seconds, bytes, ...measured };
  } finally {
    terminal.wipe();
  }
}

/** @param {ReturnType<typeof import('./terminal.js').openTerminal>} terminal */
export const featuresShown =
  (terminal) =>
  ({ done, total }) =>
    terminal.progress(done / total, `features, ${done} of ${total} pictures`);

/**
 * What was taken, of a budget or of prompts with a head, and by which figures.
 * @param {any} classifier
 * @returns {string[]} lines
 */
export function whyOf({ recipe, heldOut, method, head }) {
  const answers = !head || method === head ? method : `${method} and ${head}`;
  const lines = [];
  if (recipe) {
    const { taken, seconds } = recipe;
    const expected = Object.entries(seconds ?? {}).map(([name, each]) => `${name} ${each.toFixed(1)} s`);
    lines.push(`the budget bought: ${taken} (${expected.join(', ') || 'no time to look'})`);
  }
  if (!heldOut) return lines;
  const named = (each) =>
    each.method === 'zeroshot' ? 'instant' : each.head === 'none' ? each.method : `${each.weight} ${each.head}`;
  const found = heldOut.filter((each) => each.method).map((each) => `${named(each)} ${percent(each.accuracy)}`);
  lines.push(`what answers: ${answers}${found.length ? ` (of pictures not trained on: ${found.join(', ')})` : ''}`);
  return lines;
}
