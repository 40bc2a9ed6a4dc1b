/** Loading a model for a command, with its progress on the terminal. */
import { stat } from 'node:fs/promises';
import { MudptError } from '../base/errors.js';
import { loadClip } from '../index.js';
import { readGiven } from './given-file.js';
import { size } from './terminal.js';

const LARGEST_CLASSIFIER = 2 ** 30;

/**
 * @typedef {import('../index.js').LoadOptions} LoadOptions
 * @typedef {'integrity' | 'dtype' | 'precision' | 'device' | 'threads' | 'variant' | 'wideVectors'} Computing
 * @typedef {Computing | 'upright' | 'convention'} Key
 * @typedef {Pick<LoadOptions, Key>} Runtime
 *
 * @param {{ model: string, store?: boolean } & Runtime} options  as parsed
 * @param {ReturnType<typeof import('./terminal.js').openTerminal>} terminal
 * @param {AbortSignal} signal
 */
export async function openModel({ model, store = true, ...runtime }, terminal, signal) {
  const { integrity, dtype, precision, device, threads, variant, wideVectors, upright, convention } = runtime;
  try {
    return await loadClip(model, {
      integrity,
      dtype,
      precision,
      device,
      threads,
      variant,
      wideVectors,
      upright,
      convention,
      tokens: 'needed',
      keepFeatures: store ? 'storage' : 'memory',
      signal,
      onProgress({ loaded, total }) {
        terminal.progress(loaded / total, `model ${size(loaded)} of ${size(total)}`);
        if (loaded === total) terminal.wipe(); // for what the library says on the console
      },
    });
  } finally {
    terminal.wipe();
  }
}

/** Measures a classifier on a list of { path, label }. */
export async function evaluate(classifier, examples, title, terminal, signal) {
  try {
    return await classifier.evaluate(
      examples.map(({ path, label }) => ({ image: path, label })),
      {
        signal,
        onProgress: ({ done, total }) => terminal.progress(done / total, `${title}, ${done} of ${total} pictures`),
      },
    );
  } finally {
    terminal.wipe();
  }
}

/**
 * Features of picture files, of length one.
 * @param {any} clip
 * @param {string[]} files
 * @param {ReturnType<typeof import('./terminal.js').openTerminal>} terminal
 * @param {AbortSignal} signal
 * @param {(broken: any) => void} [onBroken]
 * @returns {Promise<{ data: Float32Array, dims: [number, number] }>}
 */
export async function embedFiles(clip, files, terminal, signal, onBroken) {
  try {
    const onProgress = ({ done, total }) => terminal.progress(done / total, `${done} of ${total} pictures`);
    return await clip.embedImages(files, { signal, onProgress, onBroken });
  } finally {
    terminal.wipe();
  }
}

/** A classifier that mudpt train saved. @param {string} file */
export async function openClassifier(clip, file) {
  const hint = 'give a file that mudpt train saved';
  const info = await stat(file).catch(() => undefined);
  if (info && !info.isFile() && !info.isDirectory()) throw new MudptError('file', `${file}: is no file`, hint);
  if (info && info.size > LARGEST_CLASSIFIER)
    throw new MudptError('classifier', `${file}: is too large for a saved classifier`, hint);
  return clip.import(await readGiven(file, hint), { name: file });
}
