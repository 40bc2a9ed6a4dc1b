/** A zip with the classifier, the library and a page that uses them. Fetched when it is made. */
import { strToU8, unzipSync, zip } from 'fflate';

import { absolute, classifierFile, quoted, towers } from './keep.js';
import { BUILT_IN, model } from './models.js';
import { tellsNone } from './predict.js';

/** What a zip's page loads the model from: the built-in one is in the zip. */
const zipModel = () => {
  const from = model.value?.from;
  return quoted(model.value?.id === BUILT_IN.id || typeof from !== 'string' ? './model/' : absolute(from));
};

const asksNone = (classifier) => (tellsNone(classifier) ? ', { none: true }' : '');

/** Ten lines that use the classifier. */
const page = (classifier) => `<!doctype html>
<html lang="en">
<meta charset="utf-8"><title>${classifier.classes.join(', ').replace(/[<&]/g, '')}</title>
<input type="file" accept="image/*" aria-label="Picture"> <output>loading …</output>
<script type="module">
  import { loadClip } from './mudpt/index.js';
  const [input, output] = document.querySelectorAll('input, output');
  const clip = await loadClip(${zipModel()}${towers()});
  const file = await fetch('classifier.safetensors').then((answer) => answer.arrayBuffer());
  const classifier = await clip.import(file);
  output.value = classifier.classes.join(', ') + '?';
  input.onchange = async () => {
    const found = await classifier.classify(input.files[0]${asksNone(classifier)});
    const none = found.none > 0.9 ? 'none of these; at best ' : '';
    output.value = none + found.map(({ label, score }) => label + ' ' + Math.round(100 * score) + ' %').join(', ');
  };
</script>
</html>
`;

/** @param {boolean} withModel */
const readme = (withModel) =>
  [
    'A classifier made with mudpt, and a page that uses it.',
    '',
    'Browsers load modules from web servers only, so start one in this folder:',
    '',
    '    npx serve        or        python3 -m http.server',
    '',
    withModel
      ? 'The model is in the folder model/ (licence: model/LICENSE).'
      : 'The model is loaded from its address; the browser keeps it.',
    'Library and notices: mudpt/LICENSE, mudpt/THIRD-PARTY-NOTICES.md.',
    '',
  ].join('\n');

async function bytesAt(path) {
  const response = await fetch(new URL(path, document.baseURI));
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** @param {any} classifier @returns {Promise<Blob>} */
export async function selfContained(classifier) {
  const files = { 'classifier.safetensors': await classifierFile() };
  // One file: were it many, those of two versions could come together.
  for (const [name, bytes] of Object.entries(unzipSync(await bytesAt('kit.zip')))) files[`mudpt/${name}`] = bytes;
  if (model.value?.id === BUILT_IN.id) {
    const parts = ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'model.safetensors', 'LICENSE'];
    await Promise.all(parts.map(async (name) => (files[`model/${name}`] = await bytesAt(`model/${name}`))));
  }
  files['index.html'] = strToU8(page(classifier));
  files['README.txt'] = strToU8(readme(model.value?.id === BUILT_IN.id));
  // In a worker of its own: the page stays responsive.
  const bytes = await new Promise((resolve, reject) =>
    zip(files, { level: 1 }, (error, data) => (error ? reject(error) : resolve(data))),
  );
  return new Blob([bytes], { type: 'application/zip' });
}
