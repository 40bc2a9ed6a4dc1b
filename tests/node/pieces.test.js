/** SentencePiece tokenizers against what transformers and open_clip give (tests/reference/pieces.py). */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';

import { loadClip } from '../../js/index.js';
import { PieceTokenizer } from '../../js/loading/pieces.js';
import { promptSentences } from '../../js/methods/sentences.js';
import { makeClip } from '../make-clip.js';
import { PICTURES, isError, json, temporaryFolder } from './models.js';

const LIMITS = { vocab: 1500, context: 64 };
const KINDS = Object.fromEntries(['unigram', 'pairs'].map((kind) => [kind, json(`tokenizer/pieces-${kind}.json`)]));
/** @param {string} kind @param {string} [clean] open_clip's; else transformers' */
function tokenizerOf(kind, clean, limits = LIMITS) {
  const { 'tokenizer.json': document, 'tokenizer_config.json': config } = KINDS[kind];
  return new PieceTokenizer(document, clean ? null : config, clean, limits, 'tokenizer.json');
}

for (const [kind, { cases }] of Object.entries(KINDS)) {
  describe(kind, () => {
    test(`${cases.length} texts`, () => {
      assert.ok(cases.length >= 300);
      const [theirs, openClip] = [tokenizerOf(kind), tokenizerOf(kind, 'canonicalize')];
      for (const [text, ids, cleaned] of cases) {
        assert.deepEqual([...theirs.encode(text), 1], ids, JSON.stringify(text));
        assert.deepEqual([...openClip.encode(text), 1], cleaned, JSON.stringify(text));
      }
    });

    test('a sentence has an end and no start, and fits or is cut', () => {
      const tokenizer = tokenizerOf(kind);
      assert.equal(tokenizer.end, 1);
      assert.deepEqual(tokenizer.sentence('', 'it'), [1]);
      const text = cases
        .slice(3, 30)
        .map(([one]) => one)
        .join(' ');
      const ids = tokenizer.encode(text);
      assert.throws(
        () => tokenizer.sentence(text, 'class "x"'),
        isError('tokenizer', /^class "x" needs \d+ tokens.*64/),
      );
      assert.deepEqual(tokenizer.sentence(text, 'it', true), [...ids.slice(0, 63), 1]);
      const short = tokenizerOf(kind, undefined, { ...LIMITS, context: 16 });
      assert.deepEqual(short.sentence(text, 'it', true), [...ids.slice(0, 15), 1]);
    });

    test('words of a phrase are those that stand in the sentence', () => {
      const tokenizer = tokenizerOf(kind);
      const words = ['a', 'model', 'of', 'a'];
      const settings = { phrase: words.join(' '), promptLength: 4, classPosition: 'front' };
      const { ids, phrase, nameLengths } = promptSentences(tokenizer, ['model', 'a file'], 'coop', settings);
      assert.equal(phrase.length, 4);
      for (const [i, row] of ids[0].entries()) {
        assert.deepEqual(row.slice(0, 4), phrase);
        const name = tokenizer.encode(`${words.join(' ')} ${['model', 'a file'][i]}`).slice(4);
        assert.equal(nameLengths[i], name.length);
      }
      assert.throws(
        () => tokenizer.words(['a', 'xylophonist']),
        isError('tokenizer', /"xylophonist" of the phrase is \d+/),
      );
      assert.equal(tokenizer.word(phrase[1]), 'model');
      assert.equal(tokenizer.word(0), null);
    });

    test('a model that has one loads', async () => {
      const folder = await temporaryFolder();
      const file = path.join(folder, 'some.json');
      await writeFile(file, JSON.stringify(KINDS[kind]['tokenizer.json']));
      await makeClip(folder, { ...LIMITS, textLayers: 1, visionLayers: 1, tokenizer: file });
      // A CLIP's sentences have a start, which SigLIP's have not.
      await assert.rejects(
        loadClip(folder, { threads: 1 }),
        isError('tokenizer', /puts nothing in front of texts, but/),
      );
      const start = { add_bos_token: true, bos_token: kind === 'pairs' ? '<bos>' : '<pad>' };
      const config = JSON.stringify({ ...KINDS[kind]['tokenizer_config.json'], ...start });
      await writeFile(path.join(folder, 'tokenizer_config.json'), config);
      const clip = await loadClip(folder, { threads: 1 });
      const answer = async (names) => (await clip.zeroShot(names)).classify(PICTURES[1]);
      const scores = (found) => found.map(({ score }) => score);
      assert.deepEqual(scores(await answer(['A Model', 'file'])), scores(await answer(['a model', 'FILE'])));
      await clip.dispose();
      await writeFile(
        path.join(folder, 'tokenizer.json'),
        (await readFile(file, 'utf8')).replace('"vocab"', '"words"'),
      );
      await assert.rejects(loadClip(folder, { threads: 1 }), isError('tokenizer', /tokenizer\.json cannot be used/));
    });
  });
}

test('what cannot be used is refused by its name', () => {
  assert.throws(() => tokenizerOf('pairs', 'ftfy'), isError('tokenizer', /texts are cleaned by "ftfy"/));
  assert.throws(() => tokenizerOf('pairs').sentence('a <eos> b', 'it'), isError('tokenizer', /does not know/));
  assert.throws(
    () => tokenizerOf('pairs', undefined, { vocab: 1, context: 64 }),
    isError('tokenizer', /has the id 1, but the model only 1 ids/),
  );
  const { 'tokenizer.json': document } = KINDS.unigram;
  const normalizer = { ...document.normalizer, precompiled_charsmap: 'AAAA' };
  assert.throws(
    () => new PieceTokenizer({ ...document, normalizer }, null, 'lower', LIMITS, 'it'),
    isError('tokenizer', /it cannot be used/),
  );
});

test('where transformers’ configuration says so, there is no end, or a start', () => {
  const { 'tokenizer.json': document } = KINDS.pairs;
  const config = {
    add_bos_token: true,
    bos_token: '<bos>',
    add_eos_token: false,
    tokenizer_class: 'GemmaTokenizerFast',
  };
  const tokenizer = new PieceTokenizer(document, config, undefined, LIMITS, 'it');
  assert.equal(tokenizer.end, undefined);
  assert.deepEqual(tokenizer.sentence('A', 'it'), [2, ...tokenizer.encode('a')]);
});
