#!/usr/bin/env node
// Serves build/site, or another folder: with the headers that isolate a page and so give it threads, and without.
//
//   node web-demo/serve.js [--port 8080]      isolated on this port, not isolated on the next
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

export const SITE = path.resolve(import.meta.dirname, '../build/site');
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
  '.zip': 'application/zip',
};
const ISOLATION = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
/** What the page needs, and nothing else: models may come from anywhere. */
const POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' blob: data:",
  "media-src 'self' blob:",
  'connect-src * blob: data:',
  "worker-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * @param {object} [options]
 * @param {string} [options.folder]
 * @param {boolean} [options.isolated]
 * @param {number} [options.port] 0: any
 * @param {string} [options.below] the path that the site is served under
 * @param {string} [options.policy] Content-Security-Policy; '' for none
 * @returns {Promise<{ url: string, close(): Promise<void> }>}
 */
export async function serve({ folder = SITE, isolated = false, port = 0, below = '/', policy = POLICY } = {}) {
  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const headers = {
      ...(policy && { 'Content-Security-Policy': policy }),
      'X-Content-Type-Options': 'nosniff',
      'Cache-Control': 'no-cache',
      ...(isolated && ISOLATION),
    };
    const missing = () => response.writeHead(404, { ...headers, 'Content-Type': 'text/plain' }).end('not found');
    if (!pathname.startsWith(below)) return missing();
    const name = decodeURIComponent(pathname.slice(below.length));
    const file = path.join(folder, name === '' || name.endsWith('/') ? `${name}index.html` : name);
    const found = file.startsWith(folder + path.sep) ? await stat(file).catch(() => null) : null;
    if (!found?.isFile()) return missing();
    const etag = `"${found.size}-${found.mtimeMs}"`;
    const validators = { ETag: etag, 'Accept-Ranges': 'bytes' };
    if (request.headers['if-none-match'] === etag) return response.writeHead(304, { ...headers, ...validators }).end();
    const type = { 'Content-Type': TYPES[path.extname(file)] ?? 'application/octet-stream' };
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const start = Number(first ?? 0);
    const end = last ? Math.min(Number(last), found.size - 1) : found.size - 1;
    const part = first !== undefined && start <= end;
    response.writeHead(part ? 206 : 200, {
      ...headers,
      ...validators,
      ...type,
      'Content-Length': part ? end - start + 1 : found.size,
      ...(part && { 'Content-Range': `bytes ${start}-${end}/${found.size}` }),
    });
    if (request.method === 'HEAD') return response.end();
    createReadStream(file, part ? { start, end } : {}).pipe(response);
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(undefined));
  });
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${address.port}${below}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({ options: { port: { type: 'string', default: '8080' } } });
  const port = Number(values.port);
  const isolated = await serve({ isolated: true, port });
  const plain = await serve({ port: port + 1 });
  console.log(`${isolated.url}  with threads (cross-origin isolated)\n${plain.url}  without`);
}
