/** Pictures by their addresses, of other realms, from slow files; and what is no picture at all. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import vm from 'node:vm';

import { Stranger, summaryOf } from '../../js/base/kinds.js';
import { loadClip } from '../../js/index.js';
import { PICTURES, TINY_A, isError } from './models.js';

const CLASSES = ['cat', 'sail_boat', 'x'];

describe('pictures that have to be waited for', () => {
  const bytes = readFileSync(PICTURES[0]);
  /** What the server does for each address. @type {Record<string, (response: any, count: number) => void>} */
  const answers = {
    '/picture': (response) => response.end(bytes),
    '/busy': (response, count) =>
      count > 1 ? response.end(bytes) : response.writeHead(503, { 'retry-after': '1' }).end(),
    '/patient': (response) => response.writeHead(429, { 'retry-after': '3600' }).end(),
    '/until': (response) =>
      response.writeHead(503, { 'retry-after': new Date(Date.now() + 3600e3).toUTCString() }).end(),
    '/silent': () => {},
    '/stall': (response) => response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, 100)),
    '/cut': (response, count) => {
      if (count > 1) return response.end(bytes);
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 100), () => response.destroy());
    },
    '/large': (response) => response.writeHead(200, { 'content-length': 2 ** 31 }).write('a'),
    '/page': (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>'),
    '/login': (response) => response.writeHead(403).end(),
  };
  const asked = {};
  const server = createServer((request, response) => {
    const address = request.url ?? '';
    answers[address](response, (asked[address] = (asked[address] ?? 0) + 1));
  });
  let clip, classifier, expected, root;
  before(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    root = `http://127.0.0.1:${/** @type {any} */ (server.address()).port}`;
    clip = await loadClip(TINY_A, { threads: 1, timeout: 2000 });
    classifier = await clip.zeroShot(CLASSES);
    expected = await classifier.classify(PICTURES[0]);
  });
  after(async () => {
    await clip.dispose();
    server.closeAllConnections();
    server.close();
  });

  test('a busy server is asked again when it wants to be; what breaks off is fetched again', async () => {
    const start = performance.now();
    assert.deepEqual(await classifier.classify(`${root}/busy`), expected);
    assert.ok(performance.now() - start >= 990, 'it did not wait');
    assert.equal(asked['/busy'], 2);
    assert.deepEqual(await classifier.classify(`${root}/cut`), expected);
    assert.equal(asked['/cut'], 2);
  });

  test('what a server says is told', async () => {
    for (const [address, code, pattern] of [
      ['/patient', 'network', /429.*, and asks to come back in 3600 s/],
      ['/until', 'network', /503.*, and asks to come back in 3\d{3} s/],
      ['/large', 'image', /large is too large: at most 1073741824 bytes; shrink/],
      ['/page', 'image', /page is a web page \(HTML\); give the address of the picture in it/],
      ['/login', 'network', /403; it needs a login/],
    ]) {
      await assert.rejects(classifier.classify(root + address), isError(code, pattern));
      assert.equal(asked[address], 1, address);
    }
  });

  test('a server that is silent is waited for no longer than was asked, and not after an abort', async () => {
    for (const address of ['/silent', '/stall']) {
      await assert.rejects(classifier.classify(root + address), isError('network', /sent nothing for 2 s/));
      const controller = new AbortController();
      const waiting = classifier.classify(root + address, { signal: controller.signal });
      setTimeout(() => controller.abort(), 50);
      await assert.rejects(waiting, { name: 'AbortError' });
    }
    const forever = await loadClip(TINY_A, { threads: 1, timeout: Infinity });
    assert.deepEqual(await (await forever.zeroShot(CLASSES)).classify(`${root}/picture`), expected);
    await forever.dispose();
  });

  test('a file whose disk does not answer is waited for as long, and holds up nobody', async () => {
    const slow = new Blob([bytes]);
    slow.slice = () => Object.assign(new Blob(), { arrayBuffer: () => new Promise(() => {}) });
    const waiting = classifier.classify(slow);
    assert.deepEqual(await classifier.classify(new Blob([bytes])), expected);
    await assert.rejects(waiting, isError('image', /was not read within 2 s; copy it/));
    const signal = AbortSignal.timeout(50);
    await assert.rejects(classifier.classify(slow, { signal }), { name: 'TimeoutError' });
  });

  test('what another realm made is a picture as well, as where tests run in one', async () => {
    const copy = vm.runInNewContext('new Uint8Array(length)', { length: bytes.length });
    copy.set(bytes);
    assert.ok(!(copy instanceof Uint8Array));
    assert.deepEqual(await classifier.classify(copy), expected);
    assert.deepEqual(await classifier.classify(copy.buffer), expected);
    const file = await classifier.export();
    const theirs = vm.runInNewContext('new Uint8Array(length)', { length: file.length });
    theirs.set(file);
    assert.deepEqual(await (await clip.import(theirs.buffer)).classify(PICTURES[0]), expected);
  });

  test('half precision is read only of ImageData, and topK may be Infinity', async () => {
    const grey = { data: new Uint8Array(3).fill(128), width: 1, height: 1 };
    const half = { data: [0.5, 0.5, 0.5, 1], width: 1, height: 1 };
    Object.defineProperty(half.data, Symbol.toStringTag, { value: 'Float16Array' });
    await assert.rejects(classifier.classify(half), isError('image', /pixels as Float16Array; give 1, 3 or 4 bytes/));
    Object.defineProperty(half, Symbol.toStringTag, { value: 'ImageData' });
    assert.deepEqual(await classifier.classify(half), await classifier.classify(grey));
    assert.equal((await classifier.classify(grey, { topK: Infinity })).length, CLASSES.length);
    for (const topK of [0, -1, 1.5, NaN, -Infinity, '3', null]) {
      await assert.rejects(classifier.classify(grey, { topK }), isError('argument', /from 1, or Infinity/));
    }
  });

  test('a model, a file, a list or an option that was not waited for', async () => {
    const options = /** @type {any} */ ({ method: 'coop', classes: ['cat', 'dog'] });
    const INSTANT = /** @type {any} */ ({ preset: 'instant', classes: ['cat', 'dog'] });
    const examples = [0, 1].map((label) => ({ image: PICTURES[label], label }));
    const instant = await clip.tune({ ...INSTANT, examples }).finished;
    for (const [call, what] of /** @type {[(later: any) => Promise<any>, string][]} */ ([
      [(later) => loadClip(later), 'what to load'],
      [(later) => loadClip(/** @type {any} */ (new Stranger(summaryOf(later)))), 'what to load'], // as a worker gets it
      [(later) => clip.import(later), 'the classifier file'],
      [(later) => clip.importIndex(later, { name: 'my index' }), 'my index'],
      [(later) => clip.importOfficial(later, options), 'what to load'],
      [(later) => clip.zeroShot(later), 'classes'],
      [(later) => loadClip(TINY_A, later), 'options'],
      [(later) => clip.plan(later), 'options'],
      [(later) => clip.plan({ classes: later }), 'classes'],
      [(later) => clip.tune(later).finished, 'options'],
      [(later) => clip.tune({ ...options, classes: later, examples: [] }).finished, 'classes'],
      [(later) => clip.tune({ ...options, examples: later }).finished, 'examples'],
      [(later) => clip.tune({ ...options, examples: [], epochs: later }).finished, 'epochs'],
      [(later) => clip.tune({ ...INSTANT, classes: later, examples: [] }).finished, 'classes'],
      [(later) => clip.tune({ ...INSTANT, examples: later }).finished, 'examples'],
      [(later) => clip.embedImages(later), 'pictures'],
      [(later) => clip.embedTexts(later), 'texts'],
      [(later) => clip.index(later), 'pictures'],
      [(later) => classifier.classify(PICTURES[0], later), 'options'],
      [(later) => classifier.evaluate(later), 'examples'],
      [(later) => classifier.withClasses(later), 'classes'],
      [(later) => classifier.suggest(later, 1), 'pictures'],
      [(later) => classifier.audit(later), 'examples'],
      [(later) => instant.suggest(later), 'pictures'],
    ]))
      await assert.rejects(
        call(Promise.resolve(bytes)),
        isError('argument', new RegExp(`^${what} is a Promise; await it$`)),
      );
  });

  test('options that are none, and a controller in place of its signal', async () => {
    const signal = /** @type {any} */ (new AbortController());
    const [image, label] = [PICTURES[0], 'cat'];
    const run = { classes: ['cat', 'dog'], examples: [{ image, label }] };
    for (const call of /** @type {((options: any) => Promise<any>)[]} */ ([
      (options) => loadClip(TINY_A, options),
      (options) => clip.zeroShot(['cat', 'dog'], options),
      (options) => clip.embedImages([image], options),
      (options) => classifier.classify(image, options),
      (options) => classifier.evaluate([{ image, label: 0 }], options),
      (options) => classifier.suggest([image], 1, options),
    ])) {
      for (const none of [3, 'fast', null, () => ({}), [], [3]])
        await assert.rejects(call(none), isError('argument', /^options must be an object$/));
      await assert.rejects(call({ signal }), isError('argument', /^signal is no AbortSignal, as a controller's/));
    }
    for (const more of [{}, { head: 'auto' }, { preset: 'instant' }, { budget: 100 }]) {
      const job = clip.tune({ ...run, ...more, signal });
      await assert.rejects(job.finished, isError('argument', /^signal is no AbortSignal, as/), JSON.stringify(more));
    }
    await assert.rejects(clip.plan(/** @type {any} */ (3)), isError('argument', /^options must be an object$/));
  });

  test('what is no picture is called what it is', async () => {
    const table = [
      [undefined, /^the picture is no picture: it is undefined; give a path, a URL/],
      [null, /it is null; /],
      [3, /it is 3; /],
      [Promise.resolve(PICTURES[0]), /it is a Promise; await it$/],
      [() => PICTURES[0], /it is a function; call it/],
      [new Response(bytes), /it is a Response; give what its blob\(\) gives, awaited/],
      [new Event('change'), /it is an Event; .*event\.target\.files\[0\]/],
      [{ current: null }, /it is a ref; give its current/],
      [{ image: PICTURES[0], label: 0 }, /it is an example; give its image/],
      [{ src: '/a.png', width: 1, height: 1 }, /give its src/],
      [JSON.parse(JSON.stringify(bytes)), /it is bytes as JSON; give Uint8Array\.from/],
      [new (class Photo {})(), /it is a Photo; /],
      [new Float32Array(3), /it is a Float32Array; give a file's bytes as a Uint8Array/],
      [{ data: new Float32Array(3), width: 1, height: 1 }, /it is pixels as Float32Array; give 1, 3 or 4 bytes/],
      [{ data: new Uint8Array(3), width: 0, height: 1 }, /it is pixels of 0 x 1; /],
      ['', /^the picture is an empty text/],
      ['  ', /is an empty text/],
      [bytes.toString('base64'), /is base64 .*; put data:image\/png;base64, in front of it/],
      ['[object Promise]', /is the text "\[object Promise\]"; give the thing/],
      ['undefined', /is the text "undefined"/],
      ['http://', /is no address: http:\/\/; for instance/],
    ];
    for (const [image, pattern] of table) {
      await assert.rejects(classifier.classify(image), isError('image', pattern));
      await assert.rejects(classifier.attention(image), isError('image', pattern));
    }
    // Lists have answers of their own, but no attention.
    for (const [list, pattern] of /** @type {const} */ ([
      [[PICTURES[0]], /it is an Array; give its pictures one at a time/],
      [new Set([PICTURES[0]]), /it is a Set; /],
      [new String(PICTURES[0]), /it is a String; give the text itself/],
    ]))
      await assert.rejects(classifier.attention(list), isError('image', pattern));
    await assert.rejects(classifier.classify(new String('a')), isError('image', /it is a String/));
    const examples = [PICTURES[0], Promise.resolve()].map((image) => ({ image, label: 0 }));
    await assert.rejects(
      classifier.evaluate(examples),
      isError('image', /^the picture of example 1 is no picture: it is a Promise; await it$/),
    );
  });
});
