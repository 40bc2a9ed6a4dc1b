/**
 * What a page (connection.js, remote.js) and its worker (worker.js) agree on.
 *
 *   to the worker      { call, target, method, args }, { abort: call }, { forget: target }
 *   from the worker    { call, result }, { call, error }, { call, tell, args }, { crash }; all with memoryBytes;
 *                      { making }: true before it makes a thread, false after
 *
 * Calls are numbered from 1 by the page. Targets: 0 is the model, a run has the number of the call that started it,
 * classifiers count down from -1.
 */
import { MudptError } from './errors.js';

/**
 * Key of a note that is sent in place of what cannot be: its value is 'signal', 'function' (with its name), 'object'
 * (with its number) or 'bitmap'.
 */
export const NOTE = 'mudpt note';

/**
 * Public members of what lives in the worker: values, which are known to the page, and methods that answer with a
 * promise. What is not listed here the page has itself: memoryBytes, methods(), tune() and dispose() of Clip, and all
 * of TuneJob but checkpoint().
 */
export const MEMBERS = {
  Clip: { values: ['info'], methods: ['zeroShot', 'plan', 'import', 'importOfficial'] },
  Classifier: {
    values: ['classes', 'method', 'settings'],
    methods: ['classify', 'evaluate', 'export', 'withClasses', 'attention', 'nearestWords', 'dispose'],
  },
};

/** An error as something that can be sent. @param {unknown} error */
export function packError(error) {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message, stack } = error;
  return error instanceof MudptError
    ? { code: error.code, hint: error.hint, message, stack }
    : { name, message, stack };
}

/** The error that packError was given. @param {Record<string, any>} packed */
export function unpackError({ code, hint, name, message, stack }) {
  if (code) return Object.assign(new MudptError(code, ''), { message, hint, stack });
  if (name === 'AbortError') return new DOMException(message, name);
  return Object.assign(new Error(message), { name, stack });
}
