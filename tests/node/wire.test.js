/** What a page sees of the objects in its worker is all that they have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Classifier } from '../../js/classifier.js';
import { Clip } from '../../js/clip.js';
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
