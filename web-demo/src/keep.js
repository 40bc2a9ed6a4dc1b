/** What can be taken away: the classifier's file, a piece of code; and a file that is used again. */
import { isPicture, looksLikePicture } from './intake.js';
import { BUILT_IN, clip, loading, model } from './models.js';
import { usable } from './predict.js';
import { named, nameOf, newId, useWork } from './store.js';
import { text } from './strings.js';
import { useOpened } from './training.js';

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
export const quoted = (from) => `'${from.replace(/['<>\\]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`)}'`;

/** An address that holds in any page, not only beside this one. @param {string} from */
export const absolute = (from) => (/^hf:/.test(from) ? from : new URL(from, document.baseURI).href);

/** Of CoCoOp's prompts the text tower makes features for every picture. */
export const towers = () => (usable.value?.classifier.method === 'cocoop' ? '' : ", { towers: 'image' }");

/** A program for an app that has the package and the classifier's file. It runs as it stands. */
export function snippet() {
  const from = model.value?.from;
  const [imports, place] =
    model.value?.id === BUILT_IN.id
      ? ["import { loadClip } from 'mudpt';\nimport { pictoclip } from 'mudpt/pictoclip';", 'pictoclip']
      : ["import { loadClip } from 'mudpt';", typeof from === 'string' ? quoted(absolute(from)) : "'model/'"];
  const folder = place === "'model/'" ? ' // the folder that was opened here' : '';
  return `${imports}

const clip = await loadClip(${place}${towers()});${folder}
const answer = await fetch('${fileName(usable.value?.classifier.classes)}');
const classifier = await clip.import(await answer.arrayBuffer());

const input = document.createElement('input');
input.type = 'file';
input.onchange = async () => {
  const [best] = await classifier.classify(input.files[0]);
  console.log(best.label, best.score);
};
document.body.append(input);`;
}

/** The file of the classifier in use as it was trained; null where it has learned some more since. */
export function fileAtHand() {
  const { result, learned } = /** @type {any} */ (usable.value);
  const isAsTrained = !learned || JSON.stringify(learned) === JSON.stringify(result?.learned);
  return /** @type {Uint8Array | null} */ ((isAsTrained && result?.file) || null);
}

/** The file of the classifier in use. @returns {Promise<Uint8Array>} */
export const classifierFile = async () => fileAtHand() ?? usable.value?.classifier.export() ?? new Uint8Array();

/** Why a file is no classifier that can be used here, in a visitor's words. */
function refusal(file, bytes, error) {
  if (isPicture({ file }) || looksLikePicture(bytes)) return text.keep.isPicture;
  if (!/\.safetensors$/i.test(file.name) || error.code !== 'classifier') return text.keep.isOther;
  if (/another model/.test(error.message)) return text.keep.isOfOtherModel;
  return /is no saved classifier/.test(error.message) ? text.keep.isNoClassifier : text.keep.isDamaged;
}

/** Uses a classifier's file; classes that are not there yet get a card. @param {File} file */
export async function importFile(file) {
  const mine = clip.value;
  if (!mine) throw new Error(text.train.obstacles[loading.value ? 'noModel' : 'failedModel']);
  const bytes = new Uint8Array(await file.arrayBuffer());
  let classifier;
  try {
    classifier = await mine.import(bytes, { name: file.name });
  } catch (error) {
    throw new Error(`${file.name} ${refusal(file, bytes, error)}`, { cause: error });
  }
  if (mine !== clip.value) throw new Error(text.keep.modelChanged);
  const { classes } = classifier;
  const told = text.keep.imported(classes.length);
  const from = typeof model.value?.from === 'string' ? model.value.from : '';
  const curve = { losses: [], accuracies: [], steps: 0 };
  useOpened(classifier, () =>
    useWork(told, classes, (ids) => {
      return { id: mine.info.fingerprint, from, result: { id: newId(), ids, file: bytes, curve }, run: null };
    }),
  );
}

/** @param {string[]} names */
export const fileName = (names = named.value.map(({ id }) => nameOf(id))) =>
  `${
    names
      .slice(0, 3)
      .join('-')
      .replace(/[^\p{L}\p{N}-]+/gu, '_') || 'classifier'
  }.safetensors`;
