/** Property tests of everything that JavaScript reads from files: headers, configurations, tokenizers, splits, runs. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';

import { loadClip } from '../../js/clip.js';
import { architectureFromModelCfg, fromPreprocessCfg } from '../../js/loading/open-clip.js';
import { fromImageProcessor } from '../../js/loading/preprocessing.js';
import { readShapes } from '../../js/loading/shapes.js';
import * as siglip from '../../js/loading/siglip.js';
import { architectureFromConfig } from '../../js/loading/transformers.js';
import { loadDataset } from '../../js/node/datasets.js';
import { headerOf, parseHeader, writeSafetensors } from '../../js/loading/safetensors.js';
import { CHECKPOINT, CLASSIFIER, SavedFile } from '../../js/classifier/saved.js';
import { Sha256 } from '../../js/files/sha256.js';
import { openSource, readJson } from '../../js/files/source.js';
import { PieceTokenizer } from '../../js/loading/pieces.js';
import { ClipTokenizer } from '../../js/loading/tokenizer.js';
import { createHash } from 'node:crypto';
import { GOLDEN, PICTURES, TINY_A } from '../node/models.js';
import { always, answersOrRefuses, damaged, jsonText, twisted } from './properties.js';

const read = (file) => readFile(path.join(GOLDEN, file));
const MODEL = new Uint8Array(await read('tiny-a/model/model.safetensors'));
const CONFIG = JSON.parse((await read('tiny-a/model/config.json')).toString());
const TOKENIZER = JSON.parse((await read('tiny-a/model/tokenizer.json')).toString());
const CLASSES = ['cat', 'dog', '__proto__'];

/** @type {string} */
let folder;
/** @type {any} */
let clip;
/** @type {Record<string, Uint8Array>} */
const files = {};

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mudpt-fuzz-'));
  clip = await loadClip(TINY_A, { threads: 1 });
  const examples = CLASSES.map((label, i) => ({ label, image: PICTURES[i] }));
  const zeroShot = await clip.zeroShot(CLASSES);
  files.zeroShot = await zeroShot.export();
  await zeroShot.dispose();
  for (const method of ['mudpt', 'cocoop', 'vpt']) {
    const job = clip.tune({ classes: CLASSES, examples, method, epochs: 1, promptLength: 2 });
    const tuned = await job.finished;
    files[method] = await tuned.export({ raw: true });
    files[`${method} run`] = await job.checkpoint();
    await tuned.dispose();
  }
});

after(async () => {
  await clip.dispose();
  await rm(folder, { recursive: true, force: true });
});

const headerEnd = (bytes) => 8 + Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));

test('safetensors: any header', () =>
  always(jsonText, (text) =>
    answersOrRefuses(() => {
      const json = new TextEncoder().encode(text);
      const { tensors, end } = parseHeader(json, undefined, 'a file');
      for (const { begin, bytes } of tensors) assert.ok(begin >= 8 + json.length && begin + bytes <= end);
    }),
  ));

test('safetensors: a header that is nearly right names no byte outside the file', () => {
  const document = JSON.parse(new TextDecoder().decode(MODEL.subarray(8, headerEnd(MODEL))));
  const few = Object.fromEntries(Object.entries(document).slice(0, 6));
  const sizes = fc.oneof(fc.constant(undefined), fc.nat(MODEL.length));
  return always(fc.tuple(fc.oneof(fc.constant(few), twisted(few)), sizes), ([changed, size]) =>
    answersOrRefuses(() => {
      const json = new TextEncoder().encode(JSON.stringify(changed));
      const { tensors } = parseHeader(json, size, 'a file');
      for (const { begin, bytes } of tensors) assert.ok(begin >= 0 && begin + bytes <= (size ?? Infinity));
    }),
  );
});

test('safetensors: what is written is read again, whatever the names', () => {
  const name = fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'toString'));
  const metadata = fc.dictionary(name, fc.string(), { maxKeys: 3 });
  const tensors = fc.uniqueArray(fc.record({ name, length: fc.nat(5) }), { selector: (t) => t.name, maxLength: 5 });
  return always(fc.tuple(tensors, metadata), ([list, about]) => {
    const given = list.filter((tensor) => tensor.name !== '__metadata__');
    const made = given.map((tensor) => {
      const data = Float32Array.from({ length: tensor.length }, (_, i) => i);
      return { name: tensor.name, dtype: 'F32', shape: [tensor.length], data };
    });
    const header = headerOf(writeSafetensors(made, about), 'a file');
    assert.deepEqual(header.tensors.map((t) => t.name).sort(), made.map((t) => t.name).sort());
    assert.deepEqual(Object.entries(header.metadata).sort(), Object.entries(about).sort());
  });
});

test('config.json: sizes are whole numbers above 0, or the file is refused', () =>
  always(fc.oneof(twisted(CONFIG), fc.jsonValue()), (document) =>
    answersOrRefuses(() => {
      if (document === null || typeof document !== 'object') return;
      const its = document.model_type === 'siglip' ? siglip : undefined;
      const sizes = architectureFromConfig(document, 'config.json', its);
      for (const [key, value] of Object.entries(sizes))
        assert.ok(key.endsWith('Epsilon') ? value >= 0 && value < 1 : Number.isInteger(value) && value >= 0);
    }),
  ));

const small = (name) => JSON.parse(readFileSync(path.join(GOLDEN, 'configurations', `${name}.json`), 'utf8'));

test('open_clip_config.json: sizes are whole numbers, or the file is refused', () =>
  always(
    fc.oneof(twisted(small('open-clip-80').files['open_clip_config.json'].model_cfg), fc.jsonValue()),
    (document) =>
      answersOrRefuses(() => {
        const sizes = architectureFromModelCfg(document, 'open_clip_config.json');
        for (const [key, value] of Object.entries(sizes))
          assert.ok(key.endsWith('Epsilon') ? value >= 0 && value < 1 : Number.isInteger(value) && value >= 0);
      }),
  ));

test('what is said of pictures is a transform, or refused', () => {
  const documents = small('pictures').cases.map(({ document }) => document);
  return always(fc.oneof(...documents.map(twisted), fc.dictionary(fc.string(), fc.jsonValue())), async (document) => {
    if (document === null || typeof document !== 'object') return;
    for (const read of [(it) => fromImageProcessor(it, 32, 'p.json'), (it) => fromPreprocessCfg(it, 'p.json')]) {
      await answersOrRefuses(() => {
        const { mean, std, transform } = read(document);
        assert.ok([...mean, ...std].every(Number.isFinite) && mean.length === 3 && std.length === 3);
        const { fill, ...numbers } = transform;
        assert.ok([...fill, ...Object.values(numbers)].every((value) => Number.isInteger(value) && value >= 0));
      });
    }
  });
});

test('sizes from tensors', () => {
  const names = headerOf(MODEL, 'a file').tensors;
  return always(twisted(names), (tensors) =>
    answersOrRefuses(() => {
      const usable = Object.values(tensors).filter((t) => typeof t?.name === 'string' && Array.isArray(t.shape));
      readShapes(usable, 'a file').whole();
    }),
  );
});

test('a model folder with a configuration that is nearly right loads, or is refused', async () => {
  const source = await openSource(TINY_A);
  return always(
    twisted(CONFIG),
    (document) =>
      answersOrRefuses(async () => {
        const text = new Blob([JSON.stringify(document)]);
        const blobs = [new File([text], 'config.json'), new File([MODEL], 'model.safetensors')];
        const tokenizer = await readJson(source, 'tokenizer.json');
        blobs.push(new File([JSON.stringify(tokenizer)], 'tokenizer.json'));
        const loaded = await loadClip(blobs, { threads: 1 });
        await loaded.zeroShot(['cat', 'dog']);
        await loaded.dispose();
      }),
    0.1,
  );
});

test('a damaged model loads, or is refused', () =>
  always(
    damaged(MODEL),
    (bytes) =>
      answersOrRefuses(async () => {
        const blobs = [new File([bytes], 'model.safetensors')];
        for (const name of ['config.json', 'tokenizer.json'])
          blobs.push(new File([await readFile(path.join(TINY_A, name))], name));
        const loaded = await loadClip(blobs, { threads: 1 });
        const classifier = await loaded.zeroShot(['cat', 'dog']);
        const [{ score }] = await classifier.classify(PICTURES[0]);
        assert.ok(Number.isFinite(score));
        await loaded.dispose();
      }),
    0.1,
  ));

test('tokenizer.json', () => {
  const limits = { vocab: CONFIG.text_config?.vocab_size ?? 512, context: 77 };
  return always(
    fc.tuple(fc.oneof(twisted(TOKENIZER), fc.jsonValue()), fc.string({ unit: 'binary' })),
    ([document, text]) =>
      answersOrRefuses(() => {
        const tokenizer = new ClipTokenizer(document, limits);
        const ids = tokenizer.sentence(`a photo of ${text}`, 'class');
        assert.ok(ids.length <= 77 && ids.every((id) => Number.isInteger(id) && id >= 0 && id < limits.vocab));
      }),
    0.3,
  );
});

for (const kind of ['unigram', 'pairs'])
  test(`tokenizer.json of SentencePiece, ${kind}`, () => {
    const whole = JSON.parse(readFileSync(path.join(GOLDEN, `tokenizer/pieces-${kind}.json`), 'utf8'));
    const { model, ...rest } = whole['tokenizer.json'];
    const some = { ...model, merges: model.merges?.slice(0, 40) };
    some.vocab = Array.isArray(model.vocab) ? model.vocab.slice(0, 90) : model.vocab;
    const config = { ...whole['tokenizer_config.json'], add_bos_token: true, bos_token: '<bos>' };
    const nearly = fc.tuple(twisted({ ...rest, model: some }), fc.oneof(fc.constant(config), twisted(config)));
    return always(
      fc.tuple(nearly, fc.string({ unit: 'binary' }), fc.boolean()),
      ([[document, its], text, truncate]) =>
        answersOrRefuses(() => {
          const tokenizer = new PieceTokenizer(document, its, undefined, { vocab: 1500, context: 64 }, 'a file');
          const ids = tokenizer.sentence(`a photo of ${text}`, 'class', truncate);
          assert.ok(ids.length <= 64 && ids.every((id) => Number.isInteger(id) && id >= 0 && id < 1500));
        }),
      0.1,
    );
  });

test('saved classifiers and runs: damage anywhere', async () => {
  const examples = CLASSES.map((label, i) => ({ label, image: PICTURES[i] }));
  const cases = Object.values(files).flatMap((bytes) => [damaged(bytes), damaged(bytes, headerEnd(bytes))]);
  await always(fc.oneof(...cases), (bytes) =>
    answersOrRefuses(async () => {
      new SavedFile(bytes, 'the file', [CLASSIFIER, CHECKPOINT]).details();
      if (bytes.length % 8 && bytes.length % 3) return; // the rest is slow
      const loaded = await clip.import(bytes);
      const [{ score }] = await loaded.classify(PICTURES[1]).finally(() => loaded.dispose());
      assert.ok(Number.isFinite(score));
    }),
  );
  const runs = Object.entries(files).flatMap(([name, bytes]) =>
    name.endsWith('run') ? [damaged(bytes, headerEnd(bytes))] : [],
  );
  await always(
    fc.oneof(...runs),
    (resume) =>
      answersOrRefuses(async () => {
        const tuned = await clip.tune({ examples, resume }).finished;
        await tuned.dispose();
      }),
    0.1,
  );
});

test("the authors' names", () =>
  always(
    damaged(files.mudpt ?? MODEL),
    (bytes) =>
      answersOrRefuses(async () => {
        const options = { method: 'mudpt', classes: CLASSES };
        const loaded = await clip.importOfficial(bytes, options);
        await loaded.dispose();
      }),
    0.3,
  ));

test('splits never name a file outside their folder', async () => {
  const file = path.join(folder, 'split.json');
  await writeFile(path.join(folder, 'a.png'), 'x');
  const ours = {
    classes: ['cat', 'dog'],
    train: [
      ['a.png', 0],
      ['a.png', 1],
    ],
    test: [['a.png', 0]],
  };
  const coop = {
    train: [
      ['a.png', 0, 'cat'],
      ['a.png', 1, 'dog'],
    ],
    val: [],
    test: [['a.png', 0, 'cat']],
  };
  const odd = fc.constantFrom('../a.png', '/etc/passwd', 'C:\\x', 'x/../../y', 'a\0.png', './a.png', 'a.png');
  const paths = odd.map((name) => ({
    ...ours,
    train: [
      [name, 0],
      ['a.png', 1],
    ],
  }));
  await always(fc.oneof(twisted(ours), twisted(coop), paths, fc.jsonValue()), async (document) => {
    await writeFile(file, JSON.stringify(document) ?? 'null');
    await answersOrRefuses(async () => {
      const { train, test, classes } = await loadDataset(file);
      for (const { path: name, label } of [...train, ...test]) {
        assert.ok(!path.relative(folder, name).startsWith('..') && label < classes.length);
      }
    });
  });
});

test('SHA-256 is that of the platform, in any pieces', () =>
  always(fc.array(fc.uint8Array({ maxLength: 150 }), { maxLength: 6 }), (pieces) => {
    const hash = new Sha256();
    const theirs = createHash('sha256');
    for (const piece of pieces) {
      hash.update(piece);
      theirs.update(piece);
    }
    assert.deepEqual(Buffer.from(hash.digest()), theirs.digest());
  }));
