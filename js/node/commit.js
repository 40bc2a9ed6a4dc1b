/** The commit of the library's own tree, where it runs from one: of an installed package there is none. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const git = (...args) => promisify(execFile)('git', ['-C', ROOT, ...args]).then(({ stdout }) => stdout.trim());

/** @type {Promise<string | null> | undefined} */
let known;

/** @returns {Promise<string | null>} 40 digits, and "+" where files that are kept have been changed */
export function commitOf() {
  known ??= (async () => {
    if (!existsSync(`${ROOT}/.git`)) return null;
    const [commit, changed] = await Promise.all([git('rev-parse', 'HEAD'), git('status', '--porcelain', '-uno')]);
    return `${commit}${changed && '+'}`;
  })().catch(() => null);
  return known;
}
