/** What can be taken away: the classifier's file, a zip with a page that uses it, a piece of code. */
import { strToU8, zip } from 'fflate';
import { batch } from '@preact/signals';

import { BUILT_IN, clip, model } from './models.js';
import { named, nameOf, classNamed } from './store.js';
import { keep, run, curve, checkpoint } from './training.js';
import { text } from './strings.js';

/** @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** The model as code names it, between quotes; a visitor may have typed the address. */
export const modelAddress = () => {
  const from = model.value?.from;
  if (model.value?.id === BUILT_IN.id || typeof from !== 'string') return './model/';
  return from.replace(/['<>\\]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`);
};

export const snippet = (modelFrom = modelAddress()) => `import { loadClip } from 'mudpt';

const clip = await loadClip('${modelFrom}', { towers: 'image' });
const file = await fetch('classifier.safetensors').then((answer) => answer.arrayBuffer());
const classifier = await clip.import(file);
const [best] = await classifier.classify(picture);
console.log(best.label, best.score);`;

/** Ten lines that use the classifier. CoCoOp's needs the text tower. */
const page = (classes, both) => `<!doctype html>
<html lang="en">
<meta charset="utf-8"><title>${classes.join(', ').replace(/[<&]/g, '')}</title>
<input type="file" accept="image/*" aria-label="Picture"> <output>loading …</output>
<script type="module">
  import { loadClip } from './mudpt/index.js';
  const [input, output] = document.querySelectorAll('input, output');
  const clip = await loadClip('${modelAddress()}'${both ? '' : ", { towers: 'image' }"});
  const file = await fetch('classifier.safetensors').then((answer) => answer.arrayBuffer());
  const classifier = await clip.import(file);
  output.value = classifier.classes.join(', ') + '?';
  input.onchange = async () => {
    const found = await classifier.classify(input.files[0]);
    output.value = found.map(({ label, score }) => label + ' ' + Math.round(100 * score) + ' %').join(', ');
  };
</script>
</html>
`;

async function bytesAt(path) {
  const response = await fetch(new URL(path, document.baseURI));
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** @param {Uint8Array} file the classifier @param {any} classifier @returns {Promise<Blob>} */
export async function selfContained(file, classifier) {
  const names = JSON.parse(new TextDecoder().decode(await bytesAt('kit/files.json')));
  const files = { 'classifier.safetensors': file };
  await Promise.all(names.map(async (name) => (files[`mudpt/${name}`] = await bytesAt(`kit/${name}`))));
  if (model.value?.id === BUILT_IN.id) {
    const parts = ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'model.safetensors', 'LICENSE'];
    await Promise.all(parts.map(async (name) => (files[`model/${name}`] = await bytesAt(`model/${name}`))));
  }
  files['index.html'] = strToU8(page(classifier.classes, classifier.method === 'cocoop'));
  files['README.txt'] = strToU8(text.keep.readme(model.value?.id === BUILT_IN.id));
  // In a worker of its own: the page stays responsive.
  const bytes = await new Promise((resolve, reject) =>
    zip(files, { level: 1 }, (error, data) => (error ? reject(error) : resolve(data))),
  );
  return new Blob([bytes], { type: 'application/zip' });
}

/** Uses a classifier's file; classes that are not there yet get a card. @param {File | Blob} file */
export async function importFile(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const classifier = await /** @type {any} */ (clip.value).import(bytes, {
    name: file instanceof File ? file.name : '',
  });
  batch(() => {
    run.value = { state: 'done' };
    curve.value = { losses: [], accuracies: [], steps: 0 };
    checkpoint.value = null;
  });
  const ids = classifier.classes.map((name) => classNamed(name));
  await keep(classifier, ids, []);
  return classifier.classes.length;
}

/** @param {string[]} names */
export const fileName = (names = named.value.map(({ id }) => nameOf(id))) =>
  `${
    names
      .slice(0, 3)
      .join('-')
      .replace(/[^\p{L}\p{N}-]+/gu, '_') || 'classifier'
  }.safetensors`;
