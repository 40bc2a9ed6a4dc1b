/**
 * A tower on the device: all that src/clip/tower.c does between what enters the first block and what leaves the last
 * one, and the way back, as two lists of dispatches that are made once. Names are those of tower.c; what backward needs
 * stays in buffers of its own, block by block.
 */
import * as shaders from './shaders.js';
import { ANSWER, BLOCK_WORDS, MODE, TOWER_WORDS, blockOf, layoutKind, towerOf } from './layout.js';
import { Batch, flatGrid } from './batch.js';
import { finiteFloats } from './finite.js';

/** Rows that a dispatch can count. */
const MOST_ROWS = 65535;

/** @typedef {ReturnType<typeof towerOf>} Description */

/**
 * Reads a tower's description: the structs, and every list of rows they point to. All of it is its key.
 * @param {import('./engine.js').HostMemory} memory
 * @param {number} address
 */
export async function readTower(memory, address) {
  const wordsOf = (bytes) => new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const [towerBytes] = await memory.read([[address, TOWER_WORDS * 4]]);
  const tower = towerOf(wordsOf(towerBytes));
  const { layers, rows, promptRowCount } = tower;
  const ranges = /** @type {[number, number][]} */ ([
    [tower.scratch, 8],
    [tower.blocks, layers * BLOCK_WORDS * 4],
    [tower.promptRows, promptRowCount * 4],
    [tower.promptOf, promptRowCount * 4],
  ]);
  for (const { outs, outRows, attention } of tower.layouts) {
    ranges.push([outRows, outRows ? outs * 4 : 0]);
    for (const { sequences, queryStart, keyStart, visible } of attention) {
      ranges.push(
        [queryStart, (sequences + 1) * 4],
        [keyStart, (sequences + 1) * 4],
        [visible, visible ? outs * 4 : 0],
      );
    }
  }
  const [scratch, blockWords, promptRows, promptOf, ...rest] = (await memory.read(ranges)).map(wordsOf);
  const all = [wordsOf(towerBytes), blockWords, promptRows, promptOf, ...rest];
  const key = new Int32Array(all.reduce((sum, { length }) => sum + length, 0));
  all.reduce((at, words) => (key.set(words, at), at + words.length), 0);

  /** What a tower that is not known yet is made of. */
  function describe() {
    const lists = [...rest];
    const layouts = tower.layouts.map(({ outs, outRows, attention }) => {
      const out = /** @type {Int32Array} */ (lists.shift());
      const calls = attention.map((shape) => {
        const [queryStart, keyStart, visible] = lists.splice(0, 3);
        return { ...shape, queryStart, keyStart, visible: shape.visible ? visible : null };
      });
      return { outs, outRows: outRows ? out : null, ...attentionTables(calls, outs, rows) };
    });
    const blocks = Array.from({ length: layers }, (_, l) => blockOf(blockWords, l * BLOCK_WORDS));
    return { tower, blocks, lists: { layouts, promptRows, promptOf } };
  }
  return { describe, scratch: { x: scratch[0] >>> 0, y: scratch[1] >>> 0 }, key };
}

/** For every query which keys it sees, for every key which queries see it: see shaders.js. */
function attentionTables(calls, outs, rows) {
  const queries = new Uint32Array(outs * 3);
  const ranges = new Uint32Array(rows * 2);
  const seen = new Uint32Array(rows);
  const see = (key, query) => {
    if (!seen[key]) ranges[key * 2] = query;
    ranges[key * 2 + 1] = query + 1;
    seen[key]++;
  };
  let keys = 0;
  for (const { sequences, queryStart, keyStart, visible, prefix } of calls) {
    for (let s = 0; s < sequences; s++) {
      const start = keyStart[s];
      for (let query = queryStart[s]; query < queryStart[s + 1]; query++) {
        const own = visible ? visible[query] : keyStart[s + 1] - start;
        queries.set([prefix, start, prefix + own], query * 3);
        keys = Math.max(keys, prefix + own);
        for (let k = 0; k < prefix; k++) see(k, query);
        for (let k = 0; k < own; k++) see(start + k, query);
      }
    }
  }
  const gap = seen.findIndex((count, key) => count !== ranges[key * 2 + 1] - ranges[key * 2]);
  if (gap >= 0) throw new Error(`the queries that see key ${gap} do not follow each other`);
  return { queries, ranges, keys };
}

export class Tower {
  #engine;
  #t;
  #blocks;
  #weights;
  #layouts;
  #buffers = /** @type {any[]} */ ([]);
  #forward;
  #backward = /** @type {Batch | null} */ (null);
  /** Whether the buffers hold what backward needs. */
  #ready = false;

  /**
   * @param {import('./engine.js').Engine} engine
   * @param {Description} t
   * @param {ReturnType<typeof blockOf>[]} blocks
   * @param {Record<string, any>[]} weights of the blocks: loaded matrices and vectors, by name
   * @param {any} lists
   */
  constructor(engine, t, blocks, weights, { layouts, promptRows, promptOf }) {
    this.#engine = engine;
    this.#t = t;
    this.#blocks = blocks;
    this.#weights = weights;
    this.#layouts = layouts;
    this.ids = new Set(blocks.flatMap(({ inProj, outProj, fc, proj }) => [inProj.id, outProj.id, fc.id, proj.id]));
    const { rows, width: d, mlp, layers, mode, depth, prompts } = t;
    const even = blocks.every(({ heads }) => d % (heads * 4) === 0) && d % 8 === 0 && mlp % 8 === 0;
    if (!even || rows > MOST_ROWS) throw new Error(`a tower of ${rows} rows of ${d} and ${mlp} is not supported`);
    this.promptOf = promptOf;
    this.scratch = { x: 0, y: 0 };
    this.outBytes = layouts[layoutKind(t, layers - 1)].outs * d * 4;
    this.deepFloats = Math.max(depth - 1, 0) * prompts * d;

    const floats = (count) => this.#take(count * 4);
    const wide = rows * d;
    const shapes = layouts.map(({ outs, keys }) => outs * blocks[0].heads * Math.max(keys, 1));
    this.x = floats(wide);
    this.y = floats(wide);
    this.h = floats(wide);
    this.gathered = floats(wide);
    this.o = floats(wide);
    this.g = floats(rows * mlp);
    this.shares = floats(Math.max(...shapes));
    this.deep = floats(this.deepFloats);
    if (mode !== MODE.BACKWARD) this.u = floats(rows * mlp);
    const { list, at } = this.#index(layouts, promptRows, promptOf);
    this.at = at;
    this.index = this.#take(list.byteLength);
    engine.upload(this.index, new Uint8Array(list.buffer));

    if (mode !== MODE.FORWARD) {
      this.dq = floats(wide);
      this.dkv = floats(2 * wide);
      this.dshares = floats(Math.max(...shapes));
      this.ddeep = floats(Math.max(t.promptRowCount, 1) * d * layers);
    }
    const count = mode === MODE.BACKWARD ? layers : 1;
    this.saved = Array.from({ length: count }, (_, l) => {
      const outs = mode === MODE.BACKWARD ? this.#layout(l).outs : rows;
      const always = { q: floats(outs * d), kv: floats(2 * wide), u: this.u ?? floats(outs * mlp) };
      if (mode === MODE.FORWARD) return always;
      const [xhat1, rstd1, xhat2, rstd2] = [wide, rows, outs * d, outs].map(floats);
      return { ...always, xhat1, rstd1, xhat2, rstd2 };
    });
    this.inputs = mode === MODE.RECOMPUTE ? Array.from({ length: layers }, () => floats(wide)) : null;

    this.#forward = this.#planForward();
    if (mode !== MODE.FORWARD) this.#backward = this.#planBackward();
  }

  #take(bytes) {
    const buffer = this.#engine.take(bytes);
    this.#buffers.push(buffer);
    return buffer;
  }

  free() {
    this.#forward.free();
    this.#backward?.free();
    for (const buffer of this.#buffers) this.#engine.give(buffer);
    this.#buffers = [];
  }

  #layout(l) {
    return this.#layouts[layoutKind(this.#t, l)];
  }

  #savedOf(l) {
    return this.saved[this.saved.length > 1 ? l : 0];
  }

  // ---------------------------------------------------------------------------------------------- lists of rows

  /** Every list, in one buffer, and where each begins. */
  #index(layouts, promptRows, promptOf) {
    const { rows, prompts, promptRowCount, layers } = this.#t;
    const list = /** @type {number[]} */ ([]);
    const put = (values) => {
      const at = list.length;
      for (const value of values) list.push(value);
      return at;
    };
    const pairs = (count, to, from) => put(Array.from({ length: count }, (_, i) => [to(i), from(i)]).flat());
    const same = (i) => i;
    const at = {
      identity: put(Array.from({ length: rows }, (_, i) => i)),
      copy: pairs(rows, same, same),
      promptRows: put(promptRows),
      gatherPrompts: pairs(promptRowCount, same, (i) => promptRows[i]),
      /** of block l's prompts, deep [layers, prompts] */
      deep: Array.from({ length: Math.max(this.#t.depth - 1, 0) }, (_, l) =>
        pairs(
          promptRowCount,
          (i) => promptRows[i],
          (i) => l * prompts + promptOf[i],
        ),
      ),
      /** of block l's prompts' gradients, ddeep [layers, promptRowCount] */
      ddeep: Array.from({ length: layers }, (_, l) =>
        pairs(
          promptRowCount,
          (i) => l * promptRowCount + i,
          (i) => promptRows[i],
        ),
      ),
      layouts: layouts.map(({ outs, outRows, queries, ranges }) => {
        const rowOf = outRows ? (i) => outRows[i] : same;
        const outOf = new Map(Array.from({ length: outs }, (_, i) => [rowOf(i), i]));
        return {
          queries: put(queries),
          ranges: put(ranges),
          gather: pairs(outs, same, rowOf),
          scatter: pairs(outs, rowOf, same),
          /** where a prompt row left the block; undefined: none did */
          prompts: [...promptRows].every((row) => outOf.has(row))
            ? pairs(promptRowCount, same, (i) => outOf.get(promptRows[i]))
            : undefined,
        };
      }),
    };
    return { list: Uint32Array.from(list.length ? list : [0]), at };
  }

  #lists(l) {
    return this.at.layouts[layoutKind(this.#t, l)];
  }

  // ---------------------------------------------------------------------------------------------- single kernels

  #kernel(name, code = shaders[name]) {
    return this.#engine.pipeline(name, code);
  }

  /** Rows of `out` (+)= rows of `from`, as the pairs at an index say. */
  #move(batch, out, from, at, count, accumulate = 0, width = this.#t.width / 4) {
    const sizes = [count * width, width, at, accumulate];
    batch.add(this.#kernel('moveRows'), sizes, [from, this.index, out], flatGrid(count * width));
  }

  #layernorm(batch, h, xhat, rstd, x, gain, bias, rows, epsilon) {
    const keep = Boolean(xhat);
    const kernel = this.#kernel(`layernormForward ${keep}`, () => shaders.layernormForward(keep));
    batch.add(
      kernel,
      [this.#t.width, { float: epsilon }],
      [x, gain, bias, h, xhat ?? null, rstd ?? null],
      [rows, 1, 1],
    );
  }

  #layernormBackward(batch, dx, dy, xhat, rstd, gain, rows, accumulate, index = this.at.identity) {
    const sizes = [this.#t.width, accumulate, index];
    batch.add(this.#kernel('layernormBackward'), sizes, [dy, gain, xhat, rstd, this.index, dx], [rows, 1, 1]);
  }

  /** @param {'Forward' | 'Backward'} direction */
  #activation(direction, { activation }) {
    const name = `gelu${direction}`;
    return this.#kernel(`${name} ${activation}`, () => shaders[name](activation));
  }

  #attention(batch, l, kernel, side, buffers, grid) {
    const { heads } = this.#blocks[l];
    const { width: d } = this.#t;
    const { queries, ranges } = this.#lists(l);
    const { keys } = this.#layout(l);
    const [ldb, offset] = { keys: [d / 2, 0], values: [d / 2, d / 4] }[side];
    const scale = { float: 1 / Math.sqrt(d / heads) };
    const sizes = [Math.max(keys, 1), heads, d / heads / 4, ldb, offset, queries, ranges, scale];
    batch.add(this.#kernel(kernel), sizes, [this.index, ...buffers], grid);
  }

  /** Probabilities, from queries and keys. */
  #shares(batch, l, { q, kv }) {
    const { heads } = this.#blocks[l];
    const { outs, keys } = this.#layout(l);
    this.#attention(batch, l, 'scores', 'keys', [q, kv, this.shares], [Math.ceil(keys / 64), outs, heads]);
    this.#attention(batch, l, 'softmax', 'keys', [this.shares], [outs, heads, 1]);
  }

  // ---------------------------------------------------------------------------------------------- blocks

  #blockForward(batch, l, y, x, onlyKept) {
    const { width: d, rows, mlp } = this.#t;
    const block = this.#blocks[l];
    const w = this.#weights[l];
    const { outs, outRows } = this.#layout(l);
    const lists = this.#lists(l);
    const kept = this.#savedOf(l);

    this.#layernorm(batch, this.h, kept.xhat1, kept.rstd1, x, w.ln1Gain, w.ln1Bias, rows, block.epsilon);
    if (outRows) this.#move(batch, this.gathered, this.h, lists.gather, outs);
    this.#move(batch, y, x, lists.gather, outs);
    const projection = { bias: w.inProjBias };
    batch.product(kept.q, outRows ? this.gathered : this.h, block.inProj, w.inProj, {
      ...projection,
      rows: outs,
      first: 0,
      count: d,
    });
    batch.product(kept.kv, this.h, block.inProj, w.inProj, { ...projection, rows, first: d, count: 2 * d });
    this.#shares(batch, l, kept);
    this.#attention(batch, l, 'mixKeys', 'values', [this.shares, kept.kv, this.o], [Math.ceil(d / 256), outs, 1]);
    batch.product(y, this.o, block.outProj, w.outProj, { rows: outs, bias: w.outProjBias, accumulate: true });

    this.#layernorm(batch, this.h, kept.xhat2, kept.rstd2, y, w.ln2Gain, w.ln2Bias, outs, block.epsilon);
    batch.product(kept.u, this.h, block.fc, w.fc, { rows: outs, bias: w.fcBias });
    if (onlyKept) return;
    const count = (outs * mlp) / 4;
    batch.add(this.#activation('Forward', block), [count], [kept.u, this.g], flatGrid(count));
    batch.product(y, this.g, block.proj, w.proj, { rows: outs, bias: w.projBias, accumulate: true });
  }

  /** dx [rows, d] from dy [outs, d], which is used up; the first block's of the prompt rows alone. */
  #blockBackward(batch, l, dx, dy) {
    const { width: d, rows, mlp, promptRowCount } = this.#t;
    const block = this.#blocks[l];
    const w = this.#weights[l];
    const { outs, outRows } = this.#layout(l);
    const lists = this.#lists(l);
    const kept = this.#savedOf(l);
    const { g, h, o, dq, dkv, gathered, shares, dshares } = this;
    const transposed = true;

    batch.product(g, dy, block.proj, w.proj, { rows: outs, transposed });
    const count = (outs * mlp) / 4;
    batch.add(this.#activation('Backward', block), [count], [kept.u, g], flatGrid(count));
    batch.product(h, g, block.fc, w.fc, { rows: outs, transposed });
    this.#layernormBackward(batch, dy, h, kept.xhat2, kept.rstd2, w.ln2Gain, outs, 1);
    batch.product(o, dy, block.outProj, w.outProj, { rows: outs, transposed });

    const { keys } = this.#layout(l);
    const columns = Math.ceil(d / 256);
    this.#shares(batch, l, kept);
    this.#attention(batch, l, 'scores', 'values', [o, kept.kv, dshares], [Math.ceil(keys / 64), outs, block.heads]);
    this.#attention(batch, l, 'mixQueries', 'values', [shares, o, dkv], [columns, rows, 1]);
    this.#attention(batch, l, 'softmaxBackward', 'keys', [shares, dshares], [outs, block.heads, 1]);
    this.#attention(batch, l, 'mixKeys', 'keys', [dshares, kept.kv, dq], [columns, outs, 1]);
    this.#attention(batch, l, 'mixQueries', 'keys', [dshares, kept.q, dkv], [columns, rows, 1]);

    const fromQ = { transposed, first: 0, count: d };
    const fromKv = { transposed, first: d, count: 2 * d };
    if (l > 0) {
      batch.product(h, dkv, block.inProj, w.inProj, { ...fromKv, rows });
      if (outRows) {
        batch.product(gathered, dq, block.inProj, w.inProj, { ...fromQ, rows: outs });
        this.#move(batch, h, gathered, lists.scatter, outs, 1);
      } else {
        batch.product(h, dq, block.inProj, w.inProj, { ...fromQ, rows: outs, accumulate: true });
      }
      this.#layernormBackward(batch, dx, h, kept.xhat1, kept.rstd1, w.ln1Gain, rows, 0);
      this.#move(batch, dx, dy, lists.scatter, outs, 1);
      return;
    }
    // Only the prompt rows; either all of them left this block or none did.
    this.#move(batch, gathered, dkv, this.at.gatherPrompts, promptRowCount, 0, d / 2); // keys and values, side by side
    batch.product(h, gathered, block.inProj, w.inProj, { ...fromKv, rows: promptRowCount });
    if (lists.prompts !== undefined) {
      this.#move(batch, o, dq, lists.prompts, promptRowCount);
      batch.product(h, o, block.inProj, w.inProj, { ...fromQ, rows: promptRowCount, accumulate: true });
    }
    this.#layernormBackward(batch, dx, h, kept.xhat1, kept.rstd1, w.ln1Gain, promptRowCount, 0, this.at.promptRows);
    if (lists.prompts !== undefined) this.#move(batch, dx, dy, lists.prompts, promptRowCount, 1);
  }

  // ---------------------------------------------------------------------------------------------- the tower

  #planForward() {
    const { layers, promptRowCount, rows } = this.#t;
    const batch = new Batch(this.#engine);
    let [x, y] = [this.x, this.y];
    for (let l = 0; l < layers; l++) {
      if (this.inputs) this.#move(batch, this.inputs[l], x, this.at.copy, rows);
      this.#blockForward(batch, l, y, x, false);
      if (l === layers - 1) break;
      const { outs, outRows } = this.#layout(l);
      if (!outRows) {
        [x, y] = [y, x];
        continue;
      }
      this.#move(batch, x, y, this.#lists(l).scatter, outs);
      this.#move(batch, x, this.deep, this.at.deep[l], promptRowCount);
    }
    this.out = y;
    batch.finish();
    return batch;
  }

  #planBackward() {
    const { layers, promptRowCount } = this.#t;
    const batch = new Batch(this.#engine);
    let [x, y] = [this.x, this.y];
    this.dout = y;
    for (let l = layers - 1; l >= 0; l--) {
      // The last block's is still there.
      if (this.inputs && l < layers - 1) this.#blockForward(batch, l, x, this.inputs[l], true);
      this.#blockBackward(batch, l, x, y);
      if (l === 0) break;
      const before = this.#layout(l - 1);
      if (!before.outRows) {
        [x, y] = [y, x];
        continue;
      }
      this.#move(batch, y, x, this.#lists(l - 1).gather, before.outs);
      this.#move(batch, this.ddeep, x, this.at.ddeep[l - 1], promptRowCount);
    }
    this.din = x;
    batch.finish();
    return batch;
  }

  /** @param {{ x: number, y: number }} scratch addresses @param {number} deep address */
  async forward(scratch, deep) {
    const { rows, width: d, layers } = this.#t;
    const { memory } = this.#engine;
    this.#ready = false;
    this.scratch = scratch;
    const [x, prompts] = await memory.read([
      [scratch.x, rows * d * 4],
      [deep, this.deepFloats * 4],
    ]);
    finiteFloats(x, 'what enters a tower');
    finiteFloats(prompts, 'prompts');
    const uploads = /** @type {[any, Uint8Array<ArrayBuffer>][]} */ ([[this.x, x]]);
    if (prompts.length) uploads.push([this.deep, prompts]);
    const [out] = await this.#engine.run(uploads, [this.#forward], [[this.out, this.outBytes]]);
    finiteFloats(out, 'what leaves a tower');
    await memory.write([[scratch.y, out]]);
    this.#ready = true;
    return ANSWER.DONE;
  }

  /** @param {number} ddeep address; gradients are added there */
  async backward(ddeep) {
    if (!this.#ready || !this.#backward) return ANSWER.LOST;
    this.#ready = false; // recompute and the gradients write over it
    const { width: d, layers, depth, prompts, promptRowCount } = this.#t;
    const { memory } = this.#engine;
    const [dy, sum] = await memory.read([
      [this.scratch.y, this.outBytes],
      [ddeep, this.deepFloats * 4],
    ]);
    finiteFloats(dy, 'a gradient');
    const deepBytes = Math.max(depth - 1, 0) * promptRowCount * d * 4;
    const [dx, rows] = await this.#engine.run(
      [[this.dout, dy]],
      [this.#backward],
      [
        [this.din, promptRowCount * d * 4],
        [this.ddeep, deepBytes],
      ],
    );
    finiteFloats(dx, 'a gradient');
    const added = finiteFloats(rows, 'a gradient');
    const total = new Float32Array(sum.buffer, sum.byteOffset, sum.byteLength / 4);
    for (let l = 0; l < depth - 1; l++) {
      for (let i = 0; i < promptRowCount; i++) {
        const [to, from] = [(l * prompts + this.promptOf[i]) * d, (l * promptRowCount + i) * d];
        for (let k = 0; k < d; k++) total[to + k] += added[from + k];
      }
    }
    await memory.write([
      [this.scratch.x, dx],
      [ddeep, sum],
    ]);
    return ANSWER.DONE;
  }
}
