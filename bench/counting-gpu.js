/**
 * A WebGPU that computes nothing: as much of it as js/webgpu uses, for counting what goes over to a device and back
 * with models that a software adapter would take minutes for. What it gives back is small and finite.
 */
const nothing = () => {};

class Buffer {
  constructor({ size }) {
    this.size = size;
  }
  destroy() {}
  unmap() {}
  async mapAsync() {}
  getMappedRange() {
    return Float32Array.from({ length: this.size / 4 }, (_, i) => Math.sin(i)).buffer;
  }
}

const pass = { setPipeline: nothing, setBindGroup: nothing, dispatchWorkgroups: nothing, end: nothing };
const limits = { maxStorageBufferBindingSize: 2 ** 31, maxBufferSize: 2 ** 31 };
const device = {
  limits,
  lost: new Promise(nothing),
  queue: { writeBuffer: nothing, submit: nothing },
  createBuffer: (description) => new Buffer(description),
  createShaderModule: nothing,
  createComputePipeline: () => ({ getBindGroupLayout: nothing }),
  createBindGroup: nothing,
  createCommandEncoder: () => ({ beginComputePass: () => pass, copyBufferToBuffer: nothing, finish: nothing }),
  pushErrorScope: nothing,
  popErrorScope: async () => null,
  destroy: nothing,
};

export const create = () => ({
  requestAdapter: async () => ({
    limits,
    features: new Set(),
    info: { description: 'none: it only counts' },
    requestDevice: async () => device,
  }),
});
