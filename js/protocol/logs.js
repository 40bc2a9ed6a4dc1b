/**
 * The logs of finished runs: one JSON file each, DIR/logs/ID.json, that appears whole or not at all. They are all that
 * is kept of a sweep; tables and plots are made from them.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { MudptError } from '../base/errors.js';
import { otherModel } from '../loading/samples.js';
import { writeWhole } from '../node/whole-files.js';
import { idOf } from './plan.js';

/** @typedef {import('./run.js').Log} Log */

const FOLDER = 'logs';

/** @param {string} folder of the sweep @param {string} id */
export const logFile = (folder, id) => path.join(folder, FOLDER, `${id}.json`);

/** @param {string} folder @param {Log} log */
export async function writeLog(folder, log) {
  await mkdir(path.join(folder, FOLDER), { recursive: true });
  await writeWhole(logFile(folder, log.id), `${JSON.stringify(log, null, 2)}\n`);
}

/**
 * @param {string} folder of a sweep; one without logs has none
 * @returns {Promise<Log[]>} in the order of their ids
 * @throws {MudptError} `file`: a log was changed or cannot be read
 */
export async function readLogs(folder) {
  const names = await readdir(path.join(folder, FOLDER)).catch((error) => {
    if (error.code === 'ENOENT') return /** @type {string[]} */ ([]);
    throw fault(folder, `cannot be used (${error.code})`, 'give the folder of a sweep');
  });
  const logs = [];
  for (const name of names.sort()) {
    if (!name.startsWith('.') && name.endsWith('.json')) logs.push(await readLog(path.join(folder, FOLDER, name)));
  }
  return logs;
}

async function readLog(file) {
  const text = await readFile(file, 'utf8').catch((error) => {
    throw fault(file, `cannot be read (${error.code})`, 'check its permissions');
  });
  let log;
  try {
    log = JSON.parse(text);
  } catch {
    throw fault(file, 'is no JSON', 'remove it, and the run is repeated');
  }
  const { format, version, identity, results, seconds } = log ?? {};
  const measured = (result) => typeof result?.name === 'string' && result.accuracy >= 0 && result.accuracy <= 1;
  const whole = typeof identity?.data === 'string' && Array.isArray(results) && results.every(measured) && seconds;
  if (format !== 'mudpt-run' || version !== 1 || !whole) {
    throw fault(file, 'is no log of a run', 'remove it, and the run is repeated');
  }
  if (log.id !== idOf(identity) || `${log.id}.json` !== path.basename(file)) {
    throw fault(file, 'does not have the id of what it describes', 'remove it, and the run is repeated');
  }
  return log;
}

/**
 * Refuses runs that do not belong in one table: two results of one run, another model or version, other data under the
 * same name, or settings that change between seeds.
 * @param {Pick<Log, 'id' | 'identity' | 'samples'>[]} runs  finished and planned ones, and of a run that is both, both
 * @param {string} folder  for messages
 */
export function checkTogether(runs, folder) {
  /** @type {Map<string, { id: string, value: any }>} */
  const seen = new Map();
  const agree = (id, what, value) => {
    const first = seen.get(what);
    if (!first) return void seen.set(what, { id, value });
    if (JSON.stringify(first.value) === JSON.stringify(value)) return;
    const keys = Object.keys({ ...first.value, ...value });
    const different = keys.filter((key) => JSON.stringify(first.value?.[key]) !== JSON.stringify(value?.[key]));
    throw fault(
      folder,
      `${first.id} and ${id} do not belong together: they differ in ${different.join(', ') || what}`,
      'choose another --out, or remove the logs of one of them',
    );
  };
  checkModels(runs, folder);
  const ids = new Map(runs.map((run) => [run.id, run]));
  for (const { id, identity } of ids.values()) {
    const { context, protocol, data, method, shots, seed, settings, train, tests } = identity;
    agree(id, 'the model', context);
    const run = [protocol, data, method, shots].join('\0');
    const { seed: _, ...others } = settings ?? {};
    agree(id, `settings\0${run}`, others);
    for (const test of tests) {
      agree(id, `tests\0${[protocol, data, test.name, test.part].join('\0')}`, { 'test data': test.hash });
    }
    const drawn = typeof train?.published;
    if (train) agree(id, `train\0${protocol}\0${data}`, { 'training data': train.hash, 'who has drawn them': drawn });
    agree(id, `run\0${run}\0${seed}`, { tests });
  }
}

/**
 * Models of one fingerprint may have other matrices. Logs of older versions do not say which.
 * @param {Pick<Log, 'id' | 'identity' | 'samples'>[]} runs
 * @param {string} folder
 */
function checkModels(runs, folder) {
  const [first, ...others] = runs.filter(({ samples }) => samples);
  const of = ({ identity, samples = '' }) => ({ fingerprint: identity.context.fingerprint, samples });
  for (const run of others) {
    if (run.samples === first.samples || of(run).fingerprint !== of(first).fingerprint) continue;
    if (!otherModel(of(run), of(first), run.id)) continue;
    const what = `${first.id} and ${run.id} do not belong together: their models have the same vectors`;
    throw fault(folder, `${what} and other matrices`, 'choose another --out, or remove the logs of one of them');
  }
}

const fault = (file, what, remedy) => new MudptError('file', `${file}: ${what}`, remedy);
