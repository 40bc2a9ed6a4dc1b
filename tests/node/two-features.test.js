/** MMRL's second feature of pictures: of trained classes alone, in saved classifiers, and what a file may say of it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { loadClip } from '../../js/index.js';
import { headerOf, writeSafetensors } from '../../js/loading/safetensors.js';
import { withOtherClasses } from '../../js/protocol/other-classes.js';
import { PICTURES, TINY_A, isError, scores } from './models.js';

const CLASSES = ['cat', 'sail_boat', 'x'];
const EXAMPLES = PICTURES.slice(0, 6).map((image, i) => ({ image, label: i % 3 }));
const SHORT = { classes: CLASSES, examples: EXAMPLES, epochs: 2, batchSize: 2, learningRate: 0.01 };

let clip;
before(async () => (clip = await loadClip(TINY_A, { threads: 1 })));
after(() => clip.dispose());

const metadataOf = (bytes) => headerOf(bytes, 'it').metadata;

/** A file with other metadata. */
function edited(bytes, metadata) {
  const { tensors } = headerOf(bytes, 'it');
  return writeSafetensors(
    tensors.map(({ name, dtype, shape, begin, bytes: count }) => {
      return { name, dtype, shape, data: bytes.slice(begin, begin + count) };
    }),
    metadata,
  );
}

test('MMRL: classes that are added, and other classes, have the first feature’s scores alone', async () => {
  const settings = { method: 'mmrl', space: 16, alpha: 0.4 };
  const tuned = await clip.tune({ ...SHORT, ...settings }).finished;
  const more = await tuned.withClasses(['dog', 'boat']);
  assert.equal(metadataOf(await more.export()).alone, '2');
  const again = await clip.import(await more.export());
  assert.deepEqual(await scores(again), await scores(more));
  const logits = async (classifier) => {
    const shares = await classifier.classify(PICTURES[0], { topK: Infinity });
    const of = Object.fromEntries(shares.map(({ label, score }) => [label, Math.log(score)]));
    return (a, b) => of[a] - of[b];
  };
  // Of the trained ones nothing changes; of others alone it is as with alpha 1.
  assert.ok(Math.abs((await logits(tuned))('cat', 'x') - (await logits(more))('cat', 'x')) < 1e-4);
  const others = await withOtherClasses(clip, tuned, ['dog', 'cat', 'boat']);
  const metadata = metadataOf(await others.export());
  assert.equal(metadata.alone, '3');
  const hyper = JSON.stringify({ ...JSON.parse(metadata.hyper_parameters), alpha: 1 });
  const { alone: _, ...rest } = metadata;
  const first = await clip.import(edited(await others.export(), { ...rest, hyper_parameters: hyper }));
  for (const [a, b] of ['dog cat', 'cat boat'].map((pair) => pair.split(' ')))
    assert.ok(Math.abs((await logits(others))(a, b) - (await logits(first))(a, b)) < 1e-4, `${a}, ${b}`);
  assert.ok(Math.abs((await logits(others))('dog', 'boat') - (await logits(more))('dog', 'boat')) < 1e-4);
  const same = await withOtherClasses(clip, more, ['x', 'cat']);
  assert.equal(metadataOf(await same.export()).alone, undefined);
  assert.ok(Math.abs((await logits(same))('cat', 'x') - (await logits(tuned))('cat', 'x')) < 1e-4);
  for (const [change, message] of [
    [{ alone: '6' }, /has 6 untrained classes/],
    [
      { hyper_parameters: JSON.stringify({ ...JSON.parse(metadata.hyper_parameters), alpha: 7 }) },
      /second is -6 with vpt; expected 0 to 1/,
    ],
    [{ hyper_parameters: JSON.stringify({ ...JSON.parse(metadata.hyper_parameters), fromLayer: 9 }) }, /enter layer 8/],
  ])
    await assert.rejects(
      clip.import(edited(await others.export(), { ...metadata, ...change })),
      isError('classifier', message),
    );
});
