/** The webcam: shown, and recorded from while a button is held. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { Camera, Circle } from 'lucide';

import { nameOf } from '../store.js';
import { text } from '../strings.js';
import { Dialog, Icon, Problem } from './bits.jsx';

const EVERY_MS = 250;
const SIDE = 256;

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

/** @param {{ onFrame?: (canvas: HTMLCanvasElement) => void, every?: number, children?: any }} props */
export function Webcam({ onFrame, every = EVERY_MS, children = null }) {
  const video = useRef(/** @type {HTMLVideoElement | null} */ (null));
  const [problem, setProblem] = useState('');
  const [on, setOn] = useState(false);
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
    const element = video.current;
    const timer = setInterval(() => {
      const picture = element && element.srcObject && frame(element);
      if (picture) told.current?.(picture);
    }, every);
    return () => {
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
    </Dialog>
  );
}
