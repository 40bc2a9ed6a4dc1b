/** A picture from anywhere, and what both classifiers say of it at once. */
import { effect, signal } from '@preact/signals';
import { Camera, Pencil, Upload } from 'lucide';

import { tell } from '../actions.js';
import { BUILT_IN, model } from '../models.js';
import { answerOf, untrained, usable } from '../predict.js';
import { named } from '../store.js';
import { text } from '../strings.js';
import { Bars, FileButton, Icon, Segments } from './bits.jsx';
import { DrawPad } from './Draw.jsx';
import { Webcam } from './Webcam.jsx';

const source = signal('draw');
const shown = signal('');
/** @typedef {{ by: any, list: any[] } | null} Told what is said of the picture, and by which classifier */
/** @type {import('@preact/signals').Signal<{ zero: Told, tuned: Told }>} */
const answers = signal({ zero: null, tuned: null });

let waiting = null;
let busy = false;
/** What was looked at last. */
let seen = null;

/** Answers for the newest picture only; while one is computed the others are passed over. */
async function look(picture) {
  waiting = seen = picture;
  if (busy) return;
  busy = true;
  while (waiting) {
    const now = waiting;
    waiting = null;
    try {
      const [before, after] = [untrained.peek(), usable.peek()];
      const zero = before && { by: before, list: await answerOf(before, now) };
      const last = after && { by: after, list: await answerOf(after, now) };
      if (seen === now) answers.value = { zero, tuned: last };
    } catch (error) {
      if (error.code === 'image') tell(error.message, true);
    }
  }
  busy = false;
}

// Other classes, or a classifier more, and the picture is looked at again.
effect(() => {
  const some = [untrained.value, usable.value].some(Boolean);
  if (some && seen) queueMicrotask(() => seen && look(seen));
});

const forget = () => {
  waiting = seen = null;
  answers.value = { zero: null, tuned: null };
};

function show(file) {
  if (!file) return;
  URL.revokeObjectURL(shown.value);
  shown.value = URL.createObjectURL(file);
  look(file);
}

/** A picture that is dropped anywhere on the box is for trying, not for a class. */
function drop(event) {
  const [file] = event.dataTransfer?.files ?? [];
  if (!file) return;
  event.preventDefault();
  forget();
  source.value = 'file';
  show(file);
}

function FileBox() {
  return (
    <div class="try-file">
      {shown.value && <img src={shown.value} alt={text.tryIt.title} />}
      <FileButton accept="image/*" multiple={false} onFiles={([file]) => show(file)}>
        <Icon of={Upload} size={16} /> {text.tryIt.drop}
      </FileButton>
    </div>
  );
}

export function TryIt() {
  const kind = source.value;
  const { zero: said, tuned: saidAfter } = answers.value;
  // What was said of other classes is no answer.
  const zero = said?.by === untrained.value && said?.list;
  const after = saidAfter?.by === usable.value && saidAfter?.list;
  const label = (icon, words) => (
    <>
      <Icon of={icon} size={16} /> {words}
    </>
  );
  return (
    <section class="panel try" aria-labelledby="try-title" onDragOver={(event) => event.preventDefault()} onDrop={drop}>
      <h2 id="try-title">{text.tryIt.title}</h2>
      <Segments
        label={text.tryIt.source}
        value={kind}
        options={[
          ['draw', label(Pencil, text.tryIt.sources.draw)],
          ['webcam', label(Camera, text.tryIt.sources.webcam)],
          ['file', label(Upload, text.tryIt.sources.file)],
        ]}
        onChange={(value) => {
          forget();
          source.value = value;
        }}
      />
      {named.value.length < 2 && <p class="fine">{text.tryIt.noNames}</p>}
      {kind === 'draw' && <DrawPad onDraw={look} onClear={forget} />}
      {kind === 'webcam' && <Webcam every={150} onFrame={look} />}
      {kind === 'file' && <FileBox />}
      <div class="try-answers" aria-live="polite">
        {zero ? (
          <>
            <h3 class="kind zero">{text.before}</h3>
            <Bars list={zero} kind="zero" most={3} />
            <h3 class="kind tuned">{text.after}</h3>
            {after ? <Bars list={after} kind="tuned" most={3} /> : <p class="fine">{text.tryIt.untrained}</p>}
          </>
        ) : (
          <p class="fine">{text.tryIt.empty}</p>
        )}
      </div>
      {model.value?.id === BUILT_IN.id && <p class="fine world-note">{`${text.world.title}. ${text.world.body}`}</p>}
    </section>
  );
}
