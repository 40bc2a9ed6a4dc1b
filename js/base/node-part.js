/**
 * The one way to Node's own modules, which pages do not have. They are imported by a name that bundlers do not follow.
 * @param {'cache.js' | 'files.js' | 'platform.js' | 'webp.js' | '../extras.js'} file of js/node/
 */
export async function nodePart(file) {
  const specifier = `../node/${file}`;
  return import(/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ specifier);
}
