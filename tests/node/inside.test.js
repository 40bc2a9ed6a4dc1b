/** attention() and nearestWords() against plain loops in double precision over the model's file. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { loadClip } from '../../js/index.js';
import { floatsOf, headerOf } from '../../js/loading/safetensors.js';
import { PICTURES, TINY_A, WAYS, difference, json, named, tensors } from './models.js';

const CLASSES = ['cat', 'sail boat', 'x'];
const EXAMPLES = PICTURES.slice(0, 6).map((image, i) => ({ image, label: i % 3 }));
const TUNING = { classes: CLASSES, examples: EXAMPLES, promptLength: 2, epochs: 2, learningRate: 0.01 };

const weights = tensors('tiny-a/model/model.safetensors');
const { vision_config: vision } = json('tiny-a/model/config.json');
const { hidden_size: width, num_attention_heads: heads, num_hidden_layers: layers } = vision;
const { image_size: side, patch_size: patch } = vision;
const grid = side / patch;
const weight = (name) => weights[`vision_model.${name}`].floats();

/** Pixels that no resizing changes. */
const picture = {
  data: Uint8Array.from({ length: side * side * 3 }, (_, i) => (i * i * 31 + (i % 7) * 40) % 256),
  width: side,
  height: side,
};

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const add = (a, b) => a.map((value, i) => value + b[i]);
const row = (matrix, i, length) => matrix.subarray(i * length, (i + 1) * length);

function linear(x, name) {
  const [matrix, bias] = [weight(`${name}.weight`), weight(`${name}.bias`)];
  return x.map((values) => Array.from(bias, (b, i) => b + dot(values, row(matrix, i, values.length))));
}

function layerNorm(x, name) {
  const [gain, bias] = [weight(`${name}.weight`), weight(`${name}.bias`)];
  return x.map((values) => {
    const mean = values.reduce((a, b) => a + b) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    return values.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * gain[i] + bias[i]);
  });
}

/** Attention's shares of one query, by head, and what it gathers. */
function attend(q, k, v) {
  const size = width / heads;
  const shares = [];
  const out = [];
  for (let head = 0; head < heads; head++) {
    const [from, to] = [head * size, (head + 1) * size];
    const scores = k.map((key) => Math.exp(dot(q.slice(from, to), key.slice(from, to)) / Math.sqrt(size)));
    const total = scores.reduce((a, b) => a + b);
    shares.push(scores.map((score) => score / total));
    for (let i = from; i < to; i++)
      out.push(
        dot(
          shares[head],
          v.map((value) => value[i]),
        ),
      );
  }
  return { shares, out };
}

/** The image tower as the papers write it. prompts [depth][n][width] */
function naiveShares(info, prompts) {
  const table = weight('embeddings.position_embedding.weight');
  const kernel = weight('embeddings.patch_embedding.weight');
  const patches = Array.from({ length: grid * grid }, (_, at) => {
    const pixels = [];
    for (let channel = 0; channel < 3; channel++)
      for (let y = 0; y < patch; y++)
        for (let x = 0; x < patch; x++) {
          const [top, left] = [Math.floor(at / grid) * patch + y, (at % grid) * patch + x];
          const value = picture.data[(top * side + left) * 3 + channel] / 255;
          pixels.push((value - info.mean[channel]) / info.std[channel]);
        }
    return Array.from({ length: width }, (_, i) => dot(pixels, row(kernel, i, pixels.length)));
  });
  let x = [Array.from(weight('embeddings.class_embedding')), ...patches].map((values, i) =>
    add(values, row(table, i, width)),
  );
  const own = x.length;
  x = layerNorm([...x, ...(prompts[0] ?? [])], 'pre_layrnorm');
  for (let l = 0; ; l++) {
    if (l > 0 && prompts[l]) x = [...x.slice(0, own), ...prompts[l]];
    const at = `encoder.layers.${l}`;
    const h = layerNorm(x, `${at}.layer_norm1`);
    const [q, k, v] = ['q', 'k', 'v'].map((one) => linear(h, `${at}.self_attn.${one}_proj`));
    if (l === layers - 1) return attend(q[0], k, v).shares;
    const gathered = q.map((query) => attend(query, k, v).out);
    x = linear(gathered, `${at}.self_attn.out_proj`).map((values, i) => add(values, x[i]));
    const u = linear(layerNorm(x, `${at}.layer_norm2`), `${at}.mlp.fc1`);
    const g = u.map((values) => values.map((value) => value / (1 + Math.exp(-1.702 * value))));
    x = linear(g, `${at}.mlp.fc2`).map((values, i) => add(values, x[i]));
  }
}

/** A saved classifier's tensor as [depth][n][width]; [] where it has none. */
function prompts(bytes, name) {
  const tensor = headerOf(bytes, 'it').tensors.find((one) => one.name === name);
  if (!tensor) return [];
  const [depth, n, size] = tensor.shape;
  const values = floatsOf(bytes, tensor);
  return Array.from({ length: depth }, (_, l) =>
    Array.from({ length: n }, (_, i) => Array.from(row(values, l * n + i, size))),
  );
}

for (const way of WAYS) {
  describe(named(way), () => {
    let clip, zeroShot, tuned;
    before(async () => {
      clip = await loadClip(TINY_A, way);
      zeroShot = await clip.zeroShot(CLASSES);
      tuned = await clip.tune(TUNING).finished;
    });
    after(() => clip.dispose());

    test('attention is the mean over the heads of what CLS takes in the last layer', async () => {
      const imported = await clip.import(await tuned.export());
      for (const classifier of [zeroShot, tuned, imported]) {
        const visual = prompts(await classifier.export(), 'visual_prompts');
        const shares = naiveShares(clip.info, visual);
        const expected = shares[0].map((_, i) => shares.reduce((sum, head) => sum + head[i], 0) / heads);
        const found = await classifier.attention(picture);
        assert.equal(found.grid, grid);
        assert.equal(found.patches.length, grid * grid);
        assert.equal(found.prompts.length, visual[0]?.length ?? 0);
        const all = [found.self, ...found.patches, ...found.prompts];
        assert.ok(difference(all, expected) < 1e-5, `${all} are not ${expected}`);
        assert.ok(Math.abs(all.reduce((a, b) => a + b) - 1) < 1e-5);
      }
    });

    test('nearest words are those of the vocabulary that lie nearest to the first prompts', async () => {
      const table = weights['text_model.embeddings.token_embedding.weight'].floats();
      const words = Object.entries(json('tiny-a/model/tokenizer.json').model.vocab).flatMap(([token, id]) => {
        const [, word] = /^([\p{L}\p{N}]+)<\/w>$/u.exec(token) ?? [];
        return word ? [{ word, id }] : [];
      });
      const bytes = await tuned.export();
      const [first] = prompts(bytes, 'text_prompts');
      const expected = first.map((prompt) =>
        words
          .map(({ word, id }) => {
            const distance = Math.hypot(...prompt.map((value, i) => value - table[id * prompt.length + i]));
            return { word, distance };
          })
          .sort((a, b) => a.distance - b.distance)
          .slice(0, 3),
      );
      for (const classifier of [tuned, await clip.import(bytes)]) {
        const found = await classifier.nearestWords({ topK: 3 });
        assert.deepEqual(
          found.map((list) => list.map(({ word }) => word)),
          expected.map((list) => list.map(({ word }) => word)),
        );
        const distances = (lists) => lists.flat().map(({ distance }) => distance);
        assert.ok(difference(distances(found), distances(expected)) < 1e-5);
      }
    });

    test('nearest words of methods that learn none, and of those that have other prompts', async () => {
      assert.deepEqual(await zeroShot.nearestWords(), []);
      const vpt = await clip.tune({ ...TUNING, method: 'vpt' }).finished;
      assert.deepEqual(await vpt.nearestWords(), []);
      const coop = await clip.tune({ ...TUNING, method: 'coop', classSpecific: true }).finished;
      assert.equal((await coop.nearestWords()).length, 2 * CLASSES.length);
      const cocoop = await clip.tune({ ...TUNING, method: 'cocoop' }).finished;
      const own = await cocoop.nearestWords();
      assert.equal(own.length, 2);
      assert.deepEqual(await (await clip.import(await cocoop.export())).nearestWords(), own);
      await assert.rejects(tuned.nearestWords({ topK: 0 }), { code: 'argument' });
    });
  });
}

test('without a text tower there are no words', async () => {
  const clip = await loadClip(TINY_A);
  const bytes = await (await clip.tune(TUNING).finished).export();
  await clip.dispose();
  const image = await loadClip(TINY_A, { towers: 'image' });
  const classifier = await image.import(bytes);
  await assert.rejects(classifier.nearestWords(), { code: 'state' });
  assert.equal((await classifier.attention(picture)).grid, grid);
  await image.dispose();
});
