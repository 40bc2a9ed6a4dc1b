/**
 * The thread that owns the GPU device: a worker that js/core/device.js starts and asks, one call at a time. The asker
 * waits: where memory is shared for the answer in it, elsewhere for a message, and then it reads and writes its memory
 * for us.
 */
import { Engine } from './engine.js';
import { LAYOUT, STATE } from './mailbox.js';

/** @type {Engine} */
let engine;
/** @type {Int32Array | null} */
let mail = null;
let answered = (_data) => {};
/** Settled when all calls so far are done. */
let last = Promise.resolve();

const send = (message, moved = []) => /** @type {any} */ (globalThis).postMessage(message, moved);

const messageOf = (error) => String(error?.message ?? error).split('\n', 1)[0];

/** Memory of the asker's module. @param {WebAssembly.Memory} memory @param {Int32Array} mailbox */
const shared = (memory, mailbox) => ({
  // Copies: what WebGPU takes must not be shared.
  read: async (ranges) => ranges.map(([address, bytes]) => new Uint8Array(memory.buffer, address, bytes).slice()),
  write: async (ranges) => {
    // Once nobody waits for the answer any more, the memory is used for other things.
    const asked = Atomics.compareExchange(mailbox, LAYOUT.state, STATE.ASKED, STATE.WRITING) === STATE.ASKED;
    if (!asked) throw new Error('nobody waits any more');
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

async function open({ memory, mailbox, tiles }) {
  mail = mailbox ? new Int32Array(mailbox) : null;
  const { gpu } = /** @type {any} */ (globalThis.navigator ?? {});
  if (!gpu) throw new Error('this platform has no WebGPU');
  engine = await Engine.open(gpu, mail ? shared(memory, mail) : distant, tiles);
  send({ opened: { name: engine.name, tiles: engine.tiles } });
}

/** What was asked for before is done first. */
function close() {
  engine?.close();
  globalThis.close();
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
  Atomics.store(mail, LAYOUT.state, STATE.ANSWERED);
  Atomics.notify(mail, LAYOUT.state);
}

globalThis.addEventListener('message', ({ data }) => {
  if (data.open) last = open(data.open).catch((error) => send({ failed: messageOf(error) }));
  else if (data.call !== undefined) last = last.then(() => answer(data));
  else if (data.close) last = last.then(close);
  else if (data.release) last = last.then(() => engine.release(data.release));
  else if (data.destroy)
    engine?.device.destroy(); // for tests
  else answered(data.answer);
});
