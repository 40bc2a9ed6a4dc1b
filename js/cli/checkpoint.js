/**
 * Runs that can be continued after an interruption: what --checkpoint keeps, and --resume goes on from. A file is
 * replaced as a whole, so that whatever ends the program leaves the last one or the new one.
 */
import { stat } from 'node:fs/promises';
import { Option } from 'commander';
import { MudptError } from '../base/errors.js';
import { CHECKPOINT, SavedFile } from '../classifier/saved.js';
import { checkTarget, writeWhole } from '../node/whole-files.js';
import { Checkpoint } from '../training/checkpoint.js';
import { readGiven } from './given-file.js';
import { given, settingsOf } from './options.js';

/** Besides at the end of every epoch, a checkpoint is written after this many milliseconds. */
const OFTEN = 60_000;

/** @param {import('commander').Command} command with withSettings */
export function withCheckpoint(command) {
  return command
    .addOption(new Option('--checkpoint <file>', 'keep the run here while it goes on').argParser(given))
    .addOption(new Option('--resume <file>', 'go on with the run that is kept there').argParser(given));
}

/**
 * The run that is asked for: a new one, or one that goes on, whose method and settings count where none are given.
 * @param {Record<string, any>} options of a command with withSettings and withCheckpoint
 * @param {import('commander').Command} command
 */
export async function openRun(options, command) {
  const { resume: from, checkpoint: target = from } = options;
  if (target) await checkTarget(target, '--checkpoint');
  if (!from) {
    if (target && (await stat(target).catch(() => undefined))) {
      throw new MudptError('file', `${target}: a run is kept there already`, 'go on with it by --resume, or remove it');
    }
    return { method: options.method, asked: settingsOf(options.method, options), before: {}, target };
  }
  const resume = await readGiven(from, 'give a file that --checkpoint kept');
  const { method, settings } = new SavedFile(resume, from, [CHECKPOINT]).details();
  if (command.getOptionValueSource('method') !== 'default' && options.method !== method) {
    throw new MudptError(
      'argument',
      `--method is ${options.method}, and the run in ${from} is of ${method}`,
      'leave it out, or begin a new run',
    );
  }
  return { method, asked: settingsOf(method, options), before: settings ?? {}, resume, target };
}

/**
 * Refuses another model, other classes or settings than the run's: tune() would too, but after zero-shot is measured.
 * @param {Uint8Array | undefined} resume
 * @param {import('../index.js').Clip} clip
 * @param {Record<string, any>} options of tune()
 */
export function requireSameRun(resume, clip, options) {
  if (!resume) return;
  const { fingerprint, architecture: config } = clip.info;
  new Checkpoint(/** @type {any} */ ({ fingerprint, config }), resume).requireSame(
    options,
    /** @type {any} */ (config),
  );
}

/**
 * Keeps a run in a file while it goes on.
 * @param {import('../training/tune.js').TuneJob} job
 * @param {string | undefined} target undefined: nowhere
 */
export function keeper(job, target) {
  let last = performance.now();
  const write = async () => {
    if (!target) return;
    await writeWhole(target, await job.checkpoint(), '--checkpoint');
    last = performance.now();
  };
  return {
    /** After a step. @param {import('../training/tune.js').TuneProgress} step */
    async after({ step, steps, epochs }) {
      if (step % (steps / epochs) === 0 || performance.now() - last > OFTEN) await write();
    },
    /** When the run has come to its end, or was stopped. */
    end: write,
  };
}
