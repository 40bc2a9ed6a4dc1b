/** The tokenizer against CLIP's own ids, and the sentences of every method against the golden files'. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

import { checkClasses } from '../../js/methods/classes.js';
import { METHODS } from '../../js/methods/methods.js';
import { promptSentences, templateSentences } from '../../js/methods/sentences.js';
import { resolveSettings } from '../../js/methods/settings.js';
import { openAiVocabulary } from '../../js/loading/openai-vocabulary.js';
import { ClipTokenizer } from '../../js/loading/tokenizer.js';
import { GOLDEN, isError, json } from './models.js';

const other = (change) => ({ model: { ...json('tokenizer/tokenizer.json').model, ...change } });

describe('CLIP’s tokenizer', () => {
  const { cases, context } = json('tokenizer/cases.json');
  const tokenizer = new ClipTokenizer(json('tokenizer/tokenizer.json'), { vocab: 49408, context });
  test(`${cases.length} texts`, () => {
    assert.ok(cases.length > 200);
    for (const { text, ids, tokenizer_json_ids: alone } of cases) {
      const ours = tokenizer.encode(text);
      // Where OpenAI's Python code repairs the text first, what tokenizer.json says by itself is right as well.
      if (alone && String(ours) === String(alone)) continue;
      assert.deepEqual(ours, ids, JSON.stringify(text));
    }
  });

  test('Σ at a word’s end is ς as in OpenAI’s code, or σ as in transformers', () => {
    const theirs = new ClipTokenizer(json('tokenizer/tokenizer.json'), { vocab: 49408, context }, 'it', true);
    assert.deepEqual(tokenizer.encode('ΟΔΟΣ ΣΑΣ.'), tokenizer.encode('οδος σας.'));
    assert.deepEqual(theirs.encode('ΟΔΟΣ ΣΑΣ.'), tokenizer.encode('οδοσ σασ.'));
    // As of the tokenizers library
    assert.deepEqual(theirs.encode('ΟΔΟΣ'), [138, 123, 138, 112, 138, 123, 139, 481]);
  });

  test('a sentence is start, text, end', () => {
    const one = cases.find(({ ids, difference }) => ids.length > 3 && ids.length < 20 && !difference);
    assert.deepEqual(tokenizer.sentence(one.text, 'it'), [49406, ...one.ids, 49407]);
  });

  test('a text that does not fit names what it is for', () => {
    const long = cases.find(({ row }) => row);
    assert.throws(
      () => tokenizer.sentence(long.text, 'class "long"'),
      isError('tokenizer', /^class "long" needs \d+ tokens.*77/),
    );
    const words = (count) => Array(count).fill('cat').join(' ');
    assert.equal(tokenizer.sentence(words(75), 'it').length, 77);
    assert.throws(() => tokenizer.sentence(words(76), 'it'), isError('tokenizer', /needs 78 tokens/));
  });

  test('where that is asked for, what does not fit is left out', () => {
    const [start, ...ids] = tokenizer.sentence(Array(100).fill('cat').join(' '), 'it', true);
    assert.deepEqual([start, ids], [49406, [...Array(75).fill(2368), 49407]]);
    assert.deepEqual(tokenizer.sentence('cat', 'it', true), [49406, 2368, 49407]);
    const long = cases.find(({ row }) => row);
    assert.deepEqual(tokenizer.sentence(long.text, 'it', true), long.row);
  });

  test('OpenAI’s vocabulary, from the merges of the package', async () => {
    const file = json('tokenizer/tokenizer.json');
    const merges = file.model.merges.map((pair) => [pair].flat().join(' '));
    assert.deepEqual((await openAiVocabulary())(), { ...file, model: { ...file.model, merges } });
  });

  test('special tokens within a class name are refused', () => {
    assert.throws(
      () => tokenizer.sentence('a <|endoftext|> b', 'class "b"'),
      isError('tokenizer', /^class "b" has characters/),
    );
  });

  test('merges as pairs, and a post-processor of the other form, are the same', () => {
    const file = json('tokenizer/tokenizer.json');
    const { merges } = file.model;
    const pairs = merges.map((pair) => (Array.isArray(pair) ? pair.join(' ') : pair.split(' ')));
    const names = ['<|startoftext|>', '<|endoftext|>'];
    const around = {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: names[0] } }, { Sequence: { id: 'A' } }, { SpecialToken: { id: names[1] } }],
      special_tokens: { [names[0]]: { ids: [49406] }, [names[1]]: { ids: [49407] } },
    };
    const same = new ClipTokenizer(
      { ...file, ...other({ merges: pairs }), post_processor: around },
      { vocab: 49408, context },
    );
    for (const { text } of cases.slice(0, 50)) assert.deepEqual(same.encode(text), tokenizer.encode(text));
    assert.deepEqual(same.sentence('a cat', 'it'), tokenizer.sentence('a cat', 'it'));
  });

  test('a text of many letters without a space takes no long time', () => {
    assert.ok(tokenizer.encode('abcdefghij'.repeat(5000)).length > 1000);
  });

  test('characters that the vocabulary lacks are refused', () => {
    const few = new ClipTokenizer(
      { ...json('tokenizer/tokenizer.json'), ...other({ vocab: { a: 0 }, unk_token: null }) },
      { vocab: 49408, context },
    );
    assert.throws(() => few.sentence('owl', 'class "owl"'), isError('tokenizer', /does not know/));
  });

  for (const [what, file, limits, message] of [
    ['nothing', {}, {}, /cannot be used/],
    ['no vocabulary', { ...json('tokenizer/tokenizer.json'), model: { type: 'BPE' } }, {}, /cannot be used/],
    ['another kind', { ...json('tokenizer/tokenizer.json'), normalizer: null }, {}, /lower case, as CLIP does/],
    [
      'no end of words',
      { ...json('tokenizer/tokenizer.json'), ...other({ end_of_word_suffix: '' }) },
      {},
      /kind that CLIP/,
    ],
    ['no pattern', { ...json('tokenizer/tokenizer.json'), pre_tokenizer: null }, {}, /no pattern of words/],
    ['no sentence', { ...json('tokenizer/tokenizer.json'), post_processor: null }, {}, /0 special tokens/],
    [
      'more ids than the model',
      json('tokenizer/tokenizer.json'),
      { vocab: 512 },
      /the id 49406, but the model only 512 ids/,
    ],
  ]) {
    test(`refused: ${what}`, () => {
      const make = () => new ClipTokenizer(file, { vocab: 49408, context: 77, ...limits }, 'some/tokenizer.json');
      assert.throws(make, isError('tokenizer', message));
      assert.throws(make, /^MudptError: some\/tokenizer\.json/);
    });
  }
});

const configurations = readdirSync(GOLDEN, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && readdirSync(path.join(GOLDEN, entry.name)).includes('model'))
  .map((entry) => entry.name);

for (const name of configurations) {
  describe(`sentences of ${name}`, () => {
    const { architecture, classes, class_name_tokens: nameTokens, cases } = json(`${name}/config.json`);
    const tokenizer = new ClipTokenizer(json(`${name}/model/tokenizer.json`), architecture);

    test('class names', () => {
      classes.forEach((label, i) => assert.deepEqual(tokenizer.encode(label.replaceAll('_', ' ')), nameTokens[i]));
    });

    for (const one of cases.map((file) => ({ file, ...json(`${name}/${file}.json`) }))) {
      const method = one.method === 'uumudpt' ? 'mudpt' : one.method; // with transformer injection
      test(one.file, () => {
        const ids = (texts) => texts.map((text) => tokenizer.sentence(text, 'a class'));
        const { n, n_text: own, phrase, templates = ['a photo of a {}.'] } = one.hyper_parameters;
        if (method === 'zeroshot') {
          const expected = Array.isArray(one.prompt_texts[0]) ? one.prompt_texts.map(ids) : [ids(one.prompt_texts)];
          assert.deepEqual(templateSentences(tokenizer, one.classes, templates), expected);
          return;
        }
        const { position: classPosition = 'end' } = one.hyper_parameters;
        // MMRL's sentences stay whole; its golden files have CLIP's.
        const whole = method.startsWith('mmrl') ? 'a photo of a' : '';
        const settings = { phrase: phrase ?? whole, promptLength: own ?? n, classPosition };
        const made = promptSentences(tokenizer, one.classes, method, settings);
        const learned = METHODS[method].textPrompts;
        const [expected, length] = [ids(one.prompt_texts), learned ? settings.promptLength : 0];
        // The ids at the prompts' rows are placeholders.
        const others = (sentences) => sentences.map((row) => row.filter((_, i) => i < 1 || i > length));
        assert.deepEqual(others(made.ids[0]), others(expected));
        assert.deepEqual(
          made.ids[0].map((row) => row.length),
          expected.map((row) => row.length),
        );
        assert.deepEqual(made.phrase, learned && phrase ? tokenizer.words(phrase.split(' ')) : null);
        if (classPosition !== 'end') assert.deepEqual(made.nameLengths, one.name_lengths);
      });
    }
  });
}

describe('what is asked for', () => {
  const model = { ...json('tiny-a/config.json').architecture, textLayers: 3, visionLayers: 5 };
  const tokenizer = new ClipTokenizer(json('tokenizer/tokenizer.json'), { vocab: 49408, context: 77 });

  test('the defaults are the paper’s, all layers of the deeper tower', () => {
    const { method, settings } = resolveSettings({}, model);
    assert.equal(method, 'mudpt');
    assert.deepEqual(settings, {
      ...{ promptLength: 4, depth: 5, fromLayer: 1, phrase: 'a photo of a', injection: 'linear', layer0Fusion: true },
      ...{ textWeight: 0, imageWeight: 0, klWeight: 0, averageMean: 0, averageDeviation: 0 },
      ...{ shots: 16, epochs: 10, batchSize: 4, learningRate: 2.5e-3, augment: true, smallestCrop: 0.08, seed: 1 },
    });
    assert.deepEqual(resolveSettings({ seed: undefined }, model).settings, settings);
    assert.equal(resolveSettings({ shots: Infinity }, model).settings.shots, Infinity);
  });

  test('PromptSRC’s frozen model says 60 sentences of a class, each with its name', () => {
    const templates = METHODS.promptsrc.teacher ?? [];
    assert.equal(new Set(templates).size, 60);
    for (const template of templates) assert.match(template, /^[a-z][a-z -]* \{\}( in a video game)?\.$/);
    for (const some of ['a photo of a {}.', 'the {} in a video game.', 'itap of the {}.'])
      assert.ok(templates.includes(some), some);
  });

  test('presets keep what is the method’s own, and change length and crops', () => {
    const paper = resolveSettings({}, model).settings;
    assert.deepEqual(resolveSettings({ preset: 'paper' }, model).settings, paper);
    const epochs = { quick: 4, balanced: 10, thorough: 30 };
    for (const [preset, length] of Object.entries(epochs)) {
      const of = (options, image) => resolveSettings({ preset, ...options }, { ...model, image }).settings;
      // On pictures of the papers' size crops stay, on smaller ones they keep their number of pixels.
      assert.deepEqual(of({}, 224), { ...paper, epochs: length });
      assert.equal(of({}, 336).smallestCrop, 0.08);
      assert.equal(of({}, 112).smallestCrop, 0.32);
      assert.equal(of({}, 64).smallestCrop, 0.5);
      assert.equal(of({ epochs: 3, smallestCrop: 0.2 }, 64).epochs, 3);
      assert.equal(of({ epochs: 3, smallestCrop: 0.2 }, 64).smallestCrop, 0.2);
      // CoOp's paper ties epochs to shots; a preset does not.
      const { epochs: longer, batchSize, learningRate, promptLength } = of({ method: 'coop', shots: 1 }, 224);
      assert.deepEqual([longer, batchSize, learningRate, promptLength], [length, 4, 2e-3, 16]);
    }
  });

  test('IVLP has no more layers of prompts than a tower has layers', () => {
    const { settings } = resolveSettings({ method: 'ivlp', depth: 4 }, model);
    assert.deepEqual(METHODS.ivlp.sizes(settings, model), {
      ...{ textLength: 2, textDepth: 3, visualLength: 2, visualDepth: 4, layer: 0 },
    });
  });

  for (const [options, message] of [
    [{ method: 'magic' }, /method is "magic", expected coop or cocoop or vpt or ivlp or mudpt or umudpt/],
    [{ method: 'toString' }, /method is "toString"/],
    [{ method: 'zeroshot' }, /method is "zeroshot"/],
    [{ preset: 'fast' }, /preset is "fast", expected instant or paper or quick or balanced or thorough/],
    [{ preset: 'constructor' }, /preset is "constructor"/],
    [{ injection: 'both' }, /injection is "both", expected linear or transformer/],
    [{ injection: 'transformer', layer0Fusion: true }, /layer0Fusion is no option of transformer injection/],
    [{ method: 'coop', classPosition: 'top' }, /classPosition is "top", expected end or middle or front/],
    [{ method: 'coop', classSpecific: 1 }, /classSpecific is 1, expected true or false/],
    [{ method: 'cocoop', depth: 2 }, /depth is no option of cocoop; methods that have it: vpt, ivlp, mudpt, umudpt/],
    [{ classSpecific: true }, /classSpecific is no option of mudpt; methods that have it: coop$/],
    [{ method: 'umudpt', injection: 'linear' }, /injection is no option of umudpt; methods that have it: mudpt$/],
    [{ shot: 3 }, /no option "shot"; settings of mudpt are preset, .*shots.*; tune\(\) also has classes, .*resume/],
    [{ method: 'ivlp', layer0Fusion: true }, /layer0Fusion is no option of ivlp; methods that have it: mudpt$/],
    [{ shots: 0 }, /shots is 0, expected a whole number from 1/],
    [{ epochs: 2.5 }, /epochs is 2.5, expected a whole number from 1 to 100000/],
    [{ epochs: Infinity }, /epochs is Infinity/],
    [{ batchSize: '4' }, /batchSize is "4"/],
    [{ learningRate: 0 }, /learningRate is 0, expected a number above 0/],
    [{ learningRate: NaN }, /learningRate is NaN/],
    [{ smallestCrop: 1.5 }, /smallestCrop is 1.5, expected a number above 0, at most 1/],
    [{ seed: -1 }, /seed is -1/],
    [{ augment: 1 }, /augment is 1, expected true or false/],
    [{ phrase: null }, /phrase is null, expected text/],
  ]) {
    test(`refused: ${JSON.stringify(options)}`, () => {
      assert.throws(() => resolveSettings(options, model), isError('argument', message));
    });
  }

  for (const [classes, message] of [
    [undefined, /^classes is undefined, expected an array of class names$/],
    ['cat', /^classes is "cat", expected an array/],
    [[], /^there are no classes, expected at least one name$/],
    [Array.from({ length: 100001 }, (_, i) => `${i}`), /^there are 100001 classes, expected at most 100000$/],
    [['cat', ''], /text that is not empty/],
    [['cat', 3], /a class name is 3/],
  ]) {
    test(`refused classes: ${String(JSON.stringify(classes)).slice(0, 40)}`, () => {
      assert.throws(() => checkClasses(classes), isError('argument', message));
    });
  }

  test('more prompts than the phrase has words are refused, and it is said what to do', () => {
    const settings = { phrase: 'a photo', promptLength: 3 };
    const message = /promptLength is 3, but the phrase "a photo" has only 2 words.*use promptLength 2 or less/;
    assert.throws(() => promptSentences(tokenizer, ['cat'], 'mudpt', settings), isError('argument', message));
    assert.equal(promptSentences(tokenizer, ['cat'], 'mudpt', { phrase: '  ', promptLength: 3 }).phrase, null);
  });

  test('a word of the phrase that is several tokens is named', () => {
    const settings = { phrase: 'a photoxyzzy of', promptLength: 2 };
    assert.throws(
      () => promptSentences(tokenizer, ['cat'], 'ivlp', settings),
      isError('tokenizer', /"photoxyzzy" of the phrase is \d tokens/),
    );
  });

  test('templates need a place for the name, and take names as they are', () => {
    assert.throws(() => templateSentences(tokenizer, ['cat'], ['a cat']), isError('argument', /a template is "a cat"/));
    const long = 'word '.repeat(201);
    const tooLong = (what) =>
      isError('argument', new RegExp(`^${what} is "word .*…", expected at most 1000 characters`));
    assert.throws(() => templateSentences(tokenizer, ['cat'], [`${long}{}`]), tooLong('a template'));
    const phrase = { phrase: long, promptLength: 1 };
    assert.throws(() => promptSentences(tokenizer, ['cat'], 'mudpt', /** @type {any} */ (phrase)), tooLong('phrase'));
    assert.throws(() => checkClasses([long]), tooLong('a class name'));
    const [[first]] = templateSentences(tokenizer, ['$& {}'], ['{} or {}']);
    assert.deepEqual(first, tokenizer.sentence('$& {} or $& {}', 'it'));
  });
});
