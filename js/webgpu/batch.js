/**
 * Lists of dispatches, kernels with their buffers and sizes: made once, run by engine.js any number of times.
 */
import { TILES, product } from './shaders.js';

/** Uniform blocks begin at multiples of this. */
const UNIFORM = 256;
/** Workgroups in each direction. */
const WORKGROUPS = 65535;

/** @typedef {{ pipeline: any, group: any, grid: number[], flop: number }} Dispatch */
/** @typedef {{ float: number }} Float in a uniform block, where plain numbers are whole */

/** Grid for `count` threads in workgroups of 256, of any number. */
export function flatGrid(count) {
  const groups = Math.ceil(count / 256);
  return [Math.min(groups, WORKGROUPS), Math.ceil(groups / WORKGROUPS), 1];
}

/** Dispatches that run one after the other, made once and run any number of times. */
export class Batch {
  /** @type {Dispatch[]} */
  dispatches = [];
  #engine;
  /** @type {{ pipeline: any, bindings: any[], sizes: (number | Float)[], grid: number[], flop: number }[]} */
  #planned = [];
  #uniforms;

  /** @param {import('./engine.js').Engine} engine */
  constructor(engine) {
    this.#engine = engine;
  }

  /**
   * @param {any} pipeline
   * @param {(number | Float)[]} sizes the uniform block
   * @param {any[]} bindings from 1 on; what is null is not bound
   * @param {number[]} grid
   */
  add(pipeline, sizes, bindings, grid, flop = 0) {
    if (grid.some((count) => count > WORKGROUPS)) throw new Error(`${grid.join(' x ')} workgroups are too many`);
    if (grid.every((count) => count > 0)) this.#planned.push({ pipeline, sizes, bindings, grid, flop });
  }

  /**
   * A product as gemm.h has it: c (+)= a times a range of a weight's output channels.
   * @param {any} c @param {any} a
   * @param {import('./layout.js').Weight} weight
   * @param {{ panels: any, scale: any }} loaded
   * @param {{ rows: number, first?: number, count?: number, lda?: number, ldc?: number, transposed?: boolean | number,
   *   bias?: any, accumulate?: boolean | number, tiles?: string }} job
   */
  product(c, a, weight, loaded, job) {
    const { rows, first = 0, count = weight.out, transposed = false, bias = null, accumulate = false } = job;
    const [depth, columns] = transposed ? [count, weight.in] : [weight.in, count];
    const { lda = depth, ldc = columns } = job;
    let tiles = job.tiles ?? this.#engine.tiles;
    if (!job.tiles && rows <= 32 && ['medium', 'large'].includes(tiles)) tiles = 'small';
    const turned = Boolean(transposed);
    const pipeline = this.#engine.pipeline(
      `product ${weight.storage} ${turned ? 'transposed' : 'straight'} ${tiles}`,
      () => product(weight.storage, turned, tiles),
    );
    const tile = TILES[tiles];
    const sizes = [rows, depth, columns, lda, ldc, first, weight.in, Number(bias !== null), Number(accumulate)];
    const straight = turned ? null : (bias ?? a);
    const grid = [Math.ceil(columns / (tile.tx * 4)), Math.ceil(rows / (tile.ty * tile.rows)), 1];
    this.add(pipeline, sizes, [a, loaded.panels, c, straight, loaded.scale], grid, 2 * rows * depth * columns);
  }

  /** Nothing more comes. */
  finish() {
    const { device } = this.#engine;
    const bytes = new DataView(new ArrayBuffer(Math.max(this.#planned.length, 1) * UNIFORM));
    this.#planned.forEach(({ sizes }, i) =>
      sizes.forEach((size, k) =>
        typeof size === 'number'
          ? bytes.setUint32(i * UNIFORM + k * 4, size, true)
          : bytes.setFloat32(i * UNIFORM + k * 4, size.float, true),
      ),
    );
    const uniforms = this.#engine.uniforms(new Uint8Array(bytes.buffer));
    this.#uniforms = uniforms;
    this.dispatches = this.#planned.map(({ pipeline, bindings, grid, flop }, i) => {
      const entries = bindings.flatMap((buffer, k) => (buffer ? [{ binding: k + 1, resource: { buffer } }] : []));
      entries.push({ binding: 0, resource: /** @type {any} */ ({ buffer: uniforms, offset: i * UNIFORM, size: 64 }) });
      return {
        pipeline,
        grid,
        flop,
        group: device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }),
      };
    });
    this.#planned = [];
  }

  free() {
    this.#uniforms?.destroy();
  }
}
