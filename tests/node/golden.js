#!/usr/bin/env node
/**
 * Checks the WebAssembly modules against golden files: `node tests/node/golden.js [options] DIR...`.
 *
 * Walks every folder below each DIR and recognises golden files by what they hold (tests/golden/README.md describes
 * them). Every module runs on 1 and 2 threads; recorded runs and token ids, which take longest or depend on no module,
 * run once each. Prints one line per case, `ok NAME` or `FAIL NAME: what`, and a last line `N passed, N failed`; the
 * exit status is 1 when a case failed or there was none. A case of a method that the library does not name is a
 * failure, never skipped.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { DTYPES, VARIANTS, createCore } from '../../js/core/core.js';
import { Device } from '../../js/core/device.js';
import { Report, readJson } from './golden-files.js';
import { runConfig } from './golden-model.js';
import { runCrops, runPreprocess, runReplay, runSchedule, runTokenizer } from './golden-others.js';

const USAGE = `usage: node tests/node/golden.js [options] DIR...
  --variant NAME     one module only: ${VARIANTS.join(' or ')} (all)
  --threads N        this number of threads only (1 and 2)
  --dtype f32|f16    how weights are kept in memory (as they are stored)
  --precision fast   products in block integers, which have tolerances of their own; of the models' cases only
  --device webgpu    towers on a WebGPU device; of the models' cases and recorded runs only
  --steps N          of recorded runs only the first N steps
  --without PATH     leave out folders whose path ends so; may be repeated
  --verbose          every difference, not only a case's first, and how far recorded runs are
  --known-methods    exit with 0 if only cases of methods that the library does not have failed`;

const OPTIONS = {
  variant: { type: 'string' },
  threads: { type: 'string' },
  dtype: { type: 'string' },
  precision: { type: 'string' },
  device: { type: 'string' },
  steps: { type: 'string', default: 'Infinity' },
  without: { type: 'string', multiple: true, default: [] },
  verbose: { type: 'boolean' },
  'known-methods': { type: 'boolean' },
};

/** Every JSON file of a folder and below, in the order of names: { folder, name, json }. */
function* jsonFiles(folder, name = path.basename(path.resolve(folder))) {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    if (entry.isDirectory()) yield* jsonFiles(path.join(folder, entry.name), `${name}/${entry.name}`);
    else if (entry.name.endsWith('.json')) yield { folder, name, file: entry.name };
  }
}

/** What a JSON file is, by its keys; undefined for a file of another kind. */
function kindOf(json) {
  const first = json.cases?.[0];
  if (typeof first === 'string' && json.architecture) return 'config';
  if (json.steps && json.test) return 'replay';
  if (first?.file && first.expected) return 'preprocess';
  if (first?.image && first.expected) return 'crops';
  if (first?.rates) return 'schedule';
  if (first?.ids) return 'tokenizer';
  return undefined;
}

/** All golden files of the folders; what cannot be read is a failure. */
async function findGolden(folders, without, report) {
  const found = [];
  for (const folder of folders) {
    await report.require(folder, () => {
      for (const { folder: place, name, file } of jsonFiles(folder)) {
        if (without.some((end) => place.endsWith(end))) continue;
        const json = readJson(place, file);
        const kind = kindOf(json);
        if (kind) found.push({ folder: place, name, json, kind });
      }
      if (!found.length) throw new Error('no golden files there');
    });
  }
  return found;
}

const RUN = {
  config: (context, { folder, name, json }) => runConfig(context, folder, name, json),
  replay: (context, { folder, name, json }) => runReplay(context, folder, name, json),
  preprocess: (context, { folder, name, json }) => runPreprocess(context, folder, name, json),
  crops: (context, { folder, name, json }) => runCrops(context, folder, name, json),
  schedule: (context, { name, json }) => runSchedule(context, name, json),
  tokenizer: (context, { folder, name, json }) => runTokenizer(context, folder, name, json),
};

async function main() {
  let parsed;
  try {
    parsed = parseArgs({ options: OPTIONS, allowPositionals: true });
  } catch (error) {
    parsed = { values: {}, positionals: [], error };
  }
  const { values, positionals } = parsed;
  const { variant, dtype = 'auto', precision = 'high', device = 'wasm' } = values;
  const threads = values.threads ? [Number(values.threads)] : [1, 2];
  const steps = Number(values.steps);
  const bad =
    !(steps >= 1) ||
    (variant && !VARIANTS.includes(variant)) ||
    !(threads[0] >= 1) ||
    !['auto', 'f32', 'f16'].includes(dtype);
  if (parsed.error || !positionals.length || bad || !['high', 'fast'].includes(precision)) {
    console.error(`${parsed.error ? `${parsed.error.message}\n` : ''}${USAGE}`);
    return 2;
  }

  const report = new Report(values.verbose);
  const summary = [];
  const golden = await findGolden(positionals, values.without, report);
  const storage = { auto: -1, f32: DTYPES.F32, f16: DTYPES.F16 }[dtype];
  for (const item of golden.filter(({ kind }) => kind === 'tokenizer')) await RUN.tokenizer({ report, summary }, item);
  for (const module of variant ? [variant] : VARIANTS) {
    for (const count of threads) {
      const core = await createCore({ variant: module, threads: count });
      core.fastGain = () => Infinity; // whatever is faster here
      if (device === 'webgpu') core.memory.useDevice(await Device.open(core.memory.module.wasmMemory));
      for (const item of golden) {
        if (precision === 'fast' && item.kind !== 'config') continue;
        if (device === 'webgpu' && !['config', 'replay'].includes(item.kind)) continue;
        if (item.kind === 'tokenizer' || (item.kind === 'replay' && count !== threads.at(-1))) continue;
        const name = `${module} x${count}: ${item.name}`;
        const context = { core, report, summary, dtype, precision, storage, steps, verbose: values.verbose };
        await RUN[item.kind](context, { ...item, name });
      }
      if (core.memory.device?.lost) await report.require('device', () => assert.fail(core.memory.device.lost));
      if (core.memory.device)
        summary.push(`device ${core.memory.device.name}: ${JSON.stringify(core.memory.device.counts())}`);
      core.dispose();
    }
  }
  for (const line of summary) console.log(line);
  if (report.skipped) console.log(`${report.skipped} skipped, of kinds that are not known here`);
  console.log(`${report.passed} passed, ${report.failed} failed`);
  const failed = report.failed - (values['known-methods'] ? report.unavailable : 0);
  return failed || !report.passed ? 1 : 0;
}

process.exitCode = await main();
