/**
 * Programs that are timed in turn. Each is a process that prepares itself, says so, does its work once whenever it is
 * told to and says how long that took: so a machine that is busy for a while disturbs all of them alike.
 */
import { spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** Relaxed SIMD, for peers as well: an option of Node 20, which later versions do without, and some do not know. */
const OPTIONS = Number.parseInt(process.versions.node, 10) < 22 ? ['--experimental-wasm-relaxed-simd'] : [];

/**
 * A program: a module beside this one whose `prepare(...args)` gives what is timed, or a command that talks as
 * program.js does.
 * @typedef {{ name: string, module?: string, args?: any[], command?: string[] }} Program
 */

/**
 * What is timed.
 * @typedef {object} Prepared
 * @property {() => any} once
 * @property {() => object} [about] what else there is to tell at the end
 * @property {number} [warm] how often it is done before it counts
 * @property {boolean} [processor] by the processor's time, which a busy machine does not spoil: for one thread
 */

/** A program's process, as the runner sees it. */
export class Process {
  #child;
  #lines;
  #errors = '';

  /** @param {Program} program */
  constructor({ module, args, command }) {
    const node = [...OPTIONS, fileURLToPath(new URL('program.js', import.meta.url)), module, JSON.stringify(args)];
    const [file, ...rest] = command ?? [process.execPath, ...node];
    this.#child = spawn(file, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdin.on('error', () => {}); // it has ended, which is noticed below
    this.#child.on('error', () => {});
    this.#child.stderr.setEncoding('utf8').on('data', (text) => (this.#errors = (this.#errors + text).slice(-2000)));
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Its next message. */
  async #hear() {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(this.#errors.trim().split('\n').at(-1) || 'it ended');
      if (value.startsWith('{')) return JSON.parse(value);
    }
  }

  ready() {
    return this.#hear();
  }

  /** @returns {Promise<number>} milliseconds */
  async turn() {
    this.#child.stdin.write('go\n');
    return (await this.#hear()).ms;
  }

  /** @returns {Promise<object>} what it has to tell */
  end() {
    this.#child.stdin.end('end\n');
    return this.#hear();
  }

  kill() {
    this.#child.kill('SIGKILL');
  }
}

/** Does something while another program keeps one core busy. */
async function besideSpinner(action) {
  const child = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
  try {
    await sleep(200); // until it spins
    return await action();
  } finally {
    child.kill('SIGKILL');
  }
}

const median = (list) => {
  const sorted = [...list].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};

/**
 * Times programs in turn.
 * @param {Program[]} programs
 * @param {{ rounds: number, seconds?: number, spinner?: boolean, start?: (program: Program) => any }} options  no
 *   further round is begun after so many seconds; spinner: every turn once more while a core is busy; start: gives
 *   something like a Process
 * @returns {Promise<Record<string, { medianMs: number, minMs: number } | { failed: string }>>}
 */
export async function takeTurns(programs, { rounds, seconds = Infinity, spinner, start = (one) => new Process(one) }) {
  const running = [];
  const results = {};
  const give = async (one, action) => {
    try {
      await action();
      return true;
    } catch (error) {
      results[one.name] = { failed: error.message };
      one.program.kill();
      running.splice(running.indexOf(one), 1);
      return false;
    }
  };
  try {
    for (const each of programs) {
      const one = { name: each.name, program: start(each), times: [], besideSpinner: [] };
      running.push(one);
      await give(one, () => one.program.ready());
    }
    const begun = performance.now();
    for (let i = 0; i < rounds && (i < 2 || performance.now() - begun < seconds * 1000); i++) {
      for (const one of [...running]) {
        const done = await give(one, async () => one.times.push(await one.program.turn()));
        if (!done || !spinner) continue;
        await give(one, () => besideSpinner(async () => one.besideSpinner.push(await one.program.turn())));
      }
    }
    for (const one of [...running]) {
      let about;
      if (!(await give(one, async () => (about = await one.program.end())))) continue;
      const { name, times } = one;
      const result = { medianMs: median(times), minMs: Math.min(...times), rounds: times.length };
      if (spinner) {
        const busyMs = median(one.besideSpinner);
        Object.assign(result, { busyMs, busyFactor: busyMs / result.medianMs });
      }
      results[name] = { ...result, ...about };
    }
  } finally {
    for (const { program } of running) program.kill();
  }
  return results;
}
