/**
 * Programs that are timed in turn. Each is a process that prepares itself, says so, does its work once whenever it is
 * told to and says how long that took: so a machine that is busy for a while disturbs all of them alike.
 */
import { spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';

const RELAXED = '--experimental-wasm-relaxed-simd'; // which later versions of Node have without

/**
 * The process's own side.
 * @param {() => Promise<{ once: () => any, about?: () => object, warm?: number }>} open  prepares; `once` is what is
 *   timed, `about` what else there is to tell at the end, `warm` how often it is done before it counts
 */
export async function serve(open) {
  const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
  const { once, about, warm = 1 } = await open();
  for (let i = 0; i < warm; i++) await once();
  say({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    if (line !== 'go') break;
    const start = performance.now();
    await once();
    say({ ms: performance.now() - start });
  }
  say({ peakBytes: process.resourceUsage().maxRSS * 1024, ...about?.() });
  process.exit(0);
}

/** A program's process, as the runner sees it. */
class Program {
  #child;
  #lines;
  times = [];
  about = {};

  /** @param {{ name: string, command: string[] }} program */
  constructor({ name, command }) {
    this.name = name;
    const [file, ...args] = command[0] === 'node' ? [process.execPath, RELAXED, ...command.slice(1)] : command;
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdin.on('error', () => {}); // it has ended, which is noticed below
    this.#child.on('error', () => {});
    this.errors = '';
    this.#child.stderr.setEncoding('utf8').on('data', (text) => (this.errors = (this.errors + text).slice(-2000)));
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Its next message. */
  async hear() {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(this.errors.trim().split('\n').at(-1) || 'it ended');
      if (value.startsWith('{')) return JSON.parse(value);
    }
  }

  async turn() {
    this.#child.stdin.write('go\n');
    this.times.push((await this.hear()).ms);
  }

  async end() {
    this.#child.stdin.end('end\n');
    this.about = await this.hear();
  }

  kill() {
    this.#child.kill('SIGKILL');
  }
}

const median = (list) => {
  const sorted = [...list].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};

/**
 * Times programs in turn.
 * @param {{ name: string, command: string[], unpack?: boolean }[]} programs
 * @param {{ rounds: number, seconds?: number }} options  no further round is begun after so many seconds
 * @returns {Promise<Record<string, { medianMs: number, minMs: number, peakBytes: number } | { failed: string }>>}
 */
export async function takeTurns(programs, { rounds, seconds = Infinity }) {
  const running = [];
  const results = {};
  const give = async (program, action) => {
    try {
      await action();
      return true;
    } catch (error) {
      results[program.name] = { failed: error.message };
      program.kill();
      running.splice(running.indexOf(program), 1);
      return false;
    }
  };
  try {
    for (const each of programs) {
      const program = new Program(each);
      running.push(program);
      await give(program, () => program.hear());
    }
    const start = performance.now();
    for (let i = 0; i < rounds && (i < 2 || performance.now() - start < seconds * 1000); i++) {
      for (const program of [...running]) await give(program, () => program.turn());
    }
    for (const program of [...running]) {
      if (!(await give(program, () => program.end()))) continue;
      const times = { medianMs: median(program.times), minMs: Math.min(...program.times) };
      results[program.name] = { ...times, rounds: program.times.length, ...program.about };
    }
  } finally {
    for (const program of running) program.kill();
  }
  return results;
}
