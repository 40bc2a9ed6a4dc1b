/**
 * A WebGPU that computes nothing: as much of it as js/webgpu uses, for counting what goes over to a device and back
 * with models that a software adapter would take minutes for, and for tests of what a device may refuse. What it gives
 * back is small and finite.
 */
const nothing = () => {};

class Buffer {
  constructor({ size }, delay) {
    this.size = size;
    this.delay = delay;
  }
  destroy() {}
  async mapAsync() {
    if (this.delay) await new Promise((resolve) => setTimeout(resolve, this.delay));
  }
  getMappedRange() {
    return Float32Array.from({ length: this.size / 4 }, (_, i) => Math.sin(i)).buffer;
  }
}

const pass = { setPipeline: nothing, setBindGroup: nothing, dispatchWorkgroups: nothing, end: nothing };

/**
 * @param {object} [options]
 * @param {number} [options.largest] bytes of a buffer, at most
 * @param {number} [options.patience] how many times it may be asked for an error until there is one
 * @param {string} [options.kind] of error
 * @param {() => void} [options.destroyed] called when the device is
 * @param {number} [options.delay] milliseconds until results are there
 */
export function makeGpu(options = {}) {
  let { largest = 2 ** 31, patience = Infinity, kind = 'out-of-memory', destroyed = nothing, delay = 0 } = options;
  const limits = { maxStorageBufferBindingSize: largest, maxBufferSize: largest };
  const scopes = /** @type {string[]} */ ([]);
  const device = {
    limits,
    lost: new Promise(nothing),
    queue: { writeBuffer: nothing, submit: nothing },
    createBuffer: (description) => new Buffer(description, delay),
    createShaderModule: nothing,
    createComputePipeline: () => ({ getBindGroupLayout: nothing }),
    createBindGroup: nothing,
    createCommandEncoder: () => ({ beginComputePass: () => pass, copyBufferToBuffer: nothing, finish: nothing }),
    pushErrorScope: (kind) => scopes.push(kind),
    popErrorScope: async () => (scopes.pop() === kind && --patience < 0 ? { message: `a made-up ${kind}` } : null),
    destroy: destroyed,
  };
  const adapter = { limits, info: { description: 'none: it only counts' }, requestDevice: async () => device };
  return { requestAdapter: async () => adapter };
}

export const create = () => makeGpu();
