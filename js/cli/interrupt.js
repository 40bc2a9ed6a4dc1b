/**
 * Ctrl-C and SIGTERM: the first asks to stop, and what was done so far can be kept; the second ends the program at
 * once.
 */
import { EXIT_INTERRUPTED } from './failures.js';

/**
 * @param {() => void} [onFirst]  told of the first signal
 * @returns {{ signal: AbortSignal, release: () => void }}  release gives the signals back to the system
 */
export function onInterrupt(onFirst) {
  const controller = new AbortController();
  const handle = () => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    controller.abort();
    onFirst?.();
  };
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, handle);
  return {
    signal: controller.signal,
    release() {
      for (const name of ['SIGINT', 'SIGTERM']) process.off(name, handle);
    },
  };
}
