/**
 * Writes docs/reference.md from the types (js/index.d.ts and the rooms' types.d.ts that it hands on): every export with
 * its comment and its declaration, where members keep theirs. With --check it only says whether the file is up to date.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const SOURCE = 'js/index.d.ts';
const TARGET = 'docs/reference.md';
const KINDS = ['function', 'const', 'class', 'interface', 'type'];

/** Text of a comment: without stars, links as references. @param {string} comment */
const proseOf = (comment) =>
  comment
    .replace(/^\s*\/\*\*\s?|\s*\*\/\s*$/g, '')
    .replace(/^\s*\* ?/gm, '')
    .trim();

/** @param {string} name */
const anchorOf = (name) => name.toLowerCase();

/** @param {string} text @param {Set<string>} names that have a heading */
const linked = (text, names) =>
  text.replace(/\{@link (\w+)(\.\w+)?\}/g, (_, name, member = '') =>
    names.has(name) ? `[\`${name}${member}\`](#${anchorOf(name)})` : `\`${name}${member}\``,
  );

/** `@param`, `@throws` and the like as a list. @param {string} prose */
const tagsAsList = (prose) =>
  prose
    .replace(/^@throws \{(\w+)\} /gm, '- throws `$1` ')
    .replace(/^@param (?:\{[^}]*\} )?([\w.]+) /gm, '- `$1`: ')
    .replace(/\n\n- /g, '\n\n- ');

/** @param {string} source */
function reference(source) {
  const [, intro] = /^\/\*\*([^]*?)\*\//.exec(source) ?? [];
  const files = Array.from(source.matchAll(/^export \* from '(.+)\.js';$/gm), ([, name]) => `js/${name}.d.ts`);
  const texts = [source, ...files.map((file) => readFileSync(file, 'utf8'))];
  // A declaration starts at the margin, perhaps with a comment before it, and ends where the next one starts.
  const pieces = texts
    .flatMap((text) => text.split(/\n\n(?=\/\*\*|export |type )/).slice(1))
    .filter((piece) => !piece.startsWith('export * from'));
  const declarations = pieces.map((piece) => {
    const [, comment = '', code] = /^(\/\*\*[^]*?\*\/\n)?([^]*)$/.exec(piece) ?? [];
    const [, kind, name] = /^(?:export )?(?:declare )?(\w+) (\w+)/.exec(code) ?? [];
    return { comment, code: code.trim().replace(/^export /gm, ''), kind, name };
  });
  for (const { kind, name } of declarations)
    if (!KINDS.includes(kind)) throw new Error(`${SOURCE}: ${kind} ${name} is of no kind that is known`);
  declarations.sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
  const names = new Set(declarations.map(({ name }) => name));
  const sections = declarations.map(({ comment, code, name }) =>
    [`## ${name}`, linked(tagsAsList(proseOf(comment)), names), `\`\`\`ts\n${code}\n\`\`\``]
      .filter(Boolean)
      .join('\n\n'),
  );
  const index = declarations.map(({ name }) => `[${name}](#${anchorOf(name)})`).join(' · ');
  const note = '<!-- Made from js/index.d.ts and js/*/types.d.ts by scripts/reference.js. -->';
  return `${['# Reference', note, linked(proseOf(intro), names), index, ...sections].join('\n\n')}\n`;
}

const made = reference(readFileSync(SOURCE, 'utf8'));
if (!process.argv.includes('--check')) writeFileSync(TARGET, made);
else if (readFileSync(TARGET, 'utf8') !== made) {
  console.error(`${TARGET} is not what ${SOURCE} and the rooms' types.d.ts say: run node scripts/reference.js`);
  process.exitCode = 1;
}
