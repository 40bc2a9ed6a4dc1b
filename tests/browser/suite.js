/**
 * The browser tests, run in a page: cases by name, in order; later ones use the model that the first has loaded.
 * browser.test.js calls them and prints what they throw.
 */
import { cache, loadClip } from '/js/index.js';
import { openAiVocabulary } from '/js/loading/openai-vocabulary.js';
import { headerOf } from '/js/loading/safetensors.js';
import { torchSave } from '/tests/node/pickled.js';
import { near, ok, rejection, rejectsWith, same } from './checks.js';
import { elementCases, loadedImage } from './elements.js';
import { featureCases } from './features.js';
import { instantCases } from './instant.js';
import { judgeCases } from './judge.js';
import { severalCases } from './several.js';
import { CLASSES, EXAMPLES, FACE, MODEL, TESTS, TUNING, runTask, scoresOf } from './task.js';

// ---------------------------------------------------------------------------------------------------- the console

const printed = (globalThis.printed = []);
for (const method of ['log', 'info', 'warn', 'error']) {
  const print = console[method];
  console[method] = (...args) => {
    printed.push(args.join(' '));
    print.apply(console, args);
  };
}

// ---------------------------------------------------------------------------------------------------- helpers

const jsonOf = async (path) => (await fetch(path)).json();
const bytesOf = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());

async function elementOf(path) {
  const element = new Image();
  element.src = path;
  await element.decode();
  return element;
}

async function canvasOf(path) {
  const element = await elementOf(path);
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [element.naturalWidth, element.naturalHeight];
  canvas.getContext('2d').drawImage(element, 0, 0);
  return canvas;
}

const tuning = (more) => ({ ...TUNING, examples: EXAMPLES, ...more });

let expected, clip, zeroShot;
const [model, wanted] = [() => clip, () => expected];

// ---------------------------------------------------------------------------------------------------- cases

/** @type {Record<string, () => Promise<void>>} */
const cases = {
  async 'loads, with progress'() {
    expected = await jsonOf('/expected.json');
    const progress = [];
    clip = await loadClip(MODEL.slice(1), { onProgress: (now) => progress.push(now) });
    ok(progress.length >= 1, 'there was no progress');
    const { loaded, total } = progress.at(-1);
    same(loaded, total, 'the last progress');
    ok(
      progress.every((now, i) => now.total === total && now.loaded >= (progress[i - 1]?.loaded ?? 0)),
      'progress goes back',
    );
    const threads =
      crossOriginIsolated && typeof SharedArrayBuffer === 'function' ? Math.min(navigator.hardwareConcurrency, 8) : 1;
    same(clip.info.threads, threads, 'threads');
    ok(clip.memoryBytes > clip.info.weightBytes, 'memoryBytes');
    same(clip.methods(), expected.methods, 'methods');
  },

  async 'gives the numbers that Node gives'() {
    const actual = await runTask(clip, (path) => path);
    same(actual.architecture, expected.architecture, 'architecture');
    for (const name of ['zeroShot', 'formats', 'losses', 'tuned', 'features', 'texts'])
      near(actual[name], expected[name], name);
    const { accuracy, confusion, count } = actual.evaluation;
    same(
      [accuracy, confusion, count],
      ['accuracy', 'confusion', 'count'].map((key) => expected.evaluation[key]),
      'evaluation',
    );
    zeroShot = await clip.zeroShot(CLASSES);
    same([zeroShot.classes, zeroShot.method, zeroShot.settings], [CLASSES, 'zeroshot', null], 'the classifier');
    const imported = await clip.import(Uint8Array.from(actual.file));
    same(
      await scoresOf(
        imported,
        TESTS.map(({ image }) => image),
      ),
      actual.tuned,
      'exported and imported',
    );
    const fromNode = await clip.import(Uint8Array.from(expected.file).buffer);
    near(
      await scoresOf(
        fromNode,
        TESTS.map(({ image }) => image),
      ),
      expected.tuned,
      'exported by Node',
    );
    same(fromNode.settings.epochs, TUNING.epochs, 'settings');
    await fromNode.dispose();
    await fromNode.dispose();
    await rejectsWith('state', fromNode.classify(FACE), /disposed/);
  },

  async 'takes any picture that a page has'() {
    const bytes = await bytesOf(FACE);
    const canvas = await canvasOf(FACE);
    const { width, height } = canvas;
    const image = canvas.getContext('2d').getImageData(0, 0, width, height);
    const offscreen = new OffscreenCanvas(width, height);
    offscreen.getContext('2d').drawImage(canvas, 0, 0);
    const kinds = {
      'relative address': FACE.slice(1),
      URL: new URL(FACE, location.href),
      'data: address': canvas.toDataURL('image/png'),
      Blob: new Blob([bytes]),
      File: new File([bytes], 'face.png', { type: 'image/png' }),
      Uint8Array: bytes,
      view: new Uint8Array([7, ...bytes, 7]).subarray(1, -1),
      ArrayBuffer: bytes.buffer,
      ImageData: image,
      '{ data, width, height }': { data: image.data, width, height },
      ImageBitmap: await createImageBitmap(canvas),
      img: await elementOf(FACE),
      canvas: canvas,
      OffscreenCanvas: offscreen,
    };
    if (typeof VideoFrame === 'function') kinds.VideoFrame = new VideoFrame(canvas, { timestamp: 0 });
    const [scores] = await scoresOf(zeroShot, [FACE]);
    for (const [kind, value] of Object.entries(kinds)) same((await scoresOf(zeroShot, [value]))[0], scores, kind);
    kinds.VideoFrame?.close();
    ok(bytes.length && kinds.ImageBitmap.width === width, 'what was given cannot be used any more');
    const webp = (await scoresOf(zeroShot, ['/tests/data/formats/angry-face.webp']))[0];
    same(webp, scores, 'WebP, lossless');
    const drawn = zeroShot.classify(canvas);
    canvas.getContext('2d').clearRect(0, 0, width, height);
    same((await drawn)[0].score, Math.max(...scores), 'a canvas as it was when it was given');
  },

  async 'waits for an image that still loads'() {
    const image = new Image();
    image.src = `${FACE}?again`;
    const [scores] = await scoresOf(zeroShot, [FACE]);
    same((await scoresOf(zeroShot, [image]))[0], scores, 'scores');
    const broken = new Image();
    broken.src = '/nowhere.png';
    await rejectsWith('image', zeroShot.classify(broken), /cannot be read/);
  },

  ...featureCases(model, wanted),
  ...severalCases(model),
  ...instantCases(model, wanted),
  ...judgeCases(model, wanted),
  ...elementCases({ model: () => clip, classifier: () => zeroShot }),

  async 'moves what the caller gives up'() {
    const bytes = await bytesOf(FACE);
    const bitmap = await createImageBitmap(new Blob([bytes]));
    const [scores] = await scoresOf(zeroShot, [FACE]);
    for (const image of [bytes, bitmap]) {
      const [{ score }] = await zeroShot.classify(image, { topK: 1, transfer: true });
      same(score, Math.max(...scores), 'score');
    }
    same([bytes.length, bitmap.width], [0, 0], 'what was moved');
  },

  async 'refuses a picture of a format that nobody knows, and leaves to the browser what it knows'() {
    const avif = await bytesOf('/tests/data/formats/angry-face.avif');
    const decodes = await createImageBitmap(new Blob([avif])).then(
      () => true,
      () => false,
    );
    if (!decodes) return rejectsWith('image', zeroShot.classify(avif), /JPEG, PNG, GIF/);
    const [[avifScores], [scores]] = [await scoresOf(zeroShot, [avif]), await scoresOf(zeroShot, [FACE])];
    const furthest = Math.max(...scores.map((score, i) => Math.abs(score - avifScores[i])));
    ok(furthest < 0.02, `AVIF: ${avifScores} are not ${scores}`); // decoders round colours differently
  },

  async 'other calls go on while it trains; steps are told from the first'() {
    const job = clip.tune(tuning({ epochs: 3 }));
    const answers = [];
    const steps = [];
    for await (const step of job) {
      steps.push(step.step);
      if (step.step === 2) answers.push(zeroShot.classify(FACE).then(() => steps.length));
    }
    same(steps, [1, 2, 3, 4, 5, 6, 7, 8, 9], 'steps');
    ok((await answers[0]) < 9, 'the call waited for the end of the run');
    const again = [];
    for await (const step of job) again.push(step.step);
    same(again, steps, 'a second reader');
    ok(job.classifier === (await job.finished), 'job.classifier');
  },

  async 'stop() keeps what was trained'() {
    const job = clip.tune(tuning({ epochs: 50 }));
    let last;
    for await (last of job) if (last.step === 3) job.stop();
    ok(last.step < last.steps, 'it ran to the end');
    same((await job.finished).method, 'mudpt', 'method');
  },

  async 'is aborted'() {
    const job = (signal) => clip.tune(tuning({ epochs: 50, signal })).finished;
    const aborted = async (start, what) => {
      same((await rejection(start(AbortSignal.abort()), what)).name, 'AbortError', `${what}, before`);
      const controller = new AbortController();
      const reason = new Error('enough');
      const running = start(controller.signal);
      setTimeout(() => controller.abort(reason), 20);
      ok((await rejection(running, what)) === reason, `${what}: another reason`);
    };
    await aborted((signal) => loadClip(MODEL, { signal }), 'loading');
    await aborted(job, 'training');
    const many = Array.from({ length: 50 }, () => TESTS).flat();
    await aborted((signal) => zeroShot.evaluate(many, { signal }), 'measuring');
    const names = Array.from({ length: 3000 }, (_, i) => `face ${i}`);
    await aborted((signal) => clip.zeroShot(names, { signal }), 'class names');
    const controller = new AbortController();
    const started = clip.tune(tuning({ epochs: 50, signal: controller.signal }));
    for await (const { step } of started) {
      if (step === 2) break;
    }
    controller.abort();
    same((await rejection(started.finished, 'a run')).name, 'AbortError', 'in the middle of a run');
    same((await zeroShot.classify(FACE, { topK: 1 })).length, 1, 'afterwards');
  },

  async 'measures with progress'() {
    const told = [];
    const { count } = await zeroShot.evaluate([...TESTS, ...EXAMPLES], {
      onProgress: ({ done, total }) => told.push([done, total]),
    });
    same(count, 18, 'count');
    same(
      [told[0], told.at(-1)],
      [
        [8, 18],
        [18, 18],
      ],
      'progress',
    ); // at most ten times a second
    const named = [];
    await clip.zeroShot(CLASSES, { onProgress: ({ done, total }) => named.push([done, total]) });
    same(named, [[3, 3]], 'progress of names');
    const thrown = new Error('from onProgress');
    const onProgress = () => {
      throw thrown;
    };
    ok((await rejection(zeroShot.evaluate(TESTS, { onProgress }), 'onProgress')) === thrown, 'another error');
  },

  async 'names what is wrong'() {
    await rejectsWith('image', zeroShot.classify(new Blob(['no picture at all'])), /JPEG, PNG, GIF/);
    await rejectsWith('image', zeroShot.classify(new Image()), /has no address/);
    await rejectsWith('image', zeroShot.classify({}), /is no picture/);
    await rejectsWith('network', zeroShot.classify('nowhere.png'), /nowhere\.png was answered with 404/);
    await rejectsWith('argument', clip.tune(tuning({ classes: [...CLASSES, 'owl'] })).finished, /"owl" has no example/);
    await rejectsWith('file', loadClip('/nowhere/'), /model\.safetensors/);
    const assets = (assetsUrl) => loadClip(MODEL, { assetsUrl });
    await rejectsWith('environment', assets('/html-for-wasm'), /should be WebAssembly but is a page of HTML/);
    await rejectsWith('environment', assets('/nowhere/'), /worker could not be started/);
    await rejectsWith('environment', assets('/crashing-worker/'), /worker crashed: .*boom/);
    const trapped = await assets('/trapping-worker/');
    const waiting = [trapped.zeroShot(CLASSES), trapped.zeroShot(CLASSES)];
    for (const call of [...waiting, trapped.zeroShot(CLASSES)])
      await rejectsWith('environment', call, /worker crashed: /);
  },

  async 'does on platforms that grant less memory what fits there, and names what does not'() {
    const classes = Array.from({ length: 20_000 }, (_, i) => `face ${i}`); // with contexts of their own, all at once
    const large = { method: 'coop', classSpecific: true, promptLength: 16, phrase: '', epochs: 1, classes };
    for (const [refuses, megabytes] of [
      ['1025', 1024],
      ['513', 512],
      ['257', 256],
      ['shared', 4096],
      ['growth', 4096],
    ]) {
      const isShared = megabytes < 4096;
      const other = await loadClip(MODEL, { assetsUrl: `/refuses-${refuses}/` });
      same(other.info.memoryLimit, Math.min(megabytes * 2 ** 20, 2 ** 32 - 1), 'memoryLimit');
      same(other.info.threads, isShared ? clip.info.threads : 1, `threads, ${refuses}`);
      const actual = await runTask(other, (path) => path);
      for (const name of ['zeroShot', 'losses', 'tuned']) near(actual[name], expected[name], `${name}, ${refuses}`);
      if (refuses !== 'shared') {
        const message = / MB are all that there is here; |^out of memory \(\d+ MB of at most [\d,]+ MB in/;
        large.examples ??= classes.map((_, label) => ({ image: FACE, label }));
        await rejectsWith('memory', other.tune(large).finished, message);
      }
      await other.dispose();
    }
  },

  async 'runs in the calling thread where that is asked for'() {
    const local = await loadClip(MODEL, { worker: false });
    const classifier = await local.zeroShot(CLASSES);
    const images = [FACE.slice(1), await canvasOf(FACE)];
    same(await scoresOf(classifier, images), await scoresOf(zeroShot, images), 'scores');
    await local.dispose();
  },

  async 'addresses are relative to where the page is when it gives them'() {
    const { href } = location;
    const [scores] = await scoresOf(zeroShot, [FACE]);
    try {
      for (const local of [false, true]) {
        history.pushState(null, '', '/models/somewhere/else');
        const here = local ? await loadClip('../pictoclip/', { worker: false }) : clip;
        const classifier = local ? await here.zeroShot(CLASSES) : zeroShot;
        history.pushState(null, '', '/tests/data/');
        const name = FACE.slice('/tests/data/'.length);
        near((await scoresOf(classifier, [name]))[0], scores, 'scores');
        const examples = [{ image: name, label: 'nerd face' }];
        const before = classifier.evaluate(examples);
        history.pushState(null, '', '/elsewhere/');
        same((await before).count, 1, 'given before the page went on');
        await rejectsWith('network', classifier.classify(name), /elsewhere.* was answered with 404/);
        if (local) await here.dispose();
      }
    } finally {
      history.pushState(null, '', href);
    }
  },

  async 'takes the model from files'() {
    const names = ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'model.safetensors'];
    const files = await Promise.all(names.map(async (name) => new File([await bytesOf(MODEL + name)], name)));
    const other = await loadClip(files, { dtype: 'int8', threads: 1 });
    same(other.info.architecture, clip.info.architecture, 'architecture');
    ok(other.info.weightBytes < clip.info.weightBytes, 'int8 is not smaller');
    await other.dispose();
    const dropped = new DataTransfer();
    for (const file of files) dropped.items.add(file);
    await (await loadClip(dropped)).dispose();
  },

  async 'reads what PyTorch has saved, in another worker and in none'() {
    const bytes = await bytesOf(`${MODEL}model.safetensors`);
    const tensors = headerOf(bytes, MODEL).tensors.map((tensor) => {
      return { ...tensor, data: bytes.subarray(tensor.begin, tensor.begin + tensor.bytes) };
    });
    const names = ['config.json', 'preprocessor_config.json', 'tokenizer.json'];
    const files = await Promise.all(names.map(async (name) => new File([await bytesOf(MODEL + name)], name)));
    for (const worker of [true, false]) {
      const other = await loadClip([...files, new File([torchSave(tensors)], 'ViT.pt')], { threads: 1, worker });
      same(other.info.fingerprint, clip.info.fingerprint, 'fingerprint');
      await other.dispose();
      const broken = [...files, new File([torchSave(tensors).subarray(0, 5000)], 'ViT.pt')];
      await rejectsWith('model', loadClip(broken, { threads: 1, worker }), /ViT\.pt: is cut short/);
    }
  },

  async 'has OpenAI’s vocabulary'() {
    const { merges, vocab } = (await openAiVocabulary())().model;
    same([merges.length, merges[0], vocab['cat</w>']], [48894, 'i n', 2368], 'merges');
  },

  // As Firefox does now and then.
  async 'a worker that stands still while it makes a thread is replaced'() {
    const { Worker } = globalThis;
    let ended = false;
    const still = Object.assign(new EventTarget(), {
      postMessage: () => still.dispatchEvent(new MessageEvent('message', { data: { making: true } })),
      terminate: () => (ended = true),
    });
    globalThis.Worker = function () {
      globalThis.Worker = Worker;
      return still;
    };
    const other = await loadClip(expected.models);
    ok(ended, 'the first worker goes on');
    await other.zeroShot(['owl', 'fox']);
    await other.dispose();
  },

  async 'keeps downloads for the next time, where the engine has a place for them'() {
    await cache.clear();
    const load = async () => {
      const before = await jsonOf('/sent.json');
      await (await loadClip(expected.models)).dispose();
      return (await jsonOf('/sent.json')) - before;
    };
    const first = await load();
    const kept = await cache.list();
    const place = typeof caches === 'object' || typeof navigator.storage?.getDirectory === 'function';
    same(kept.length > 0, place, 'whether there are kept files');
    const second = await load();
    if (place) ok(second < first / 10, `${second} bytes of ${first} were sent again`);
    await cache.clear();
    same(await cache.list(), [], 'after clear');
  },

  async 'gets along with servers that have no ranges, cut, or stall, and names those that forbid or are silent'() {
    const load = async () => (await loadClip(expected.models, { cache: false, timeout: 500 })).dispose();
    for (const fault of ['no-ranges', 'cut', 'stall']) {
      await jsonOf(`/${fault}.json`);
      await load();
    }
    await jsonOf('/silent.json');
    await rejectsWith('network', load(), /sent nothing for 0\.5 s/);
    await jsonOf('/no-cors.json');
    await rejectsWith('network', load(), /CORS/);
  },

  async 'loads from servers of other sites, whatever of their answers they let a page see'() {
    const { integrity } = expected;
    const ways = [{ cache: false, integrity }, {}, { integrity }];
    for (const [exposed, fault, all] of [
      ...['right', 'no-ranges', 'gzip', 'gzip-ranges'].map((name) => ['nothing', name, ways]),
      ...['ranges', 'everything'].map((name) => [name, 'gzip-ranges', ways.slice(0, 1)]),
    ]) {
      await jsonOf(`/exposed-${exposed}.json`);
      await jsonOf(`/${fault}.json`);
      for (const options of all) {
        const what = `${exposed} exposed, ${fault}, ${JSON.stringify(options)}`;
        const loaded = await loadClip(expected.models, { threads: 1, ...options }).catch((error) => {
          throw new Error(`${what}: ${error.message}`);
        });
        same(loaded.info.fingerprint, clip.info.fingerprint, what);
        await loaded.dispose();
      }
      await cache.clear();
    }
    await jsonOf('/exposed-everything.json');
    await jsonOf('/right.json');
  },

  async 'a 404 or a page of HTML in place of the model leaves what is kept, and loads it'() {
    await cache.clear();
    await (await loadClip(expected.models)).dispose();
    const kept = await cache.list();
    for (const fault of kept.length ? ['gone', 'login'] : []) {
      await jsonOf(`/${fault}.json`);
      await (await loadClip(expected.models)).dispose();
      same((await cache.list()).length, kept.length, `files that are kept after ${fault}`);
    }
    await jsonOf('/right.json');
    await cache.clear();
  },

  // As Safari before 26, where only workers can write files.
  async 'a page that cannot write sees and removes what its worker keeps'() {
    if (typeof navigator.storage?.getDirectory !== 'function') return;
    const frame = document.createElement('iframe');
    frame.src = '/';
    const loading = new Promise((resolve) => frame.addEventListener('load', resolve));
    document.body.append(frame);
    await loading;
    const page = frame.contentWindow;
    delete page.FileSystemFileHandle.prototype.createWritable;
    for (const method of ['delete', 'clear']) {
      await page.scoresOfModel(expected.models);
      same((await page.cacheOfPage.list()).length, 4, `files before ${method}`);
      await page.cacheOfPage[method](expected.models);
      same(await page.cacheOfPage.list(), [], `files after ${method}`);
      same(await cache.list(), [], `files after ${method}, as another page sees them`);
    }
    frame.remove();
  },

  async 'a page closed in the middle of a download leaves a cache that works; two pages share one'() {
    const page = async () => {
      const frame = document.createElement('iframe');
      frame.src = '/';
      const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
      document.body.append(frame);
      await loaded;
      return frame;
    };
    await cache.clear();
    await jsonOf('/cut.json');
    const closed = await page();
    await new Promise((resolve, reject) => {
      const onProgress = ({ loaded }) => loaded > 0 && resolve(null);
      closed.contentWindow.scoresOfModel(expected.models, { onProgress }).catch(reject);
    });
    closed.remove();
    const pages = [await page(), await page()];
    const both = await Promise.all(pages.map((one) => one.contentWindow.scoresOfModel(expected.models)));
    for (const one of pages) one.remove();
    const kept = await scoresOfModel(expected.models);
    for (const scores of [...both, kept]) near(scores, (await scoresOf(zeroShot, [FACE]))[0], 'scores');
    await cache.clear();
  },

  async 'goes on with a run that was interrupted'() {
    const part = clip.tune(tuning({ seed: 3 }));
    for await (const { step } of part) if (step === 2) part.stop();
    const resume = await part.checkpoint();
    const images = TESTS.map(({ image }) => image);
    const resumed = await clip.tune({ resume, examples: EXAMPLES }).finished;
    const whole = await clip.tune(tuning({ seed: 3 })).finished;
    same(await scoresOf(resumed, images), await scoresOf(whole, images), 'scores');
  },

  async 'ends, and says so to whoever waits'() {
    const waiting = [clip.tune(tuning({ epochs: 50 })).finished, zeroShot.classify(FACE)];
    await clip.dispose();
    for (const call of [...waiting, zeroShot.classify(FACE), clip.zeroShot(CLASSES), clip.tune(tuning()).finished])
      await rejectsWith('state', call, /disposed/);
    await zeroShot.dispose();
    same(clip.memoryBytes, 0, 'memoryBytes');
  },

  async 'tells once how to get threads, and nothing else'() {
    const told = printed.filter((line) => line.startsWith('mudpt'));
    same(told.length, crossOriginIsolated ? 0 : 1, 'lines');
    ok(
      told.every((line) => line.includes('Cross-Origin-Opener-Policy')),
      'the line does not say how',
    );
  },
};

/** What a model that is loaded anew says of one picture. @returns {Promise<number[]>} */
globalThis.scoresOfModel = async (model, options) => {
  const loaded = await loadClip(model, options);
  const [scores] = await scoresOf(await loaded.zeroShot(CLASSES), [FACE]);
  await loaded.dispose();
  return scores;
};
globalThis.cacheOfPage = cache;
/** How many of some JPEG files, or of elements that show them, a model measures; each has a picture of its own. */
globalThis.countMeasured = async (kind, count, width, height) => {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  const examples = [];
  for (let i = 0; i < count; i++) {
    context.fillStyle = `hsl(${i * 7} 60% 50%)`;
    context.fillRect(0, 0, width, height);
    context.fillStyle = 'white';
    context.fillRect(i * 9, i * 7, width / 3, height / 3);
    const file = await canvas.convertToBlob({ type: 'image/jpeg' });
    const image = kind === 'files' ? file : await loadedImage(URL.createObjectURL(file));
    examples.push({ image, label: i % CLASSES.length });
  }
  const loaded = await loadClip(MODEL, { threads: 1 });
  const result = await (await loaded.zeroShot(CLASSES)).evaluate(examples);
  await loaded.dispose();
  return result.count;
};
/** A classifier whose model and whose neighbour, the first one, are forgotten; what workers are told to free. */
globalThis.forgetful = async () => {
  const disposed = [];
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (message, ...more) {
    if (message.method === 'dispose') disposed.push(message.target);
    return postMessage.call(this, message, ...more);
  };
  const loaded = await loadClip(MODEL);
  await loaded.zeroShot(CLASSES);
  return { second: await loaded.zeroShot(CLASSES), disposed, first: -1, picture: FACE };
};
/** The losses of a run. @returns {Promise<number[]>} */
globalThis.lossesOfRun = async () => {
  const loaded = await loadClip(MODEL);
  const losses = [];
  for await (const { loss } of loaded.tune(tuning({ epochs: 10 }))) losses.push(loss);
  await loaded.dispose();
  return losses;
};
/** Where the model was loaded and what it says, what was printed meanwhile, and what else the policies forbade. */
globalThis.visit = async (options) => {
  printed.length = 0;
  const violations = [];
  document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => violations.push(effectiveDirective));
  const workers = [];
  const { Worker } = globalThis;
  globalThis.Worker = function (url, more) {
    workers.push(String(url));
    return new Worker(url, more);
  };
  try {
    const loaded = await loadClip(MODEL, options);
    const { threads } = loaded.info;
    const [scores] = await scoresOf(await loaded.zeroShot(CLASSES), [FACE]);
    await loaded.dispose();
    return { threads, scores, printed, violations, workers, error: '' };
  } catch (error) {
    return { printed, violations, workers, error: `${error.code}: ${error.message}` };
  } finally {
    globalThis.Worker = Worker;
  }
};
globalThis.caseNames = Object.keys(cases);
/** @param {string} name @returns {Promise<string>} what went wrong; '' if nothing */
globalThis.runCase = (name) =>
  cases[name]().then(
    () => '',
    (error) => `${error.message}\n${error.stack}`,
  );
