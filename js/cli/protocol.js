/**
 * mudpt protocol: the protocols of prompt tuning's papers over methods, shots, seeds and data sets.
 *
 * Every run leaves a log when it is finished, and none is repeated that has one. So a sweep can be ended at any time
 * and goes on where it was, and its runs can be shared out among machines (--plan, --only).
 */
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { MudptError } from '../base/errors.js';
import { MOST_SEED } from '../base/limits.js';
import { createCore } from '../core/core.js';
import { METHODS } from '../methods/methods.js';
import { findDatasets, stylesOf } from '../node/datasets.js';
import { printable } from '../node/names.js';
import { checkTogether, logFile, readLogs, writeLog } from '../protocol/logs.js';
import { SweepFeatures } from '../protocol/heads.js';
import { appliesTo, planJobs, PROTOCOLS, TITLES } from '../protocol/plan.js';
import { readPublished } from '../protocol/published.js';
import { runJob } from '../protocol/run.js';
import { openSet } from '../protocol/sets.js';
import { TimeLeft } from '../protocol/time-left.js';
import { EXIT_INTERRUPTED } from './failures.js';
import { onInterrupt } from './interrupt.js';
import { openModel } from './model.js';
import { DEFAULT_MODEL, given, whole, withLongWork, withOutput, withPictures } from './options.js';
import { wholePictures, withSkip } from './pictures.js';
import { report } from './report.js';
import { duration, openTerminal, percent, plural } from './terminal.js';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
const DEFAULT_METHODS = ['zeroshot', 'coop', 'cocoop', 'vpt', 'ivlp', 'mudpt'];
const DEFAULT_SEEDS = [1, 2, 3];

/**
 * @typedef {import('../protocol/plan.js').Job} Job
 * @typedef {import('../protocol/plan.js').Sweep} Sweep
 * @typedef {import('../protocol/sets.js').DataSet} DataSet
 */

export function protocolCommand() {
  const command = new Command('protocol')
    .description("run a paper's protocol over methods, shots, seeds and data sets")
    .addArgument(new Argument('<name>', 'which protocol').choices(Object.keys(PROTOCOLS)))
    .addOption(new Option('--data <path...>', 'data sets, or folders of them').argParser(several).makeOptionMandatory())
    .addOption(new Option('--source <path>', 'cross-dataset: the data set that is trained on').argParser(given))
    .addOption(
      new Option('--styles <a,b>', 'domain-generalization: test styles (default: every split-STYLE.json)').argParser(
        listOf(given),
      ),
    )
    .addOption(
      new Option('--targets <path...>', 'domain-generalization: folders with the same classes').argParser(several),
    )
    .addOption(
      new Option('--methods <a,b>', `all (but heads), or of ${Object.keys(TITLES).join(', ')}`)
        .argParser((text) => (text === 'all' ? Object.keys(METHODS) : listOf(methodName)(text)))
        .default(DEFAULT_METHODS, DEFAULT_METHODS.join(',')),
    )
    .addOption(
      new Option('--seeds <a,b>', 'of everything random')
        .argParser(listOf(whole(0, MOST_SEED)))
        .default(DEFAULT_SEEDS, DEFAULT_SEEDS.join(',')),
    )
    .addOption(
      new Option('--shots <a,b>', 'pictures a class (default: few-shot 1,2,4,8,16, else 16)').argParser(
        listOf(whole(1, 1000000)),
      ),
    )
    .option('--published', "train on the pictures that others drew: each data set's split_fewshot, by shots and seed")
    .addOption(
      new Option('--set <name=value>', "change a default; METHOD.NAME=VALUE changes one method's").argParser(changes),
    )
    .addOption(new Option('--out <dir>', 'folder of logs, tables, plots (default: results/<name>)').argParser(given))
    .addOption(new Option('--plan', 'print the runs as lines of JSON, each with its command').conflicts('only'))
    .addOption(new Option('--only <id>', 'run this one alone, without tables').argParser(given));
  return withOutput(withSkip(withPictures(withLongWork(command)))).action(run);
}

async function run(protocol, options) {
  const terminal = openTerminal({ ...options, json: options.json || options.plan });
  const folder = options.out ?? path.join('results', protocol);
  let stopping = false;
  const interrupt = onInterrupt(() => {
    stopping = true;
    terminal.note('Stopping after this run, which is kept; press Ctrl-C again to end at once.');
  });
  let clip, core;
  try {
    const { skipBroken, upright } = options;
    const look = (data, parts) => wholePictures(data, { parts, upright, skipBroken }, terminal, interrupt.signal);
    const sources = await openSources(protocol, options, skipBroken ? look : undefined);
    clip = await openModel(options, terminal, interrupt.signal);
    const { fingerprint, variant, precision, device, weightBytes, architecture, convention } = clip.info;
    const { methods, seeds, shots = PROTOCOLS[protocol].shots, set = [] } = options;
    /** @type {Sweep} */
    const sweep = { protocol, sources, methods, seeds, shots, changes: set };
    if (options.published) sweep.published = await openPublished(sources, shots, seeds);
    const dtype = options.dtype ?? 'as stored';
    const onDevice = device === 'wasm' ? {} : { device };
    const turned = options.upright ? { upright: /** @type {const} */ (true) } : {};
    const theirs = convention === 'transformers' ? { convention } : {};
    const how = { ...onDevice, ...turned, ...theirs };
    const context = { library: version, variant, precision, fingerprint, dtype, weightBytes, ...how };
    const jobs = planJobs(sweep, context, architecture);
    if (options.plan) return printPlan(jobs, sources, folder, options);

    const logs = await readLogs(folder);
    const chosen = options.only ? [theOne(jobs, options.only)] : jobs;
    const silent = logs.filter((log) => !log.samples).length;
    if (silent) {
      const what = `${plural(silent, 'log')} in ${folder} of an older version`;
      terminal.warn(`${what}: not which matrices the model had is known, only which vectors`);
    }
    const samples = await clip.samples();
    checkTogether([...logs, ...chosen.map((job) => ({ ...job, samples }))], folder);
    const finished = new Set(logs.map((log) => log.id));
    const todo = chosen.filter(({ id }) => !finished.has(id));
    introduce(terminal, sources, chosen, todo, folder);
    await mkdir(folder, { recursive: true });
    core = await createCore({ threads: 1 });
    const { done, failed } = await runAll(todo, { clip, core, logs, folder, terminal, stopped: () => stopping });

    if (todo.length) terminal.note();
    if (!options.only && logs.length + done) await report(folder, terminal, options, protocol);
    if (failed.length) throw leftOut(failed, todo);
    if (!logs.length && !done) interrupt.signal.throwIfAborted();
    if (options.only && options.json && done === todo.length) {
      process.stdout.write(`${JSON.stringify({ log: logFile(folder, options.only) })}\n`);
    }
    if (stopping) process.exitCode = EXIT_INTERRUPTED;
  } finally {
    terminal.wipe();
    interrupt.release();
    core?.dispose();
    await clip?.dispose();
  }
}

/** Errors of a run or its data, after which a sweep's other runs are still worth their time. */
const OF_A_RUN = ['not-finite', 'argument', 'tokenizer', 'image', 'file'];

/**
 * Runs jobs one after the other and keeps their logs. One that fails is left out; where a test picture cannot be read,
 * so are the further ones of its data set, which would train first and then fail over it again.
 */
async function runAll(jobs, { clip, core, logs, folder, terminal, stopped }) {
  const time = new TimeLeft(logs);
  const features = new SweepFeatures(clip);
  /** @type {Map<string, MudptError>} */
  const unreadable = new Map();
  const failed = [];
  let done = 0;
  for (const [i, job] of jobs.entries()) {
    if (stopped()) break;
    const begun = performance.now();
    const number = `${i + 1} of ${jobs.length}`;
    const name = nameOf(job.identity);
    const left = () => {
      const seconds = time.left(jobs.slice(i), (performance.now() - begun) / 1000);
      return seconds === null ? '' : `  ${duration(1000 * seconds)} left`;
    };
    const fail = (error, why) => {
      terminal.note(`${number}  ${name}: ${why}`);
      failed.push({ id: job.id, error });
    };
    const before = unreadable.get(job.identity.data);
    if (before) {
      fail(before, 'left out, as a test picture cannot be read');
      continue;
    }
    let testing = false;
    const onProgress = (now) => {
      testing = now.testing;
      terminal.progress(i / jobs.length, `run ${number}  ${name}  ${printable(now.stage)}${left()}`);
    };
    const log = await runJob(clip, job, { core, features, onProgress }).catch((error) => {
      if (!(error instanceof MudptError)) throw error;
      if (!OF_A_RUN.includes(error.code)) throw error.named(job.id);
      if (testing && ['image', 'file'].includes(error.code)) unreadable.set(job.identity.data, error);
      fail(error, printable(error.message));
    });
    if (!log) continue;
    await writeLog(folder, log);
    done++;
    time.add(log);
    const found = log.results.map((result) => `${printable(result.name)} ${percent(result.accuracy)}`).join(', ');
    const rest = time.left(jobs.slice(i + 1), 0);
    const toGo = rest ? `, ${duration(1000 * rest)} left` : '';
    terminal.note(`${number}  ${name}: ${found}  (${duration(performance.now() - begun)}${toGo})`);
  }
  return { done, failed };
}

/** What a sweep ends with that could not do all of its runs. */
function leftOut(failed, jobs) {
  const [{ id, error }] = failed;
  if (jobs.length === 1) return error.named(id);
  return error.named(`${failed.length} of ${plural(jobs.length, 'run')} failed, the first is ${id}`);
}

// ------------------------------------------------------------------------------------------ data

/**
 * The data sets that a protocol trains on, each with what it is tested on besides.
 * @returns {Promise<Sweep['sources']>}
 */
async function openSources(protocol, { data, source, styles, targets }, look) {
  const only = (name, option, value) => {
    if (value === undefined || protocol === name) return;
    throw new MudptError('argument', `${option} means nothing to ${protocol}`, `it belongs to ${name}`);
  };
  only('cross-dataset', '--source', source);
  only('domain-generalization', '--styles', styles);
  only('domain-generalization', '--targets', targets);
  const found = await Promise.all(data.map(findDatasets));
  const paths = new Map(found.flat().map((each) => [path.resolve(each), each]));

  if (protocol === 'cross-dataset') {
    if (source === undefined) {
      throw new MudptError('argument', 'cross-dataset needs the data set to train on', 'give it with --source');
    }
    paths.delete(path.resolve(source));
    if (!paths.size) {
      const what = '--data holds no data set but the one of --source';
      throw new MudptError('argument', what, 'give the others to test on with --data');
    }
    const others = await Promise.all([...paths.values()].map((each) => openSet(each, { look })));
    return [{ set: await openSet(source, { look }), targets: byName(others) }];
  }
  const sources = [];
  for (const each of paths.values()) {
    const set = await openSet(each, { look });
    const others = protocol === 'domain-generalization' ? await openDomains(each, { styles, targets, look }) : [];
    sources.push({ set, targets: byName(others) });
  }
  return sources.sort((a, b) => (a.set.name < b.set.name ? -1 : 1));
}

/** The same classes in other pictures. @returns {Promise<DataSet[]>} */
async function openDomains(source, { styles, targets, look }) {
  const present = await stylesOf(source);
  const wanted = styles ?? (targets ? [] : present);
  const missing = wanted.find((style) => !present.includes(style));
  if (missing !== undefined || (!wanted.length && !targets)) {
    throw new MudptError(
      'dataset',
      `${source}: has no split-${missing ?? 'STYLE'}.json to test on`,
      present.length
        ? `--styles can be ${present.join(', ')}`
        : 'write one, or give other folders of the same classes with --targets',
    );
  }
  const opened = wanted.map((split) => openSet(source, { split, testOnly: true, look }));
  return Promise.all([...opened, ...(targets ?? []).map((each) => openSet(each, { testOnly: true, look }))]);
}

/** An order that does not depend on how they were given. @param {DataSet[]} sets */
const byName = (sets) => [...sets].sort((a, b) => (a.name < b.name ? -1 : 1));

/** What others have drawn of the data sets that are trained on. @returns {Promise<Sweep['published']>} */
async function openPublished(sources, shots, seeds) {
  const drawn = new Map();
  const keyOf = (set, shot, seed) => `${set.name}\0${shot}\0${seed}`;
  for (const { set } of sources)
    for (const shot of shots)
      for (const seed of seeds) drawn.set(keyOf(set, shot, seed), await readPublished(set, shot, seed));
  return (set, shot, seed) => drawn.get(keyOf(set, shot, seed));
}

// ------------------------------------------------------------------------------------------ plan

/** @param {Job[]} jobs @param {string} id */
function theOne(jobs, id) {
  const job = jobs.find((each) => each.id === id);
  if (job) return job;
  throw new MudptError(
    'argument',
    `--only ${id}: these options have no such run; the model, the data, the settings or the version differ`,
    'make a new --plan on this machine and compare',
  );
}

/** One line of JSON a run. Its command names the data that this run needs and no other, which would be read, too. */
function printPlan(jobs, sources, folder, options) {
  const {
    data,
    source,
    styles,
    targets,
    set = [],
    model,
    integrity,
    dtype,
    precision,
    device,
    variant,
    wideVectors,
    upright,
    convention,
    skipBroken,
    store,
  } = options;
  const repeated = (flag, values) => (values?.length ? [flag, ...values] : []);
  const needed = new Map(sources.map((each) => [each.set.name, source === undefined ? [each.set.source] : data]));
  const common = [
    ...repeated('--targets', targets),
    ...(source === undefined ? [] : ['--source', source]),
    ...(styles === undefined ? [] : ['--styles', styles.join(',')]),
    ...(model === DEFAULT_MODEL ? [] : ['--model', model]),
    ...digestsOf(integrity).flatMap((digest) => ['--integrity', digest]),
    ...(dtype === undefined ? [] : ['--dtype', dtype]),
    ...(precision === undefined ? [] : ['--precision', precision]),
    ...(device === 'wasm' ? [] : ['--device', device]),
    ...(variant === 'auto' ? [] : ['--variant', variant]),
    ...(wideVectors ? [] : ['--no-wide-vectors']),
    ...(upright ? ['--upright'] : []),
    ...(convention === 'openai' ? [] : ['--convention', convention]),
    ...(skipBroken ? ['--skip-broken'] : []),
    ...(store ? [] : ['--no-store']),
    ...(options.published ? ['--published'] : []),
    ...['--out', folder],
  ];
  for (const { id, identity } of jobs) {
    const { protocol, data: name, method, shots, seed } = identity;
    const changed = set.filter((change) => appliesTo(change, method)).flatMap(({ text }) => ['--set', text]);
    const own = [
      ...changed,
      '--methods',
      method,
      ...(shots === null ? [] : ['--shots', `${shots}`, '--seeds', `${seed}`]),
    ];
    const words = ['mudpt', 'protocol', protocol, ...repeated('--data', needed.get(name)), ...common, ...own];
    words.push('--only', id);
    const command = words.map(quoted).join(' ');
    const line = { id, protocol, data: name, method, shots, seed, log: logFile(folder, id), command };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}

/** As they are given to --integrity. @param {string | Record<string, string>} [integrity] */
const digestsOf = (integrity = {}) =>
  typeof integrity === 'string' ? [integrity] : Object.entries(integrity).map(([file, digest]) => `${file}=${digest}`);

/** As a POSIX shell reads it. */
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

// ------------------------------------------------------------------------------------------ words

function introduce(terminal, sources, chosen, todo, folder) {
  const notes = sources.flatMap(({ set, targets }) => [set, ...targets].flatMap(({ dataset }) => dataset.notes));
  for (const note of new Set(notes)) terminal.note(note);
  const done = chosen.length - todo.length;
  const rest = done ? `, ${done === chosen.length ? 'all' : done} finished before` : '';
  terminal.note(`${plural(chosen.length, 'run')}${rest}; logs in ${path.join(folder, 'logs')}`);
}

/** @param {import('../protocol/plan.js').Identity} identity */
function nameOf({ data, method, shots, seed }) {
  const run = shots === null ? [] : [plural(shots, 'shot'), `seed ${seed}`];
  return printable([data, method, ...run].join(', '));
}

// ------------------------------------------------------------------------------------------ values of options

/** Commander adds up the values of an option that takes several by itself only without a check of its own. */
function several(text, before = []) {
  return [...before, given(text)];
}

/** a,b,c, each checked, in their order and without those that come again. */
const listOf = (check) => (text) => [...new Set(text.split(',').map((each) => check(each.trim())))];

function methodName(text) {
  if (Object.hasOwn(TITLES, text)) return text;
  throw new InvalidArgumentError(`choose from ${Object.keys(TITLES).join(', ')}`);
}

/** NAME=VALUE or METHOD.NAME=VALUE; names are those of tune(), or the same with dashes. */
function changes(text, before = []) {
  const parts = /^(?:([\w+-]+)\.)?([\w-]+)=(.*)$/s.exec(text);
  if (!parts) throw new InvalidArgumentError('expected NAME=VALUE or METHOD.NAME=VALUE, for instance epochs=5');
  const [, method, name, word] = parts;
  const key = name.replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
  return [...before, { ...(method && { method: methodName(method) }), key, value: valueOf(word), text }];
}

function valueOf(word) {
  if (word === 'true' || word === 'false') return word === 'true';
  return word.trim() !== '' && Number.isFinite(Number(word)) ? Number(word) : word;
}
