/** The cases in a page's worker. browser.test.js bundles it, with node-parts.js in place of Node's modules. */
import { casesOf } from './cases.js';

const options = { assetsUrl: new URL('/js/', globalThis.location.href).href };
const cases = casesOf((path) => `/${path}`, ['subgroups', 'direct'], options);

globalThis.addEventListener('message', async ({ data: name }) => {
  try {
    postMessage({ fault: '', told: (await cases[name]()) ?? '' });
  } catch (error) {
    postMessage({ fault: String(error.stack ?? error), told: '' });
  }
});
