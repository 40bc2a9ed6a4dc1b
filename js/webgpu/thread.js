/**
 * The thread that owns the GPU device: a worker that js/device.js starts and asks, one call at a time. The asker waits:
 * where memory is shared for the answer in it, elsewhere for a message, and then it reads and writes its memory for us.
 */
import { Engine } from './engine.js';
import { LAYOUT } from './mailbox.js';

/** @type {Engine} */
let engine;
/** @type {Int32Array | null} */
let mail = null;
let answered = (_data) => {};
/** Settled when all calls so far are done. */
let last = Promise.resolve();

const send = (message, moved = []) => /** @type {any} */ (globalThis).postMessage(message, moved);

const messageOf = (error) => String(error?.message ?? error).split('\n', 1)[0];

/** Memory of the asker's module. @param {WebAssembly.Memory} memory */
const shared = (memory) => ({
  // Copies: what WebGPU takes must not be shared.
  read: async (ranges) => ranges.map(([address, bytes]) => new Uint8Array(memory.buffer, address, bytes).slice()),
  write: async (ranges) => {
    for (const [address, data] of ranges) new Uint8Array(memory.buffer, address, data.length).set(data);
  },
});

/** The same through messages. */
const distant = {
  read: (ranges) => {
    send({ read: ranges });
    return new Promise((resolve) => (answered = resolve));
  },
  write: (ranges) => {
    send({ write: ranges });
    return new Promise((resolve) => (answered = resolve));
  },
};

/** Counts in the order of LAYOUT. */
const countsOf = ({ counts }) => LAYOUT.counts.map((name) => counts[name]);

async function open({ memory, mailbox }) {
  mail = mailbox ? new Int32Array(mailbox) : null;
  const { gpu } = /** @type {any} */ (globalThis.navigator ?? {});
  if (!gpu) throw new Error('this platform has no WebGPU');
  engine = await Engine.open(gpu, memory ? shared(memory) : distant);
  send({ opened: { name: engine.name, tiles: engine.tilesName } });
}

async function answer({ call, a, b }) {
  let [result, text] = [-1, ''];
  try {
    result = await engine.call(call, a, b);
  } catch (error) {
    text = messageOf(error);
  }
  if (!mail) return send({ result, text, counts: countsOf(engine) });
  const bytes = new TextEncoder().encode(text).slice(0, LAYOUT.textBytes);
  new Uint8Array(mail.buffer, LAYOUT.text, bytes.length).set(bytes);
  new Float64Array(mail.buffer, LAYOUT.countsAt, LAYOUT.counts.length).set(countsOf(engine));
  mail[LAYOUT.result] = result;
  mail[LAYOUT.length] = bytes.length;
  Atomics.store(mail, LAYOUT.state, 0);
  Atomics.notify(mail, LAYOUT.state);
}

globalThis.addEventListener('message', ({ data }) => {
  if (data.open) open(data.open).catch((error) => send({ failed: messageOf(error) }));
  else if (data.call !== undefined) last = last.then(() => answer(data));
  else if (data.release) last = last.then(() => engine.release(data.release));
  else if (data.destroy)
    engine?.device.destroy(); // for tests
  else answered(data.answer);
});
