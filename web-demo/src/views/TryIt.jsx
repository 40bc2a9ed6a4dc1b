/** A picture from anywhere, what both classifiers say of it at once, and the way to put them right. */
import { effect, signal } from '@preact/signals';
import { Camera, CircleHelp, Pencil, Upload } from 'lucide';

import { teach, tell } from '../actions.js';
import { answerOf, untrained, usable } from '../predict.js';
import { named, nameOf } from '../store.js';
import { format, text } from '../strings.js';
import { Bars, ClassName, FileButton, Icon, Segments } from './bits.jsx';
import { DrawPad } from './Draw.jsx';
import { Photos } from './Photos.jsx';
import { Webcam } from './Webcam.jsx';

/** Above it a picture is said to be none of the classes: so is one in ten of those that are (docs/methods.md). */
const NONE = 0.9;
const ORIGINS = /** @type {const} */ ({ draw: 'drawing', webcam: 'webcam', file: 'file' });

/** @type {import('@preact/signals').Signal<'draw' | 'webcam' | 'file'>} */
const source = signal('draw');
const shown = signal('');
/** @typedef {{ by: any, list: any[], none: number } | null} Told what is said of the picture, and by which classifier */
/** @type {import('@preact/signals').Signal<{ zero: Told, tuned: Told }>} */
const answers = signal({ zero: null, tuned: null });
/** Whether the picture was put where it belongs. */
const taught = signal(false);

let waiting = null;
let working = /** @type {Promise<void> | null} */ (null);
/** What was looked at last, and what the answers are of. */
let [seen, answered] = [null, null];

/** Answers for the newest picture only; while one is computed the others are passed over. */
async function work() {
  await null; // or it could end before look() knows of it, where there is nobody to ask
  while (waiting) {
    const now = waiting;
    waiting = null;
    try {
      const [before, last] = [untrained.peek(), usable.peek()];
      const zero = before && { by: before, ...(await answerOf(before, now)) };
      const tuned = last && { by: last, ...(await answerOf(last, now, { none: true })) };
      if (seen !== now) continue;
      answered = now;
      answers.value = { zero, tuned };
    } catch (error) {
      if (error.code === 'image') tell(error.message, true);
    }
  }
  working = null;
}

/** @param {any} picture @returns {Promise<void>} that the answers are there, for whoever gives no other one before */
function look(picture) {
  waiting = seen = picture;
  return (working ??= work());
}

// Other classes, or a classifier that knows more, and the picture is looked at again.
effect(() => {
  const some = [untrained.value, usable.value].some(Boolean);
  if (some && seen) queueMicrotask(() => seen && look(seen));
});

const forget = () => {
  waiting = seen = answered = null;
  taught.value = false;
  answers.value = { zero: null, tuned: null };
};

function lookAnew(picture) {
  taught.value = false;
  return look(picture);
}

function show(file) {
  if (!file) return;
  URL.revokeObjectURL(shown.value);
  shown.value = URL.createObjectURL(file);
  lookAnew(file);
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

/** The picture goes to the class that it is of, and is learned. */
function Correct({ list }) {
  const [best, ...others] = list;
  if (!best || !others.length || taught.value) return null;
  const put = (id) => {
    if (!answered) return;
    taught.value = source.value !== 'webcam';
    teach(id, answered, ORIGINS[source.value]);
  };
  return (
    <div class="correct chips" role="group" aria-label={text.tryIt.correct(nameOf(best.id))}>
      <span class="chips-label" aria-hidden="true">
        {text.tryIt.correct(nameOf(best.id))}
      </span>
      {others.map(({ id }) => (
        <button type="button" class="chip" key={id} title={text.tryIt.teach(nameOf(id))} onClick={() => put(id)}>
          <ClassName id={id} />
        </button>
      ))}
    </div>
  );
}

function None({ share }) {
  return (
    <p class="none-of-these">
      <Icon of={CircleHelp} size={22} />
      <span>
        <strong>{text.tryIt.none}</strong>
        <small>{text.tryIt.noneHint(format.percent(share))}</small>
      </span>
    </p>
  );
}

export function TryIt() {
  const kind = source.value;
  const { zero: said, tuned: saidAfter } = answers.value;
  // What was said of other classes is no answer; of one that has learned some more since it is, until it says another.
  const isOf = (told, entry) => told && entry && (told.by === entry || (entry.line && told.by.line === entry.line));
  const zero = isOf(said, untrained.value) && said;
  const last = isOf(saidAfter, usable.value) && saidAfter;
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
      {kind === 'draw' && <DrawPad onDraw={lookAnew} onClear={forget} />}
      {kind === 'webcam' && <Webcam onLive={look} />}
      {kind === 'file' && <FileBox />}
      <div class="try-answers" aria-live={kind === 'webcam' ? 'off' : 'polite'}>
        {zero ? (
          <>
            <h3 class="kind zero">{text.before}</h3>
            <Bars list={zero.list} kind="zero" most={3} />
            <h3 class="kind tuned">{text.after}</h3>
            {last && last.none > NONE && <None share={last.none} />}
            {last ? <Bars list={last.list} kind="tuned" most={3} /> : <p class="fine">{text.tryIt.untrained}</p>}
            <Correct list={(last || zero).list} />
          </>
        ) : (
          <p class="fine">{text.tryIt.empty}</p>
        )}
      </div>
      {kind !== 'draw' && <Photos />}
    </section>
  );
}
