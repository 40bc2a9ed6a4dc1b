/** The documents as a site, as `./run test docs` has built it below /mudpt/: that each link leads somewhere. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const ROOT = path.resolve(import.meta.dirname, '../..');
const SITE = path.join(ROOT, 'build/docs');
const BASE = '/mudpt/';

const pages = readdirSync(SITE, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.html') && !file.startsWith('demo/') && file !== '404.html',
);
const read = (file) => readFileSync(path.join(SITE, file), 'utf8');
/** @type {Map<string, Set<string>>} */
const known = new Map();
function idsOf(file) {
  let ids = known.get(file);
  if (!ids) known.set(file, (ids = new Set(Array.from(read(file).matchAll(/ id="([^"]+)"/g), ([, id]) => id))));
  return ids;
}

test('a page for each document, and the front page is the README', () => {
  for (const document of readdirSync(path.join(ROOT, 'docs')).filter((file) => file.endsWith('.md')))
    assert.ok(pages.includes(`docs/${document.replace(/md$/, 'html')}`), document);
  assert.match(read('index.html'), /<h1 id="mudpt"/);
  assert.ok(pages.includes('CHANGELOG.html'));
});

test('links and pictures of every page lead to what is there', () => {
  const dead = [];
  let links = 0;
  for (const page of pages) {
    const html = read(page);
    for (const [, given] of html.matchAll(/ (?:href|src)="([^"]+)"/g)) {
      if (/^(https?|data|mailto):/.test(given)) continue;
      links++;
      const url = new URL(given.replaceAll('&amp;', '&'), `http://site${BASE}${page}`);
      if (!url.pathname.startsWith(BASE)) {
        dead.push(`${page}: ${given} is outside`);
        continue;
      }
      const name = decodeURIComponent(url.pathname.slice(BASE.length)) || 'index.html';
      const file = [name, `${name}.html`].find((one) => {
        const full = path.join(SITE, one);
        return existsSync(full) && statSync(full).isFile();
      });
      const anchor = decodeURIComponent(url.hash.slice(1));
      if (!file) dead.push(`${page}: ${given}`);
      else if (anchor && file.endsWith('.html') && !idsOf(file).has(anchor)) dead.push(`${page}: ${given}`);
    }
  }
  assert.deepEqual([...new Set(dead)], []);
  assert.ok(links > 1000, `${links} links`);
});

test('no page asks another site for anything', () => {
  for (const page of pages)
    for (const [, address] of read(page).matchAll(/<(?:script|link|img)[^>]* (?:src|href)="(https?:[^"]+)"/g))
      assert.fail(`${page}: ${address}`);
});
