// The law of the house (scripts/tree.js): what the tree's check must find, planted one at a time.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { anchorsOf, deadLinks, slugOf } from '../../scripts/check-links.js';
import { faultsOfTheHouse } from '../../scripts/tree.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The faults where a file ends with other lines than it has. */
const withLines = (file, lines) =>
  faultsOfTheHouse((name) => readFileSync(`${root}${name}`, 'utf8') + (name === file ? `${lines}\n` : ''));

test('an import from a room above is found, with both files and the line', () => {
  const lines = readFileSync(`${root}js/base/errors.js`, 'utf8').split('\n').length;
  const faults = withLines('js/base/errors.js', "import { TuneJob } from '../training/tune.js';");
  assert.ok(
    faults.some((fault) => fault.startsWith(`js/base/errors.js:${lines}: imports js/training/tune.js`)),
    faults.join('\n'),
  );
});

test('so are an import that waits, and a room that is on no floor', () => {
  const faults = withLines('js/files/cache.js', "const later = () => import('../attic/x.js');");
  assert.ok(
    faults.some((fault) => fault.includes('the room "attic" is not in the list')),
    faults.join('\n'),
  );
});

test('a call back to a file that calls this one closes a loop', () => {
  const header = readFileSync(`${root}src/clip/vision.h`, 'utf8').replace(/\/\*[^]*?\*\//g, '');
  const [, name] = /\b(\w+)\([^;]*\);/.exec(header);
  const faults = withLines('src/clip/tower.c', `void planted(void) { ${name}(); }`);
  assert.ok(
    faults.some((fault) => /closes a loop/.test(fault) && /src\/clip\/vision\.c/.test(fault)),
    faults.join('\n'),
  );
});

test('files and tests that docs/bitten.md and docs/tried.md name are there', () => {
  const spans = (text) =>
    [...text.matchAll(/`([^`\s]+)`|`[^`]*?\s(tests\/[^`\s]+)`/g)].map(([, one, other]) => one ?? other);
  const filesIn = (text) => spans(text).filter((span) => /^(src|js|tests|wasm|bench|models)\/\S+\.\w+$/.test(span));
  const read = (file) => readFileSync(`${root}${file}`, 'utf8');
  let named = 0;
  for (const document of ['docs/bitten.md', 'docs/tried.md']) {
    for (const paragraph of read(document).split('\n\n')) {
      const files = filesIn(paragraph);
      for (const file of files) assert.ok(existsSync(`${root}${file}`), `${document}: ${file}`);
      if (document === 'docs/tried.md') continue;
      const tests = files.filter((file) => file.startsWith('tests/')).map(read);
      for (const [, title] of paragraph.replace(/\s+/g, ' ').matchAll(/"([^"]+)"/g)) {
        named++;
        assert.ok(
          tests.some((text) => text.includes(title)),
          `${document}: "${title}" is in none of ${files.join(', ')}`,
        );
      }
    }
  }
  assert.ok(named > 30, `${named} tests`);
});

test("the comment of every kernel's prototype says what shape each of its pointers has", () => {
  const folder = `${root}src/kernels/`;
  const headers = readdirSync(folder).filter((name) => name.endsWith('.h'));
  const numbers = /\b(?:float|int|u?int\d+_t|size_t|v128_t) \*(\w+)/g;
  let pointers = 0;
  for (const name of headers) {
    const text = readFileSync(folder + name, 'utf8');
    // A comment belongs to all prototypes that follow it without an empty line.
    for (const [, comment, prototypes] of text.matchAll(
      /(\/\*(?:[^*]|\*(?!\/))*\*\/\n)?((?:^[a-zA-Z](?:[^;{}#()]|\n)*\([^;{})]*\)(?:;| \{)\n)+)/gm,
    )) {
      if (/typedef/.test(prototypes)) continue;
      for (const [, pointer] of prototypes.matchAll(numbers)) {
        pointers++;
        const says = comment?.includes('[') && new RegExp(`\\b${pointer}\\b`).test(comment);
        assert.ok(says, `${name}: ${pointer} of\n${prototypes}`);
      }
    }
  }
  assert.ok(pointers > 80, `${pointers} pointers`);
});

test('what finds dead links in the documents finds them', () => {
  const files = {
    'docs/a.md': '# One\n\n[b](b.md#two-words) [c](c.md) [d](#one) [e](#two) [f](b.md#three) [g](https://x.example/)\n',
    'docs/b.md': '# Two words\n\n```\n# three\n[x](nowhere.md)\n```\n',
  };
  const dead = deadLinks('docs/a.md', (file) => files[file] ?? null);
  assert.deepEqual(dead, [
    'docs/a.md: c.md is not there',
    'docs/a.md: #two is no heading',
    'docs/a.md: b.md#three is no heading',
  ]);
  assert.deepEqual(
    deadLinks('docs/b.md', (file) => files[file] ?? null),
    [],
  );
  assert.equal(slugOf('`loadClip`, and (what) it gives'), 'loadclip-and-what-it-gives');
  assert.deepEqual([...anchorsOf('## A\n## A\n## [B](c.md)\n')], ['a', 'a-1', 'b']);
});
