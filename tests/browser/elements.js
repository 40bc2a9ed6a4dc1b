/** Cases of the browser tests (suite.js): pictures as pages have them, what waits, and what is no picture at all. */
import { loadClip } from '/js/index.js';
import { ok, rejection, rejectsWith, same } from './checks.js';
import { CLASSES, EXAMPLES, FACE, MODEL, TUNING, scoresOf } from './task.js';

const FORMATS = '/tests/data/formats/';
const NEVER = '/never.png'; // begins, and never ends
const SVG = 'http://www.w3.org/2000/svg';
/** WebKit converts an image's colours, and has lost hidden ones, whatever it is asked for. */
const isWebKit = !/Chrome|Firefox/.test(navigator.userAgent);

function drawing(attributes) {
  const text = `<svg xmlns="${SVG}" ${attributes}><rect width="9" height="9" fill="red"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(text)}`;
}

/** An element that need not have loaded. */
const imageOf = (src, more = {}) => Object.assign(new Image(), more, { src });

/** Elements that wait; each keeps one of the few connections that a browser has to a server. */
const waiters = [];
function never(tag = 'img', more = {}) {
  const element = Object.assign(document.createElement(tag), more, { src: tag === 'img' ? NEVER : '/never.mp4' });
  waiters.push(element);
  return element;
}
function letGo() {
  for (const element of waiters.splice(0)) {
    element.removeAttribute('src');
    element.load?.();
  }
}

/** Loaded, and not decoded: the browser would keep that. */
export async function loadedImage(src) {
  const image = imageOf(src);
  await new Promise((resolve) => ['load', 'error'].forEach((type) => image.addEventListener(type, resolve)));
  return image;
}

const bytesOf = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());

/** Another realm. */
function frame() {
  const element = document.createElement('iframe');
  document.body.append(element);
  return element;
}

/** Rejections of pictures: what is given, and what must be said. */
async function refused(classifier, table) {
  for (const [what, image, pattern, code = 'image'] of table) {
    try {
      await rejectsWith(code, classifier.classify(image), pattern);
    } catch (error) {
      throw new Error(`${what}: ${error.message}`);
    }
  }
}

/**
 * @param {{ model: () => any, classifier: () => any }} loaded what earlier cases have made
 * @returns {Record<string, () => Promise<void>>}
 */
export const elementCases = ({ model, classifier }) => ({
  async 'no call waits for the pictures of another'() {
    const zeroShot = classifier();
    const [scores] = await scoresOf(zeroShot, [FACE]);
    const controller = new AbortController();
    const { signal } = controller;
    const examples = EXAMPLES.map((example, i) => (i ? example : { ...example, image: never() }));
    const waiting = [
      zeroShot.classify(never(), { signal }),
      zeroShot.classify(never('video'), { signal }),
      zeroShot.attention(never(), { signal }),
      zeroShot.classify(new URL(NEVER, location.href), { signal }),
      zeroShot.evaluate(examples, { signal }),
      model().tune({ ...TUNING, examples, signal }).finished,
    ];
    let settled = 0;
    for (const call of waiting) call.then(() => settled++).catch(() => settled++);
    same((await scoresOf(zeroShot, [FACE]))[0], scores, 'scores beside them');
    same((await model().zeroShot(CLASSES)).classes, CLASSES, 'another call');
    same(settled, 0, 'calls that did not wait');
    controller.abort();
    for (const [i, call] of waiting.entries()) same((await rejection(call, `${i}`)).name, 'AbortError', `call ${i}`);
    letGo();
    same((await scoresOf(zeroShot, [FACE]))[0], scores, 'scores afterwards');
  },

  async 'waiting ends with a limit'() {
    for (const worker of [true, false]) {
      const impatient = await loadClip(MODEL, { timeout: 300, worker });
      const zeroShot = await impatient.zeroShot(CLASSES);
      await refused(zeroShot, [
        ['an image', never(), /has not loaded within 0\.3 s/],
        [
          'a video',
          Object.assign(document.createElement('video'), { src: NEVER }),
          /no picture within|cannot be played/,
        ],
        ['a video that waits', never('video', { preload: 'none' }), /no picture within|cannot be played/],
        ['an address', NEVER, /sent nothing for 0\.3 s/, 'network'],
      ]);
      letGo();
      const image = never();
      const examples = EXAMPLES.map((example) => ({ ...example, image }));
      await rejectsWith('image', impatient.tune({ ...TUNING, examples }).finished, /example \d+: has not loaded/);
      await rejectsWith('image', zeroShot.evaluate(examples), /example 0: has not loaded/);
      letGo();
      same((await zeroShot.classify(FACE, { topK: 1 })).length, 1, 'afterwards');
      await impatient.dispose();
    }
  },

  async 'what is lazy, hidden or in no page is made to load'() {
    const [scores] = await scoresOf(classifier(), [FACE]);
    const box = document.createElement('div');
    box.style.marginTop = '30000px';
    document.body.append(box);
    const lazy = (name) => imageOf(`${FACE}?${name}`, { loading: 'lazy' });
    const below = lazy('below');
    const hidden = lazy('hidden');
    box.append(below, Object.assign(document.createElement('div'), { hidden: true }));
    box.lastElementChild.append(hidden);
    const picture = document.createElement('picture');
    picture.innerHTML = `<source srcset="${FACE}?source" /><img loading="lazy" src="/nowhere.png" alt="" />`;
    box.append(picture);
    const template = document.createElement('template');
    template.innerHTML = `<img src="${FACE}?template" alt="" />`;
    const svg = document.createElementNS(SVG, 'svg');
    const inSvg = document.createElementNS(SVG, 'image');
    inSvg.setAttribute('href', `${FACE}?svg`);
    svg.append(inSvg);
    box.append(svg);
    const kinds = {
      'below the fold': below,
      hidden,
      'in no page': lazy('alone'),
      srcset: imageOf('', { srcset: `${FACE}?set 1x` }),
      picture,
      'its img': picture.querySelector('img'),
      template: template.content.firstChild,
      parsed: new DOMParser().parseFromString(`<img src="${FACE}?parsed">`, 'text/html').images[0],
      'in an SVG': inSvg,
    };
    for (const [kind, image] of Object.entries(kinds)) same((await scoresOf(classifier(), [image]))[0], scores, kind);
    const examples = [lazy('a'), lazy('b'), FACE].map((image) => ({ image, label: 0 }));
    same((await classifier().evaluate(examples)).count, 3, 'measured');
    box.remove();
  },

  async 'an image is drawn when its turn comes, a canvas when it is given'() {
    const { createImageBitmap } = globalThis;
    let drawn = 0;
    globalThis.createImageBitmap = (...args) => (drawn++, createImageBitmap(...args));
    try {
      const image = await loadedImage(FACE);
      const examples = Array.from({ length: 40 }, (_, i) => ({ image, label: i % CLASSES.length }));
      let most = 0;
      const onProgress = ({ done }) => (most = Math.max(most, drawn - done));
      const { count } = await classifier().evaluate(examples, { onProgress });
      same([count, drawn], [40, 40], 'pictures');
      ok(most <= 2, `${most} pictures were drawn before their turn`);
      drawn = 0;
      const some = EXAMPLES.map((example) => ({ ...example, image }));
      await model().tune({ ...TUNING, shots: 2, epochs: 1, examples: some }).finished;
      same(drawn, 2 * CLASSES.length, 'pictures of a run');
    } finally {
      globalThis.createImageBitmap = createImageBitmap;
    }
    const canvas = new OffscreenCanvas(64, 64);
    const context = canvas.getContext('2d');
    const paint = (colour) => {
      context.fillStyle = colour;
      context.fillRect(0, 0, 64, 64);
    };
    const measured = async (images) => (await classifier().evaluate(images.map((image) => ({ image, label: 0 })))).ece;
    paint('red');
    const red = new ImageData(context.getImageData(0, 0, 64, 64).data, 64, 64);
    const expected = await measured([red, red]);
    const given = measured([canvas, canvas]);
    paint('blue');
    same(await given, expected, 'canvases that changed afterwards');
    const other = await loadedImage(FACE);
    const changed = classifier().evaluate([FACE, other].map((image) => ({ image, label: 0 })));
    const two = classifier().evaluate([other, other].map((image) => ({ image, label: 0 })));
    other.src = `${FORMATS}swatches.png`;
    same((await changed).count, 2, 'one element, drawn at once');
    await rejectsWith('image', two, /example 0: shows another picture than when it was given/);
  },

  async 'a classifier that is disposed of answers what it was asked before'() {
    const zeroShot = await model().zeroShot(CLASSES);
    const [{ score }] = await zeroShot.classify(FACE);
    const canvas = document.createElement('canvas');
    canvas.getContext('2d').drawImage(await loadedImage(FACE), 0, 0);
    const asked = [zeroShot.classify(await loadedImage(FACE)), zeroShot.classify(imageOf(`${FACE}?late`))];
    await zeroShot.dispose();
    await rejectsWith('state', zeroShot.classify(FACE), /disposed/);
    for (const answer of asked) same((await answer)[0].score, score, 'score');
  },

  async 'says what is wrong with an element'() {
    const bitmap = await createImageBitmap(new ImageData(2, 2));
    bitmap.close();
    const canvas = (width, height) => Object.assign(document.createElement('canvas'), { width, height });
    const moved = new OffscreenCanvas(5, 5);
    new MessageChannel().port1.postMessage(moved, [moved]);
    const table = [
      ['no src', new Image(), /has no address; set its src/],
      ['an empty src', imageOf(''), /has no address/],
      ['not there', imageOf('/nowhere.png'), /not there, is damaged, or no picture/],
      ['damaged', imageOf('data:image/png;base64,iVBORw0KGgoAAAA'), /not there, is damaged, or no picture/],
      ['a page', imageOf('/'), /not there, is damaged, or no picture/],
      ['a broken <image>', document.createElementNS(SVG, 'image'), /has no address/],
      ['an empty <picture>', document.createElement('picture'), /without an <img>/],
      ['no width', canvas(0, 9), /canvas of 0 x 9 pixels; give it a size/],
      ['no height', canvas(9, 0), /canvas of 9 x 0 pixels/],
      ['an OffscreenCanvas without a size', new OffscreenCanvas(0, 0), /canvas of 0 x 0 pixels/],
      ['an OffscreenCanvas that was moved', moved, /canvas of 0 x 0 pixels; .*do not transfer/],
      ['a closed bitmap', bitmap, /has been closed, or moved elsewhere/],
      ['a video without src', document.createElement('video'), /video without an address/],
      [
        'a video that is none',
        Object.assign(document.createElement('video'), { src: '/nowhere.mp4' }),
        /cannot be played/,
      ],
    ];
    if (typeof VideoFrame === 'function') {
      const source = await createImageBitmap(new ImageData(4, 4));
      const video = new VideoFrame(source, { timestamp: 0 });
      video.close();
      table.push(['a closed frame', video, /has been closed/]);
    }
    // Other engines draw such an SVG in a size of their own.
    if (/Chrome/.test(navigator.userAgent)) {
      table.push([
        'an SVG without a size',
        imageOf(drawing('viewBox="0 0 9 9"')),
        /SVG without a size; .*width and a height/,
      ]);
    }
    await refused(classifier(), table);
    for (const [, image] of table)
      ok(!/crossorigin/.test((await rejection(classifier().classify(image), '')).message), 'hint');
    same((await classifier().classify(imageOf(drawing('width="9" height="9"')))).length, 3, 'an SVG');
  },

  async 'takes what belongs to another frame'() {
    const element = frame();
    const other = /** @type {any} */ (element.contentWindow);
    const bytes = await bytesOf(FACE);
    const [scores] = await scoresOf(classifier(), [FACE]);
    const image = await loadedImage(FACE);
    const canvas = other.document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const theirs = other.document.createElement('img');
    theirs.src = new URL(FACE, location.href).href;
    const copy = new other.Uint8Array(bytes.length);
    copy.set(bytes);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    const kinds = {
      canvas,
      img: theirs,
      ImageData: pixels,
      'pixels in an object': Object.assign(
        new other.Object(),
        { data: pixels.data, width: 0, height: 0 },
        pixelsOf(pixels),
      ),
      Blob: new other.Blob([bytes]),
      File: new other.File([bytes], 'face.png'),
      URL: new other.URL(FACE, location.href),
      Uint8Array: copy,
      ArrayBuffer: copy.buffer,
      ImageBitmap: await other.createImageBitmap(canvas),
      OffscreenCanvas: offscreenOf(other, image),
    };
    for (const worker of [true, false]) {
      const loaded = worker ? model() : await loadClip(MODEL, { worker });
      const zeroShot = worker ? classifier() : await loaded.zeroShot(CLASSES);
      for (const [kind, value] of Object.entries(kinds))
        same((await scoresOf(zeroShot, [value]))[0], scores, `${kind} ${worker}`);
      const controller = new other.AbortController();
      const waiting = zeroShot.classify(never(), { signal: controller.signal });
      controller.abort();
      letGo();
      same((await rejection(waiting, 'their signal')).name, 'AbortError', 'their signal');
      const examples = other.Array.from(EXAMPLES, (example) => Object.assign(new other.Object(), example));
      same((await zeroShot.evaluate(examples)).count, EXAMPLES.length, 'their examples');
      if (!worker) await loaded.dispose();
    }
    const file = await classifier().export();
    const saved = new other.Uint8Array(file.length);
    saved.set(file);
    same((await model().import(saved.buffer)).classes, CLASSES, 'their file');
    element.remove();
  },

  async 'says what is no picture, and what to give instead'() {
    const input = Object.assign(document.createElement('input'), { type: 'file' });
    const canvas = document.createElement('canvas');
    const base64 = canvas.toDataURL('image/png').split(',')[1];
    const table = [
      ['undefined', undefined, /it is undefined/],
      ['null', null, /it is null/],
      ['a number', 7, /it is 7/],
      ['a Promise', Promise.resolve(new Blob()), /is a Promise; await it/],
      ['a function', () => canvas, /is a function; call it/],
      ['a FileList in a list', [input.files], /is a FileList; give one of its files/],
      ['a NodeList', [document.querySelectorAll('canvas')], /is a NodeList; give its pictures one at a time/],
      ['an HTMLCollection', [document.images], /is an HTMLCollection; give/],
      [
        'an array in a list',
        [[new Blob()]],
        /^picture 0 is no picture: it is an Array; give its pictures one at a time/,
      ],
      ['an empty array in a list', [[]], /is an Array/],
      ['a Response', await fetch(FACE), /is a Response; .*blob\(\)/],
      ['a stream', new Blob(['a']).stream(), /is a ReadableStream/],
      ['an event', new Event('change'), /is an Event; .*event\.target\.files\[0\]/],
      ['an input', input, /is an HTMLInputElement; .*input\.files\[0\]/],
      ['an element', document.createElement('div'), /is an HTMLDivElement; give an <img>/],
      ['an svg', document.createElementNS(SVG, 'svg'), /is an SVGSVGElement; show it in an <img>/],
      ['a context', canvas.getContext('2d'), /is a CanvasRenderingContext2D; give its canvas/],
      ['a ref', { current: canvas }, /is a ref; give its current/],
      ['an example', EXAMPLES[0], /is an example; give its image/],
      ['an import', { src: FACE, width: 2, height: 2 }, /give its src/],
      ['floats', { data: new Float32Array(3), width: 1, height: 1 }, /pixels as Float32Array; .*bytes/],
      ['no size', { data: new Uint8Array(3), width: 0, height: 1 }, /pixels of 0 x 1/],
      ['words of 16 bits', new Uint16Array(4), /is a Uint16Array/],
      ['base64', base64, /base64 .*data:image\/png;base64,/],
      ['an empty text', '', /is an empty text/],
      ['the text of a thing', String(new Blob()), /is the text "\[object Blob\]"/],
      ['a path', 'C:\\fakepath\\picture.jpg', /is a path, which pages cannot read/],
      ["a file's address", 'file:///home/me/picture.jpg', /is a path, which pages cannot read/],
      ['no address', 'http://', /is no address: http:\/\//],
      ['a web page', '/', /is a web page \(HTML\)/],
    ];
    await refused(classifier(), table);
    const direct = await loadClip(MODEL, { worker: false });
    await refused(
      await direct.zeroShot(CLASSES),
      table.filter(([what]) => what !== 'a Response'),
    );
    await direct.dispose();
    const circle = { image: FACE };
    Object.assign(circle, { circle });
    await rejectsWith('argument', classifier().classify(circle), /contains itself/);
  },

  async 'colours are as in the file, alpha is dropped, also where the browser decodes'() {
    const at = (name) => `${FORMATS}swatches${name}`;
    const [plain] = await scoresOf(classifier(), [at('.png')]);
    const scores = async (image) => (await scoresOf(classifier(), [image]))[0];
    const equal = async (image) => JSON.stringify(await scores(image)) === JSON.stringify(plain);
    ok(await equal(at('-profile.png')), 'a profile, the library');
    same(await equal(await loadedImage(at('-profile.png'))), !isWebKit, 'a profile, <img>');
    same(await equal(at('-hidden.webp')), !isWebKit, 'hidden colours, WebP');
    same(await equal(await loadedImage(at('-hidden.webp'))), !isWebKit, 'hidden colours, <img>');
    const direct = await loadClip(MODEL, { upright: true });
    const upright = await direct.zeroShot(CLASSES);
    const [turned] = await scoresOf(upright, [at('-turned.jpg')]);
    const asShown = await scores(await loadedImage(at('-turned.jpg')));
    asShown.forEach((score, i) => ok(Math.abs(score - turned[i]) < 0.02, `${asShown} are not ${turned}`));
    await direct.dispose();
    const half = typeof Float16Array === 'function' && halfPrecision();
    if (half) {
      const bytes = { data: Uint8ClampedArray.from(half.data, (value) => 255 * value), width: 4, height: 4 };
      same(await scores(half), await scores(bytes), 'half precision');
    }
    const large = new OffscreenCanvas(3000, 700); // more than one strip
    large.getContext('2d').drawImage(await loadedImage(FACE), 0, 0, 3000, 700);
    const pixels = large.getContext('2d').getImageData(0, 0, 3000, 700);
    same(await scores(large), await scores(pixels), 'a large canvas');
  },

  async 'a cause comes over the wire, and topK may be Infinity'() {
    const error = await rejection(classifier().classify('http://127.0.0.1:9/a.png'), 'an address');
    ok(error.cause instanceof Error && error.cause.message, `the cause is ${error.cause}`);
    const broken = await rejection(classifier().classify(imageOf('/nowhere.png')), 'an image');
    ok(broken.cause.cause instanceof DOMException, `the cause of an element's is ${broken.cause?.cause}`);
    same((await classifier().classify(FACE, { topK: Infinity })).length, CLASSES.length, 'classes');
    await rejectsWith('argument', classifier().classify(FACE, { topK: 0.5 }), /topK is 0\.5/).catch((found) =>
      ok(/has no hint/.test(found.message), found.message),
    );
  },
});

const pixelsOf = ({ width, height }) => ({ width, height });

function offscreenOf(other, image) {
  const canvas = new other.OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  canvas.getContext('2d').drawImage(image, 0, 0);
  return canvas;
}

/** ImageData of half precision, where the platform has it. */
function halfPrecision() {
  let image;
  try {
    image = new ImageData(4, 4, /** @type {any} */ ({ pixelFormat: 'rgba-float16' }));
  } catch {
    return null;
  }
  if (!(image.data instanceof Float16Array)) return null;
  image.data.forEach((_, i) => (image.data[i] = i % 4 === 3 ? 1 : i / 80));
  return image;
}
