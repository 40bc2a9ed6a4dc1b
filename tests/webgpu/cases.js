/**
 * What a WebGPU device must do, as cases that run alike in Node and in a page's worker (page.js, worker.js): each
 * throws what is wrong. Folders are given by `at`, for a path in this tree.
 */
import { ACTIVATIONS, POOLING, createCore } from '../../js/core/core.js';
import { chooseDevice, startDevice } from '../../js/core/device-check.js';
import { SIZES } from '../../js/core/small-clip.js';
import { Device } from '../../js/core/device.js';
import { openSource } from '../../js/files/source.js';
import { loadModel } from '../../js/loading/model.js';
import { CALL, TOWER, TOWER_WORDS } from '../../js/webgpu/layout.js';
import { Report, Tensors, readJson } from '../node/golden-files.js';
import { methodOf, runConfig, sentencesOf, setParameters } from '../node/golden-model.js';

const MODEL = 'tests/golden/tiny-a/model';
/** Of values from WebAssembly, relative to the largest. */
const SAME = 1e-3;

/**
 * @param {(path: string) => string} at
 * @param {string[]} tiles that products have in the golden cases of both models
 * @param {{ assetsUrl?: string }} options of createCore and Device.open
 */
export const casesOf = (at, tiles, options = {}) => {
  /** @param {string} [tilesWanted] */
  const open = async (tilesWanted) => {
    const core = await createCore({ threads: 2, ...options });
    const device = await Device.open(core.memory.module.wasmMemory, { ...options, tiles: tilesWanted });
    requireThat(!tilesWanted || device.tiles === tilesWanted, `products have ${device.tiles}`);
    core.memory.useDevice(device);
    return core;
  };

  /** The same with a device that nothing has checked yet. */
  const openUnchecked = async () => {
    const core = await createCore({ threads: 1, ...options });
    const why = await startDevice(core, options.assetsUrl);
    if (!why) return core;
    core.dispose();
    throw new Error(why);
  };

  function requireNear(what, got, right, tolerance = SAME) {
    const most = right.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-9);
    const off = right.reduce((a, b, i) => Math.max(a, Math.abs(b - got[i])), 0);
    if (!(off <= tolerance * most)) throw new Error(`${what}: off by ${off} where the largest value is ${most}`);
  }
  function requireThat(condition, what) {
    if (!condition) throw new Error(what);
  }

  /** Every case of a golden folder. */
  const golden = (name, tilesWanted) => async () => {
    const core = await open(tilesWanted);
    const report = new Report(false);
    const folder = at(`tests/golden/${name}`);
    try {
      const { cases } = readJson(folder, 'config.json');
      const context = { core, report, dtype: 'auto', precision: 'high', storage: -1 };
      await runConfig(context, folder, name, readJson(folder, 'config.json'));
      requireThat(!core.memory.device.lost, core.memory.device.lost);
      requireThat(report.failed === 0, `${report.failed} golden cases failed, ${report.passed} passed`);
      requireThat(report.passed >= cases.length, `only ${report.passed} of ${cases.length} golden cases were there`);
      const counts = core.memory.device.counts();
      requireThat(counts.flop > 0 && counts.roundTrips > report.passed, `the device did nothing: ${counts.flop}`);
      const done = `${counts.roundTrips} round trips, ${(counts.flop / 1e9).toFixed(1)} GFLOP`;
      return `${report.passed} cases, products: ${tilesWanted}, ${done}`;
    } finally {
      core.dispose();
    }
  };

  /** A MuDPT of the golden files on a loaded model, and what trains it on random pictures. */
  function training(core, { clip, config }, recompute = false) {
    const folder = at('tests/golden/tiny-a');
    const [json, tensors] = [readJson(folder, 'mudpt.json'), new Tensors(folder, 'mudpt.safetensors')];
    const method = methodOf(json.method, json.hyper_parameters);
    const classifier = core.classifierCreate(clip, method, sentencesOf(json, tensors, method));
    setParameters(core, classifier, tensors);
    core.classifierRecompute(classifier, recompute);
    const run = { epochs: 2, batch: 3, rate: 0.01, seed: 1, augment: false, smallestCrop: 1 };
    const trainer = core.trainerCreate(classifier, run);
    for (let i = 0; i < 6; i++) {
      const pixels = Uint8Array.from({ length: 48 * 48 * 3 }, (_, k) => (k * (7 + i) + (k >> 5) * 31 * i) % 256);
      const image = core.imageFromPixels(pixels, 48, 48, 3);
      core.trainerAddImage(trainer, image, i % 2);
      core.imageFree(image);
    }
    const finish = () => {
      const losses = [];
      for (let done; (done = core.trainerAdvance(trainer)) !== null;) if (done) losses.push(done.loss);
      const parameters = core
        .classifierParameters(classifier)
        .flatMap(({ value, count }) => [...core.floats(value, count)]);
      core.trainerFree(trainer);
      core.classifierFree(classifier);
      return { losses, parameters, pictures: config.image };
    };
    return finish;
  }

  const load = (core, more) => openSource(at(MODEL)).then((source) => loadModel(core, source, more));

  return {
    'golden cases, f32': golden('tiny-a', tiles[0]),
    'golden cases, f16': golden('tiny-b', tiles[1]),
    'golden cases, exact GELU': golden('tiny-gelu', tiles[0]),

    'every storage type and kind of tiles trains as in WebAssembly, also with recompute': async () => {
      for (const [dtype, recompute, tilesWanted] of /** @type {[string, boolean, string][]} */ ([
        ['f32', true, 'medium'],
        ['f16', false, 'large'],
        ['int8', false, 'subgroups'],
        ['int8', false, 'small'],
        ['int16', false, 'subgroups'],
        ['int16', false, 'direct'],
      ])) {
        const core = await open(tilesWanted);
        try {
          const what = `${dtype}, ${tilesWanted}`;
          const model = await load(core, { dtype });
          const right = core.memory.withoutDevice(training(core, model, recompute));
          const got = training(core, model, recompute)();
          requireThat(!core.memory.device.lost, core.memory.device.lost);
          requireNear(`${what}: losses`, got.losses, right.losses);
          requireNear(`${what}: parameters`, got.parameters, right.parameters);
          core.clipFree(model.clip);
        } finally {
          core.dispose();
        }
      }
    },

    'single products, and a group of pictures that is not full': async () => {
      const core = await open();
      try {
        const model = await openSource(at('models/pictoclip')).then((source) => loadModel(core, source, {}));
        const { clip, config } = model;
        const classifier = core.classifierCreate(clip, { method: 'zeroshot' }, null, 2);
        const names = Float32Array.from({ length: 2 * config.embed }, (_, i) => Math.cos(i));
        core.classifierSetTextFeatures(classifier, names);
        const size = 3 * config.image ** 2;
        const pixels = Float32Array.from({ length: 9 * size }, (_, i) => Math.sin(i * 0.37));
        for (const count of [8, 9, 3]) {
          const run = () => core.classifierLogits(classifier, pixels.subarray(0, count * size)).features;
          const right = core.memory.withoutDevice(run);
          const before = core.memory.device.counts().roundTrips;
          requireNear(`features of ${count} pictures`, run(), right);
          const trips = core.memory.device.counts().roundTrips - before;
          requireThat(trips === (count === 3 ? 1 : 2), `${count} pictures took ${trips} round trips`);
        }
        requireThat(!core.memory.device.lost, core.memory.device.lost);
      } finally {
        core.dispose();
      }
    },

    'a device that is lost in the middle of a step': async () => {
      const seen = [];
      for (const [call, which] of [
        [CALL.FORWARD, 2],
        [CALL.FORWARD, 3],
        [CALL.BACKWARD, 2],
        [CALL.BACKWARD, 3],
      ]) {
        const core = await open();
        const { warn } = console;
        const lines = [];
        console.warn = (line) => lines.push(line);
        try {
          const { device } = core.memory;
          const model = await load(core);
          const right = core.memory.withoutDevice(training(core, model));
          const answer = device.answer.bind(device);
          let calls = 0;
          let lost = 0;
          device.answer = (...args) => {
            if (args[0] === call && calls++ === which) device.destroy();
            const result = answer(...args);
            if (result === 2) lost++;
            return result;
          };
          const got = training(core, model)();
          requireThat(device.lost, 'the device was not lost');
          requireThat(lines.length === 1, `${lines.length} lines in the console: ${lines.join(' | ')}`);
          requireThat(got.losses.length === right.losses.length, `${got.losses.length} steps`);
          requireNear('losses', got.losses, right.losses);
          requireNear('parameters', got.parameters, right.parameters);
          seen.push(lost);
        } finally {
          console.warn = warn;
          core.dispose();
        }
      }
      requireThat(Math.max(...seen) > 0, 'no forward pass had to be repeated');
      return `forward passes repeated: ${seen.join(', ')}`;
    },

    'the rest of CLIP’s family is checked as it is, and computed': async () => {
      const all = { visionEpsilon: 1e-6, textEpsilon: 1e-3 };
      for (const [visionActivation, textActivation, more] of /** @type {[number, number, object][]} */ ([
        [ACTIVATIONS.gelu, ACTIVATIONS.gelu_tanh, {}],
        [ACTIVATIONS.gelu_tanh, ACTIVATIONS.gelu, { visionPooling: POOLING.attention, noMask: 1 }],
        [ACTIVATIONS.quick_gelu, ACTIVATIONS.gelu, { noMask: 1, textPooling: POOLING.last }],
      ])) {
        const core = await openUnchecked();
        try {
          const { clip } = await load(core);
          const config = { ...all, visionActivation, textActivation, ...more };
          const told = await chooseDevice(core, { clip, config }, 'webgpu');
          requireThat(told === '' && core.memory.device, told);
        } finally {
          core.dispose();
        }
      }
    },

    'what is not finite is left to WebAssembly': async () => {
      const core = await open();
      try {
        const { clip, config } = await load(core);
        const folder = at('tests/golden/tiny-a');
        const [json, tensors] = [readJson(folder, 'mudpt.json'), new Tensors(folder, 'mudpt.safetensors')];
        const method = methodOf(json.method, json.hyper_parameters);
        const classifier = core.classifierCreate(clip, method, sentencesOf(json, tensors, method));
        const pixels = new Float32Array(3 * config.image ** 2).fill(0.5);
        for (const odd of [NaN, Infinity, 1e30]) {
          setParameters(core, classifier, tensors);
          const [{ name, value }] = core.classifierParameters(classifier).filter(({ name: each }) => /deep/.test(each));
          core.floats(value, 1)[0] = odd;
          core.classifierChanged(classifier);
          const run = async () => {
            try {
              return (await core.classifierGradients(classifier, pixels, [0])).logits.join();
            } catch (error) {
              return error.message;
            }
          };
          const right = await core.memory.withoutDevice(run);
          const got = await run();
          requireThat(got === right || odd === 1e30, `${odd} in ${name}: "${got}", "${right}" is right`);
          requireThat(/NaN|finite/.test(right) || odd === 1e30, `${odd} in ${name} passes silently: "${right}"`);
          requireThat(/NaN|finite/.test(got) === /NaN|finite/.test(right), `${odd} in ${name}: "${got}", "${right}"`);
        }
        requireThat(!core.memory.device.lost, core.memory.device.lost);
      } finally {
        core.dispose();
      }
    },

    'a device that computes a tower wrongly is found out': async () => {
      const { visionWidth, textWidth } = SIZES;
      for (const [widths, more] of /** @type {[number[], number][]} */ ([
        [[visionWidth, textWidth], 0.02],
        [[visionWidth], 0.05],
        [[textWidth], 0.02],
      ])) {
        const core = await openUnchecked();
        try {
          const { device } = core.memory;
          const answer = device.answer.bind(device);
          device.answer = (call, a, b, c) => {
            const result = answer(call, a, b, c);
            const tower = new Int32Array(core.memory.buffer, a, TOWER_WORDS);
            if (call !== CALL.FORWARD || !widths.includes(tower[TOWER.WIDTH])) return result;
            const [, y] = new Uint32Array(core.memory.buffer, tower[TOWER.SCRATCH], 2);
            core.floats(y, 1)[0] += more;
            return result;
          };
          const model = await load(core);
          const told = await chooseDevice(core, model, 'webgpu');
          requireThat(/computes wrongly: logits off by/.test(told), `it was told: "${told}"`);
          requireThat(core.memory.device === null, 'it is still used');
        } finally {
          core.dispose();
        }
      }
    },

    'auto takes what is faster': async () => {
      const core = await openUnchecked();
      try {
        const model = await load(core, { dtype: 'f32' });
        const told = await chooseDevice(core, model, 'auto');
        const [, there, here] = /take ([\d.e+-]+) ms on WebGPU, ([\d.e+-]+) ms here/.exec(told) ?? [];
        requireThat(told === '' || Number(there) > 0.8 * Number(here), `it was told: "${told}"`);
        requireThat((told === '') === (core.memory.device !== null), 'it is not used as told');
        return told || 'the device is faster';
      } finally {
        core.dispose();
      }
    },
  };
};
