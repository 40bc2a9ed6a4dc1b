/** The package as it is packed: what is in it, how much of it a page downloads, and that the quick start runs. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

import { build } from 'esbuild';

import { EXAMPLES, TESTS } from '../browser/task.js';
import { blockWith, nodeLines, tenLines } from '../examples.js';
import { temporaryFolder } from './models.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const inTree = (file) => path.join(ROOT, file);
/**
 * Bytes, minified and gzipped, of what README's lines make a page download, without a model: what the page's script
 * imports, the worker, one WebAssembly module.
 */
const BUDGET = 160_000;
/** The same of each part that a page downloads only where it is used. */
const BUDGETS = {
  "threads' script, where a page is isolated": 7 * 1024,
  "a WebGPU device's thread, where one is asked for": 14 * 1024,
  'js/clip.js, where there is to be no worker': 66 * 1024,
  'js/extras.js, of which a model, a GPU or storage needs something': 31 * 1024,
  "js/classifier/exchange.js, for what the authors' code has trained": 24 * 1024,
  "heads' module, where a head is made": 22 * 1024,
  'js/heads/heads.js, with it': 8 * 1024,
  'js/instant/start.js, for an answer at once and what goes with it': 30 * 1024,
  'js/classifier/judge.js, for what classifiers say beyond the class': 9 * 1024,
  'js/features/search.js, for search and near duplicates': 7 * 1024,
  'js/pictures/images.js, with it': 7 * 1024,
  'js/pictures/no-picture.js, for what is none': 3 * 1024,
  'js/pictures/element-faults.js, for elements that show none': 3 * 1024,
  'js/worker/no-worker.js, for pages that may start none': 1024,
  "precision int8's module, in place of the other": 90 * 1024,
};
/** Of a part that is not named yet. */
const RARE_BUDGET = 3 * 1024;
/** Of what no page loads: each part's own files, without what it imports from others. */
const NODE_BUDGETS = { protocols: 13 * 1024, charts: 5 * 1024, "Node's files": 15 * 1024, 'command line': 42 * 1024 };

const execute = promisify(execFile);
const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;

/** Packs the package; the folder that it was unpacked to, as an app has it. */
async function installed() {
  const folder = await temporaryFolder();
  const { stdout } = await execute('npm', ['pack', '--json', '--pack-destination', folder], { cwd: ROOT });
  const [{ filename, files }] = JSON.parse(stdout);
  const modules = path.join(folder, 'node_modules/mudpt');
  mkdirSync(modules, { recursive: true });
  await execute('tar', ['-xzf', path.join(folder, filename), '-C', modules, '--strip-components=1']);
  writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }');
  return { folder, files: files.map((file) => file.path) };
}

test('what a page downloads stays within its budget', async (t) => {
  const options = /** @type {const} */ ({ bundle: true, minify: true, write: false, platform: 'browser' });
  const bundled = async (file, more) => {
    const { outputFiles } = await build({
      ...options,
      entryPoints: [file],
      format: 'esm',
      absWorkingDir: ROOT,
      ...more,
    });
    return gzipped(outputFiles[0].contents);
  };
  // What the page's script imports when it needs it is no part of it.
  const later = new Set();
  /** @type {import('esbuild').Plugin} */
  const apart = {
    name: 'apart',
    setup: ({ onResolve }) =>
      onResolve({ filter: /^\.\.?\// }, ({ kind, path: name, resolveDir }) => {
        if (kind !== 'dynamic-import') return undefined;
        later.add(path.relative(ROOT, path.join(resolveDir, name)));
        return { path: name, external: true };
      }),
  };
  const stdin = { contents: "import { loadClip } from './js/index.js'; console.log(loadClip);", resolveDir: ROOT };
  const script = { format: 'iife', logLevel: 'error' }; // of import.meta
  const sizes = {
    'in the page': await bundled('', { entryPoints: [], stdin, plugins: [apart] }),
    worker: await bundled('js/worker/worker.js', script),
    WebAssembly: Math.max(
      ...['mudpt', 'mudpt-relaxed'].map((name) => gzipped(readFileSync(inTree(`js/wasm/${name}.wasm`)))),
    ),
  };
  for (const [what, bytes] of Object.entries(sizes)) t.diagnostic(`${what}: ${bytes} bytes gzipped`);
  const sum = Object.values(sizes).reduce((a, b) => a + b);
  t.diagnostic(`together: ${sum} bytes of ${BUDGET}`);
  const [threads, device, whole, extras, heads, table] = Object.keys(BUDGETS);
  const parts = [
    [threads, await bundled('js/wasm/mudpt.mjs'), BUDGETS[threads]],
    [device, await bundled('js/webgpu/thread.js'), BUDGETS[device]],
    // Beyond what the worker has that everyone starts.
    [extras, (await bundled('js/worker/whole-worker.js', script)) - sizes.worker, BUDGETS[extras]],
  ];
  parts.push([heads, gzipped(readFileSync(inTree('js/wasm/mudpt-heads.wasm'))), BUDGETS[heads]]);
  parts.push([table, await bundled('js/heads/heads.js'), BUDGETS[table]]);
  const int8 = /** @type {string} */ (Object.keys(BUDGETS).at(-1));
  parts.push([int8, gzipped(readFileSync(inTree('js/wasm/mudpt-int8.wasm'))), BUDGETS[int8]]);
  later.delete('js/extras.js');
  for (const name of later) {
    const what = Object.keys(BUDGETS).find((part) => part.startsWith(`${name},`)) ?? name;
    parts.push([what, await bundled(name, { logLevel: 'error' }), BUDGETS[what] ?? RARE_BUDGET]);
  }
  for (const [what, bytes, budget] of parts) t.diagnostic(`apart, ${what}: ${bytes} bytes of ${budget}`);
  assert.ok(
    Object.values(sizes).every((bytes) => bytes > 1000),
    'something is missing',
  );
  assert.ok(parts.some(([what]) => what === whole) && parts[0][1] > 1000 && parts[1][1] > 1000);
  for (const [what, bytes, budget] of parts) assert.ok(bytes <= budget, `${what}: ${bytes} bytes, of ${budget}`);
  assert.ok(sum <= BUDGET, `${sum} bytes gzipped are more than ${BUDGET}`);
});

test('each part that only Node loads stays within a budget of its own', async (t) => {
  const filesOf = (room) => readdirSync(inTree(`js/${room}`)).map((name) => `js/${room}/${name}`);
  const charts = 'js/node/charts.js';
  const parts = {
    protocols: filesOf('protocol'),
    charts: [charts],
    "Node's files": filesOf('node').filter((file) => file !== charts),
    'command line': filesOf('cli'),
  };
  for (const [what, files] of Object.entries(parts)) {
    const own = new Set(files.map(inTree));
    /** @type {import('esbuild').Plugin} */
    const alone = {
      name: 'alone',
      setup: ({ onResolve }) =>
        onResolve({ filter: /^/ }, ({ path: name, resolveDir }) =>
          own.has(path.join(resolveDir, name)) ? undefined : { path: name, external: true },
        ),
    };
    const contents = files.map((file, i) => `export * as part${i} from './${file}';`).join('\n');
    const { outputFiles } = await build({
      ...{ stdin: { contents, resolveDir: ROOT }, plugins: [alone], platform: 'node', format: 'esm' },
      ...{ bundle: true, minify: true, write: false },
    });
    const bytes = gzipped(outputFiles[0].contents);
    t.diagnostic(`only in Node, ${what}: ${bytes} bytes of ${NODE_BUDGETS[what]}`);
    assert.ok(bytes > 1000 && bytes <= NODE_BUDGETS[what], `${what}: ${bytes} bytes, of ${NODE_BUDGETS[what]}`);
  }
  // And no page loads them.
  const page = { contents: "export * from './js/index.js'; export * from './js/worker/worker.js';", resolveDir: ROOT };
  const { metafile } = await build({
    ...{ stdin: page, platform: 'browser', format: 'esm', outdir: ROOT, logLevel: 'error' },
    ...{ bundle: true, minify: true, write: false, metafile: true },
  });
  assert.ok(metafile.inputs['js/clip.js']);
  const inPage = Object.values(parts)
    .flat()
    .filter((file) => metafile.inputs[file]);
  assert.deepEqual(inPage, []);
});

test('the worker and the threads are one piece each, which every bundler can make a classic script of', async () => {
  // Vite up to 7 cannot, where a bundler sees an import() in what they are made of.
  const scripts = ['worker/worker', 'worker/whole-worker', 'webgpu/thread'].map((name) => `js/${name}.js`);
  const entryPoints = [...scripts, 'js/wasm/mudpt.mjs'].map(inTree);
  const options = {
    bundle: true,
    write: false,
    metafile: true,
    outdir: ROOT,
    platform: /** @type {const} */ ('browser'),
  };
  const { metafile } = await build({ ...options, format: 'esm', entryPoints, absWorkingDir: ROOT });
  const files = Object.entries(metafile.inputs);
  assert.ok(
    ['js/worker/worker.js', 'js/loading/model.js', 'js/webgpu/thread.js'].every((file) => metafile.inputs[file]),
  );
  const dynamic = files.flatMap(([file, { imports }]) =>
    imports.filter(({ kind }) => kind === 'dynamic-import').map(({ path: to }) => `${file} imports ${to}`),
  );
  assert.deepEqual(dynamic, []);
});

test('what package.json promises is there, and nothing else', async () => {
  const { files } = await installed();
  const document = JSON.parse(readFileSync(inTree('package.json'), 'utf8'));
  const targets = (value) => (typeof value === 'string' ? [value] : Object.values(value).flatMap(targets));
  for (const file of targets([document.exports, document.bin, document.types]))
    assert.ok(files.includes(path.normalize(file)), file);
  for (const file of [
    'js/worker/worker.js',
    'js/wasm/mudpt.wasm',
    'js/wasm/mudpt-relaxed.wasm',
    'js/wasm/mudpt-int8.wasm',
    'js/wasm/mudpt-heads.wasm',
    'LICENSE',
    'README.md',
  ])
    assert.ok(files.includes(file), file);
  const foreign = files.filter(
    (file) => !/^(js|docs|models\/pictoclip)\/|^[A-Z-]+\.md$|^LICENSE$|^package\.json$/.test(file),
  );
  assert.deepEqual(foreign, []);
});

test('links and pictures of its documents lead to what is in the package', async () => {
  const { folder, files } = await installed();
  const documents = files.filter((file) => file.endsWith('.md'));
  assert.ok(documents.includes('docs/quick-start.md') && documents.includes('SECURITY.md'));
  const dead = [];
  let links = 0;
  for (const document of documents) {
    const text = readFileSync(path.join(folder, 'node_modules/mudpt', document), 'utf8');
    for (const [, link] of text.replace(/^```[^]*?^```$/gm, '').matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      links++;
      if (!files.includes(path.posix.join(path.posix.dirname(document), link))) dead.push(`${document}: ${link}`);
    }
  }
  assert.deepEqual(dead, []);
  assert.ok(links > 50, `${links} links`);
});

test("help's first example runs where nothing but the package is installed", async () => {
  const { folder } = await installed();
  const { dependencies } = JSON.parse(readFileSync(inTree('package.json'), 'utf8'));
  for (const name of [...Object.keys(dependencies), 'd3-path', 'internmap'])
    cpSync(inTree(`node_modules/${name}`), path.join(folder, 'node_modules', name), { recursive: true });
  const args = ['node_modules/mudpt/js/cli/main.js', 'train', '--json'];
  const options = { cwd: folder, env: { ...process.env, MUDPT_CACHE: path.join(folder, 'cache') } };
  const { stdout, stderr } = await execute(process.execPath, [...args, '--epochs', '1'], options);
  const { task, classes, pictures, attribution, output } = JSON.parse(stdout);
  assert.equal(task, 'zoo-sample');
  assert.equal(classes.length, 8);
  assert.deepEqual(pictures, { train: 48, used: 48, test: 48 });
  assert.match(attribution, /CC-BY-4\.0/);
  assert.doesNotMatch(attribution, /CC-BY-SA/);
  assert.match(stderr, /small sample of zoo/);
  assert.ok(readFileSync(path.join(folder, output)).length > 1000);
  // A task by its name is that task or an error that says what draws it.
  await assert.rejects(execute(process.execPath, [...args, '--task', 'zoo'], options), ({ stderr: told }) =>
    /need @iconify-json\/.*npm install --no-save/.test(told),
  );
});

test('the quick start runs as it stands, with the package as it is packed', async () => {
  const { folder } = await installed();
  for (const { image, label } of EXAMPLES) {
    mkdirSync(path.join(folder, 'pictures', label), { recursive: true });
    cpSync(inTree(image), path.join(folder, 'pictures', label, path.basename(image)));
  }
  const picture = TESTS.find(({ label }) => label === 'clown face');
  cpSync(inTree(picture.image), path.join(folder, 'new-picture.jpg'));
  writeFileSync(path.join(folder, 'main.js'), nodeLines());
  const { stdout, stderr } = await execute(process.execPath, ['main.js'], { cwd: folder });
  assert.match(stdout, /^\[\s*\{ label: 'clown face', score: 0\.\d+, index: \d \}/);
  assert.equal(stderr, '');
  assert.ok(readFileSync(path.join(folder, 'tuned.safetensors')).length > 1000);
});

test('nothing is published that does not say where it lives, or of which version it is', async () => {
  const folder = await temporaryFolder();
  const { scripts, ...document } = JSON.parse(readFileSync(inTree('package.json'), 'utf8'));
  assert.match(scripts.prepublishOnly, /scripts\/release\.js/);
  const check = (more) => {
    writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ ...document, ...more }));
    return execute(process.execPath, [inTree('scripts/release.js')], { cwd: folder });
  };
  const read = ['js/wasm', 'js/vendor', 'src/mudpt.c', 'CHANGELOG.md'];
  for (const made of read) cpSync(inTree(made), path.join(folder, made), { recursive: true });
  const [repository, homepage] = ['https://git.example/x', 'https://x.example/'];
  await assert.rejects(check({ repository: undefined, homepage }), {
    stderr: /^not published: .*"repository": give.*\n$/,
  });
  await assert.rejects(check({ repository, homepage: undefined }), {
    stderr: /^not published: .*"homepage": give.*\n$/,
  });
  await check({ repository, homepage });
  const next = check({ repository, homepage, version: '9.9.9' });
  await assert.rejects(next, { stderr: /src\/mudpt\.c has version .*9\.9\.9\n.*CHANGELOG\.md .*9\.9\.9 and its date/ });
  writeFileSync(path.join(folder, 'CHANGELOG.md'), `# Changelog\n\n## ${document.version} (not yet released)\n`);
  await assert.rejects(check({ repository, homepage }), {
    stderr: /CHANGELOG\.md begins with .* \(not yet released\)/,
  });
  cpSync(inTree('CHANGELOG.md'), path.join(folder, 'CHANGELOG.md'));
  rmSync(path.join(folder, 'js/wasm/mudpt.wasm'));
  await assert.rejects(check({ repository, homepage }), { stderr: /js\/wasm\/mudpt\.wasm is not there/ });
});

// The ten lines for a page run in tests/bundlers; README.md must have the same.
test('README.md has the ten lines', (t) => {
  assert.equal(tenLines().trim().split('\n').length, 10);
  if (!readFileSync(inTree('README.md'), 'utf8').includes('document.images')) return t.todo('it has none yet');
  assert.equal(blockWith('README.md', 'document.images'), tenLines());
});
