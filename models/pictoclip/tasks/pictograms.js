// The pictograms that tasks are drawn from, Iconify sets which pictoclip was never trained on, and their rendering.
// Both come from pinned npm packages. Drawing is done by resvg as WebAssembly and PNG files are packed in JavaScript,
// not by native code, so that every machine and every version of Node makes the same bytes.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/**
 * @typedef {object} Drawing
 * @property {string} name what its set calls it
 * @property {string} body SVG elements, without the outer <svg>
 * @property {[number, number, number, number]} box left, top, width, height
 * @property {boolean} oneColour drawn in the current ink only
 */

/** @returns {Promise<string[]>} the packages in use, as 'name@version' */
export async function pinnedPackages() {
  const { devDependencies } = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8'));
  return Object.entries(devDependencies)
    .filter(([name]) => /^(@iconify-json\/.*|@resvg\/resvg-wasm|fast-png)$/.test(name))
    .map(([name, version]) => `${name}@${version}`);
}

/** Path of a package's file. @param {string} file such as '@iconify-json/twemoji/icons.json' */
async function resolve(file) {
  try {
    return require.resolve(file);
  } catch {
    const error = new Error(
      `the pictures of the sample tasks need ${file.split('/', 2).join('/')}, which is not installed; ` +
        `run: npm install --no-save ${(await pinnedPackages()).join(' ')}`,
    );
    throw Object.assign(error, { code: 'ERR_NOT_INSTALLED' });
  }
}

const readJson = async (file) => JSON.parse(await readFile(await resolve(file), 'utf8'));

/** One Iconify set, such as Twemoji. */
export class PictogramSet {
  /** @param {string} name of the package behind '@iconify-json/' @returns {Promise<PictogramSet>} */
  static async load(name) {
    const parts = ['icons.json', 'info.json', 'package.json'];
    return new PictogramSet(...(await Promise.all(parts.map((part) => readJson(`@iconify-json/${name}/${part}`)))));
  }

  #name;
  #data;
  #emoji;

  constructor(data, info, { name, version }) {
    this.#name = name.replace('@iconify-json/', '');
    this.#data = data;
    this.#emoji = info.category === 'Emoji';
    this.oneColour = !info.palette;
    /** What an attribution has to say. */
    this.credit = { title: info.name, author: info.author, licence: info.license, package: `${name} ${version}` };
  }

  /**
   * The set's drawings of a thing.
   * @param {string} thing 'cat face': an emoji's Unicode CLDR name, lower case, without punctuation, which every set of
   *   emoji knows and some draw several times ("penguin-1", "penguin-2"); or 'game-icons/barn-owl': one set's drawing
   * @returns {Drawing[]} possibly empty
   */
  drawings(thing) {
    const [set, name] = thing.split('/');
    if (name) return set === this.#name ? this.#named(name) : [];
    const slug = thing.replaceAll(' ', '-');
    return this.#emoji ? [slug, `${slug}-1`, `${slug}-2`, `${slug}-3`].flatMap((each) => this.#named(each)) : [];
  }

  /** @param {string} wanted @returns {Drawing[]} */
  #named(wanted) {
    const { icons, aliases, ...shared } = this.#data;
    const name = icons[wanted] ? wanted : aliases?.[wanted]?.parent;
    const icon = icons[name];
    if (!icon) return [];
    const { left, top, width, height } = { left: 0, top: 0, width: 16, height: 16, ...shared, ...icon };
    return [{ name, body: icon.body, box: [left, top, width, height], oneColour: this.oneColour }];
  }
}

/**
 * Loads the two packages that make pictures.
 * @returns {Promise<{ renderSvg: (svg: string) => Uint8Array, encodePng: typeof import('fast-png').encode }>}
 *   renderSvg gives RGBA rows from the top, colours multiplied by alpha
 */
export function loadRenderer() {
  loaded ??= (async () => {
    const wasm = await readFile(await resolve('@resvg/resvg-wasm/index_bg.wasm'));
    await resolve('fast-png');
    const [{ initWasm, Resvg }, { encode }] = await Promise.all([import('@resvg/resvg-wasm'), import('fast-png')]);
    await initWasm(wasm);
    const renderSvg = (svg) => {
      const document = new Resvg(svg, { font: { loadSystemFonts: false } });
      const image = document.render();
      const { pixels } = image;
      image.free();
      document.free();
      return pixels;
    };
    return { renderSvg, encodePng: encode };
  })();
  return loaded;
}
let loaded;
