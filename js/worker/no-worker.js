/** Why a worker's script could not be loaded, which browsers do not tell. Only a page that has none loads this. */

const SERVE = 'serve the files of the package beside each other, or say with assetsUrl where they are';

/**
 * @param {string} address
 * @param {() => boolean} isForbidden whether a policy was violated by a worker
 * @returns {Promise<[why: string, hint: string] | null>} null: nothing wrong is found
 */
export async function whyNoWorker(address, isForbidden) {
  const response = await fetch(address).catch(() => null);
  await response?.body?.cancel();
  if (isForbidden()) return ["the page's Content-Security-Policy forbids it", "allow it by worker-src 'self'"];
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
