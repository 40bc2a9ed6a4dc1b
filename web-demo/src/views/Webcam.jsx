/** The webcam: shown, and recorded from while a button is held. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { Camera, Circle } from 'lucide';

import { nameOf } from '../store.js';
import { text } from '../strings.js';
import { Dialog, Icon, Problem } from './bits.jsx';
import { Photos } from './Photos.jsx';

const EVERY_MS = 250;
const SIDE = 256;
/** The pace is told so often. */
const RATE_MS = 1000;

/** Why it does not start, and what to do. @param {any} error */
function reason(error) {
  if (error.name === 'NotAllowedError' || error.name === 'SecurityError') return text.webcam.denied;
  if (error.name === 'NotFoundError' || error.name === 'OverconstrainedError') return text.webcam.missing;
  return text.webcam.other(error.message);
}

/** The middle square of what it shows. @param {HTMLVideoElement} video */
function frame(video) {
  const side = Math.min(video.videoWidth, video.videoHeight);
  if (!side) return null;
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = SIDE;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  const [left, top] = [(video.videoWidth - side) / 2, (video.videoHeight - side) / 2];
  context.drawImage(video, left, top, side, side, 0, 0, SIDE, SIDE);
  return canvas;
}

/** The next frame that is shown; where engines do not tell, the next that may be. @param {HTMLVideoElement} video */
const nextFrame = (video) =>
  new Promise((resolve) =>
    'requestVideoFrameCallback' in video ? video.requestVideoFrameCallback(resolve) : requestAnimationFrame(resolve),
  );

/** Gives frames at the pace at which they are looked at: the next one is taken when the last one was. */
async function giveLive(video, give, isThere, tellRate) {
  let [count, since] = [0, performance.now()];
  while (isThere()) {
    await nextFrame(video);
    const picture = isThere() && video.srcObject && frame(video);
    if (!picture) continue;
    await give(picture);
    count++;
    const took = performance.now() - since;
    if (took < RATE_MS) continue;
    tellRate(Math.round((1000 * count) / took));
    [count, since] = [0, performance.now()];
  }
}

/**
 * @param {object} props
 * @param {(canvas: HTMLCanvasElement) => void} [props.onFrame] told a few times a second
 * @param {(canvas: HTMLCanvasElement) => Promise<void>} [props.onLive] told as often as it comes to an end
 * @param {any} [props.children]
 */
export function Webcam({ onFrame, onLive, children = null }) {
  const video = useRef(/** @type {HTMLVideoElement | null} */ (null));
  const [problem, setProblem] = useState('');
  const [on, setOn] = useState(false);
  const [rate, setRate] = useState(0);
  const told = useRef(onFrame);
  told.current = onFrame;

  const start = async () => {
    setProblem('');
    if (!navigator.mediaDevices?.getUserMedia) return setProblem(text.webcam.impossible);
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
      if (!video.current) return stream.getTracks().forEach((track) => track.stop());
      video.current.srcObject = stream;
      await video.current.play();
      setOn(true);
    } catch (error) {
      setProblem(reason(error));
    }
  };
  useEffect(() => {
    start();
    const element = /** @type {HTMLVideoElement} */ (video.current);
    let isThere = true;
    if (onLive) giveLive(element, onLive, () => isThere, setRate);
    const timer = setInterval(() => {
      const picture = onFrame && element.srcObject && frame(element);
      if (picture) told.current?.(picture);
    }, EVERY_MS);
    return () => {
      isThere = false;
      clearInterval(timer);
      const stream = /** @type {MediaStream | null} */ (element?.srcObject ?? null);
      stream?.getTracks().forEach((track) => track.stop());
    };
  }, []);
  return (
    <div class="webcam">
      <video ref={video} class={on ? 'mirror' : 'mirror off'} muted playsInline aria-label={text.pictures.webcam} />
      {problem && (
        <Problem title={text.pictures.webcam} onRetry={start}>
          {problem}
        </Problem>
      )}
      {on && onLive && rate > 0 && <p class="fine rate">{text.webcam.rate(rate)}</p>}
      {on && children}
    </div>
  );
}

export function WebcamDialog({ id, onClose, onPicture }) {
  const [holding, setHolding] = useState(false);
  const [count, setCount] = useState(0);
  const held = useRef(false);
  const hold = (down) => {
    held.current = down;
    setHolding(down);
  };
  const take = (canvas) => {
    if (!held.current) return;
    canvas.toBlob(
      (blob) => {
        setCount((before) => before + 1);
        onPicture(new File([blob], 'webcam.jpg', { type: 'image/jpeg' }));
      },
      'image/jpeg',
      0.9,
    );
  };
  const isKey = (event) => event.key === ' ' || event.key === 'Enter';
  return (
    <Dialog title={text.webcam.title(nameOf(id))} onClose={onClose} class="webcam-dialog">
      <Webcam onFrame={take}>
        <button
          type="button"
          class={holding ? 'main hold holding' : 'main hold'}
          onPointerDown={(event) => {
            event.currentTarget.setPointerCapture(event.pointerId);
            hold(true);
          }}
          onPointerUp={() => hold(false)}
          onPointerCancel={() => hold(false)}
          onKeyDown={(event) => isKey(event) && (event.preventDefault(), hold(true))}
          onKeyUp={(event) => isKey(event) && hold(false)}
          onBlur={() => hold(false)}
          onContextMenu={(event) => event.preventDefault()}
        >
          <Icon of={holding ? Circle : Camera} /> {holding ? text.webcam.holding : text.webcam.hold}
        </button>
        <p class="fine" role="status">
          {text.webcam.recorded(count)}
        </p>
      </Webcam>
      <Photos />
    </Dialog>
  );
}
