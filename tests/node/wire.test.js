/** What a page sees of the objects in its worker is all that they have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Classifier } from '../../js/classifier/classifier.js';
import { Clip } from '../../js/clip.js';
import { Connection } from '../../js/worker/connection.js';
import { MudptError } from '../../js/base/errors.js';
import { RemoteClip, RemoteTuneJob } from '../../js/worker/remote.js';
import { TuneJob } from '../../js/training/tune.js';
import { MEMBERS, NOTE, packError, unpackError } from '../../js/worker/wire.js';

const membersOf = ({ prototype }) => Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor');

test('every member of Clip, Classifier and TuneJob is there in a page', () => {
  const clip = [...MEMBERS.Clip.methods, ...membersOf(RemoteClip)];
  assert.deepEqual(membersOf(Clip).sort(), clip.sort());
  const { values, methods } = MEMBERS.Classifier;
  assert.deepEqual(membersOf(Classifier).sort(), [...values, ...methods].sort());
  assert.deepEqual(membersOf(TuneJob).sort(), membersOf(RemoteTuneJob).sort());
});

test('a classifier that comes when its call is aborted already is disposed of', async () => {
  const told = {};
  const sent = [];
  const worker = {
    addEventListener: (type, listener) => (told[type] = listener),
    postMessage: (message) => sent.push(message),
    terminate() {},
  };
  const connection = new Connection(() => /** @type {any} */ (worker), false);
  const controller = new AbortController();
  const { number, answer } = connection.call(0, 'zeroShot', [controller.signal]);
  await new Promise(setImmediate);
  controller.abort();
  await assert.rejects(answer, { name: 'AbortError' });
  const classifier = { type: 'Classifier', number: -1, values: {} };
  told.message({ data: { call: number, result: classifier, memoryBytes: 1 } });
  await new Promise(setImmediate);
  assert.deepEqual(sent.at(-1), { call: number + 1, target: -1, method: 'dispose', args: [] });
});

test('errors come over the wire as what they are', () => {
  const sent = (error) => unpackError(structuredClone(packError(error)));
  const error = sent(new MudptError('image', 'x.png is no picture', 'give a picture'));
  assert.ok(error instanceof MudptError);
  assert.deepEqual(
    [error.code, error.message, error.hint],
    ['image', 'x.png is no picture; give a picture', 'give a picture'],
  );
  assert.equal(error.named('a.png').message, 'a.png: x.png is no picture; give a picture');
  assert.equal(sent(AbortSignal.abort().reason).name, 'AbortError');
  assert.equal(sent(new TypeError('x is undefined')).name, 'TypeError');
  const deep = new MudptError('network', 'a', 'b', {
    cause: new TypeError('c', { cause: AbortSignal.abort().reason }),
  });
  const { cause } = sent(deep);
  assert.ok(cause instanceof TypeError && cause.message === 'c' && cause.stack?.includes('wire.test.js'));
  assert.ok(cause.cause instanceof DOMException && cause.cause.name === 'AbortError');
  assert.equal(sent(new MudptError('file', 'a', '', { cause: 'words' })).cause, 'words');
  assert.ok(!('cause' in sent(new Error('without'))));
  const circle = new Error('round');
  circle.cause = circle;
  assert.equal(sent(circle).cause.message, 'round');
});

/** A connection to nobody: what was posted, and a way to answer. */
function unanswered() {
  const told = {};
  const posted = [];
  const worker = {
    addEventListener: (type, listener) => (told[type] = listener),
    postMessage: (message) => posted.push(message),
    terminate() {},
  };
  return { posted, told, connection: new Connection(() => /** @type {any} */ (worker), false, 50) };
}

test('a worker that lacks what a model needs is replaced by one that has everything, which loads it', async () => {
  const made = [];
  const told = [];
  const posted = [];
  const start = (whole) => {
    made.push(whole);
    const at = made.length - 1;
    told[at] = {};
    posted[at] = [];
    return /** @type {any} */ ({
      addEventListener: (type, listener) => (told[at][type] = listener),
      postMessage: (message) => posted[at].push(message),
      terminate() {},
    });
  };
  const connection = new Connection(start, false);
  const { number, answer } = connection.call(0, 'load', ['model/', {}]);
  told[0].message({ data: { more: true, memoryBytes: 1 } });
  assert.deepEqual(made, [false, true]);
  assert.deepEqual(posted[1], posted[0]);
  told[0].message({ data: { call: number, result: 'of the worker that has ended' } });
  told[1].message({ data: { call: number, result: 'loaded', memoryBytes: 1 } });
  assert.equal(await answer, 'loaded');
});

test('calls are sent as they are made; only what waits for a drop is sent later', async () => {
  const { posted, connection } = unanswered();
  const drop = { [Symbol.toStringTag]: 'DataTransfer', items: [], files: [new Blob(['a'])] };
  for (const args of [[drop], [1], [new URL('http://a/')]]) connection.call(0, 'a', args).answer.catch(() => {});
  assert.deepEqual(
    posted.map(({ args }) => args),
    [[1], ['http://a/']],
  );
  await new Promise(setImmediate);
  assert.deepEqual(posted.at(-1).call, 1);
});

test('an element is read when it is wanted, for as long as its call goes on', async () => {
  const { posted, told, connection } = unanswered();
  const image = { [Symbol.toStringTag]: 'HTMLImageElement', ownerDocument: { defaultView: {} }, complete: false };
  Object.assign(image, { addEventListener() {}, getAttribute: () => 'a.png' });
  const { number, answer } = connection.call(0, 'evaluate', [[{ image }, { image }]]);
  const [{ args }] = posted.splice(0);
  assert.deepEqual(args, [
    [
      { image: { [NOTE]: 'picture', picture: 0, keep: false } },
      { image: { [NOTE]: 'picture', picture: 1, keep: false } },
    ],
  ]);
  told.message({ data: { call: number, want: 1, memoryBytes: 1 } });
  while (!posted.length) await new Promise((resolve) => setTimeout(resolve, 10));
  const [{ call, picture, error }] = posted.splice(0);
  assert.deepEqual([call, picture], [number, 1]);
  assert.match(unpackError(error).message, /^has not loaded within 0\.05 s; /);
  told.message({ data: { call: number, want: 0, memoryBytes: 1 } });
  told.message({ data: { call: number, result: 7, memoryBytes: 1 } });
  assert.equal(await answer, 7);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(posted, [], 'somebody was answered who no longer asks');
});
