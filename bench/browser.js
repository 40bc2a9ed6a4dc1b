/**
 * The bench in headless Chromium: every program in a worker of its own in one isolated page (page.js), told to by the
 * runner as processes are.
 */
import { ENGINES } from '../tests/browser/engines.js';
import { serve } from '../tests/browser/server.js';
import { root } from './cases.js';

export async function openBrowser() {
  const server = await serve({ isolated: true });
  const { open, evaluate, close, page } = await ENGINES.chromium();
  const version = (await page.browser().version()).replace(/^.*\/([\d.]+).*$/, '$1');
  await open(`${server.url}bench/page.html`);
  let count = 0;

  /** As Process in turns.js. @param {import('./turns.js').Program} program */
  const start = ({ module, args }) => {
    const name = `program ${count++}`;
    const addresses = JSON.stringify(args).replaceAll(root, server.url);
    const tell = (message) => evaluate(`return tell('${name}', ${JSON.stringify(message)})`);
    return {
      ready: () => tell({ module, args: JSON.parse(addresses) }),
      turn: () => tell('go'),
      end: () => tell('end'),
      kill: () => evaluate(`return stop('${name}')`).catch(() => {}),
    };
  };

  return {
    engine: `chromium-${version}`,
    knows: ({ name, module }) => module && name === 'onnxruntime-web',
    start,
    close: async () => {
      await close();
      await server.close();
    },
  };
}
