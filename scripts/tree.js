/**
 * The house: which rooms there are, in which order, and what stands in them, read off the code. A room imports only
 * from rooms below it, and no file of the C core includes or calls its way back to itself. Types named in comments and
 * what base/node-part.js opens by a name that nobody can follow are not counted. The drawing in docs/how-it-works.md
 * is made here: node scripts/tree.js prints it, --write puts it there.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** From the top floor down; what is on one floor imports nothing of each other. [room, what happens there] */
export const FLOORS = {
  js: [
    [['cli', 'a line typed becomes calls']],
    [['onnx', 'a classifier as one file for other software']],
    [['index', "the package's face"]],
    [['worker', "the page's end and the worker's end of one wire: a click becomes a call"]],
    [['instant', 'an answer in a second: heads on features of a loaded model, which learn while one looks']],
    [
      ['clip', 'the object that people hold'],
      ['extras', 'what only some models and pages need, and only these download'],
      ['protocol', 'sweeps, tables, logs'],
    ],
    [['training', 'a run from its start to its classifier: plan, shots, steps, checkpoints']],
    [['classifier', 'what a run leaves: asked, measured, saved, widened, exchanged']],
    [['features', 'what the towers make of pictures and texts: rows of numbers, kept and searched']],
    [
      ['loading', "from a model's files to a model in memory: configuration, tokenizer, weights"],
      ['heads', 'classifiers of features that were computed once: one table, what they learn'],
    ],
    [
      ['methods', 'one file a method, one table: options, defaults and their source, names elsewhere'],
      ['pictures', 'whatever shows something, as pixels, or why not'],
      ['core', 'the C library as objects and numbers; its module, memory, threads, device'],
    ],
    [['files', 'from an address to bytes: downloads that are resumed, the cache, checksums']],
    [['node', 'what only Node has']],
    [
      ['webgpu', 'towers on a GPU'],
      ['base', 'errors, limits, platform, addresses, progress'],
    ],
  ],
  src: [
    [['mudpt', 'the public C interface']],
    [['train', 'classifier, sampler, trainer']],
    [
      ['methods', 'one file a method: parameters to prompts, and back'],
      ['heads', 'one file a head: a classifier of features that were computed once'],
    ],
    [['clip', 'weights by name, the tower both sides run on, image side, text side']],
    [['image', 'decoding, resizing, views']],
    [['kernels', 'products, attention, LayerNorm, activations, rotary positions, softmax, losses, beside naive twins']],
    [['base', 'errors, arenas, random numbers, the thread pool']],
  ],
};

const DOCUMENT = 'docs/how-it-works.md';
const [BEGIN, END] = ['<!-- made by node scripts/tree.js -->', '<!-- until here -->'];

/** @typedef {{ from: string, to: string, line: number }} Arrow between files */

const tracked = (...paths) =>
  execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z', '--', ...paths], {
    encoding: 'utf8',
  })
    .split('\0')
    .filter(Boolean);

/** Code with its comments blanked, so that lines keep their numbers. @param {string} code */
const withoutComments = (code) =>
  code.replace(/\/\*[^]*?\*\/|(^|\s)\/\/.*/g, (comment) => comment.replace(/[^\n]/g, ' '));

/** @param {string} code @param {RegExp} pattern global; its first group is taken @returns {[string, number][]} */
const found = (code, pattern) =>
  Array.from(code.matchAll(pattern), (match) => [match[1], code.slice(0, match.index).split('\n').length]);

/** A file's room: its folder below js/ or src/, or its own name where it stands at their top. @param {string} file */
export function roomOf(file) {
  const [, first, second] = file.split('/');
  return second ? first : first.replace(/\..*/, '');
}

/** What the WebAssembly build leaves and what stands for the embedded model are in no room. @param {string} file */
const isInRoom = (file) => /^js\/(?!wasm\/|vendor\/|pictoclip\.)/.test(file);

/** Imports among files of js/. @param {(file: string) => string} [read] @returns {Arrow[]} */
export function imports(read = (file) => readFileSync(file, 'utf8')) {
  const arrows = [];
  for (const from of tracked('js/*.js', 'js/*.d.ts')) {
    const code = withoutComments(read(from));
    for (const [specifier, line] of found(code, /(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']+)'/g)) {
      const to = path.posix.join(path.posix.dirname(from), specifier);
      if (isInRoom(from) && isInRoom(to)) arrows.push({ from, to, line });
    }
  }
  return arrows;
}

/** Includes among files of src/, and calls from a file to the one that has the function. @returns {Arrow[]} */
export function calls(read = (file) => readFileSync(file, 'utf8')) {
  const files = tracked('src/*.c', 'src/*.h');
  const code = new Map(files.map((file) => [file, withoutComments(read(file))]));
  /** @type {Map<string, string>} */
  const owner = new Map();
  for (const file of files.filter((name) => name.endsWith('.c'))) {
    const defined = /^(?!static|typedef|#)[a-z_][\w *]*?\b(\w+)\([^;{]*\)\s*\{/gm;
    for (const [name] of found(code.get(file), defined)) owner.set(name, file);
    for (const [name] of found(code.get(file), /^const \w+ (\w+) =/gm)) owner.set(name, file);
  }
  const arrows = [];
  for (const from of files) {
    for (const [name, line] of found(code.get(from), /^#include "([^"]+)"/gm)) {
      const to = [`src/${name}`, path.posix.join(path.posix.dirname(from), name)].find((file) => code.has(file));
      if (to) arrows.push({ from, to, line });
    }
    if (from.endsWith('.h')) continue;
    for (const [name, line] of found(code.get(from), /(?<![.>\w])(\w+)\b/g)) {
      const to = owner.get(name);
      if (to && to !== from) arrows.push({ from, to, line });
    }
  }
  return arrows;
}

/** @param {Arrow[]} arrows @param {[string, string][][]} floors @returns {string[]} a line each */
function upward(arrows, floors) {
  const floorOf = new Map(floors.flatMap((rooms, i) => rooms.map(([room]) => [room, floors.length - i])));
  const faults = [];
  for (const { from, to, line } of arrows) {
    const [above, below] = [roomOf(from), roomOf(to)];
    for (const [file, room] of [
      [from, above],
      [to, below],
    ])
      if (!floorOf.has(room)) faults.push(`${file}: the room "${room}" is not in the list of scripts/tree.js`);
    if (above === below || !(floorOf.get(above) <= floorOf.get(below))) continue;
    faults.push(`${from}:${line}: imports ${to}, which is not below it (room ${above} from room ${below})`);
  }
  return faults;
}

/** Files that lead back to themselves. @param {Arrow[]} arrows @returns {string[]} a line each */
function loops(arrows) {
  const next = new Map();
  for (const arrow of arrows) next.set(arrow.from, [...(next.get(arrow.from) ?? []), arrow]);
  const [done, closed, onWay, faults] = [new Set(), new Set(), [], []];
  const visit = (file) => {
    if (done.has(file)) return;
    onWay.push(file);
    for (const { to, line } of next.get(file) ?? []) {
      const start = onWay.indexOf(to);
      if (start < 0) visit(to);
      else if (!closed.has(`${file} ${to}`)) {
        closed.add(`${file} ${to}`); // a line for each pair of files, not for each call
        faults.push(`${file}:${line}: closes a loop: ${[...onWay.slice(start), to].join(' -> ')}`);
      }
    }
    onWay.pop();
    done.add(file);
  };
  for (const file of next.keys()) visit(file);
  return faults;
}

/**
 * Everything that breaks the law of the house.
 * @param {(file: string) => string} [read] a file's text
 * @returns {string[]} a line each
 */
export function faultsOfTheHouse(read = (file) => readFileSync(file, 'utf8')) {
  const files = calls(read);
  const rooms = files.filter(({ to }) => to !== 'src/mudpt.h'); // types that all of the core shares
  const drawn = drawing() === readFileSync(DOCUMENT, 'utf8').split(`${BEGIN}\n`)[1]?.split(END)[0];
  return [
    ...upward(imports(read), FLOORS.js),
    ...upward(rooms, FLOORS.src),
    ...loops(files),
    ...(drawn ? [] : [`${DOCUMENT}: the drawing is not that of the code; run node scripts/tree.js --write`]),
  ];
}

/** Both houses, floor by floor, with the rooms that each room imports from. */
export function drawing() {
  const sides = [
    ['js', imports(), tracked('js/*.js', 'js/*.ts')],
    ['src', calls().filter(({ to }) => to !== 'src/mudpt.h'), tracked('src/*.[ch]')],
  ];
  let text = '';
  for (const [side, arrows, files] of /** @type {[string, Arrow[], string[]][]} */ (sides)) {
    text += `\n| floor | \`${side}/\` | what happens there | takes from |\n|--:|---|---|---|\n`;
    FLOORS[side].forEach((rooms, i) => {
      for (const [room, what] of rooms) {
        const isFile = !files.some((file) => file.startsWith(`${side}/${room}/`));
        const from = new Set(arrows.filter((arrow) => roomOf(arrow.from) === room).map(({ to }) => roomOf(to)));
        const taken = FLOORS[side].flat().flatMap(([name]) => (name !== room && from.has(name) ? [name] : []));
        const label = isFile ? `${room}.${side === 'js' ? 'js' : 'c'}` : `${room}/`;
        text += `| ${FLOORS[side].length - i} | \`${label}\` | ${what} | ${taken.join(', ')} |\n`;
      }
    });
  }
  return `${text}\n`;
}

if (process.argv[1] && path.resolve(process.argv[1]) === import.meta.filename) {
  if (process.argv.includes('--write')) {
    const [before, rest] = readFileSync(DOCUMENT, 'utf8').split(`${BEGIN}\n`);
    writeFileSync(DOCUMENT, `${before}${BEGIN}\n${drawing()}${END}${rest.split(END)[1]}`);
  } else {
    process.stdout.write(drawing());
  }
}
