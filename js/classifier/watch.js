/**
 * A classifier asked about what goes on: a video, a stream, whatever gives one picture after the other. When an answer
 * is out it looks at the newest there is; nothing waits in a row.
 */
import { MudptError } from '../base/errors.js';
import { isA, kindOf } from '../base/kinds.js';
import { nextTurn } from '../base/platform.js';

/**
 * Milliseconds between looks: whether a camera was stopped, which no event tells, and whether a video goes on of whose
 * frames nothing is told, as in pages that nobody sees; WebKitGTK tells of a canvas's stream once.
 */
const LOOK_MS = 250;

/** @typedef {{ next: () => Promise<{ frame: any } | null>, close: () => unknown }} Frames null: there are no more */

/** The last of what came, until it is taken. */
class Newest {
  /** @type {{ frame: any } | null} */
  #kept = null;
  /** @type {{ fault?: unknown } | null} */
  #end = null;
  #ring = () => {};
  #letGo;

  /** @param {(frame: any) => void} [letGo] of what nobody took */
  constructor(letGo = () => {}) {
    this.#letGo = letGo;
  }

  get isOver() {
    return this.#end !== null;
  }

  /** @param {any} frame */
  put(frame) {
    this.drop();
    this.#kept = { frame };
    this.#ring();
  }

  drop() {
    if (this.#kept) this.#letGo(this.#kept.frame);
    this.#kept = null;
  }

  /** What is there can still be taken. @param {unknown} [fault] thrown in place of what would come next */
  end(fault) {
    this.#end ??= { fault };
    this.#ring();
  }

  async next() {
    while (!this.#kept && !this.#end) await new Promise((resolve) => (this.#ring = () => resolve(0)));
    const kept = this.#kept;
    this.#kept = null;
    if (!kept && this.#end?.fault !== undefined) throw this.#end.fault;
    return kept;
  }
}

/** What an element shows, each time that it shows another frame. @param {any} video @param {Newest} newest */
function ofVideo(video, newest) {
  newest.put(video); // what it shows now, or the error that tells why it shows nothing
  let shown = video.currentTime;
  let timer = 0;
  let isTold = false;
  const byFrames = typeof video.requestVideoFrameCallback === 'function';
  const again = () => (timer = byFrames ? video.requestVideoFrameCallback(came) : requestAnimationFrame(came));
  const goesOn = () => {
    // A camera's time need not be told.
    if (video.currentTime !== shown || (!byFrames && video.srcObject && !video.paused)) newest.put(video);
    shown = video.currentTime;
  };
  const came = () => {
    isTold = true;
    if (byFrames) newest.put(video);
    goesOn();
    again();
  };
  const ended = () => newest.end();
  const emptied = () => video.networkState || ended(); // else it shows something else from now on
  const failed = () => {
    const what = `the video cannot be played on: ${video.error?.message || 'it is damaged'}`;
    newest.end(new MudptError('image', what, 'try it in a tab'));
  };
  const told = { ended, emptied, error: failed };
  for (const [name, act] of Object.entries(told)) video.addEventListener(name, act);
  const look = () => {
    if (video.srcObject?.active === false) ended();
    else if (!isTold) goesOn();
    isTold = false;
  };
  const looking = setInterval(look, LOOK_MS);
  if (video.ended) ended();
  again();
  return () => {
    clearInterval(looking);
    if (byFrames) video.cancelVideoFrameCallback(timer);
    else cancelAnimationFrame(timer);
    for (const [name, act] of Object.entries(told)) video.removeEventListener(name, act);
  };
}

/** Frames that are given away with the stream they are in. @param {any} frame */
const closeFrame = (frame) => isA(frame, 'VideoFrame', 'ImageBitmap') && frame.close();

/** All that a stream brings is read, so that it never waits. @param {any} reader @param {Newest} newest */
async function ofStream(reader, newest) {
  try {
    while (!newest.isOver) {
      const { done, value } = await reader.read();
      if (done) return newest.end();
      if (newest.isOver) closeFrame(value);
      else newest.put(value);
      await nextTurn(); // one that makes frames as fast as they are read leaves time for answers
    }
  } catch (error) {
    newest.end(error);
  }
}

/** What can be followed. @param {any} source @param {AbortSignal} [signal] @returns {Frames} */
function framesOf(source, signal) {
  const isStream = typeof source?.getReader === 'function';
  const newest = new Newest(isStream ? closeFrame : undefined);
  const aborted = () => {
    newest.drop();
    newest.end(signal?.reason);
  };
  const frames = (next, close) => {
    signal?.addEventListener('abort', aborted);
    return {
      next,
      close() {
        signal?.removeEventListener('abort', aborted);
        newest.end();
        newest.drop();
        return close();
      },
    };
  };
  if (isA(source, 'HTMLVideoElement')) {
    const leave = ofVideo(source, newest);
    return frames(() => newest.next(), leave);
  }
  if (isStream) {
    if (source.locked) throw new MudptError('argument', 'the stream has a reader already', 'give one of its tee()');
    const reader = source.getReader();
    ofStream(reader, newest);
    // What cannot be cancelled, as it has failed, needs not be.
    return frames(
      () => newest.next(),
      () => void reader.cancel(signal?.reason).catch(() => {}),
    );
  }
  if (typeof source?.[Symbol.asyncIterator] === 'function') {
    const iterator = source[Symbol.asyncIterator]();
    let [isAsked, isDone] = [false, false];
    const next = async () => {
      isAsked = true;
      const asked = (async () => iterator.next())();
      asked
        .then(
          ({ done, value }) => {
            if (done) isDone = true;
            if (done) newest.end();
            else newest.put(value);
          },
          (error) => {
            isDone = true;
            newest.end(error);
          },
        )
        .finally(() => (isAsked = false));
      return newest.next();
    };
    return frames(next, () => {
      if (isDone) return undefined;
      const returned = (async () => iterator.return?.())();
      returned.catch(() => {});
      return isAsked ? undefined : returned; // who was asked for a frame, and owes it, would not answer this either
    });
  }
  const kind = source !== null && typeof source === 'object' ? kindOf(source) : String(source);
  const hint = /^Media/.test(kind)
    ? 'show it in a <video>, and give that'
    : 'give a <video>, a stream of pictures, or what "for await" takes; pictures that are there go to classify()';
  throw new MudptError('argument', `what goes on in ${kind} cannot be watched`, hint);
}

/**
 * @param {any} classifier
 * @param {any} source
 * @param {Record<string, any>} [options] see types.d.ts
 */
export async function* watch(classifier, source, options = {}) {
  const { signal } = options;
  signal?.throwIfAborted();
  const frames = framesOf(source, signal);
  const isStream = typeof source.getReader === 'function';
  try {
    for (let kept; (kept = await frames.next());) {
      let answers;
      try {
        answers = await classifier.classify(kept.frame, options);
      } finally {
        if (isStream) closeFrame(kept.frame);
      }
      yield answers;
    }
  } finally {
    await frames.close();
  }
}
