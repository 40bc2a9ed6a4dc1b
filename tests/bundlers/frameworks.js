/** Apps as their frameworks' users make them, of the recipes in docs/recipes.md as they stand. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { blockWith } from '../examples.js';
import { NEW_PICTURE } from './apps.js';
import { ROOT } from './fresh.js';

const recipe = (mark, language) => blockWith('docs/recipes.md', mark, language);
const CLASSES = ['clown face', 'robot', 'ghost'];
const WATCHED = path.join(ROOT, NEW_PICTURE.image);

/** Collects what goes wrong, before anything else runs. */
const FAILED = `<script>
  globalThis.failed = [];
  console.error = (...what) => failed.push(what.join(' '));
  addEventListener('error', ({ message }) => failed.push(message ?? 'a file is missing'), true);
  addEventListener('unhandledrejection', ({ reason }) => failed.push(String(reason)));
</script>`;

/** @param {string} folder @param {Record<string, string | object>} files */
function write(folder, files) {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
}

const MAIN = `import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Naming } from './Naming';
import { Watching } from './Watching';

const canvas = document.createElement('canvas');
const stream = canvas.captureStream();
const picture = new Image();
picture.onload = () => {
  [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
  setInterval(() => canvas.getContext('2d')?.drawImage(picture, 0, 0), 20);
};
picture.src = '/new-picture.jpg';

function App() {
  const [isHere, setHere] = useState(true);
  const [turn, setTurn] = useState(0);
  const classes = ${JSON.stringify(CLASSES)};
  return (
    <>
      <button id="again" onClick={() => setTurn(turn + 1)}>{turn}</button>
      <button id="leave" onClick={() => setHere(false)}>leave</button>
      {isHere && <div id="naming"><Naming classes={classes} /></div>}
      {isHere && <div id="watching"><Watching classes={classes} stream={stream} /></div>}
    </>
  );
}

createRoot(document.getElementById('root')!).render(<StrictMode><App /></StrictMode>);
`;

/** React with TypeScript as its strictest. @param {string} folder */
export function writeReact(folder) {
  write(folder, {
    'package.json': { name: 'app', private: true, type: 'module' },
    'index.html': `<!doctype html>\n<meta charset="utf-8" />\n<title>app</title>\n${FAILED}
<div id="root"></div>\n<script type="module" src="/src/main.tsx"></script>\n`,
    'vite.config.ts': `import react from '@vitejs/plugin-react';\nexport default { plugins: [react()] };\n`,
    'tsconfig.json': {
      compilerOptions: {
        ...{ strict: true, noEmit: true, target: 'es2023', module: 'esnext', moduleResolution: 'bundler' },
        ...{ lib: ['es2023', 'dom', 'dom.iterable'], jsx: 'react-jsx', types: [], skipLibCheck: false },
        ...{ noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, verbatimModuleSyntax: true },
        ...{ noUnusedLocals: true, noUnusedParameters: true, noImplicitReturns: true, erasableSyntaxOnly: true },
      },
      include: ['src'],
    },
    'src/main.tsx': MAIN,
    'src/clip.ts': recipe('// clip.ts', 'ts'),
    'src/useClassifier.ts': recipe('// useClassifier.ts', 'ts'),
    'src/Naming.tsx': recipe('// Naming.tsx', 'tsx'),
    'src/Watching.tsx': recipe('// Watching.tsx', 'tsx'),
  });
  mkdirSync(path.join(folder, 'public'));
  cpSync(WATCHED, path.join(folder, 'public/new-picture.jpg'));
}

/** SvelteKit, rendered on a server of Node. @param {string} folder */
export function writeSvelte(folder) {
  write(folder, {
    'package.json': { name: 'app', private: true, type: 'module' },
    'vite.config.ts': `import adapter from '@sveltejs/adapter-node';
import { sveltekit } from '@sveltejs/kit/vite';
export default { plugins: [sveltekit({ adapter: adapter() })] };\n`,
    'src/app.html': `<!doctype html>\n<html lang="en"><head><meta charset="utf-8" />${FAILED}%sveltekit.head%</head>
<body>%sveltekit.body%</body></html>\n`,
    'src/lib/clip.ts': recipe('// clip.ts', 'ts'),
    'src/routes/+page.svelte': recipe('+page.svelte', 'svelte'),
    'src/routes/name/+server.ts': recipe('+server.ts', 'ts'),
  });
}

/** A page without a bundler, with the package on another site. @param {string} folder @param {string} site */
export function writePlain(folder, site) {
  const map = recipe('https://cdn.example/', 'html').replaceAll('https://cdn.example/npm/', site);
  const script = `import { loadClip } from 'mudpt';
import { pictoclip } from 'mudpt/pictoclip';
const clip = await loadClip(pictoclip);
const classifier = await clip.zeroShot(${JSON.stringify(CLASSES)});
const [one, other] = await classifier.classify(['new-picture.jpg', 'new-picture.jpg']);
document.body.append(one[0].label, ' ', other[0].label);
`;
  write(folder, {
    'package.json': { name: 'app', private: true },
    'page/index.html': `<!doctype html>\n<meta charset="utf-8" />\n<title>app</title>\n${FAILED}\n${map}
<body><script type="module">\n${script}</script></body>\n`,
  });
  cpSync(WATCHED, path.join(folder, 'page/new-picture.jpg'));
}

/** Of other runtimes, and of CommonJS: what is on a picture, on two threads. @param {string} folder */
export function writeRuntimes(folder) {
  const rest = `const clip = await loadClip(pictoclip, { threads: 2 });
const classifier = await clip.zeroShot(${JSON.stringify(CLASSES)});
const [[best]] = await classifier.classify([await readFile(${JSON.stringify(WATCHED)})]);
console.log(JSON.stringify({ ...best, threads: clip.info.threads }));
await clip.dispose();
`;
  const wrapped = (lines) => `(async () => {\n${lines}\n${rest}})();\n`;
  const node = "const { readFile } = require('node:fs/promises');\n";
  write(folder, {
    'package.json': { name: 'app', private: true },
    'module.mjs': `import { readFile } from 'node:fs/promises';\nimport { loadClip } from 'mudpt';
import { pictoclip } from 'mudpt/pictoclip';\n${rest}`,
    'import.cjs': `${node}${wrapped(`const { loadClip } = await import('mudpt');
const { pictoclip } = await import('mudpt/pictoclip');`)}`,
    'require.cjs': `${node}const { loadClip } = require('mudpt');\nconst { pictoclip } = require('mudpt/pictoclip');
${wrapped('')}`,
  });
}
