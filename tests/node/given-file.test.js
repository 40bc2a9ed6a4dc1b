/** Files that are named on the command line: one that is not there, or is a folder, is told alike by every command. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { mudpt } from './command.js';
import { PICTURES, TINY_A, temporaryFolder } from './models.js';

const cwd = await temporaryFolder();
for (const folder of ['folder', 'folder.safetensors', 'data']) mkdirSync(path.join(cwd, folder), { recursive: true });
const model = ['--model', TINY_A];
const COMMANDS = {
  export: (file) => ['export', file, '--out', 'x'],
  'add-classes': (file) => ['add-classes', file, '--classes', 'a', '--out', 'x', ...model],
  classify: (file) => ['classify', PICTURES[0], '--classifier', file, ...model],
  compare: (file) => ['compare', file, file],
  search: (file) => ['search', `${file}.safetensors`, 'a', ...model],
  'train --resume': (file) => ['train', '--resume', file, ...model],
  report: (file) => ['report', file],
};

test('a file that is not there', async () => {
  const found = Object.entries(COMMANDS).map(async ([name, line]) => {
    const { code, stderr } = await mudpt(line('nowhere'), { cwd });
    assert.equal(code, 1, name);
    assert.match(stderr, /^mudpt: nowhere(\.safetensors)?: there is no such (file|folder); give .+\n$/, name);
  });
  await Promise.all(found);
});

test('a folder in place of a file', async () => {
  const { report: _, 'train --resume': __, ...others } = COMMANDS;
  const found = Object.entries(others).map(async ([name, line]) => {
    const { code, stderr } = await mudpt(line('folder'), { cwd });
    assert.equal(code, 1, name);
    assert.match(stderr, /^mudpt: folder(\.safetensors)?: is a folder; give .+\n$/, name);
  });
  await Promise.all(found);
});
