// The main thread's mailbox is never used: our threads only compute. Emscripten would wait for it with
// Atomics.waitAsync, and a wait that never ends keeps the memory of a disposed module alive.
addToLibrary({ _emscripten_thread_mailbox_await: (thread) => {} });
