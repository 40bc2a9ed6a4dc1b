#!/usr/bin/env node
// Makes models/pictoclip/zoo-sample, which the package carries for those who do not have what draws the tasks: of some
// classes of the sample task the pictures with the smallest files, none of a share-alike set.
//
//   node models/pictoclip/tasks/excerpt.js TASK-FOLDER OUT
import { cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const CLASSES = ['bear', 'cat', 'chicken', 'elephant', 'fish', 'penguin', 'snake', 'turtle'];
const PICTURES = 6; // of each class and part

const [, , from, out] = process.argv;
if (!out) throw new Error('usage: excerpt.js TASK-FOLDER OUT');
const split = JSON.parse(await readFile(join(from, 'split.json'), 'utf8'));
const credits = await readFile(join(from, 'ATTRIBUTION.md'), 'utf8');
const [, intro, table] = /** @type {RegExpExecArray} */ (/(Every picture[^]*?\n\n)(\|[^]*)/.exec(credits));
const rows = table.split('\n').filter((row) => !row.includes('[CC-BY-SA'));
const sets = rows.flatMap((row) => /^\| `(.*?)`/.exec(row)?.[1] ?? []);

const used = new Set();
const parts = {};
for (const part of ['train', 'test']) {
  parts[part] = [];
  for (const [label, name] of CLASSES.entries()) {
    const free = [];
    for (const [file, of] of split[part]) {
      const [, set] = /** @type {RegExpExecArray} */ (/\d-([^/]*)\.png$/.exec(file));
      if (split.classes[of] !== name || !sets.includes(set)) continue;
      free.push({ file, set, size: (await stat(join(from, file))).size });
    }
    for (const { file, set } of free.sort((a, b) => a.size - b.size).slice(0, PICTURES)) {
      used.add(set);
      parts[part].push([file, label]);
      await mkdir(dirname(join(out, file)), { recursive: true });
      await cp(join(from, file), join(out, file));
    }
  }
}
const count = parts.train.length + parts.test.length;
const excerpt = { classes: CLASSES, template: split.template, ...parts };
await writeFile(join(out, 'split.json'), `${JSON.stringify(excerpt)}\n`);
const credited = rows.filter((row) => [...used].some((set) => row.startsWith(`| \`${set}\` `)) || !/^\| `/.test(row));
await writeFile(
  join(out, 'ATTRIBUTION.md'),
  `# Where these pictures come from

${count} pictures of the task \`zoo\`: of eight of its classes those with the smallest files, which are the plainest.

${intro.replace(/; those from a share-alike set[^.]*\./, '.').replace(/\n+$/, '')}

${credited.join('\n')}`,
);
