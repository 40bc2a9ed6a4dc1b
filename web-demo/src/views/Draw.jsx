/** A small canvas to draw on. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { Eraser, Plus } from 'lucide';

import { nameOf, pictures, picturesOf } from '../store.js';
import { text } from '../strings.js';
import { Dialog, Icon } from './bits.jsx';

const SIDE = 320;
const WIDTH = 12;
const COLOURS = Object.keys(text.draw.colours);

/** @param {HTMLCanvasElement} canvas @returns {Promise<File>} */
const fileOf = (canvas) =>
  new Promise((resolve) => {
    canvas.toBlob((blob) => resolve(new File([/** @type {Blob} */ (blob)], 'drawing.png', { type: 'image/png' })));
  });

function wipe(canvas) {
  const context = canvas.getContext('2d');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, SIDE, SIDE);
}

/**
 * @param {object} props
 * @param {(canvas: HTMLCanvasElement) => void} [props.onDraw] told as the drawing grows
 * @param {() => void} [props.onClear]
 * @param {(file: File) => void} [props.onUse]
 */
export function DrawPad({ onDraw, onClear, onUse }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const [colour, setColour] = useState(COLOURS[0]);
  const [drawn, setDrawn] = useState(false);
  const last = useRef(/** @type {[number, number] | null} */ (null));
  useEffect(() => wipe(canvas.current), []);

  const at = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const scale = SIDE / box.width;
    return /** @type {[number, number]} */ ([(event.clientX - box.left) * scale, (event.clientY - box.top) * scale]);
  };
  const stroke = (from, to) => {
    const context = canvas.current?.getContext('2d');
    if (!context) return;
    Object.assign(context, { strokeStyle: colour, lineWidth: WIDTH, lineCap: 'round', lineJoin: 'round' });
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
    setDrawn(true);
    if (canvas.current) onDraw?.(canvas.current);
  };
  return (
    <div class="draw">
      <canvas
        ref={canvas}
        class="draw-canvas"
        width={SIDE}
        height={SIDE}
        role="img"
        aria-label={text.draw.canvas}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          last.current = at(event);
          stroke(last.current, last.current);
        }}
        onPointerMove={(event) => {
          if (!last.current) return;
          const to = at(event);
          stroke(last.current, to);
          last.current = to;
        }}
        onPointerUp={() => (last.current = null)}
        onPointerCancel={() => (last.current = null)}
      />
      <div class="draw-tools">
        <div class="inks" role="radiogroup" aria-label={text.draw.colour('')}>
          {COLOURS.map((one) => (
            <label key={one} class={one === colour ? 'ink chosen' : 'ink'} style={{ background: one }}>
              <input
                type="radio"
                name={onUse ? 'ink' : 'try-ink'}
                checked={one === colour}
                aria-label={text.draw.colour(text.draw.colours[one])}
                onChange={() => setColour(one)}
              />
            </label>
          ))}
        </div>
        <button
          type="button"
          class="quiet"
          onClick={() => {
            wipe(canvas.current);
            setDrawn(false);
            onClear?.();
          }}
        >
          <Icon of={Eraser} size={16} /> {text.draw.clear}
        </button>
      </div>
      {onUse && (
        <button
          type="button"
          class="main"
          disabled={!drawn}
          onClick={() => {
            // As it is now: it comes also when the dialog is closed in the next moment.
            fileOf(/** @type {HTMLCanvasElement} */ (canvas.current)).then(onUse);
            wipe(canvas.current);
            setDrawn(false);
          }}
        >
          <Icon of={Plus} /> {text.draw.use}
        </button>
      )}
    </div>
  );
}

export function DrawDialog({ id, onClose, onPicture }) {
  const [before] = useState(() => new Set(pictures.peek().map((one) => one.id)));
  const added = picturesOf(id).filter((one) => !before.has(one.id));
  return (
    <Dialog title={text.draw.title(nameOf(id))} onClose={onClose} class="draw-dialog">
      <DrawPad onUse={onPicture} />
      <div role="status">
        {added.length > 0 && (
          <>
            <p class="fine">{text.draw.added(added.length)}</p>
            <div class="added">
              {added.map((one) => (
                <img key={one.id} src={one.url} alt="" />
              ))}
            </div>
          </>
        )}
      </div>
    </Dialog>
  );
}
