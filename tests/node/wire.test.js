/** What a page sees of the objects in its worker is all that they have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Classifier } from '../../js/classifier.js';
import { Clip } from '../../js/clip.js';
import { Connection } from '../../js/connection.js';
import { MudptError } from '../../js/errors.js';
import { RemoteClip, RemoteTuneJob } from '../../js/remote.js';
import { TuneJob } from '../../js/tune.js';
import { MEMBERS, packError, unpackError } from '../../js/wire.js';

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
  const connection = new Connection(() => /** @type {any} */ (worker));
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
});
