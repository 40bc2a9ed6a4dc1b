/** The page's side of the bench in a browser, and its workers': a program each, as program.js is in Node. */
const workers = new Map();

if (typeof document === 'undefined') {
  let prepared;
  onmessage = async ({ data }) => {
    try {
      postMessage({ answer: await obey(data) });
    } catch (error) {
      postMessage({ error: String(error) });
    }
  };

  async function obey(message) {
    if (message === 'end') return prepared.about?.() ?? {};
    if (message === 'go') {
      const start = performance.now();
      await prepared.once();
      return performance.now() - start;
    }
    const { prepare } = await import(new URL(message.module, import.meta.url).href);
    prepared = await prepare(...message.args);
    for (let i = 0; i < (prepared.warm ?? 1); i++) await prepared.once();
    return true;
  }
} else {
  /** Starts the program where it does not run yet. @param {string} name @param {any} message */
  globalThis.tell = (name, message) => {
    const worker = workers.get(name) ?? new Worker(import.meta.url, { type: 'module' });
    workers.set(name, worker);
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data: { answer, error } }) => (error ? reject(new Error(error)) : resolve(answer));
      worker.onerror = ({ message }) => reject(new Error(message ?? 'the worker could not start'));
      worker.postMessage(message);
    });
  };

  globalThis.stop = (name) => {
    workers.get(name)?.terminate();
    workers.delete(name);
  };
}
