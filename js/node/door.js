/**
 * The one door to Node's own modules. They are imported by a name that bundlers do not follow, so that nothing of them
 * reaches a page.
 * @param {'cache.js' | 'files.js' | 'platform.js' | 'webp.js'} file of this folder
 */
export async function nodePart(file) {
  const specifier = `./${file}`;
  return import(/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ specifier);
}
