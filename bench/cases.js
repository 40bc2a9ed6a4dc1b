/**
 * The cases of the bench, in groups, and what they need: models with weights of noise, sample tasks, peers.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { promptSentences } from '../js/methods/sentences.js';
import { resolveSettings } from '../js/methods/settings.js';
import { architectureFromConfig } from '../js/loading/transformers.js';
import { ClipTokenizer } from '../js/loading/tokenizer.js';
import { hasWideVectors } from '../js/node/platform.js';
import { makeClip } from '../tests/make-clip.js';
import { classNames } from './names.js';

export const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = path.join(root, 'build/bench');

export const say = (text) => process.stderr.write(`${text}\n`);

// ------------------------------------------------------------------------------------------------ what is needed

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
export const MODELS = {
  b16: () => noisyClip('b-16', {}),
  'b16-gelu': () => noisyClip('b-16-gelu', { act: 'gelu' }),
  tinyclip: () => noisyClip('8m-16', { preset: 'tinyclip-8m-16' }),
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

let peersWanted = true;
export const leavePeersOut = () => (peersWanted = false);

/** The peers' packages, installed below build/ at the first call; null where that fails. */
let modules;
function peerModules() {
  if (!peersWanted) return null;
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
  torch ??= peersWanted && spawnSync('python3', ['-c', 'import torch'], { stdio: 'ignore' }).status === 0;
  return torch;
}

// ------------------------------------------------------------------------------------------------ programs

// Programs as turns.js wants them: what its module's `prepare` gets.
export const ours = (name, kind, settings) => ({ name, module: 'ours.js', args: [kind, settings] });
const peer = (name, kind, settings) => {
  const modules = peerModules();
  return modules ? [{ name, module: 'peers/peer.js', args: [name, kind, { modules, ...settings }] }] : [];
};
const pytorch = (name, settings, file = 'step.py') => {
  const program = path.join(root, 'bench/peers', file);
  return hasTorch() ? [{ name, command: ['python3', program, JSON.stringify(settings)] }] : [];
};

/** What PyTorch must know of a step: the same sentences, cut at nothing. */
async function stepSettings(folder, names, wanted = {}) {
  const read = (name) => JSON.parse(readFileSync(path.join(folder, name), 'utf8'));
  const arch = architectureFromConfig(read('config.json'), folder);
  const tokenizer = new ClipTokenizer(read('tokenizer.json'), arch);
  const { method, settings } = resolveSettings(wanted, arch);
  const { ids } = promptSentences(tokenizer, names, method, settings);
  return { ...settings, method, arch, ids: ids[0].map((row) => [...row]), batch: 4 };
}

// ------------------------------------------------------------------------------------------------ groups of cases

/**
 * Cases that take turns with each other and with their peers.
 * @typedef {object} Group
 * @property {{ name: string, kind: string, settings: object, against?: string, beside?: string[] }[]} cases `against`:
 *   another case of the group, whose time this one's is compared with; `beside`: its peers, otherwise all of the group
 * @property {(folder: string) => Promise<object[]> | object[]} [peers] programs
 * @property {string} [model] one of MODELS; its folder is every case's whose settings name no other
 * @property {number} rounds
 * @property {boolean} [spinner] every turn twice, the second while another program keeps one core busy
 * @property {boolean} [onlyNode] not in a browser
 */

const kernels = (variant) => path.join(root, `build/wasm/gemm-${variant}.mjs`);

function gemmGroups() {
  const kinds = [
    ['f32/plain', 'plain', 'F32', false],
    ['f32/relaxed', 'relaxed', 'F32', false],
    ['f32/relaxed-4x8', 'relaxed', 'F32', false, 1],
    ['f32/relaxed-6x16', 'relaxed', 'F32', false, 2],
    ['f16/relaxed', 'relaxed', 'F16', false],
    ['int8/relaxed', 'relaxed', 'I8', false],
    ['int16/relaxed', 'relaxed', 'I16', false],
    ['fast', 'relaxed', 'I16', true],
    ['fast-int8', 'relaxed', 'I8', true],
    ['int8-products', 'int8', 'I8', true],
    ['f16/transposed', 'relaxed', 'F16', false, undefined, true],
    ['fast/transposed', 'relaxed', 'I16', true, undefined, true],
  ];
  const shapes = [
    [804, 768, 3072],
    [804, 3072, 768],
    [804, 768, 768],
    [201, 768, 3072],
    [4, 768, 768],
    [1, 768, 768],
  ];
  const wide = [
    ['f32/wide-4x8', 'relaxed', 'F32', false, 1],
    ['f32/wide-6x16', 'relaxed', 'F32', false, 2],
    ['fast/wide', 'relaxed', 'I16', true],
    ['fast-int8/wide', 'relaxed', 'I8', true],
    ['f16/wide', 'relaxed', 'F16', false],
    ['f16/wide-transposed', 'relaxed', 'F16', false, undefined, true],
    ['fast/wide-transposed', 'relaxed', 'I16', true, undefined, true],
  ];
  const casesOf = (rows, shape, threads, more) =>
    rows.map(([name, variant, storage, fast, panels, turned]) => ({
      name: `gemm/${shape.join('x')}/${name}/t${threads}`,
      kind: 'gemm',
      settings: { shape, storage, fast, panels, turned, threads, module: kernels(variant), ...more },
    }));
  const rounds = 15;
  return shapes.flatMap((shape) =>
    [1, 2].flatMap((threads) => {
      const peers = () => [
        ...peer('onnxruntime-web', 'gemm', { shape, threads }),
        ...(threads === 1 ? ['tfjs-wasm', 'jax-js'].flatMap((name) => peer(name, 'gemm', { shape, threads })) : []),
      ];
      return [
        { cases: casesOf(kinds, shape, threads, {}), peers, rounds },
        ...(hasWideVectors()
          ? [{ cases: casesOf(wide, shape, threads, { wide: true }), peers, rounds, onlyNode: true }]
          : []),
      ];
    }),
  );
}

const limits = {
  cases: [
    ['f32/plain', 'plain', false],
    ['f32/relaxed', 'relaxed', false],
    ['fast', 'relaxed', true],
  ].map(([name, variant, fast]) => ({
    name: `limit/${name}/t1`,
    kind: 'limit',
    settings: { fast, module: kernels(variant) },
  })),
  rounds: 15,
};

function towerGroups() {
  const both = (name, kind, settings) => [
    { name, kind, settings },
    { name: `${name}/fast`, kind, settings: { ...settings, precision: 'fast' } },
    { name: `${name}/int8`, kind, settings: { ...settings, precision: 'int8' } },
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

/**
 * Methods that came later, with random views and, where that spares something, without (`kept`), and MuDPT, each
 * beside its authors' computation. All take turns, so that their ratios can be compared; of 100 classes, for which a
 * step takes PyTorch 5 GB, two methods at a time.
 */
function laterGroups() {
  const turns = {
    10: [['mudpt', 'maple', 'promptsrc', 'mmrlpp']],
    100: [
      ['mudpt', 'maple'],
      ['promptsrc', 'mmrlpp'],
    ],
  };
  const ways = (method) => (['promptsrc', 'mmrlpp'].includes(method) ? ['', '/kept'] : ['']);
  const group = (model, classes, methods) => ({
    model,
    cases: methods.flatMap((method) =>
      ways(method).map((way) => ({
        name: `later/${model}/n${classes}/${method}${way}`,
        kind: way ? 'keptStep' : 'step',
        settings: { classes, method },
        beside: [`pytorch-${method}`],
      })),
    ),
    peers: async (folder) => {
      const programs = [];
      for (const method of methods) {
        const settings = await stepSettings(folder, classNames(classes), { method });
        programs.push(...pytorch(`pytorch-${method}`, settings, method === 'mudpt' ? 'step.py' : 'later.py'));
      }
      return programs;
    },
    rounds: model === 'b16' ? 5 : 15,
    onlyNode: true,
  });
  return ['b16', 'pictoclip'].flatMap((model) =>
    Object.entries(turns).flatMap(([classes, sets]) => sets.map((set) => group(model, Number(classes), set))),
  );
}

/** Prompts of the upper layers alone, with random views and without. */
function upperGroups() {
  return ['mudpt', 'ivlp'].map((method) => ({
    model: 'pictoclip',
    cases: ['', '/kept'].flatMap((way) =>
      [1, 2, 3, 4].map((fromLayer) => ({
        name: `from-layer/pictoclip/n10/${method}${way}/${fromLayer}`,
        kind: way ? 'keptStep' : 'step',
        settings: { classes: 10, method, fromLayer },
        ...(fromLayer > 1 && { against: `from-layer/pictoclip/n10/${method}${way}/1` }),
      })),
    ),
    rounds: 25,
    onlyNode: true,
  }));
}

function wholeGroups() {
  const data = () => task('animals');
  const picture = () => firstPicture(data());
  const runs = [2, 10].map((epochs) => ({
    model: 'pictoclip',
    cases: ['', '/fast'].map((way) => ({
      name: `pictoclip/40x16x${epochs}${way}`,
      kind: 'train',
      settings: { precision: way ? 'fast' : 'high', data, epochs },
    })),
    peers: async (folder) => {
      const settings = await stepSettings(folder, classNames(40));
      return pytorch('pytorch', { ...settings, data: data(), shots: 16, epochs });
    },
    rounds: epochs > 2 ? 1 : 3,
    onlyNode: true,
  }));
  const classify = { name: 'classify/pictoclip', kind: 'classify', settings: { picture } };
  const search = { name: 'search/10000x512', kind: 'search', settings: { count: 10_000, width: 512 } };
  const startup = { name: 'startup/pictoclip', kind: 'startup', settings: { picture } };
  return [
    ...runs,
    { model: 'pictoclip', cases: [classify], rounds: 10 },
    { cases: [search], rounds: 10 },
    { model: 'pictoclip', cases: [startup], rounds: 10, onlyNode: true },
  ];
}

/** Others of CLIP's family beside a ViT-B/16 of OpenAI's: the smallest that knows photographs, and exact GELU. */
function familyGroups() {
  const beside = (name, kind, settings, models) => ({
    model: 'b16',
    cases: ['b16', ...models].map((model, i) => ({
      name: `family/${name}/${model}`,
      kind,
      settings: { ...settings, model },
      ...(i && { against: `family/${name}/b16` }),
    })),
    rounds: 9,
  });
  return [
    beside('image', 'image', { batch: 1 }, ['tinyclip']),
    beside('step', 'step', { classes: 10 }, ['tinyclip', 'b16-gelu']),
  ];
}

/** Twice the classes, twice the pictures. */
function linearGroups() {
  const data = () => task('animals');
  const pair = (kind, what, counts, more) =>
    counts.map((count, i) => ({
      name: `linear/${what}${count}`,
      kind,
      settings: { [what]: count, ...more },
      ...(i && { against: `linear/${what}${counts[0]}` }),
    }));
  return [
    { model: 'pictoclip', cases: pair('step', 'classes', [500, 1000]), rounds: 9, onlyNode: true },
    { model: 'pictoclip', cases: pair('tune', 'images', [1000, 2000], { data }), rounds: 3, onlyNode: true },
  ];
}

/** What is not computed, and what computing it would cost: one thread, processor time. */
function savingGroups() {
  const module = path.join(root, 'build/wasm/savings-relaxed.mjs');
  const pair = (name, kind, settings) =>
    [false, true].map((without) => ({
      name: `savings/${name}/${without ? 'without' : 'with'}`,
      kind,
      settings: { ...settings, without, threads: 1 },
      ...(without && { against: `savings/${name}/with` }),
    }));
  // As in bench/savings.c.
  const towers = [
    'ragged-text',
    'shared-prefix',
    'start-of-text',
    'no-dw',
    'image-streaming',
    'last-layer-row',
    'first-layer-backward',
    'prompt-rows',
  ].map((name, saving) => ({ cases: pair(name, 'saving', { saving, module }), rounds: 7 }));
  const library = [
    ['features-once', 'once', { classes: 40 }],
    ['folded-prompts', 'folded', { classes: 40 }],
  ].map(([name, kind, settings]) => ({ model: 'pictoclip', cases: pair(name, kind, settings), rounds: 9 }));
  return [...towers, ...library].map((group) => ({ ...group, onlyNode: true }));
}

/** A step on one thread and on two, and what a core that another program keeps busy costs. */
function threadGroups() {
  const ways = [
    ['', 'high'],
    ['/fast', 'fast'],
  ];
  const pair = (name, kind, settings) =>
    [1, 2].map((threads) => ({
      name: `threads/${name}/t${threads}`,
      kind,
      settings: { ...settings, threads },
      ...(threads > 1 && { against: `threads/${name}/t1` }),
    }));
  const steps = {
    model: 'b16',
    cases: ways.flatMap(([way, precision]) => pair(`step/b16/n10${way}`, 'step', { classes: 10, precision })),
    rounds: 3,
    onlyNode: true,
  };
  const picture = path.join(root, 'tests/golden/preprocess/images/half-chroma.jpg');
  const decode = {
    model: 'pictoclip',
    cases: pair('decode/333x251x64', 'decode', { picture, count: 64 }),
    rounds: 9,
    onlyNode: true,
  };
  const busy = (name, kind, settings, peers) => ({
    model: 'b16',
    cases: ways.map(([way, precision]) => ({ name: `busy/${name}${way}`, kind, settings: { ...settings, precision } })),
    peers,
    rounds: 3,
    spinner: true,
    onlyNode: true,
  });
  return [
    steps,
    decode,
    busy('image/b16/batch1', 'image', { batch: 1 }, () => peer('onnxruntime-web', 'image', { batch: 1, patch: 16 })),
    busy('step/b16/n10', 'step', { classes: 10 }, async (folder) =>
      pytorch('pytorch', await stepSettings(folder, classNames(10))),
    ),
  ];
}

/** Values that cost something are functions until their case is wanted. */
export const resolved = (settings) =>
  Object.fromEntries(Object.entries(settings).map(([key, v]) => [key, typeof v === 'function' ? v() : v]));

/** @returns {Group[]} */
export const allGroups = () => [
  limits,
  ...gemmGroups(),
  ...towerGroups(),
  ...stepGroups(),
  ...laterGroups(),
  ...upperGroups(),
  ...wholeGroups(),
  ...familyGroups(),
  ...linearGroups(),
  ...threadGroups(),
  ...savingGroups(),
];
