/** WebP in Node, by the package @cwasm/webp, and what is said of it where that is not installed. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { loadClip } from '../../js/index.js';
import { recognise } from '../../js/node/picture-kinds.js';
import { pngOfWebp } from '../../js/node/webp.js';
import { TINY_A, isError, temporaryFolder } from './models.js';

const FORMATS = fileURLToPath(new URL('../data/formats/', import.meta.url));
const STILL = path.join(FORMATS, 'angry-face.webp');
const CLASSES = ['cat', 'sail_boat', 'x'];

/** FNV-1a over the red, green and blue of a PNG that pngOfWebp made, with its size: as picture_samples.py sums up. */
async function sumOf(file) {
  const { inflateSync } = await import('node:zlib');
  const png = Buffer.from(await pngOfWebp(readFileSync(file)));
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  const at = png.indexOf('IDAT');
  const rows = inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)));
  let sum = 2166136261;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) sum = Math.imul(sum ^ rows[y * (1 + 4 * width) + 1 + 4 * x + c], 16777619) >>> 0;
  return `${width} ${height} ${sum.toString(16).padStart(8, '0')}`;
}

describe('WebP', () => {
  let clip;
  let classifier;
  before(async () => {
    clip = await loadClip(TINY_A, { threads: 1 });
    classifier = await clip.zeroShot(CLASSES);
  });
  after(() => clip.dispose());

  test('is the picture that it was made from', async () => {
    const png = fileURLToPath(new URL('../data/faces/train/angry_face/07-twemoji.png', import.meta.url));
    assert.deepEqual(await classifier.classify(STILL), await classifier.classify(png));
    assert.deepEqual(await recognise(STILL), { picture: true, kind: null });
  });

  for (const line of readFileSync(path.join(FORMATS, 'webp.txt'), 'utf8').trim().split('\n')) {
    const [name, ...expected] = line.split(' ');
    test(`${name} has the pixels that Pillow sees`, async () => {
      assert.equal(await sumOf(path.join(FORMATS, name)), expected.join(' '));
    });
  }

  test('its EXIF orientation is obeyed when asked for', async () => {
    const turned = path.join(FORMATS, 'turned.webp');
    const upright = await loadClip(TINY_A, { threads: 1, upright: true });
    const scores = await (await upright.zeroShot(CLASSES)).classify(turned);
    assert.notDeepEqual(scores, await classifier.classify(turned));
    await upright.dispose();
  });

  test('refused: one that is damaged, or too large', async () => {
    const file = readFileSync(STILL);
    await assert.rejects(classifier.classify(file.subarray(0, 60)), isError('image', /damaged WebP/));
    await assert.rejects(classifier.classify(file.subarray(0, 13)), isError('image', /damaged WebP/));
    const large = Buffer.from('RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0', 'latin1');
    await assert.rejects(classifier.classify(large), isError('image', /16384 x 16384 pixels is too large/));
  });

  test('without the package the message says what to install', async () => {
    // A copy of the one file in a folder that has no packages.
    const folder = await temporaryFolder();
    for (const room of ['node', 'base']) mkdirSync(path.join(folder, 'js', room), { recursive: true });
    writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}');
    for (const name of ['node/webp.js', 'base/errors.js', 'base/kinds.js'])
      cpSync(fileURLToPath(new URL(`../../js/${name}`, import.meta.url)), path.join(folder, 'js', name));
    const alone = await import(pathToFileURL(path.join(folder, 'js/node/webp.js')).href);
    assert.equal(await alone.readsWebp(), false);
    await assert.rejects(
      alone.pngOfWebp(readFileSync(STILL)),
      /package @cwasm\/webp, which is not installed; install the package @cwasm\/webp beside this one/,
    );
  });
});
