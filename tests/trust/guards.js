/**
 * Whether the tests would notice: takes each of these guards out of a copy of the tree, one at a time, and runs the
 * test that belongs to it, which must fail. (node tests/trust/guards.js [WORD]: those with the word in their text.)
 *
 * The copy is build/guards. A guard whose text is not there exactly once is an error, so that the list stays true.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const COPY = path.join(ROOT, 'build/guards');
const node = (test, pattern = '.') => [
  process.execPath,
  '--test',
  '--test-timeout=240000',
  `--test-name-pattern=${pattern}`,
  test,
];
const [FILES, NETWORK, SECURITY, PROPERTIES, OWNERSHIP] = [
  'tests/trust/files.test.js',
  'tests/trust/network.test.js',
  'tests/trust/security.test.js',
  'tests/fuzz/files.fuzz.js',
  'tests/node/ownership.test.js',
];

const BROWSER = node('tests/browser/browser.test.js'); // in Chromium

/** @typedef {{ what: string, file: string, from: string, to: string, test: string[] }} Guard */

/** @type {Guard[]} */
const GUARDS = [
  {
    what: 'ownership: a classifier that was disposed of has no handle any more',
    file: 'js/classifier/classifier.js',
    from: '    this.#handle = 0;\n',
    to: '',
    test: node(OWNERSHIP),
  },
  {
    what: 'ownership: what was disposed of is not freed again when it is collected',
    file: 'js/classifier/classifier.js',
    from: '    forgotten.unregister(this);\n',
    to: '',
    test: node(OWNERSHIP),
  },
  {
    what: 'ownership: a classifier that was forgotten is freed',
    file: 'js/classifier/classifier.js',
    from: '    forgotten.register(this, { core: model.core, handle }, this);\n',
    to: '',
    test: node(OWNERSHIP),
  },
  {
    what: 'ownership: a model that was forgotten ends',
    file: 'js/clip.js',
    from: '    forgotten.register(all, { core, name: source.name });\n',
    to: '',
    test: node(OWNERSHIP),
  },
  {
    what: 'ownership: a run that failed gives its classifier back',
    file: 'js/training/tune.js',
    from: '      else await classifier.dispose();\n',
    to: '',
    test: node(OWNERSHIP),
  },
  {
    what: 'ownership: the worker frees classifiers that the page has forgotten',
    file: 'js/worker/remote.js',
    from: '  owner.connection.tie(classifier, result.number);\n',
    to: '',
    test: node(OWNERSHIP),
  },
  {
    what: 'ownership: whoever has but a method of a classifier has the classifier',
    file: 'js/worker/remote.js',
    from: 'owner.connection.call(this[NUMBER], name, sent)',
    to: 'owner.connection.call(number, name, sent)',
    test: node(OWNERSHIP),
  },
  {
    what: 'a trainer opens its memory again where classifying lost it',
    file: 'src/train/trainer.c',
    from: 'int code = classifier_open_training(t->classifier, t->batch);\n    if (!code) code = open_units(t);',
    to: 'int code = open_units(t);',
    test: ['native', 'test_failures'],
  },
  {
    what: 'a picture that is refused leaves no trace',
    file: 'src/train/trainer.c',
    from: '    if (t->decoded + decoded_bytes(e.image) > DECODED_BYTES) {',
    to: '    hash_example(t, e.image, label);\n    if (t->decoded + decoded_bytes(e.image) > DECODED_BYTES) {',
    test: ['native', 'test_failures'],
  },
  {
    what: 'memory that fails is an error',
    file: 'src/base/arena.c',
    from: '    if (!a->base) return MUDPT_MEMORY;',
    to: '',
    test: ['native', 'test_failures'],
  },
  {
    what: 'what was allocated before a failure is freed',
    file: 'src/image/decode.c',
    from: '    if (!image) {\n        free(p->rgb);',
    to: '    if (!image) {',
    test: ['native', 'test_failures'],
  },
  {
    what: 'scores are finite',
    file: 'src/train/classifier.c',
    from: 'if (!classifier_all_finite(row, (size_t)c->classes)) return classifier_not_finite(c, pixels, count);',
    to: '',
    test: ['native', 'test_numbers'],
  },
  {
    what: 'a loss that is not finite goes back to the last good prompts',
    file: 'src/train/trainer.c',
    from: '        memcpy(s->values, t->good, s->total * sizeof *t->good);',
    to: '        s->values[0] = NAN;',
    test: ['native', 'test_numbers'],
  },
  {
    what: 'a feature whose length is out of range',
    file: 'src/kernels/loss.c',
    from: 'if (isinf(norm)) norm = NAN;',
    to: '',
    test: ['native', 'test_numbers'],
  },
  {
    what: 'the layer where NaN appears is told',
    file: 'src/clip/tower.c',
    from: 'if (!isfinite(rows[i])) *t->broken = l;',
    to: '(void)rows, (void)l;',
    test: ['native', 'test_numbers'],
  },
  {
    what: 'tensors of more values than sizes can hold',
    file: 'src/clip/config.c',
    from: 'if (tensors[i].rows * tensors[i].columns > MUDPT_MAX_TENSOR_VALUES)',
    to: 'if (tensors[i].rows < 0)',
    test: ['native', 'test_numbers'],
  },
  {
    what: 'contexts of more values than sizes can hold',
    file: 'src/methods/methods.c',
    from: 'contexts * sizes->text_length * clip->config.text_width > MUDPT_MAX_TENSOR_VALUES',
    to: 'contexts < 0',
    test: ['native', 'test_numbers'],
  },
  {
    what: 'nobody goes on before all threads are done',
    file: 'src/base/parallel.c',
    from: '    work(0);\n    for',
    to: '    work(0);\n    return;\n    for',
    test: ['native', 'test_kernels'],
  },
  {
    what: 'GIF: a code beyond the dictionary',
    file: 'src/image/gif.c',
    from: 'if (code >= next) return',
    to: 'if (code >= 4096) return',
    test: ['native', 'test_image'],
  },
  {
    what: 'files are written beside their target first',
    file: 'js/node/whole-files.js',
    from: "writeWhole(target, bytes, option = '--out') {\n  const part = beside(target);",
    to: "writeWhole(target, bytes, option = '--out') {\n  const part = target;\n  await rm(target, { force: true });",
    test: node(FILES, 'old file stays|while saving'),
  },
  {
    what: 'what could not be written whole is removed',
    file: 'js/node/whole-files.js',
    from: '    await rm(part, { force: true });\n    throw fault(\n      target,',
    to: '    throw fault(\n      target,',
    test: node(FILES, 'old file stays'),
  },
  {
    what: 'integrity of a model',
    file: 'js/loading/model.js',
    from: '    await verify();\n',
    to: '',
    test: node(NETWORK, 'wrong contents|tampered'),
  },
  {
    what: 'integrity of a classifier',
    file: 'js/clip.js',
    from: '    requireIntegrity(file, integrity, name);\n',
    to: '',
    test: node(NETWORK, 'of a saved classifier'),
  },
  {
    what: 'integrity names files that are there',
    file: 'js/files/sha256.js',
    from: 'if (!file || !found) {',
    to: 'if (!file || !found) continue;\n        if (!file || !found) {',
    test: node(NETWORK, 'a digest that is none'),
  },
  {
    what: 'an answer with other bytes than were asked for',
    file: 'js/files/download.js',
    from: 'if (!range || this.at !== range.begin) {',
    to: 'this.at = range?.begin ?? 0;\n      if (!range) {',
    test: node(NETWORK, 'not asked for'),
  },
  {
    what: 'an answer that ends early goes on',
    file: 'js/files/download.js',
    from: '        if (at < end && end !== Infinity) throw answer.brokenOff();\n',
    to: '        if (at < end) return;\n',
    test: node(NETWORK, 'shorter than asked'),
  },
  {
    what: 'a server that falls silent',
    file: 'js/files/download.js',
    from: 'timer = setTimeout(() => reject(silent), timeout);',
    to: '',
    test: node('tests/node/loading.test.js', 'silent'),
  },
  {
    what: 'a file that changes between two ranges (ETag)',
    file: 'js/files/download.js',
    from: 'const isOther = differs(this.version || undefined, version || undefined) || differs(this.size, size);',
    to: 'const isOther = false;',
    test: node('tests/node/loading.test.js', 'another file on the way'),
  },
  {
    what: 'a part of the cache of another length is no part',
    file: 'js/files/cache.js',
    from: 'if (file?.size === part.end - part.begin) {',
    to: 'if (file) {',
    test: node(NETWORK, 'tampered'),
  },
  {
    what: 'a quota that is refused, and two pages on one cache',
    file: 'js/files/cache.js',
    from: '    } catch {\n      this.#writable = false;\n    }',
    to: '    } finally {\n      this.#writable = true;\n    }',
    test: BROWSER,
  },
  {
    what: 'a worker that crashes ends the calls that wait for it',
    file: 'js/worker/connection.js',
    from: 'if (crash !== undefined) return this.#crashed(crash);',
    to: '',
    test: BROWSER,
  },
  {
    what: 'a worker that is ended ends the calls that wait for it',
    file: 'js/worker/connection.js',
    from: 'for (const call of [...this.#calls.values()]) call.reject(error);',
    to: '',
    test: BROWSER,
  },
  {
    what: 'shards beside their index only',
    file: 'js/loading/model.js',
    from: '!names.every((name) => /^[\\w-][\\w.-]*\\.safetensors$/.test(name))',
    to: 'false',
    test: node(SECURITY, 'index names files elsewhere'),
  },
  {
    what: 'pictures of a split inside its folder only',
    file: 'js/node/datasets.js',
    from: "value.split(/[\\\\/]/).includes('..')",
    to: 'false',
    test: node(SECURITY, 'split names files elsewhere'),
  },
  {
    what: 'messages of one printable line',
    file: 'js/base/errors.js',
    from: 'return short.replace(UNPRINTABLE, ',
    to: 'return short.replace(/^$/, ',
    test: node(SECURITY, 'messages are one line'),
  },
  {
    what: 'the number of classes',
    file: 'js/methods/classes.js',
    from: 'if (classes.length > MOST_CLASSES)',
    to: 'if (classes.length < 0)',
    test: node(SECURITY, 'more of anything'),
  },
  {
    what: 'a header that names bytes outside its file',
    file: 'js/loading/safetensors.js',
    from: 'if (size !== undefined && end > size)',
    to: 'if (size !== undefined && end < 0)',
    test: node(PROPERTIES, 'no byte outside'),
  },
  {
    what: 'tensors named like properties of objects',
    file: 'js/loading/safetensors.js',
    from: 'Object.assign(Object.create(null), metadata && { __metadata__: metadata })',
    to: 'Object.assign({}, metadata && { __metadata__: metadata })',
    test: node(PROPERTIES, 'is read again'),
  },
  {
    what: 'SHA-256',
    file: 'js/files/sha256.js',
    from: '(w[i - 15] >>> 3)',
    to: '(w[i - 15] >>> 4)',
    test: node(PROPERTIES, 'SHA-256'),
  },
];

/** Runs a guard's test in the copy. @param {string[]} test @returns {boolean} whether it passed */
function passes(test) {
  const run = (command, args) =>
    spawnSync(command, args, {
      cwd: COPY,
      encoding: 'utf8',
      env: { ...process.env, MUDPT_KILLS: '6', MUDPT_ENGINES: 'chromium' },
      timeout: 300_000,
    });
  if (test[0] !== 'native') return run(test[0], test.slice(1)).status === 0;
  const built = run('cmake', ['--build', 'build/native', '--target', test[1]]);
  if (built.status !== 0) throw new Error(built.stdout + built.stderr);
  return run(`build/native/${test[1]}`, []).status === 0;
}

/** Files of the same content keep their dates, from which is known what must be built again. */
function isOther(from, to) {
  return !existsSync(to) || statSync(from).isDirectory() || !readFileSync(from).equals(readFileSync(to));
}

mkdirSync(COPY, { recursive: true });
for (const name of [
  'js',
  'src',
  'tests',
  'bench',
  'models',
  'wasm',
  'CMakeLists.txt',
  'CMakePresets.json',
  'package.json',
])
  cpSync(path.join(ROOT, name), path.join(COPY, name), { recursive: true, filter: isOther });
if (!existsSync(path.join(COPY, 'node_modules')))
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(COPY, 'node_modules'));

const word = process.argv[2] ?? '';
const chosen = GUARDS.filter((guard) => `${guard.what} ${guard.file} ${guard.test}`.includes(word));
if (chosen.some(({ test }) => test[0] === 'native')) {
  const { status, stderr } = spawnSync('cmake', ['--preset', 'native'], { cwd: COPY, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}
// A test that fails anyhow, or is too slow here, would notice everything.
for (const test of new Set(chosen.map(({ test }) => JSON.stringify(test)))) {
  if (!passes(JSON.parse(test))) throw new Error(`fails, or takes too long, with its guards in place: ${test}`);
}
let unnoticed = 0;
for (const { what, file, from, to, test } of chosen) {
  const target = path.join(COPY, file);
  const text = readFileSync(target, 'utf8');
  if (text.split(from).length !== 2) throw new Error(`${file} does not have once: ${from}`);
  writeFileSync(
    target,
    text.replace(from, () => to),
  );
  const noticed = !passes(test);
  writeFileSync(target, text);
  unnoticed += Number(!noticed);
  console.log(`${noticed ? 'noticed  ' : 'UNNOTICED'}  ${what} (${file})`);
}
console.log(`${chosen.length} guards taken out one by one: ${chosen.length - unnoticed} noticed, ${unnoticed} not`);
process.exitCode = unnoticed ? 1 : 0;
