#!/usr/bin/env node
/**
 * The documents as a static site, in build/docs, with the demo page beside them where it has been built:
 *
 *   node web-docs/build.js [--base /path/]    the path below which a host will have it; / by default
 *
 * VitePress makes it (package.json beside this file; `./run docs` installs it below build/). It gets copies of what the
 * package has of documents, so that links are those of the tree, and ends with an error where one leads nowhere.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const tools = path.join(root, 'build/docs-tools');
const source = path.join(tools, 'source');
const outDir = path.join(root, 'build/docs');
const { values } = parseArgs({ options: { base: { type: 'string', default: '/' } } });
if (!/^\/(.*\/)?$/.test(values.base)) throw new Error(`--base is ${values.base}, expected /, or /path/`);

/** What becomes pages, and what these lead to besides. */
const PAGES = ['README.md', 'CHANGELOG.md', 'SECURITY.md', 'THIRD-PARTY-NOTICES.md', 'models/pictoclip/MODEL_CARD.md'];
const FILES = ['LICENSE', 'js/base/limits.js'];

rmSync(source, { recursive: true, force: true });
rmSync(outDir, { recursive: true, force: true });
const put = (from, to) => cpSync(path.join(root, from), path.join(source, to), { recursive: true });
for (const file of [...PAGES, 'docs', 'models/pictoclip/zoo-sample/ATTRIBUTION.md']) put(file, file);
for (const file of FILES) put(file, `public/${file}`);
put('web-docs/config.js', '.vitepress/config.js');
put('scripts/check-links.js', '.vitepress/slug.js');
// The front page of the tree is that of the site.
renameSync(path.join(source, 'README.md'), path.join(source, 'index.md'));
for (const file of readdirSync(path.join(source, 'docs')).filter((name) => name.endsWith('.md'))) {
  const text = readFileSync(path.join(source, 'docs', file), 'utf8');
  writeFileSync(path.join(source, 'docs', file), text.replaceAll('](../README.md', '](../index.md'));
}
writeFileSync(path.join(source, 'package.json'), '{ "type": "module" }\n');

process.env.MUDPT_DOCS_BASE = values.base;
const { build } = await import(pathToFileURL(path.join(tools, 'node_modules/vitepress/dist/node/index.js')).href);
await build(source, { outDir });

// Of what VitePress builds in.
const BUILT_IN = [
  'vitepress',
  'vue',
  '@vueuse/core',
  '@vueuse/integrations',
  'minisearch',
  'mark.js',
  'focus-trap',
  'tabbable',
];
const licences = BUILT_IN.map((name) => {
  const folder = path.join(tools, 'node_modules', name);
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  return `${name}\n\n${readFileSync(path.join(folder, file), 'utf8')}`;
});
const inter = 'Copyright (c) 2016 The Inter Project Authors, SIL Open Font License 1.1, https://openfontlicense.org';
licences.push(`Inter, a font\n\n${inter}\n`);
writeFileSync(path.join(outDir, 'licences.txt'), licences.join(`\n${'-'.repeat(80)}\n\n`));

const demo = path.join(root, 'build/site');
if (existsSync(demo)) {
  mkdirSync(path.join(outDir, 'demo'));
  for (const name of readdirSync(demo))
    cpSync(path.join(demo, name), path.join(outDir, 'demo', name), { recursive: true });
}
