/**
 * What the package does not do: turn text into code, put names into HTML, leave folders that it was given, or say in a
 * message what a terminal would obey. SECURITY.md says what each input may do at worst.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { loadClip } from '../../js/clip.js';
import { MudptError } from '../../js/base/errors.js';
import { loadDataset } from '../../js/node/datasets.js';
import { PICTURES, TINY_A } from '../node/models.js';
import { count } from './table.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** @type {string} */
let folder;
before(async () => (folder = await mkdtemp(path.join(tmpdir(), 'mudpt-security-'))));
after(() => rm(folder, { recursive: true, force: true }));

/** All scripts and pages below a folder, what is built among them. */
async function sources(...folders) {
  const found = [];
  for (const one of folders) {
    const names = await readdir(path.join(ROOT, one), { recursive: true }).catch(() => []);
    for (const name of names)
      if (/\.(m?js|html)$/.test(name) && !name.includes('node_modules')) found.push(path.join(ROOT, one, name));
  }
  return found;
}

test('no text becomes code or HTML', async () => {
  const files = await sources('js', 'web-demo');
  assert.ok(files.length > 50, `${files.length} files`);
  const forbidden =
    /\beval\s*\(|new Function\b|\b(inner|outer)HTML\b|insertAdjacentHTML|document\.write|setTimeout\(['"`]/;
  for (const file of files) {
    const found = forbidden.exec(await readFile(file, 'utf8'));
    assert.equal(found?.[0], undefined, path.relative(ROOT, file));
  }
});

test('everything works where code cannot be made of text', () => {
  const child = fileURLToPath(new URL('./children.js', import.meta.url));
  const args = ['--disallow-code-generation-from-strings', child, 'workflow'];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.equal(stdout.trim(), '3 EvalError');
});

test('a model whose index names files elsewhere', async () => {
  for (const name of ['../x.safetensors', '/etc/passwd', 'a/b.safetensors', 'https://x.invalid/y.safetensors', '..']) {
    const index = JSON.stringify({ weight_map: { logit_scale: name } });
    const file = new File([index], 'model.safetensors.index.json');
    const config = new File([await readFile(path.join(TINY_A, 'config.json'))], 'config.json');
    await assert.rejects(loadClip([file, config]), { code: 'model', message: /names other things than/ });
    count('faults', 'survived');
  }
});

test('a data set whose split names files elsewhere', async () => {
  const file = path.join(folder, 'split.json');
  await writeFile(path.join(folder, 'a.png'), 'x');
  for (const name of ['../../etc/passwd', '/etc/passwd', 'C:\\Windows\\x.png', '..\\x.png', 'a/../../x.png']) {
    await writeFile(file, JSON.stringify({ classes: ['a', 'b'], train: [[name, 0]], test: [['a.png', 0]] }));
    await assert.rejects(loadDataset(file), { code: 'dataset', message: /leaves the folder/ });
    count('faults', 'survived');
  }
});

test('messages are one line that no terminal obeys, whatever names are in them', () => {
  const names = ['a\nb', '\u001b[2J', '\u0000', '\u202egnp.exe', '\u2028', '\u009b31m', 'x'.repeat(1e6)];
  for (const name of names) {
    const { message, hint } = new MudptError('file', `${name} is not there`, `look for ${name}`);
    for (const text of [message, hint]) {
      assert.doesNotMatch(text, /[\p{Cc}\u2028\u2029\u202a-\u202e]/u);
      assert.ok(text.length < 2100);
    }
  }
});

test('class names that look like code stay names', async () => {
  const classes = ['<img src=x onerror=alert(1)>', '__proto__', 'constructor', "'; DROP TABLE", '${7*7}'];
  const clip = await loadClip(TINY_A, { threads: 1 });
  const classifier = await clip.zeroShot(classes);
  const again = await clip.import(await classifier.export());
  assert.deepEqual(again.classes, classes);
  const found = await again.classify(PICTURES[0], { topK: classes.length });
  assert.deepEqual(found.map(({ label }) => label).sort(), [...classes].sort());
  const { perClass } = await again.evaluate(classes.map((label, i) => ({ label, image: PICTURES[i] })));
  assert.equal(perClass.length, classes.length);
  await clip.dispose();
});

test('more of anything than its limit', async () => {
  const clip = await loadClip(TINY_A, { threads: 1 });
  const many = Array.from({ length: 100_001 }, (_, i) => `class ${i}`);
  await assert.rejects(clip.zeroShot(many), { code: 'argument', message: /at most 100000/ });
  await assert.rejects(clip.zeroShot(['x'.repeat(1001)]), { code: 'argument', message: /at most 1000 characters/ });
  const templates = new Array(1001).fill('a {}');
  await assert.rejects(clip.zeroShot(['cat'], { templates }), { code: 'argument', message: /at most 1000/ });
  await assert.rejects(clip.tune({ classes: ['a', 'b'], examples: [], promptLength: 1025 }).finished, {
    code: 'argument',
  });
  await clip.dispose();
});

test('a picture behind a link is the file that the link names, and a broken link is refused', async () => {
  const link = path.join(folder, 'link.png');
  await symlink(PICTURES[0], link);
  await symlink(path.join(folder, 'nowhere'), path.join(folder, 'broken.png'));
  const clip = await loadClip(TINY_A, { threads: 1 });
  const classifier = await clip.zeroShot(['cat', 'dog']);
  assert.deepEqual(await classifier.classify(link), await classifier.classify(PICTURES[0]));
  await assert.rejects(classifier.classify(path.join(folder, 'broken.png')), { code: 'file' });
  await clip.dispose();
});
