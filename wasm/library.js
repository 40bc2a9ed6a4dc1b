addToLibrary({
  // The main thread's mailbox is never used: our threads only compute. Emscripten would wait for it with
  // Atomics.waitAsync, and a wait that never ends keeps the memory of a disposed module alive.
  _emscripten_thread_mailbox_await: (thread) => {},

  // The device's answer to src/clip/device.c: js/device.js puts a function there once there is a device.
  mudpt_host: (call, a, b, c) => Module['device']?.(call, a, b, c) ?? 0,
});

// js/module.js starts the threads' workers: there bundlers see a literal address, and Node's differ.
LibraryManager.library.$PThread.allocateUnusedWorker = () => {
  PThread.unusedWorkers.push(Module['startThread']());
};
