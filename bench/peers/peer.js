/** Cases of peers: prepare(PEER, CASE, SETTINGS) gives what is timed, in Node and, onnxruntime-web, in a browser. */
import { imageTower, product, textTower } from './onnx.js';

let modules, threads, kind, settings;

/** @param {string} peer @param {string} what @param {any} given @returns {Promise<import('../turns.js').Prepared>} */
export function prepare(peer, what, given) {
  kind = what;
  ({ modules, threads = 2, ...settings } = given);
  return PEERS[peer]();
}

const load = (name) => import(`${modules}/${name}`);

const noise = (count) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * 0.37));

const PEERS = {
  async 'onnxruntime-web'() {
    const inNode = typeof process !== 'undefined';
    const ort = await load(`onnxruntime-web/dist/${inNode ? 'ort.node.min.mjs' : 'ort.wasm.min.mjs'}`);
    ort.env.wasm.numThreads = threads;
    const { batch, classes, patch, shape } = settings;
    const [model, feeds] = {
      gemm: () => [product(shape), { a: ['float32', noise(shape[0] * shape[1]), shape.slice(0, 2)] }],
      image: () => [
        imageTower({ batch, patch }),
        { pixels: ['float32', noise(batch * 3 * 224 * 224), [batch, 3, 224, 224]] },
      ],
      text: () => {
        return [textTower({ classes }), { ids: ['int64', new BigInt64Array(classes * 77).fill(300n), [classes, 77]] }];
      },
    }[kind]();
    const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'] });
    const inputs = Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, new ort.Tensor(...feed)]));
    return { once: () => session.run(inputs) };
  },

  async 'tfjs-wasm'() {
    const { createRequire } = await import('node:module');
    const require = createRequire(`${modules}/x.cjs`);
    const tf = require('@tensorflow/tfjs-core');
    require('@tensorflow/tfjs-backend-wasm');
    await tf.setBackend('wasm');
    await tf.ready();
    const [rows, depth, columns] = settings.shape;
    const a = tf.tensor2d(noise(rows * depth), [rows, depth]);
    const b = tf.tensor2d(noise(depth * columns), [depth, columns]);
    return { once: () => tf.matMul(a, b).dispose(), warm: 3 };
  },

  async 'jax-js'() {
    // It uses iterator helpers, which Node 20 lacks.
    const iterator = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));
    iterator.map ??= function* (action) {
      for (const value of this) yield action(value);
    };
    iterator.toArray ??= function () {
      return [...this];
    };
    const jax = await load('@jax-js/jax/dist/index.js');
    await jax.init('wasm');
    jax.defaultDevice('wasm');
    const [rows, depth, columns] = settings.shape;
    const a = jax.numpy.array(noise(rows * depth), { shape: [rows, depth] });
    const b = jax.numpy.array(noise(depth * columns), { shape: [depth, columns] });
    const multiply = jax.jit((x, y) => jax.numpy.matmul(x, y));
    const once = async () => {
      const c = multiply(a.ref, b.ref);
      await jax.blockUntilReady(c);
      c.dispose();
    };
    return { once, warm: 3 };
  },
};
