/** Making workers where pages' policies allow them, and saying why none comes. */
import { MudptError, reasonOf } from './errors.js';

/** What Trusted Types ask for: a policy, which pages allow by this name. */
const POLICY = 'mudpt';
/** @type {any} null: none can be had */
let policy;

/** @param {string} address of a script of ours @returns {any} */
function trusted(address) {
  const { trustedTypes } = /** @type {any} */ (globalThis);
  if (policy === undefined) {
    try {
      policy = trustedTypes?.createPolicy(POLICY, { createScriptURL: (text) => text }) ?? null;
    } catch {
      policy = null; // where the page asks for no types, it goes without
    }
  }
  return policy?.createScriptURL(address) ?? address;
}

/**
 * @param {() => Worker} make makes the worker at an address that bundlers know only written out: what is done to that
 *   happens in the constructor
 * @returns {{ worker: Worker, address: string }}
 */
export function makeWorker(make) {
  const { Worker } = globalThis;
  let address = '';
  function Trusting(url, options) {
    address = String(url);
    return new Worker(trusted(address), options);
  }
  globalThis.Worker = /** @type {any} */ (Trusting);
  try {
    return { worker: make(), address };
  } catch (cause) {
    const hint = `allow it by worker-src, and where the page asks for Trusted Types by "trusted-types ${POLICY}"`;
    throw new MudptError('environment', `the page may start no worker: ${reasonOf(cause)}`, hint, { cause });
  } finally {
    if (globalThis.Worker === /** @type {any} */ (Trusting)) globalThis.Worker = Worker;
  }
}

/**
 * A module worker of another folder. Pages may import scripts of other sites but start no workers from them.
 * @param {URL} url
 * @param {string} [name]
 */
export function workerFrom(url, name) {
  if (url.origin === globalThis.origin) return new Worker(url, { type: 'module', name });
  const script = new Blob([`import ${JSON.stringify(url.href)};`], { type: 'text/javascript' });
  return new Worker(URL.createObjectURL(script), { type: 'module', name });
}

const SERVE = 'serve the files of the package beside each other, or say with assetsUrl where they are';
/** Directives of policies that have forbidden a worker here. @type {Set<string>} */
const forbidden = new Set();
globalThis.document?.addEventListener('securitypolicyviolation', ({ effectiveDirective, disposition }) => {
  if (effectiveDirective === 'worker-src' && disposition === 'enforce') forbidden.add(effectiveDirective);
});

/**
 * Why a worker's script could not be loaded, which browsers do not tell.
 * @param {string} address
 * @returns {Promise<[why: string, hint: string] | null>} null: nothing wrong is found
 */
export async function whyNoWorker(address) {
  const response = await fetch(address).catch(() => null);
  await response?.body?.cancel();
  if (forbidden.size) return ["the page's Content-Security-Policy forbids it", "allow it by worker-src 'self'"];
  if (!/^https?:/.test(address)) return null;
  if (!response?.ok)
    return [`${address} ${response ? `was answered with ${response.status}` : 'cannot be fetched'}`, SERVE];
  const type = response.headers.get('content-type') ?? '';
  if (!/(java|ecma)script/.test(type))
    return [`${address} was sent as ${type || 'nothing known'}`, 'send it as text/javascript'];
  if (!globalThis.crossOriginIsolated || response.headers.has('cross-origin-embedder-policy')) return null;
  const what = `the page is isolated, and ${address} lacks the header Cross-Origin-Embedder-Policy`;
  return [what, 'send the headers of isolation with scripts as well as with the page'];
}
