/**
 * Whether the documents' links lead somewhere: to files of the tree, and to headings that are there. Addresses of other
 * sites are not asked for.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** What a heading is called in addresses, as GitHub does it. @param {string} text */
export const slugOf = (text) =>
  text
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
    .replaceAll(' ', '-');

/** Without blocks of code. @param {string} markdown */
const proseOf = (markdown) => markdown.replace(/^(```|~~~)[^]*?^\1$/gm, '');

/** What can follow a # in an address of a document. @param {string} markdown @returns {Set<string>} */
export function anchorsOf(markdown) {
  /** @type {Map<string, number>} */
  const seen = new Map();
  const anchors = new Set(Array.from(markdown.matchAll(/<a (?:id|name)="([^"]+)"/g), ([, id]) => id));
  for (const [, heading] of proseOf(markdown).matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = slugOf(heading.replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1'));
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    anchors.add(times ? `${slug}-${times}` : slug);
  }
  return anchors;
}

/**
 * Links of a document that lead nowhere.
 * @param {string} file a path
 * @param {(file: string) => string | null} read a document's text; null: there is no such file or folder
 */
export function deadLinks(file, read) {
  const markdown = /** @type {string} */ (read(file));
  const dead = [];
  for (const [, link] of proseOf(markdown).matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g)) {
    if (/^[a-z]+:/i.test(link)) continue;
    const [name, anchor] = link.split('#');
    const target = name ? path.join(path.dirname(file), decodeURIComponent(name)) : file;
    const text = read(target);
    if (text === null) dead.push(`${file}: ${link} is not there`);
    else if (anchor !== undefined && target.endsWith('.md') && !anchorsOf(text).has(anchor))
      dead.push(`${file}: ${link} is no heading`);
  }
  return dead;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '*.md']);
  const read = (file) => {
    if (!existsSync(file)) return null;
    return file.endsWith('.md') ? readFileSync(file, 'utf8') : '';
  };
  const files = listed.toString().split('\0').filter(existsSync);
  const dead = files.flatMap((file) => deadLinks(file, read));
  for (const line of dead) console.error(line);
  if (dead.length || !files.includes('README.md')) process.exitCode = 1;
}
