#!/usr/bin/env node
/**
 * All that is measured, beside peers in the same run:
 *
 *   node bench/run.js [PART…] [--browser chromium] [--rounds N] [--no-peers] [--out FILE]
 *
 * A part is a case's name or how it begins, as step/b16. What belongs together takes turns (turns.js), so ratios hold
 * even where other programs use the machine. One table on standard output, ratios first; one JSON in
 * bench/results/DATE-ENGINE.json, where later parts of a day replace its cases of the same names.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { MODELS, allGroups, leavePeersOut, ours, resolved, root, say } from './cases.js';
import { takeTurns } from './turns.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    browser: { type: 'string' },
    rounds: { type: 'string' },
    out: { type: 'string' },
    'no-peers': { type: 'boolean', default: false },
  },
});
const wanted = (name) => !positionals.length || positionals.some((part) => `${name}/`.startsWith(`${part}/`));
if (values['no-peers']) leavePeersOut();
if (values.browser && values.browser !== 'chromium') {
  say(`--browser ${values.browser} is not known; there is chromium`);
  process.exit(1);
}
const browser = values.browser && (await (await import('./browser.js')).openBrowser());

// ------------------------------------------------------------------------------------------------ results

const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout?.trim();

function report(results) {
  const engine = browser ? browser.engine : `node-${process.versions.node}`;
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

function show({ name, ours: own, peers, against }) {
  if (own.failed) return console.log(`${name.padEnd(36)} ${own.failed}`);
  const ratio = (medianMs, who) => `${(own.medianMs / medianMs).toFixed(2)} x ${who} (${ms(medianMs)})`;
  const busy = ({ busyFactor }) =>
    busyFactor ? `, beside a spinning program ${busyFactor.toFixed(2)} x its time` : '';
  const ratios = Object.entries(peers).map(([who, theirs]) =>
    theirs.failed ? `${who} failed` : ratio(theirs.medianMs, who) + busy(theirs),
  );
  if (against) ratios.unshift(`${against.ratio.toFixed(2)} x ${against.name}`);
  const bytes = own.peakBytes ?? own.wasmBytes;
  const rate = own.gflops && `${own.gflops.toFixed(1)} GFLOP/s`;
  const speed = [rate, bytes && `${(bytes / 1e6).toFixed(0)} MB`].filter(Boolean).join(', ');
  const times = `${ms(own.medianMs).padStart(9)} (best ${ms(own.minMs)})${busy(own)}`;
  return console.log(`${name.padEnd(36)} ${times.padEnd(28)} ${speed.padStart(24)}   ${ratios.join(', ')}`);
}

async function runGroup(group) {
  const chosen = group.cases.filter(({ name }) => wanted(name));
  if (!chosen.length) return [];
  const folder = group.model && (await MODELS[group.model]());
  const folders = [];
  for (const { settings } of chosen) folders.push(settings.model ? await MODELS[settings.model]() : folder);
  const peers = ((await group.peers?.(folder)) ?? []).filter((peer) => !browser || browser.knows(peer));
  const programs = [
    ...chosen.map(({ name, kind, settings }, i) => ours(name, kind, { folder: folders[i], ...resolved(settings) })),
    ...peers,
  ];
  const { spinner } = group;
  const rounds = Number(values.rounds ?? group.rounds);
  const results = await takeTurns(programs, { rounds, seconds: 300, spinner, start: browser?.start });
  const others = Object.fromEntries(peers.map(({ name }) => [name, results[name]]));
  return chosen.map(({ name, against, beside }) => {
    const { flop, ...own } = results[name];
    const theirs = Object.fromEntries(Object.entries(others).filter(([who]) => !beside || beside.includes(who)));
    const one = { name, ours: flop ? { ...own, flop, gflops: flop / own.medianMs / 1e6 } : own, peers: theirs };
    if (results[against]) one.against = { name: against, ratio: own.medianMs / results[against].medianMs };
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

const groups = allGroups().filter(({ onlyNode }) => !browser || !onlyNode);
const known = [...groups.flatMap((group) => group.cases.map(({ name }) => name)), ...(browser ? [] : ['size'])];
const results = [];
if (!known.some(wanted)) {
  say(`no case begins with ${positionals.join(' or ')}; there are\n  ${known.join('\n  ')}`);
  process.exitCode = 1;
} else {
  console.log(`load average ${loadavg()[0].toFixed(1)} on ${cpus().length} cores; medians, programs in turn`);
  for (const group of groups) results.push(...(await runGroup(group)));
  if (!browser && wanted('size')) results.push(sizes());
  report(results);
}
await browser?.close();
