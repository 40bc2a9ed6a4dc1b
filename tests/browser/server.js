/**
 * A web server for the browser tests: this tree's files, under a strict Content-Security-Policy, with or without the
 * headers that isolate a page. Below some addresses it does what servers do wrong.
 */
import { createReadStream, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../..');
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
};
/** What a page needs to allow; `site`: where the package is, if that is another site; `models`: where models are. */
const policy = (site = '', models = '') =>
  [
    `script-src 'self' 'wasm-unsafe-eval' ${site}`,
    `worker-src ${site ? `blob: ${site}` : "'self'"}`,
    `connect-src 'self' data: ${site} ${models}`,
  ].join('; ');
const ISOLATION = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

const PAGE = `<!doctype html><meta charset="utf-8"><title>mudpt</title>
<script type="module" src="/tests/browser/suite.js"></script>`;

/** As windows of Electron have with Node's integration. */
const PROCESS = "globalThis.process = { type: 'renderer', versions: { node: '22.0.0', electron: '40.0.0' } };";

/** A WebAssembly module whose function traps: (module (func (export "f") unreachable)) */
const TRAP = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 5, 1, 3, 0, 0, 11];
const TRAPPING = `import { Clip } from '../clip.js';
Clip.prototype.zeroShot = () => new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array([${TRAP}]))).exports.f();
`;

/** What module.js finds on platforms with less memory. @param {string} refused for refuseMemory */
const refusing = (refused) => (file) =>
  file === 'core/module.js'
    ? [
        'text/javascript',
        `import { refuseMemory } from '/tests/browser/refusing-memory.js'; refuseMemory(${refused});
        ${readFileSync(path.join(ROOT, 'js', file))}`,
      ]
    : undefined;

/** Copies of js/ in which something is wrong: what is served instead of a file, or undefined for the file. */
const FAULTS = {
  '/refuses-1025/': refusing('{ shared: 1024 }'),
  '/refuses-513/': refusing('{ shared: 512 }'),
  '/refuses-257/': refusing('{ shared: 256 }'),
  '/refuses-shared/': refusing('{ shared: 0 }'),
  '/refuses-growth/': refusing('{ shared: 0, grown: 64 }'),
  '/html-for-wasm/': (file) =>
    file.endsWith('.wasm') ? ['text/html', '<!doctype html><title>My app</title>'] : undefined,
  '/crashing-worker/': (file) =>
    file === 'worker/worker.js' ? ['text/javascript', "onmessage = () => { throw new Error('boom'); };"] : undefined,
  '/trapping-worker/': (file) =>
    file === 'worker/worker.js' ? ['text/javascript', TRAPPING + readFileSync(path.join(ROOT, 'js', file))] : undefined,
};

/**
 * @param {object} options
 * @param {boolean} options.isolated
 * @param {string} [options.site] another site that scripts may come from
 * @param {string} [options.models] another site that models may come from
 * @param {Record<string, () => any>} [options.answers] what gives JSON, by address
 * @param {(pathname: string, headers: Record<string, string>) => Record<string, string>} [options.change] of headers
 * @returns {Promise<{ url: string, close(): Promise<void> }>}
 */
export async function serve({ isolated, site, models, answers = {}, change = (_, headers) => headers }) {
  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const headers = change(pathname, {
      'Content-Security-Policy': policy(site, models),
      'Access-Control-Allow-Origin': '*',
      'Cache-Control': 'no-store',
      ...(isolated && ISOLATION),
    });
    const send = (type, text) => response.writeHead(200, { ...headers, 'Content-Type': type }).end(text);
    if (pathname === '/') return send('text/html', PAGE);
    if (pathname === '/electron') return send('text/html', `<script src="/process.js"></script>${PAGE}`);
    if (pathname === '/process.js') return send('text/javascript', PROCESS);
    if (pathname.startsWith('/never.')) {
      const type = pathname.endsWith('.mp4') ? 'video/mp4' : 'image/png';
      response.writeHead(200, { ...headers, 'Content-Type': type, 'Content-Length': 100_000 });
      return response.flushHeaders(); // and nothing more, ever
    }
    if (pathname in answers) return send('application/json', JSON.stringify(answers[pathname]() ?? null));
    const fault = Object.keys(FAULTS).find((prefix) => pathname.startsWith(prefix));
    const wrong = fault && FAULTS[fault](pathname.slice(fault.length));
    if (wrong) return send(...wrong);
    const file = path.join(ROOT, fault ? pathname.replace(fault, '/js/') : pathname);
    const found = file.startsWith(ROOT) ? await stat(file).catch(() => null) : null;
    if (!found?.isFile()) return response.writeHead(404, { ...headers, 'Content-Type': 'text/plain' }).end('not found');
    const type = TYPES[path.extname(file)] ?? 'application/octet-stream';
    response.writeHead(200, { ...headers, 'Content-Type': type, 'Content-Length': found.size });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
