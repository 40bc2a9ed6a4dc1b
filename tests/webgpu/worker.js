/** The cases in a page's worker. browser.test.js bundles it, with node-parts.js in place of Node's modules. */
import { casesOf } from './cases.js';

const cases = casesOf((path) => `/${path}`, { assetsUrl: new URL('/js/', globalThis.location.href).href });

globalThis.addEventListener('message', async ({ data: name }) => {
  try {
    postMessage({ fault: '', told: (await cases[name]()) ?? '' });
  } catch (error) {
    postMessage({ fault: String(error.stack ?? error), told: '' });
  }
});
