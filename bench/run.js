#!/usr/bin/env node
/**
 * All that is measured, beside peers in the same run: node bench/run.js [PART…] [--rounds N] [--out FILE].
 *
 * A part is a case's name or how it begins, as step/b16. What belongs together takes turns (turns.js), so ratios hold
 * even where other programs use the machine. One table on standard output, ratios first; one JSON in
 * bench/results/DATE-ENGINE.json, where later parts of a day replace its cases of the same names.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { promptSentences, resolveSettings } from '../js/methods.js';
import { architectureFromConfig } from '../js/model.js';
import { ClipTokenizer } from '../js/tokenizer.js';
import { makeClip } from '../tests/make-clip.js';
import { classNames } from './names.js';
import { takeTurns } from './turns.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = path.join(root, 'build/bench');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string' }, out: { type: 'string' }, 'no-peers': { type: 'boolean', default: false } },
});
const wanted = (name) => !positionals.length || positionals.some((part) => `${name}/`.startsWith(`${part}/`));

// ------------------------------------------------------------------------------------------------ what is needed

const say = (text) => process.stderr.write(`${text}\n`);

/** A CLIP of full size with weights of noise, whose speed is that of real ones. */
async function noisyClip(name, changes) {
  const folder = path.join(scratch, `vit-${name}-f16`);
  if (existsSync(folder)) return folder;
  say(`writing a ViT-${name.toUpperCase()} with random weights, once`);
  rmSync(`${folder}.part`, { recursive: true, force: true });
  await makeClip(`${folder}.part`, { preset: 'vit-b-16', dtype: 'f16', ...changes });
  renameSync(`${folder}.part`, folder);
  return folder;
}
const MODELS = {
  b16: () => noisyClip('b-16', {}),
  b32: () => noisyClip('b-32', { patch: 32 }),
  pictoclip: async () => path.join(root, 'models/pictoclip'),
};

/** A sample task's folder. */
function task(name) {
  const folder = path.join(root, 'build/tasks');
  if (!existsSync(path.join(folder, name))) {
    execFileSync(process.execPath, [path.join(root, 'models/pictoclip/tasks/render.js'), name, '--out', folder], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  return path.join(folder, name);
}

const firstPicture = (folder) => {
  const [name] = readdirSync(folder).filter((entry) => !entry.endsWith('.md') && !entry.endsWith('.json'));
  const at = path.join(folder, name);
  return statSync(at).isDirectory() ? firstPicture(at) : at;
};

/** The peers' packages, installed below build/ at the first call; null where that fails. */
let modules;
function peerModules() {
  if (values['no-peers']) return null;
  if (modules !== undefined) return modules;
  const folder = path.join(scratch, 'peers');
  const list = readFileSync(path.join(root, 'bench/peers/package.json'), 'utf8');
  const stamp = path.join(folder, 'installed.json');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== list) {
    say('installing onnxruntime-web, tfjs and jax-js below build/');
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'package.json'), list);
    const { status } = spawnSync('npm', ['install', '--ignore-scripts', '--silent'], { cwd: folder, stdio: 'inherit' });
    if (status === 0) writeFileSync(stamp, list);
    else say('they could not be installed and are left out');
  }
  modules = existsSync(stamp) ? path.join(folder, 'node_modules') : null;
  return modules;
}

let torch;
function hasTorch() {
  torch ??= values['no-peers'] ? false : spawnSync('python3', ['-c', 'import torch'], { stdio: 'ignore' }).status === 0;
  return torch;
}

// ------------------------------------------------------------------------------------------------ programs

const ours = (name, kind, settings) => {
  return { name, command: ['node', path.join(root, 'bench/ours.js'), kind, JSON.stringify(settings)] };
};
const peer = (name, kind, settings) => {
  const modules = peerModules();
  const program = path.join(root, 'bench/peers/peer.js');
  return modules ? [{ name, command: ['node', program, name, kind, JSON.stringify({ modules, ...settings })] }] : [];
};
const pytorch = (name, settings) => {
  const program = path.join(root, 'bench/peers/step.py');
  return hasTorch() ? [{ name, command: ['python3', program, JSON.stringify(settings)] }] : [];
};

/** What PyTorch must know of a step: the same sentences, cut at nothing. */
async function stepSettings(folder, names) {
  const read = (name) => JSON.parse(readFileSync(path.join(folder, name), 'utf8'));
  const arch = architectureFromConfig(read('config.json'), folder);
  const tokenizer = new ClipTokenizer(read('tokenizer.json'), arch);
  const { method, settings } = resolveSettings({}, arch);
  const { ids } = promptSentences(tokenizer, names, method, settings);
  return { arch, ids: ids[0].map((row) => [...row]), promptLength: settings.promptLength, batch: 4 };
}

// ------------------------------------------------------------------------------------------------ groups of cases

/**
 * Cases that take turns with each other and with their peers.
 * @typedef {{ cases: { name: string, kind: string, settings: object }[], peers: () => Promise<object[]> | object[],
 *   rounds: number }} Group
 */

const kernels = (variant) => pathToFileURL(path.join(root, `build/wasm/gemm-${variant}.mjs`)).href;

function gemmGroups() {
  const kinds = [
    ['f32/plain', 'plain', 'F32', false],
    ['f32/relaxed', 'relaxed', 'F32', false],
    ['f16/relaxed', 'relaxed', 'F16', false],
    ['int8/relaxed', 'relaxed', 'I8', false],
    ['int16/relaxed', 'relaxed', 'I16', false],
    ['fast', 'relaxed', 'I16', true],
    ['fast-int8', 'relaxed', 'I8', true],
  ];
  const shapes = [
    [804, 768, 3072],
    [804, 3072, 768],
    [804, 768, 768],
    [201, 768, 3072],
    [4, 768, 768],
    [1, 768, 768],
  ];
  return shapes.flatMap((shape) =>
    [1, 2].map((threads) => ({
      cases: kinds.map(([name, variant, storage, fast]) => ({
        name: `gemm/${shape.join('x')}/${name}/t${threads}`,
        kind: 'gemm',
        settings: { shape, storage, fast, threads, module: kernels(variant) },
      })),
      peers: () => [
        ...peer('onnxruntime-web', 'gemm', { shape, threads }),
        ...(threads === 1 ? ['tfjs-wasm', 'jax-js'].flatMap((name) => peer(name, 'gemm', { shape, threads })) : []),
      ],
      rounds: 15,
    })),
  );
}

const limits = {
  cases: ['plain', 'relaxed'].map((variant) => ({
    name: `limit/f32/${variant}/t1`,
    kind: 'limit',
    settings: { module: kernels(variant) },
  })),
  peers: () => [],
  rounds: 15,
};

async function towerGroups() {
  const both = (name, kind, settings) => [
    { name, kind, settings },
    { name: `${name}/fast`, kind, settings: { ...settings, precision: 'fast' } },
  ];
  const images = [
    ['b16', 16, 1],
    ['b16', 16, 4],
    ['b32', 32, 1],
  ].map(([model, patch, batch]) => ({
    model,
    cases: both(`image/${model}/batch${batch}`, 'image', { batch }),
    peers: () => peer('onnxruntime-web', 'image', { batch, patch }),
    rounds: 8,
  }));
  const texts = [10, 100, 1000].map((classes) => ({
    model: 'b16',
    cases: both(`text/b16/n${classes}`, 'text', { classes }),
    peers: () => (classes > 100 ? [] : peer('onnxruntime-web', 'text', { classes })),
    rounds: classes > 10 ? 3 : 6,
  }));
  return [...images, ...texts];
}

function stepGroups() {
  const ways = [
    ['', {}],
    ['/fast', { precision: 'fast' }],
    ['/int8', { dtype: 'int8' }],
    ['/int8/recompute', { dtype: 'int8', recompute: true }],
    ['/fast/recompute', { precision: 'fast', recompute: true }],
  ];
  return ['b16', 'b32'].flatMap((model) =>
    [10, 47, 100, 500, 1000].map((classes) => ({
      model,
      cases: ways.map(([way, settings]) => ({
        name: `step/${model}/n${classes}${way}`,
        kind: 'step',
        settings: { classes, ...settings },
      })),
      peers: async (folder) => {
        if (classes > 100) return [];
        const settings = await stepSettings(folder, classNames(classes));
        return [...pytorch('pytorch', settings), ...pytorch('pytorch-truncated', { ...settings, truncate: true })];
      },
      rounds: 4,
    })),
  );
}

function wholeGroups() {
  const data = () => task('animals');
  return [
    {
      model: 'pictoclip',
      cases: ['', '/fast'].map((way) => ({
        name: `pictoclip/40x16x10${way}`,
        kind: 'train',
        settings: { precision: way ? 'fast' : 'high', data },
      })),
      peers: async (folder) => {
        const settings = await stepSettings(folder, classNames(40));
        return pytorch('pytorch', { ...settings, data: data(), shots: 16, epochs: 10 });
      },
      rounds: 1,
    },
    {
      model: 'pictoclip',
      cases: [
        { name: 'classify/pictoclip', kind: 'classify', settings: { picture: () => firstPicture(data()) } },
        { name: 'startup/pictoclip', kind: 'startup', settings: { picture: () => firstPicture(data()) } },
      ],
      peers: () => [],
      rounds: 10,
    },
  ];
}

/** Values that cost something are functions until their case is wanted. */
const resolved = (settings) =>
  Object.fromEntries(Object.entries(settings).map(([key, v]) => [key, typeof v === 'function' ? v() : v]));

// ------------------------------------------------------------------------------------------------ results

const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout?.trim();

function report(results) {
  const engine = `node-${process.versions.node}`;
  const day = new Date().toISOString().slice(0, 10);
  const file = values.out ?? path.join(root, 'bench/results', `${day}-${engine}.json`);
  mkdirSync(path.dirname(file), { recursive: true });
  const before = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).cases : [];
  const cases = [...before.filter(({ name }) => !results.some((one) => one.name === name)), ...results];
  const [{ model }] = cpus();
  const machine = { processor: model, cores: cpus().length, memoryBytes: totalmem(), system: process.platform };
  const document = { machine, engine, commit: git('rev-parse', '--short', 'HEAD') ?? null, cases };
  writeFileSync(file, `${JSON.stringify(document, null, 1)}\n`);
  say(`written: ${path.relative(process.cwd(), file)}`);
}

const ms = (value) => (value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(value < 10 ? 2 : 1)} ms`);

function show({ name, ours: own, peers }) {
  if (own.failed) return console.log(`${name.padEnd(36)} ${own.failed}`);
  const ratios = Object.entries(peers).map(([who, theirs]) =>
    theirs.failed
      ? `${who} failed`
      : `${(own.medianMs / theirs.medianMs).toFixed(2)} x ${who} (${ms(theirs.medianMs)})`,
  );
  const rate = own.gflops ? `${own.gflops.toFixed(1)} GFLOP/s, ` : '';
  const speed = own.peakBytes ? `${rate}${(own.peakBytes / 1e6).toFixed(0)} MB` : '';
  const times = `${ms(own.medianMs).padStart(9)} (best ${ms(own.minMs)})`;
  return console.log(`${name.padEnd(36)} ${times.padEnd(28)} ${speed.padStart(24)}   ${ratios.join(', ')}`);
}

async function runGroup(group) {
  const chosen = group.cases.filter(({ name }) => wanted(name));
  if (!chosen.length) return [];
  const folder = group.model && (await MODELS[group.model]());
  const peers = await group.peers(folder);
  const programs = [
    ...chosen.map(({ name, kind, settings }) => ours(name, kind, { folder, ...resolved(settings) })),
    ...peers,
  ];
  const results = await takeTurns(programs, { rounds: Number(values.rounds ?? group.rounds), seconds: 300 });
  const others = Object.fromEntries(peers.map(({ name }) => [name, results[name]]));
  return chosen.map(({ name }) => {
    const { flop, ...own } = results[name];
    const one = { name, ours: flop ? { ...own, flop, gflops: flop / own.medianMs / 1e6 } : own, peers: others };
    show(one);
    return one;
  });
}

const sizes = () => {
  const packed = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json'], { cwd: root, encoding: 'utf8' }));
  const bytes = (name) => statSync(path.join(root, 'js/wasm', name)).size;
  const [{ size, unpackedSize }] = packed;
  const wasm = { plain: bytes('mudpt.wasm'), relaxed: bytes('mudpt-relaxed.wasm') };
  console.log(
    `size: wasm ${wasm.plain} bytes, relaxed ${wasm.relaxed}, package ${size} packed, ${unpackedSize} unpacked`,
  );
  return { name: 'size', ours: { wasmBytes: wasm.plain, relaxedBytes: wasm.relaxed, packageBytes: size }, peers: {} };
};

const groups = [limits, ...gemmGroups(), ...(await towerGroups()), ...stepGroups(), ...wholeGroups()];
const known = groups.flatMap((group) => group.cases.map(({ name }) => name));
const results = [];
if (positionals.length && ![...known, 'size'].some(wanted)) {
  say(`no case begins with ${positionals.join(' or ')}; there are\n  ${[...known, 'size'].join('\n  ')}`);
  process.exitCode = 1;
} else {
  console.log(`load average ${loadavg()[0].toFixed(1)} on ${cpus().length} cores; medians, programs in turn`);
  for (const group of groups) results.push(...(await runGroup(group)));
  if (wanted('size')) results.push(sizes());
  report(results);
}
