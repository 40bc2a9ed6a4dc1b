/** The examples of the documentation, as they stand, for tests that run them. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '..');

/**
 * The blocks of a document in a language.
 * @param {string} document a path in this tree
 * @param {string} [language]
 * @returns {string[]}
 */
export const blocksOf = (document, language = 'js') =>
  Array.from(
    readFileSync(path.join(ROOT, document), 'utf8').matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm')),
    ([, code]) => code,
  );

/**
 * The block of a document that has `mark` in it.
 * @param {string} document
 * @param {string} mark
 * @param {string} [language]
 */
export function blockWith(document, mark, language) {
  const found = blocksOf(document, language).find((code) => code.includes(mark));
  if (found === undefined) throw new Error(`${document} has no example with ${mark}`);
  return found;
}

/** The ten lines for a page, and the same for Node. */
export const tenLines = () => blockWith('docs/quick-start.md', 'document.images');
export const nodeLines = () => blockWith('docs/quick-start.md', 'node:fs/promises');
