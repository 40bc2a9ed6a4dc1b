/**
 * Web servers for tests: a folder's files, with ranges and ETags, and with one of the faults that real servers have.
 *
 *   const server = await startServer({ root: folder, fault: 'cut', times: 1 });
 *   ... server.url, server.requests, server.sent ...
 *   await server.close();
 */
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

/** What a server may do wrong; those of weights concern .safetensors and .bin files only. */
export const FAULTS = Object.freeze({
  'no-ranges': 'weights: 200 and the whole file, whatever range is asked for',
  'forgets-ranges': 'weights: 206 at first, later 200 and the whole file',
  cut: 'weights: the connection ends after 60 % of every answer',
  'cut-no-ranges': 'weights: both of these',
  stall: 'weights: nothing more comes after 60 % of an answer, and the connection stays open',
  'stall-no-ranges': 'weights: the same of a server without ranges',
  silent: 'weights: no answer at all',
  short: 'weights: a whole answer, of a file that ends after 60 %',
  'wrong-length': 'weights: no ranges, and Content-Length says 1000 bytes more than there are',
  changed: 'weights: another ETag from the second answer on',
  html: 'weights: a web page with status 200',
  page: 'a web page with status 200 for whatever is not there',
  shifted: 'weights: 206 with the bytes behind those that were asked for',
  sparing: 'weights: a 206 of at most 10,000 bytes, however many were asked for',
  busy: '503 for everything',
  wait: '429 for everything, with the header Retry-After that `state.retryAfter` has',
  gone: '404 for everything, as in the middle of an update',
  login: 'a web page with status 200 for everything, as after the end of a session',
  sorry: 'JSON that says what went wrong with status 200, for weights too',
  nothing: 'status 200 and no bytes for everything',
  gzip: 'JSON: compressed whatever the request allows, without ranges',
  'gzip-ranges': 'JSON: ranges of what is compressed',
  'no-total': 'Content-Range without the length of the file',
  strict: '416 for a range that reaches beyond the end',
  'no-cors': 'no header that lets pages of other sites read anything',
  'no-preflight': 'pages of other sites may read, but not ask with headers of their own',
});

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};
/** @type {Record<string, (version: string, size: number) => Record<string, string>>} what tells versions apart */
const VALIDATORS = {
  etag: (version, size) => ({ etag: `"${version}-${size}"` }),
  weak: (version, size) => ({ etag: `W/"${version}-${size}"` }),
  modified: (version) => ({ 'last-modified': new Date(Date.UTC(2026, 0, Number(version))).toUTCString() }),
  none: () => ({}),
  // All files of npm's packages were made at a quarter past eight on an October's Saturday of 1985.
  express: (_, size) => ({ etag: `W/"${size.toString(16)}-7438674ba0"`, 'last-modified': NPM }),
  nginx: (_, size) => ({ etag: `"1dc09d84-${size.toString(16)}"`, 'last-modified': NPM }),
  'npm-time': () => ({ 'last-modified': NPM }),
};
const NPM = 'Sat, 26 Oct 1985 08:15:00 GMT';
const SORRY = JSON.stringify({ error: 'the session has ended', code: 4711 });
const PAGE = '<!doctype html><title>Not what you asked for</title>';
/** Faults of servers that take no notice of ranges. */
const DEAF = ['no-ranges', 'cut-no-ranges', 'stall-no-ranges', 'wrong-length'];
const SHARE = 0.6;
const PIECE = 64 * 1024;

/**
 * @typedef {keyof typeof FAULTS | ''} Fault
 *
 * @param {object} options
 * @param {string} options.root the folder whose files are served
 * @param {Fault} [options.fault] none when ''
 * @param {number} [options.times] answers that have the fault; later ones are right
 * @param {Record<string, string>} [options.headers] for every answer
 * @param {Record<string, string>} [options.redirects] path -> address
 */
export async function startServer({ root, fault = '', times = Infinity, headers = {}, redirects = {} }) {
  const state = {
    /** @type {Fault} may be changed at any time */
    fault,
    /** answers that will still have the fault */
    times,
    /** part of every ETag: another one says that the files have changed */
    version: '1',
    root,
    /** how files tell their version, a key of VALIDATORS */
    validator: 'etag',
    /** what is answered for what is not there */
    missing: 404,
    /** what pages of other sites are shown besides what they are always shown */
    exposed: 'ETag, Content-Range, Accept-Ranges',
    retryAfter: '1',
    /** @type {{ method: string, path: string, range: string | undefined, status: number }[]} */
    requests: [],
    /** bytes of bodies */
    sent: 0,
    url: '',
    close() {
      server.closeAllConnections();
      return /** @type {Promise<void>} */ (new Promise((resolve) => server.close(() => resolve())));
    },
  };

  const hasFault = (...names) => names.includes(state.fault) && state.times > 0 && state.times-- > 0;

  /** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
  async function answer(request, response) {
    const { pathname } = new URL(request.url ?? '/', 'http://local');
    const record = { method: request.method ?? '', path: pathname, range: request.headers.range, status: 0 };
    state.requests.push(record);
    const begin = (status, more = {}) => {
      record.status = status;
      response.writeHead(status, { ...headers, ...more });
    };
    if (state.fault !== 'no-cors') {
      response.setHeader('access-control-allow-origin', '*');
      response.setHeader('access-control-expose-headers', state.exposed);
      if (request.method === 'OPTIONS' && state.fault !== 'no-preflight') {
        response.setHeader('access-control-allow-headers', '*');
        begin(204);
        return response.end();
      }
    }
    if (hasFault('busy')) return (begin(503), response.end());
    if (hasFault('wait')) return (begin(429, { 'retry-after': state.retryAfter }), response.end());
    if (hasFault('gone')) return (begin(404), response.end());
    if (hasFault('login')) return (begin(200, { 'content-type': 'text/html' }), response.end(PAGE));
    if (hasFault('nothing')) return (begin(200), response.end());
    if (/\.(safetensors|bin)$/.test(pathname) && hasFault('sorry'))
      return (begin(200, { 'content-type': 'application/json' }), response.end(SORRY));
    if (redirects[pathname]) return (begin(302, { location: redirects[pathname] }), response.end());

    const handle = await open(path.join(state.root, path.normalize(decodeURIComponent(pathname)))).catch(() => null);
    const info = await handle?.stat();
    if (!handle || !info?.isFile()) {
      await handle?.close();
      const page = state.fault === 'page';
      begin(page ? 200 : state.missing, page ? { 'content-type': 'text/html' } : {});
      return response.end(page ? PAGE : '');
    }
    try {
      await sendFile(request, response, begin, handle, info, pathname);
    } finally {
      await handle.close();
    }
  }

  async function sendCompressed(request, response, begin, handle, pathname) {
    const bytes = gzipSync(await handle.readFile());
    const wanted = state.fault === 'gzip-ranges' && /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const [first, last] = wanted ? [Number(wanted[1]), Number(wanted[2] || Infinity)] : [0, Infinity];
    const part = bytes.subarray(first, last + 1);
    begin(wanted ? 206 : 200, {
      'content-type': TYPES[path.extname(pathname)],
      'content-encoding': 'gzip',
      'content-length': String(part.length),
      ...VALIDATORS[state.validator](state.version, bytes.length),
      ...(wanted && { 'content-range': `bytes ${first}-${first + part.length - 1}/${bytes.length}` }),
    });
    response.end(part);
  }

  async function sendFile(request, response, begin, handle, info, pathname) {
    const isWeights = /\.(safetensors|bin)$/.test(pathname);
    const applies = (...names) => isWeights && hasFault(...names);
    const isLater = state.requests.filter((one) => one.path === pathname).length > 1;
    if (applies('silent')) return;
    if (applies('html')) return (begin(200, { 'content-type': 'text/html' }), response.end(PAGE));

    if (!isWeights && state.fault.startsWith('gzip')) return sendCompressed(request, response, begin, handle, pathname);

    const size = isWeights && state.fault === 'short' ? Math.floor(info.size * SHARE) : info.size;
    const version = isLater && applies('changed') ? 'other' : state.version;
    const wanted = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const deaf = isWeights && (DEAF.includes(state.fault) || (isLater && state.fault === 'forgets-ranges'));
    const first = wanted && !deaf ? Number(wanted[1]) + (applies('shifted') ? 8 : 0) : 0;
    const most = applies('sparing') ? first + 10_000 : Infinity;
    const end = Math.min(most, wanted && !deaf && wanted[2] ? Math.min(size, Number(wanted[2]) + 1) : size);
    const isTooLong = state.fault === 'strict' && Number(wanted?.[2]) >= size;
    if ((first > 0 && first >= size) || isTooLong)
      return (begin(416, { 'content-range': `bytes */${size}` }), response.end());
    begin(wanted && !deaf ? 206 : 200, {
      'content-type': TYPES[path.extname(pathname)] ?? 'application/octet-stream',
      'content-length': String(end - first + (applies('wrong-length') ? 1000 : 0)),
      ...VALIDATORS[state.validator](version, info.size),
      ...(deaf ? {} : { 'accept-ranges': 'bytes' }),
      ...(wanted &&
        !deaf && { 'content-range': `bytes ${first}-${end - 1}/${state.fault === 'no-total' ? '*' : size}` }),
    });
    if (request.method === 'HEAD') return response.end();

    const isCut = applies('cut', 'cut-no-ranges');
    const stalls = !isCut && applies('stall', 'stall-no-ranges');
    const stop = isCut || stalls ? first + Math.ceil((end - first) * SHARE) : end;
    const closed = once(response, 'close');
    for (let at = first; at < stop && !response.destroyed;) {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(Math.min(PIECE, stop - at)), 0, undefined, at);
      at += bytesRead;
      state.sent += bytesRead;
      if (!response.write(buffer)) await Promise.race([once(response, 'drain'), closed]);
    }
    // What was written must have left before the connection is cut.
    if (isCut) await new Promise((resolve) => response.write('', resolve)).then(() => response.destroy());
    else if (!stalls) response.end();
  }

  const server = createServer((request, response) => {
    response.on('error', () => {});
    answer(request, response).catch(() => response.destroy());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  state.url = `http://127.0.0.1:${address.port}/`;
  return state;
}
