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
