/** What browser.test.js calls in a page: the library as pages use it, and the cases of cases.js in a worker. */
import { loadClip } from '../../js/index.js';
import { CLASSES, EXAMPLES, MODEL, TESTS, TUNING, scoresOf } from '../browser/task.js';

/** Scores before and after training on the device, what the model says of it, and lines in the console. */
globalThis.runTask = async (device, options) => {
  const lines = [];
  const { warn } = console;
  console.warn = (line) => lines.push(line);
  const clip = await loadClip(MODEL, { device, threads: 1, ...options });
  const { device: used, adapter, whyWasm } = clip.info;
  const images = TESTS.map(({ image }) => image).slice(0, 2);
  const classifier = await clip.zeroShot(CLASSES);
  const zeroShot = await scoresOf(classifier, images);
  const job = clip.tune({ ...TUNING, examples: EXAMPLES, augment: false, epochs: 1 });
  // Others are answered between the steps of a run.
  let meanwhile = [];
  for await (const { step } of job) if (step === 1) meanwhile = await scoresOf(classifier, images);
  const tuned = await scoresOf(await job.finished, images);
  await clip.dispose();
  console.warn = warn;
  return { used, adapter, whyWasm, lines, zeroShot, meanwhile, tuned };
};

/** '' or what is wrong, and what the case tells. */
globalThis.runCase = (name) =>
  new Promise((resolve, reject) => {
    const worker = new Worker('/build/webgpu/cases.js', { type: 'module' });
    worker.onmessage = ({ data }) => {
      worker.terminate();
      resolve(data);
    };
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(name);
  });
