/**
 * loadClip, and what it gives to pages: objects with the members of Clip, Classifier and TuneJob whose work is done by
 * a worker (host.js). A worker belongs to one model and ends with it.
 */
import { MudptError, reasonOf, requireOptions } from '../base/errors.js';
import { bringExtras } from '../base/extras.js';
import { tellOfForgotten } from '../base/forgotten.js';
import { foreignFolder, hasThreads, isNode, pageAddress } from '../base/platform.js';
import { makeWorker, workerFrom } from '../base/workers.js';
import { judging } from '../classifier/judging.js';
import { bitmapOf, isDrawable } from '../pictures/elements.js';
import { absoluteAddress } from '../pictures/no-address.js';
import { Steps } from '../training/steps.js';
import { Connection, NUMBER } from './connection.js';
import { MEMBERS } from './wire.js';

/** @param {boolean} whole whether it has what only some need (base/extras.js) @param {string | URL} [assetsUrl] */
function startWorker(whole, assetsUrl) {
  const folder = foreignFolder(import.meta.url, assetsUrl);
  return makeWorker(() => {
    if (folder) return workerFrom(new URL(`worker/${whole ? 'whole-worker' : 'worker'}.js`, folder));
    // Addresses that bundlers look for, and that hold in any folder beside this one: docs/recipes.md.
    return whole
      ? new Worker(new URL('../worker/whole-worker.js', import.meta.url), { type: 'module' })
      : new Worker(new URL('../worker/worker.js', import.meta.url), { type: 'module' });
  });
}

/** @typedef {{ connection: Connection }} Owner what the objects of one model share, and nothing else holds */

/** Ends the workers of models that nobody in the page has any more. */
const forgotten = new FinalizationRegistry((/** @type {{ connection: Connection, name: string }} */ held) => {
  const { connection, name } = held;
  if (connection.ended) return;
  tellOfForgotten(name, connection.memoryBytes);
  connection.end(new MudptError('state', 'this model was forgotten'));
});

let told = false;

/** Once a page: how to get threads where there are none. @param {Record<string, any>} options */
function tellOfThreads({ threads }) {
  if (told || threads === 1 || hasThreads || isNode || globalThis.crossOriginIsolated) return;
  told = true;
  console.info(
    'mudpt computes on one thread: for more, serve the page with the headers ' +
      '"Cross-Origin-Opener-Policy: same-origin" and "Cross-Origin-Embedder-Policy: require-corp"' +
      (globalThis.top === globalThis.self ? '' : ', and the frame that it is in with allow="cross-origin-isolated"'),
  );
}

/**
 * Loads a model: in a page in a worker, elsewhere in the calling thread. What the options mean is in index.d.ts.
 * @param {import('../files/source.js').From} from
 * @param {Record<string, any>} [options]
 * @returns {Promise<any>} a Clip as index.d.ts has it
 */
export async function loadClip(from, options = {}) {
  requireOptions(options);
  const { worker, ...rest } = options;
  tellOfThreads(rest);
  if (!(worker ?? (typeof document === 'object' && typeof Worker === 'function'))) return loadHere(from, rest);
  if (isNode) throw new MudptError('environment', 'in Node the library runs in the calling thread', 'leave out worker');
  let connection;
  let address = '';
  let isForbidden = false;
  const listen = ({ effectiveDirective: rule, disposition }) => {
    isForbidden ||= rule === 'worker-src' && disposition === 'enforce';
  };
  globalThis.document?.addEventListener('securitypolicyviolation', listen);
  try {
    connection = new Connection(
      (whole) => {
        const made = startWorker(whole, rest.assetsUrl);
        ({ address } = made);
        return made.worker;
      },
      (rest.device ?? 'wasm') !== 'wasm',
      rest.timeout > 0 ? rest.timeout : undefined,
    );
    const { answer } = connection.call(0, 'load', [from, rest, pageAddress()]);
    return widened(new RemoteClip(connection, await answer), rest.assetsUrl);
  } catch (thrown) {
    const error = /** @type {any} */ (thrown);
    const isMissing = !connection || connection.notStarted;
    connection?.end(new MudptError('state', 'the model was not loaded'));
    if (!isMissing) throw error;
    const { whyNoWorker } = await import('./no-worker.js');
    const found = address && (await whyNoWorker(address, () => isForbidden));
    const missing = found
      ? new MudptError('environment', `the worker could not be started: ${found[0]}`, found[1])
      : error;
    if (worker) throw missing;
    const loaded = await loadHere(from, rest).catch((cause) => {
      throw cause.code === 'environment' ? missing : cause;
    });
    console.warn(`mudpt computes in the page, which stands still meanwhile: ${missing.message}`);
    return loaded;
  } finally {
    globalThis.document?.removeEventListener('securitypolicyviolation', listen);
  }
}

/**
 * A model with what is done here, on features, and fetched when it is used: a worker has no part in it.
 * @param {any} clip
 * @param {string | URL} [assetsUrl]
 */
function widened(clip, assetsUrl) {
  const search = () => import('../features/search.js');
  const instant = () => import('../instant/start.js');
  const [tune, restore] = [clip.tune.bind(clip), clip.import.bind(clip)];
  return Object.assign(clip, {
    index: async (pictures, options) => (await search()).indexPictures(clip, pictures, options),
    importIndex: async (bytes, options) => (await search()).openIndex(clip, bytes, options),
    tune: (options) =>
      options?.preset === 'instant' || options?.head || options?.views || options?.budget !== undefined
        ? new LaterJob(instant().then(({ startJob }) => startJob(clip, tune, options, assetsUrl)))
        : tune(options),
    import: (bytes, options) =>
      restore(bytes, options).catch(async (error) => {
        if (error.code !== 'classifier') throw error;
        return (await instant()).importInstant(clip, bytes, options, error, assetsUrl);
      }),
  });
}

/** A run whose code is on its way. */
class LaterJob {
  #job;
  /** @type {any} */
  #here = null;

  /** @param {Promise<any>} job */
  constructor(job) {
    this.#job = job;
    this.finished = job.then((here) => (this.#here = here).finished);
    this.finished.catch(() => {});
  }

  get classifier() {
    return this.#here?.classifier ?? null;
  }

  stop() {
    this.#job.then(
      (job) => job.stop(),
      () => {},
    );
  }

  async checkpoint() {
    return (await this.#job).checkpoint();
  }

  async *[Symbol.asyncIterator]() {
    yield* await this.#job;
  }
}

/** In this thread nothing keeps from importing what is needed. */
const bringHere = () => bringExtras(() => import('../extras.js'));

/** In the calling thread. @param {import('../files/source.js').From} from @param {Record<string, any>} options */
async function loadHere(from, options) {
  const parts = Promise.all([
    import('../clip.js'),
    import('../pictures/images.js'),
    import('../pictures/no-picture.js'),
  ]);
  const [{ loadClip: load, Classifier }, { drawing }, { noPicture }] = await parts.catch((cause) => {
    const what = `the library cannot be loaded in this thread: ${reasonOf(cause)}`;
    throw new MudptError('environment', what, 'call it in a page or a worker of it', { cause });
  });
  Object.assign(drawing, { isDrawable, bitmapOf, noPicture });
  if (!('suggest' in Classifier.prototype)) judging(Classifier.prototype);
  bringHere();
  return widened(await load(from, options), options.assetsUrl);
}

/** Methods whose first argument may be an address, or a list of them. */
const FIRST_IS_ADDRESS = ['classify', 'attention', 'embedImages'];
const absoluteIn = (given) =>
  typeof given === 'string' ? absoluteAddress(given) : Array.isArray(given) ? given.map(absoluteIn) : given;
/** @param {any[]} args */
const fromPage = ([first, ...rest]) => [absoluteIn(first), ...rest];

/** @param {unknown} error */
function passOverGone(error) {
  if (!(error instanceof MudptError && error.code === 'state')) throw error;
}

/** An object in the worker. */
class RemoteObject {
  /**
   * @param {Owner} owner
   * @param {keyof typeof MEMBERS} type
   * @param {{ number: number, values: Record<string, any> }} what
   */
  constructor(owner, type, { number, values }) {
    this[NUMBER] = number;
    for (const name of MEMBERS[type].values) {
      Object.defineProperty(this, name, { get: () => structuredClone(values[name]), enumerable: true });
    }
    for (const name of MEMBERS[type].methods) {
      const call = async (...args) => {
        const sent = FIRST_IS_ADDRESS.includes(name) ? fromPage(args) : args;
        // By `this`, so that whoever has but a method has the object.
        const { answer } = owner.connection.call(this[NUMBER], name, sent);
        // What has gone already, perhaps with its model, need not be disposed of.
        return local(owner, await (name === 'dispose' ? answer.catch(passOverGone) : answer));
      };
      Object.defineProperty(this, name, { value: call, writable: true });
    }
  }
}

/**
 * What the worker answered, as an object of this page where it stands for one.
 * @param {Owner} owner
 * @param {any} result
 */
function local(owner, result) {
  if (result?.type !== 'Classifier') return result;
  const classifier = judging(/** @type {any} */ (new RemoteObject(owner, 'Classifier', result)));
  owner.connection.tie(classifier, result.number);
  return classifier;
}

export class RemoteClip extends RemoteObject {
  #owner;
  #methods;

  /** @param {Connection} connection @param {any} what as host.js tells of a model */
  constructor(connection, what) {
    const owner = { connection };
    super(owner, 'Clip', what);
    forgotten.register(owner, { connection, name: what.values.info.name });
    this.#owner = owner;
    this.#methods = what.values.methods;
  }

  get memoryBytes() {
    return this.#owner.connection.memoryBytes;
  }

  methods() {
    return structuredClone(this.#methods);
  }

  /**
   * Read here, so that no worker needs what reads it.
   * @param {any} from
   * @param {Record<string, any>} [options]
   */
  async importOfficial(from, options = {}) {
    bringHere();
    const { readOfficial } = await import('../classifier/exchange.js');
    const self = /** @type {any} */ (this);
    return self.restoreOfficial(await readOfficial(from, options, self.info.architecture));
  }

  /** @param {Record<string, any>} options */
  tune(options) {
    return new RemoteTuneJob(this.#owner, this[NUMBER], options ?? {});
  }

  async dispose() {
    this.#owner.connection.end(new MudptError('state', 'this model has been disposed of', 'load it again'));
  }
}

export class RemoteTuneJob {
  #owner;
  /** @type {Steps<import('../training/tune.js').TuneProgress>} */
  #steps = new Steps();

  /** @param {Owner} owner @param {number} clip @param {Record<string, any>} options */
  constructor(owner, clip, options) {
    const { connection } = owner;
    this.#owner = owner;
    this.classifier = /** @type {any} */ (null);
    const keep = (result) => (this.classifier = local(owner, result));
    const { number, answer } = connection.call(clip, 'tune', [options], {
      step: (step) => this.#steps.push(step),
      left: keep, // what a run has trained that then failed
    });
    this[NUMBER] = number;
    connection.tie(this, number);
    this.finished = answer.then(keep).finally(() => this.#steps.end());
    this.finished.catch(() => {});
  }

  stop() {
    this.#owner.connection.call(this[NUMBER], 'stop', []).answer.catch(() => {}); // a run that has ended
  }

  async checkpoint() {
    return this.#owner.connection.call(this[NUMBER], 'checkpoint', []).answer;
  }

  async *[Symbol.asyncIterator]() {
    yield* this.#steps;
    await this.finished;
  }
}
