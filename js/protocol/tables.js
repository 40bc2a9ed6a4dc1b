/**
 * From logs of runs to the papers' tables. Everything, the harmonic mean and the averages over data sets included, is
 * computed for each seed first; a cell is the mean and the sample standard deviation of that over the seeds.
 */
import { mean } from '../classifier/metrics.js';
import { AVERAGE, OTHERS, PROTOCOLS, TITLES } from './plan.js';

/**
 * @typedef {import('./run.js').Log} Log
 *
 * @typedef {object} Cell  in per cent
 * @property {number} mean
 * @property {number | null} deviation  sample standard deviation; null for a single value
 * @property {number} count             of seeds; 1 for zero-shot
 * @property {boolean} partial          whether seeds are missing that others have
 * @property {number | null} delta      to zero-shot in the same column; null where there is none, and for itself
 *
 * @typedef {object} Costs  means over the runs; null where no log has them
 * @property {number} trained  values
 * @property {number} bytes    of the saved classifier
 * @property {number} memory   bytes that training takes
 * @property {number} seconds  of training
 *
 * @typedef {object} Table
 * @property {string | null} data   the data set, or the average over data sets; null where data sets are the columns
 * @property {number | null} shots  asked for; null where nothing was trained
 * @property {{ least: number, most: number } | null} fewer  pictures of a class, where they are not as many
 * @property {string[]} columns
 * @property {{ method: string, title: string, cells: (Cell | null)[], costs: Costs | null }[]} rows
 *
 * @typedef {object} Plot
 * @property {string} data  the data set, or 'average'
 * @property {string} what  what is shown of it
 * @property {number[]} shots  asked for
 * @property {string[]} steps  what they are called: those that were there
 * @property {{ method: string, title: string, cells: (Cell | null)[] }[]} series  a cell for each shots
 *
 * @typedef {object} Summary
 * @property {string} protocol
 * @property {string} title
 * @property {string} model
 * @property {import('./plan.js').Context} context
 * @property {number[]} seeds
 * @property {{ method: string, title: string, settings: object | null, varying: string[] }[]} methods  settings: what
 *   all runs of it have in common; varying: names of the others
 * @property {Table[]} tables
 * @property {Plot[]} plots
 *
 * @typedef {Map<number | null, number>} BySeed  shares by seed; zero-shot has the one seed null
 */

const HARMONIC = 'harmonic mean';

/** 2 / (1 / base + 1 / new); 0 where one of them is. @param {number} base @param {number} novel */
export function harmonicMean(base, novel) {
  return base + novel > 0 ? (2 * base * novel) / (base + novel) : 0;
}

/** With n - 1 in the denominator; null for fewer than two. @param {number[]} values */
export function standardDeviation(values) {
  if (values.length < 2) return null;
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

/**
 * Tables and plots of every protocol that has logs.
 * @param {Log[]} logs
 * @returns {Summary[]}
 */
export function summarize(logs) {
  return Object.keys(PROTOCOLS).flatMap((protocol) => {
    const own = logs.filter((log) => log.identity.protocol === protocol);
    return own.length ? [summarizeProtocol(protocol, own)] : [];
  });
}

/** @param {string} protocol @param {Log[]} logs @returns {Summary} */
function summarizeProtocol(protocol, logs) {
  const { context } = logs[0].identity;
  const seeds = distinct(logs.map((log) => log.identity.seed)).sort((a, b) => a - b);
  const trained = distinct(logs.map((log) => log.identity.shots)).sort((a, b) => a - b);
  const shots = trained.length ? trained : [null];
  const methods = Object.keys(TITLES).filter((method) => logs.some((log) => log.identity.method === method));
  const data = distinct(logs.map((log) => log.identity.data)).sort();

  const rowsOf = (own, shot) => {
    const runs = own.filter(({ identity }) => [shot, null].includes(identity.shots));
    const { keyOf, layOut } = LAYOUTS[protocol];
    const keys = distinct(runs.flatMap((log) => log.results.map(({ name }) => keyOf(log, name)))).sort();
    return methods.map((method) => {
      const shares = byKey(
        runs.filter(({ identity }) => identity.method === method),
        keyOf,
      );
      const columns = new Map(layOut(shares, keys, runs[0]?.identity.data));
      return { method, columns, costs: costsOf(runs.filter(({ identity }) => identity.method === method)) };
    });
  };
  const tableOf = (name, own, shot) => ({
    ...toTable(name, shot, rowsOf(own, shot), seeds),
    fewer: fewerThan(shot, own),
  });

  const tables = shots.flatMap((shot) => {
    if (protocol === 'few-shot') return [tableOf(null, logs, shot)];
    const each = data.map((name) =>
      tableOf(
        name,
        logs.filter((log) => log.identity.data === name),
        shot,
      ),
    );
    return protocol === 'base-to-new' && data.length > 1 ? [...each, tableOf(AVERAGE, logs, shot)] : each;
  });
  return {
    ...{ protocol, title: PROTOCOLS[protocol].title, model: logs[0].model, context, seeds },
    methods: methods.map((method) => describe(method, logs)),
    tables,
    plots: trained.length > 1 ? plotsOf(tables, trained) : [],
  };
}

/**
 * How a protocol's tables are made. keyOf: what a test's result is filed under. layOut: a method's shares by key, all
 * keys of the table, and the data set that was trained on, to columns.
 * @type {Record<string, { keyOf: (log: Log, test: string) => string,
 *   layOut: (shares: Map<string, BySeed>, keys: string[], source: string) => [string, BySeed][] }>}
 */
const LAYOUTS = {
  'few-shot': {
    keyOf: (log) => log.identity.data,
    layOut: (shares, keys) => [...pick(shares, keys), ...averaged(shares, keys, AVERAGE)],
  },
  'base-to-new': {
    keyOf: (log, test) => `${test} ${log.identity.data}`,
    layOut(shares, keys) {
      const half = (part) =>
        average(
          shares,
          keys.filter((key) => key.startsWith(`${part} `)),
        );
      const [base, novel] = [half('base'), half('new')];
      const both = [...base].filter(([seed]) => novel.has(seed));
      const harmonic = both.map(([seed, share]) => [seed, harmonicMean(share, novel.get(seed) ?? 0)]);
      return [...Object.entries({ base, new: novel, [HARMONIC]: new Map(/** @type {any} */ (harmonic)) })];
    },
  },
  'cross-dataset': { keyOf: (_, test) => test, layOut: sourceFirst },
  'domain-generalization': { keyOf: (_, test) => test, layOut: sourceFirst },
};

/** The data set that was trained on, the others, and the average of the others. */
function sourceFirst(shares, keys, source) {
  const others = keys.filter((key) => key !== source);
  return [...pick(shares, [source, ...others]), ...averaged(shares, others, OTHERS)];
}

/** Shares of tests. @param {Log[]} runs @param {(log: Log, test: string) => string} keyOf */
function byKey(runs, keyOf) {
  /** @type {Map<string, BySeed>} */
  const shares = new Map();
  for (const log of runs) {
    for (const { name, accuracy } of log.results) {
      const key = keyOf(log, name);
      if (!shares.has(key)) shares.set(key, new Map());
      shares.get(key)?.set(log.identity.seed, accuracy);
    }
  }
  return shares;
}

/** @param {Map<string, BySeed>} shares @param {string[]} keys @returns {[string, BySeed][]} */
const pick = (shares, keys) => keys.map((key) => [key, shares.get(key) ?? new Map()]);

/** A column with the average over several. @returns {[string, BySeed][]} */
const averaged = (shares, keys, title) => (keys.length > 1 ? [[title, average(shares, keys)]] : []);

/** Mean over keys, for the seeds that all of them have. @returns {BySeed} */
function average(shares, keys) {
  const columns = pick(shares, keys).map(([, column]) => column);
  const seeds = [...(columns[0]?.keys() ?? [])].filter((seed) => columns.every((column) => column.has(seed)));
  return new Map(seeds.map((seed) => [seed, mean(columns.map((column) => column.get(seed) ?? 0))]));
}

/** Pictures of a class that were drawn, where they are fewer than was asked for. @param {Log[]} logs */
function fewerThan(shots, logs) {
  const drawn = logs.flatMap((log) => (log.identity.shots === shots && log.drawn ? [log.drawn] : []));
  const least = drawn.reduce((few, { least = shots }) => Math.min(few, least), shots);
  const most = drawn.reduce((many, { most = shots }) => Math.max(many, most), 0);
  return shots !== null && drawn.length && least < shots ? { least, most } : null;
}

/** "16", or of how many pictures there were: "15", "3–16" @param {Pick<Table, 'shots' | 'fewer'>} table */
export const shotsOf = ({ shots, fewer }) => {
  if (!fewer) return `${shots}`;
  return fewer.least === fewer.most ? `${fewer.most}` : `${fewer.least}–${fewer.most}`;
};

/** @returns {Omit<Table, 'fewer'>} */
function toTable(data, shots, rows, seeds) {
  const columns = distinct(rows.flatMap(({ columns }) => [...columns.keys()]));
  const cell = (bySeed) => {
    const values = [...(bySeed?.values() ?? [])].map((share) => 100 * share);
    if (!values.length) return null;
    const partial = !bySeed.has(null) && bySeed.size < seeds.length;
    return { mean: mean(values), deviation: standardDeviation(values), count: values.length, partial };
  };
  return {
    ...{ data, shots, columns },
    rows: withDeltas(
      rows.flatMap(({ method, columns: own, costs }) => {
        const cells = columns.map((column) => cell(own.get(column)));
        return cells.some(Boolean) ? [{ method, title: TITLES[method], cells, costs }] : [];
      }),
    ),
  };
}

/** Every cell's distance from zero-shot's. */
function withDeltas(rows) {
  const base = rows.find(({ method }) => method === 'zeroshot')?.cells;
  return rows.map((row) => ({
    ...row,
    cells: row.cells.map((cell, x) => {
      const delta = cell && base?.[x] && row.cells !== base ? cell.mean - base[x].mean : null;
      return cell && { ...cell, delta };
    }),
  }));
}

/** @param {Log[]} logs of one method @returns {Costs | null} */
function costsOf(logs) {
  const known = logs.flatMap(({ cost, seconds }) => (cost ? [{ ...cost, seconds: seconds.train }] : []));
  if (!known.length) return null;
  const of = (key) => mean(known.map((each) => each[key]));
  return { trained: of('trained'), bytes: of('bytes'), memory: of('memory'), seconds: of('seconds') };
}

/** One plot for every data set: its accuracy, harmonic mean, or average of the others, against the shots. */
function plotsOf(tables, shots) {
  const names = distinct(tables.flatMap(({ data, columns }) => (data === null ? columns : [data])));
  return names.map((data) => {
    const own = tables.filter((table) => table.data === data || (table.data === null && table.columns.includes(data)));
    const columnOf = (table) => (table.data === null ? table.columns.indexOf(data) : table.columns.length - 1);
    const methods = distinct(own.flatMap((table) => table.rows.map(({ method }) => method)));
    const at = (method, shot) => {
      const table = own.find((each) => each.shots === shot);
      const row = table?.rows.find((each) => each.method === method);
      return row?.cells[columnOf(table)] ?? null;
    };
    const [first] = own;
    const column = first.columns[columnOf(first)];
    const single = first.data === null ? 'accuracy' : `accuracy on ${column}`;
    return {
      data,
      what: [HARMONIC, OTHERS].includes(column) ? column : single,
      shots,
      steps: shots.map((shot) => {
        const table = own.find((each) => each.shots === shot);
        return shotsOf({ shots: shot, fewer: table?.fewer ?? null });
      }),
      series: methods.map((method) => {
        return { method, title: TITLES[method], cells: shots.map((shot) => at(method, shot)) };
      }),
    };
  });
}

/**
 * A method and its settings. Some may depend on the shots (CoOp's epochs), or be set for one data set alone.
 * @param {string} method
 * @param {Log[]} logs
 */
function describe(method, logs) {
  const all = logs.filter(({ identity }) => identity.method === method).map(({ identity }) => identity.settings);
  const title = TITLES[method];
  if (!all[0]) return { method, title, settings: null, varying: [] };
  const { shots: _, seed: __, ...rest } = all[0];
  const isSame = ([key, value]) => all.every((each) => each?.[key] === value);
  const entries = Object.entries(rest);
  const varying = entries.filter((entry) => !isSame(entry)).map(([key]) => key);
  return { method, title, settings: Object.fromEntries(entries.filter(isSame)), varying };
}

/** @template T @param {(T | null)[]} list @returns {T[]} without null and what comes again */
const distinct = (list) => [...new Set(list)].filter((each) => each !== null);
