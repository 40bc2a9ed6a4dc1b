/** The golden files on every module, and that the program which checks them notices what is wrong. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { GOLDEN, temporaryFolder } from './models.js';

const PROGRAM = fileURLToPath(new URL('golden.js', import.meta.url));

/** Runs golden.js. @returns {Promise<{ code: number, lines: string[] }>} */
function golden(...args) {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ code: error ? error.code : 0, lines: `${stderr}${stdout}`.trim().split('\n') });
    });
  });
}

const failures = (lines) => lines.filter((line) => line.startsWith('FAIL'));

/** Recorded runs take most of the time: one is repeated natively, the others here; ./run golden does all of it. */
for (const [variant, threads, without] of /** @type {const} */ ([
  ['plain', 1, ['coop', 'mudpt', 'uumudpt', 'promptsrc', 'mmrlpp']],
  ['relaxed', 2, ['mudpt']],
])) {
  test(`every golden file, ${variant} SIMD, ${threads} threads`, async () => {
    const less = without.flatMap((method) => ['--without', `replay/faces-${method}`]);
    const { code, lines } = await golden('--variant', variant, '--threads', String(threads), ...less, GOLDEN);
    assert.deepEqual(failures(lines), []);
    assert.match(lines.at(-1), /^\d{3,} passed, 0 failed$/);
    assert.equal(code, 0);
  });
}

test('in what is recorded the frozen model reads the sentences that it reads here', async () => {
  const recipe = fileURLToPath(new URL('../../models/pictoclip/training/recipe.mjs', import.meta.url));
  const read = ['kgcoop', 'tcp', 'mmrl', 'mmrlpp', 'promptsrc'].map(async (method) => {
    const args = [recipe, path.dirname(path.dirname(recipe)), JSON.stringify({ method })];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const { teacher } = JSON.parse(stdout);
    return teacher.length > 1 ? teacher.length : teacher[0];
  });
  assert.deepEqual(await Promise.all(read), [...Array(4).fill('a photo of a {}.'), 60]);
});

test('block integers, within their own tolerance', async () => {
  const { code, lines } = await golden('--precision', 'fast', '--threads', '2', GOLDEN);
  assert.deepEqual(failures(lines), []);
  assert.match(lines.at(-1), /^\d{2,} passed, 0 failed$/);
  assert.equal(code, 0);
});

describe('what is wrong is noticed', async () => {
  const folder = await temporaryFolder();
  const quick = (...args) => golden('--variant', 'plain', '--threads', '1', ...args);

  test('a folder without golden files, and one that is not there', async () => {
    for (const name of ['empty', 'missing']) {
      const place = path.join(folder, name);
      if (name === 'empty') mkdirSync(place);
      const { code, lines } = await quick(place);
      assert.equal(code, 1);
      assert.equal(lines.at(-1), '0 passed, 1 failed');
    }
  });

  test('wrong answers, each named with its size', async () => {
    const place = path.join(folder, 'wrong');
    for (const name of ['config.json', 'inputs.safetensors', 'model', 'zeroshot.json', 'mudpt.json']) {
      cpSync(path.join(GOLDEN, 'tiny-a', name), path.join(place, name), { recursive: true });
    }
    for (const name of ['zeroshot', 'mudpt']) {
      cpSync(path.join(GOLDEN, `tiny-a/${name}.safetensors`), path.join(place, `${name}.safetensors`));
    }
    const change = (name, action) => {
      const json = JSON.parse(readFileSync(path.join(place, `${name}.json`), 'utf8'));
      action(json);
      writeFileSync(path.join(place, `${name}.json`), JSON.stringify(json));
    };
    change('config', (json) => {
      json.cases = ['zeroshot', 'mudpt'];
      json.files = { 'model/model.safetensors': json.files['model/model.safetensors'] };
    });
    assert.equal((await quick(place)).lines.at(-1), '2 passed, 0 failed');

    change('zeroshot', (json) => (json.loss *= 1.001));
    change('mudpt', (json) => (json.training.losses[7] += 0.001));
    const { code, lines } = await quick('--verbose', place);
    assert.equal(code, 1);
    assert.match(failures(lines)[0], /zeroshot: cross-entropy of the logits: got [\d.]+ where [\d.]+ is right, off by/);
    assert.match(failures(lines)[1], /mudpt: losses\[7\]: got/);
    assert.equal(lines.at(-1), '0 passed, 2 failed');

    change('mudpt', (json) => (json.method = 'somebody-elses'));
    const unknown = await quick('--known-methods', place);
    assert.match(failures(unknown.lines)[1], /mudpt: method is not available: somebody-elses$/);
    assert.equal(unknown.code, 1, 'zeroshot is still wrong');
  });

  test('bad options', async () => {
    for (const args of [
      ['--variant', 'other', GOLDEN],
      ['--threads', 'x', GOLDEN],
      ['--precision', 'x', GOLDEN],
      ['--nothing', GOLDEN],
      [],
    ]) {
      const { code, lines } = await golden(...args);
      assert.equal(code, 2, args.join(' '));
      assert.match(lines.join('\n'), /usage: /);
    }
  });
});
