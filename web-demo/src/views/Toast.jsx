/** What was done last, and the way back. It lies where nothing can be pressed: over the score. */
import { useEffect } from 'preact/hooks';

import { notice } from '../actions.js';
import { forgetPast, undo, undoable } from '../store.js';
import { text } from '../strings.js';

const OFFER_MS = 10_000;
const TELL_MS = 4_000;

export function Toast() {
  const offered = undoable.value;
  const message = notice.value;
  useEffect(() => {
    if (!offered) return undefined;
    const timer = setTimeout(() => {
      if (undoable.value === offered) undoable.value = null;
      // What a visitor wanted to be rid of is.
      if (!offered.kept) forgetPast(offered);
    }, OFFER_MS);
    return () => clearTimeout(timer);
  }, [offered]);
  useEffect(() => {
    if (!message) return undefined;
    const ms = message.error ? OFFER_MS : TELL_MS;
    const timer = setTimeout(() => notice.value === message && (notice.value = null), ms);
    return () => clearTimeout(timer);
  }, [message]);
  return (
    <div class="toast-place" role="status">
      {offered && (
        <div class="toast">
          <span>{offered.what}</span>
          <button type="button" class="quiet" onClick={() => undo(offered)}>
            {text.undo.label}
          </button>
        </div>
      )}
      {message && (!offered || message.error) && (
        <div class={message.error ? 'toast bad' : 'toast'}>
          <span>{message.message}</span>
        </div>
      )}
    </div>
  );
}
