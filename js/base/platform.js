/** What differs between Node and browsers, in one place; what only Node has is behind node-part.js. */

/**
 * True in Node, false in browsers and their workers: those of Electron have a `process`, too, and bundlers make one up.
 */
export const isNode =
  typeof globalThis.process?.versions?.node === 'string' &&
  !(typeof globalThis.location === 'object' && typeof globalThis.Worker === 'function');

/** Whether threads can share memory: in browsers only where the page is cross-origin isolated. */
export const hasThreads =
  isNode ||
  // Workers of some kinds can make none.
  (globalThis.crossOriginIsolated === true && typeof SharedArrayBuffer === 'function' && typeof Worker === 'function');

/** Whether this thread may sleep until another wakes it: a page's own may not. */
const maySleep = hasThreads && sleepsAtAll();

function sleepsAtAll() {
  try {
    return Boolean(Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1));
  } catch {
    return false;
  }
}

/** Whether this thread can wait, asleep, for one that shares its memory. @param {WebAssembly.Memory} memory */
export const canSleep = (memory) => maySleep && !(memory.buffer instanceof ArrayBuffer);

/** Whether WebAssembly's stack can wait for a promise (JSPI). */
export const hasStackSwitching = typeof (/** @type {any} */ (WebAssembly).Suspending) === 'function';

/** @type {string | undefined} */
let page;

/**
 * What relative addresses are relative to now, as pages change theirs; in the library's worker what it was when the
 * model was loaded.
 */
export const pageAddress = () => page ?? globalThis.document?.baseURI ?? globalThis.location?.href;

/** An address of the page's as it is wherever the page goes; what is none stays. @param {string} text */
export function absolute(text) {
  try {
    return new URL(text, pageAddress()).href;
  } catch {
    return text;
  }
}

/** @param {string} address */
export function setPageAddress(address) {
  page = address;
}

/**
 * The folder of the package's files where the platform's own way to them does not lead there: the one that the caller
 * names, or that of a script from another site. Otherwise undefined.
 * @param {string} script import.meta.url of a script in one of the rooms of js/
 * @param {string | URL} [assetsUrl]
 */
export function foreignFolder(script, assetsUrl) {
  if (isNode) return undefined;
  if (assetsUrl !== undefined) {
    const url = new URL(assetsUrl, pageAddress());
    if (!url.pathname.endsWith('/')) url.pathname += '/';
    return url;
  }
  // Bundlers may leave a file: address here.
  if (!/^https?:/.test(script) || new URL(script).origin === globalThis.origin) return undefined;
  return new URL('..', script);
}

/** Told before a thread's worker is made and after it: worker/host.js tells the page. */
export const threadWatch = { making: (/** @type {boolean} */ _now) => {} };

/** Lets everything else that waits for this thread run, and comes back as soon as it has. @returns {Promise<void>} */
export function nextTurn() {
  if (typeof setImmediate === 'function') return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
