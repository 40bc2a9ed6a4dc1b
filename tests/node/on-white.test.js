/**
 * convention: 'transformers' lays on white what is transparent in a picture, to the bit of Pillow's alpha_composite, as
 * transformers 5 does; otherwise alpha is dropped.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';

import { createCore } from '../../js/core/core.js';
import { loadClip } from '../../js/index.js';
import { ON_WHITE, decodeImage } from '../../js/pictures/images.js';
import { TINY_A } from './models.js';

/** Files of every kind of transparency, and what transformers makes of them. */
const { files: FILES } = JSON.parse(readFileSync(new URL('../data/on-white.json', import.meta.url), 'utf8'));

const core = await createCore({ threads: 1 });

/** Values of a picture, decoded that way. */
async function valuesOf(picture, how) {
  const handle = await decodeImage(core, { name: 'it', ...picture }, how);
  const { module } = core.memory;
  const count = 3 * module._mudpt_image_width(handle) * module._mudpt_image_height(handle);
  const values = [...core.memory.bytes(module._mudpt_image_rgb(handle) >>> 0, count)];
  core.imageFree(handle);
  return values;
}

describe('pictures on white', () => {
  for (const [name, { base64, rgb: wanted }] of Object.entries(FILES))
    test(name, async () => {
      const bytes = new Uint8Array(Buffer.from(base64, 'base64'));
      assert.deepEqual(await valuesOf({ bytes }, ON_WHITE), wanted);
      const isSeen = ['bmp without alpha', 'bmp 32 plain'].includes(name);
      assert.equal(JSON.stringify(await valuesOf({ bytes }, 0)) === JSON.stringify(wanted), isSeen);
    });

  test('pixels: RGBA is laid on white, whatever else has no alpha', async () => {
    const pixels = Uint8Array.from({ length: 4 * 256 }, (_, i) => (i % 4 === 3 ? i >> 2 : (i * 37) % 256));
    const picture = { pixels, width: 16, height: 16 };
    const wanted = [];
    for (let i = 0; i < pixels.length; i += 4)
      for (let c = 0; c < 3; c++)
        wanted.push(Math.round((pixels[i + c] * pixels[i + 3] + 255 * (255 - pixels[i + 3])) / 255));
    assert.deepEqual(await valuesOf(picture, ON_WHITE), wanted);
    const rgb = pixels.subarray(0, 3 * 256);
    assert.deepEqual(await valuesOf({ ...picture, pixels: rgb }, ON_WHITE), [...rgb]);
  });
});

test('a model that is loaded so sees them so: alone, with others, and in training', async () => {
  const { base64, rgb: values } = FILES.rgba;
  const clear = new Uint8Array(Buffer.from(base64, 'base64'));
  const white = { data: Uint8Array.from(values), width: 6, height: 2 };
  const clip = await loadClip(TINY_A, { threads: 1, convention: 'transformers' });
  try {
    const classifier = await clip.zeroShot(['cat', 'x']);
    const wanted = await classifier.classify(white);
    assert.deepEqual(await classifier.classify(clear), wanted);
    assert.deepEqual(await classifier.classify(new Blob([clear])), wanted);
    const features = (pictures) => clip.embedImages(pictures).then(({ data }) => [...data]);
    assert.deepEqual(await features([clear, clear]), await features([white, white]));
    const lossesOf = async (image) => {
      const examples = ['cat', 'x'].map((label) => ({ image, label }));
      const job = clip.tune({ classes: ['cat', 'x'], examples, epochs: 2, batchSize: 2, method: 'vpt' });
      const losses = [];
      for await (const { loss } of job) losses.push(loss);
      return losses;
    };
    assert.deepEqual(await lossesOf(clear), await lossesOf(white));
  } finally {
    await clip.dispose();
  }
  const openai = await loadClip(TINY_A, { threads: 1 });
  const classifier = await openai.zeroShot(['cat', 'x']);
  assert.notDeepEqual(await classifier.classify(clear), await classifier.classify(white));
  await openai.dispose();
});
