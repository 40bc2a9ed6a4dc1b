addToLibrary({
  // The main thread's mailbox is never used: our threads only compute. Emscripten would wait for it with
  // Atomics.waitAsync, and a wait that never ends keeps the memory of a disposed module alive.
  _emscripten_thread_mailbox_await: (thread) => {},

  // The device's answer to src/clip/device.c: js/core/device.js puts a function there once there is a device.
  mudpt_host: (call, a, b, c) => Module['device']?.(call, a, b, c) ?? 0,
  mudpt_host_release: (weight) => Module['releaseWeight']?.(weight),
  // Where no thread can wait for the device, the whole stack of these functions does (JSPI).
  mudpt_host__deps: ['$promising'],
  mudpt_host__postset: `if (Module['suspends']) _mudpt_host = new WebAssembly.Suspending(_mudpt_host);
    Module['promising'] = promising;`,
  $promising: () =>
    [
      wasmExports['mudpt_classifier_text_features'],
      wasmExports['mudpt_classifier_text_rows'],
      wasmExports['mudpt_classifier_image_features'],
      wasmExports['mudpt_classifier_feature_logits'],
      wasmExports['mudpt_classifier_logits'],
      wasmExports['mudpt_classifier_gradients'],
      wasmExports['mudpt_trainer_advance'],
    ].map((compute) => WebAssembly.promising(compute)),
});

// js/core/module.js starts the threads' workers: there bundlers see a literal address, and Node's differ.
LibraryManager.library.$PThread.allocateUnusedWorker = () => {
  PThread.unusedWorkers.push(Module['startThread']());
};
