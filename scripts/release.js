/**
 * What `npm publish` wants first (prepublishOnly): refuses while package.json does not say where the project lives, as
 * npm's page then shows the README's links and pictures nowhere, while what is compiled is not there, and while the
 * version is another one elsewhere or the changelog does not have it with its date.
 */
import { existsSync, readFileSync } from 'node:fs';
import { MADE } from './made.js';

const missing = [];
const { repository, homepage, version } = JSON.parse(readFileSync('package.json', 'utf8'));
if (!repository) missing.push('package.json has no "repository": give the address of the public source tree');
if (!homepage) missing.push('package.json has no "homepage": give the address of the demo page, or of the README');
for (const file of MADE) if (!existsSync(file)) missing.push(`${file} is not there: ./run build`);
// Saved classifiers tell the core's.
const core = /^#define VERSION "(.*)"$/m.exec(readFileSync('src/mudpt.c', 'utf8'))?.[1];
if (core !== version) missing.push(`src/mudpt.c has version ${core}, package.json ${version}`);
const [, newest, date] = /^## (\S+) \((.*)\)$/m.exec(readFileSync('CHANGELOG.md', 'utf8')) ?? [];
if (newest !== version || !/^\d{4}-\d\d-\d\d$/.test(date))
  missing.push(`CHANGELOG.md begins with ${newest} (${date}): give ${version} and its date`);
for (const line of missing) console.error(`not published: ${line}`);
process.exitCode = missing.length ? 1 : 0;
