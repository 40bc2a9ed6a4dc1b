/**
 * The same app, made with each bundler: the ten lines of the quick start, in a page with some pictures. `build` is what
 * docs/recipes.md says, run in the app's folder; afterwards the page is in the folder `served`.
 */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { EXAMPLES, TESTS } from '../browser/task.js';
import { tenLines } from '../examples.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
/** What the app shall say of new-picture.jpg. */
export const NEW_PICTURE = TESTS.find(({ label, image }) => label === 'clown face' && image.endsWith('.jpg'));

/** @param {string} head @param {string} script */
const page = (head, script) => `<!doctype html>
<meta charset="utf-8" />
<title>app</title>
<script>
  globalThis.printed = [];
  globalThis.failed = [];
  console.log = (...what) => printed.push(what);
  addEventListener('error', ({ message }) => failed.push(message ?? 'a file is missing'), true);
  addEventListener('unhandledrejection', ({ reason }) => failed.push(String(reason)));
</script>
${head}${EXAMPLES.map(({ label }, i) => `<img alt="${label}" src="/pictures/${i}" />`).join('\n')}
<script type="module" src="${script}"></script>
`;

const WEBPACK = `export default { mode: 'production', entry: './main.js', output: { filename: 'app.js' } };\n`;
const IMPORT_MAP = `<script type="importmap">
  {
    "imports": {
      "mudpt": "/node_modules/mudpt/js/index.js",
      "mudpt/pictoclip": "/node_modules/mudpt/js/pictoclip.js"
    }
  }
</script>
`;
const COPY = 'cp -r node_modules/mudpt/js dist/ && cp -r node_modules/mudpt/models dist/js/';

/**
 * @typedef {{ head?: string, script: string, files?: Record<string, string>, build?: string, served: string,
 *   isolated?: boolean }} App
 */

/** @type {Record<string, App>} */
export const APPS = {
  vite: { script: '/main.js', build: 'vite build', served: 'dist' },
  'vite 7': { script: '/main.js', build: 'node ../../node_modules/vite-7/bin/vite.js build', served: 'dist' },
  webpack: { script: '/app.js', files: { 'webpack.config.js': WEBPACK }, build: 'webpack', served: 'dist' },
  esbuild: {
    script: '/js/app/app.js',
    build: `esbuild main.js --bundle --format=esm --minify --outfile=dist/js/app/app.js && ${COPY}`,
    served: 'dist',
  },
  rollup: {
    script: '/js/app/main.js',
    build: `rollup main.js --dir dist/js/app --plugin node-resolve && ${COPY}`,
    served: 'dist',
  },
  'no bundler': { head: IMPORT_MAP, script: '/main.js', served: '.' },
  'no bundler, isolated by a service worker': {
    head: `<script src="/coi-serviceworker.min.js"></script>\n${IMPORT_MAP}`,
    script: '/main.js',
    build: 'cp ../../node_modules/coi-serviceworker/coi-serviceworker.min.js .',
    served: '.',
    isolated: true,
  },
};

/** Writes an app's own files. @param {App} app @param {string} folder */
export function writeApp({ head = '', script, files = {} }, folder) {
  mkdirSync(path.join(folder, 'public/pictures'), { recursive: true });
  writeFileSync(path.join(folder, 'package.json'), '{ "name": "app", "private": true, "type": "module" }\n');
  writeFileSync(path.join(folder, 'index.html'), page(head, script));
  writeFileSync(path.join(folder, 'main.js'), tenLines());
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  EXAMPLES.forEach(({ image }, i) => cpSync(path.join(ROOT, image), path.join(folder, `public/pictures/${i}`)));
  cpSync(path.join(ROOT, NEW_PICTURE.image), path.join(folder, 'public/new-picture.jpg'));
}
