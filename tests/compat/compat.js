/**
 * A table of models that people have: loaded, or refused why; and how far features and scores are from those of
 * open_clip and transformers. Weights are random, in the published sizes, two layers a tower (make.py).
 *
 *   ./run compat [PATTERN]        of a row's first columns: 'SigLIP.*f32'
 */
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { MudptError } from '../../js/base/errors.js';
import { createCore } from '../../js/core/core.js';
import { openSource } from '../../js/files/source.js';
import { loadModel } from '../../js/loading/model.js';

const MOST = 1e-4;
/** The smallest tokenizer of SentencePiece's kind. */
const PIECES = {
  model: { type: 'Unigram', unk_id: 2, vocab: ['<pad>', '</s>', '<unk>'].map((piece) => [piece, 0]) },
  ...{ normalizer: null, pre_tokenizer: null, decoder: null, added_tokens: [] },
};
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

const SMALL_COSINE = 0.05;

/** Largest difference, relative to the largest magnitude of the second. */
function difference(ours, theirs) {
  const largest = theirs.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return theirs.reduce((most, value, i) => Math.max(most, Math.abs(ours[i] - value)), 0) / largest;
}

/** Ids are given: what the folder's tokenizer must have are its kind and the tokens around a text. */
async function copyTokenizer(folder, ids = [49406, 49407]) {
  const isPieces = ids.at(-1) === 1;
  const document = isPieces ? PIECES : JSON.parse(await readFile(here('../golden/tokenizer/tokenizer.json'), 'utf8'));
  const around = isPieces ? [1] : [ids[0], ids.at(-1)];
  const single = around.map((id) => ({ SpecialToken: { id: String(id) } }));
  if (isPieces) single.unshift({ Sequence: { id: 'A' } });
  const special_tokens = Object.fromEntries(around.map((id) => [id, { ids: [id] }]));
  const post_processor = { type: 'TemplateProcessing', single, special_tokens };
  await writeFile(path.join(folder, 'tokenizer.json'), JSON.stringify({ ...document, post_processor }));
}

/** Differences of a model's image features, text features and scores. */
async function compare({ folder, ids, side, picture, image, text, logits }) {
  const core = await createCore({ threads: 1 });
  try {
    await copyTokenizer(folder, ids);
    const { clip, needTokens } = await loadModel(core, await openSource(folder), { tokens: 'needed' });
    await needTokens(ids);
    const handle = core.imageFromPixels(Uint8Array.from(picture), side, side, 3);
    const pixels = core.clipTestPixels(clip, handle);
    core.imageFree(handle);
    const classifier = core.classifierCreate(clip, { method: 'zeroshot' }, { ids: [[ids, ids]] });
    const texts = core.classifierTextFeatures(classifier);
    const found = core.classifierLogits(classifier, pixels);
    const bias = core.clipLogitBias(clip);
    return [
      difference(found.features, image),
      difference(texts.slice(0, texts.length / 2), text),
      // One score of noise may be next to nothing: then it is compared with that of a small cosine.
      Math.abs(found.logits[0] + bias - logits[0]) /
        Math.max(Math.abs(logits[0]), SMALL_COSINE * core.clipLogitScale(clip)),
    ];
  } finally {
    core.dispose();
  }
}

const told = (values) => values.map((value) => value.toExponential(1).padStart(9)).join(' ');

async function main(pattern = '') {
  const python = spawn(process.env.PYTHON ?? 'python3', [here('make.py'), pattern], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => python.on('exit', resolve));
  let faults = 0;
  console.log(`${'model'.padEnd(36)}${'layout'.padEnd(14)}${'file'.padEnd(17)}    image      text    logits`);
  for await (const line of createInterface({ input: python.stdout })) {
    const model = JSON.parse(line);
    const row = [
      model.family.padEnd(36),
      model.layout.padEnd(14),
      `${model.dtype ?? ''} ${model.kind ?? ''}`.padEnd(17),
    ].join('');
    let result;
    try {
      const differences = await compare(model);
      const isRight = !model.refused && differences.every((value) => value <= MOST);
      result = `${told(differences)}${isRight ? '' : '  WRONG'}`;
      if (!isRight) faults++;
    } catch (error) {
      const isRefusal = error instanceof MudptError;
      const isRight = isRefusal && model.refused && error.message.includes(model.refused);
      result = `${isRefusal ? 'refused' : 'FAILED'}: ${error.message}${isRight ? '' : '  WRONG'}`;
      if (!isRight) faults++;
    }
    console.log(row + result);
    python.stdin.write('\n');
  }
  const code = await ended;
  if (faults) console.log(`${faults} of these are not as they should be`);
  process.exitCode = faults || code ? 1 : 0;
}

await main(process.argv[2]);
