/** Classes as cards, and every picture with what is said of it. */
import { signal } from '@preact/signals';
import { useState } from 'preact/hooks';
import { Camera, Check, Eye, FolderOpen, ImagePlus, Pencil, Plus, Redo2, Undo2, Upload, X } from 'lucide';

import { addFiles, lastClass, opened, reasonOf, take, takeDrop } from '../actions.js';
import { foundFiles } from '../intake.js';
import { after, bestOf, namesError } from '../predict.js';
import { fetching, openSample, retrySample, sampleError, samples, startEmpty } from '../samples.js';
import {
  addClass,
  classes,
  hasPhotos,
  history,
  isRepeated,
  movePicture,
  nameOf,
  picturesOf,
  redo,
  removeClass,
  removePicture,
  renameClass,
  sampleId,
  undo,
  undone,
} from '../store.js';
import { text } from '../strings.js';
import { place } from '../tabs.js';
import { Empty, FileButton, Icon, Problem, Segments, answerText } from './bits.jsx';
import { DrawDialog } from './Draw.jsx';
import { Hints } from './Hints.jsx';
import { Photos } from './Photos.jsx';
import { WebcamDialog } from './Webcam.jsx';

const SHOWN = 16;
const DRAGGED = 'application/x-mudpt-picture';

/** Whose answers are shown: before or after. */
const showing = signal('tuned');
/** The tool that is open for a class. */
const tool = signal(/** @type {{ kind: string, id: string } | null} */ (null));
/** The card whose name is to be typed. */
const fresh = signal('');

const shownKind = () => (after.value ? showing.value : 'zero');

function Thumb({ picture }) {
  const kind = shownKind();
  const best = bestOf(picture, kind);
  const mark = picture.fault.value ? 'fault' : best ? (best.right ? 'right' : 'wrong') : 'none';
  const label = text.pictures.open(nameOf(picture.classId), answerText(picture, kind), picture.held);
  return (
    <li>
      <button
        type="button"
        class={`thumb ${mark}${picture.held ? ' held' : ''}`}
        aria-label={label}
        title={label}
        draggable
        onDragStart={(event) => event.dataTransfer?.setData(DRAGGED, picture.id)}
        onClick={() => (opened.value = picture.id)}
        onKeyDown={(event) => event.key === 'Delete' && removePicture(picture.id, text.picture.removed)}
      >
        <img src={picture.url} alt="" loading="lazy" decoding="async" draggable={false} />
        {picture.held && (
          <span class="held-mark" aria-hidden="true">
            <Icon of={Eye} size={12} />
          </span>
        )}
        {mark !== 'none' && (
          <span class="verdict" aria-hidden="true">
            <Icon of={mark === 'right' ? Check : X} size={12} />
          </span>
        )}
        <span class="thumb-name" aria-hidden="true">
          {best ? nameOf(best.id) : mark === 'fault' ? '!' : '…'}
        </span>
      </button>
    </li>
  );
}

function Card({ one }) {
  const [over, setOver] = useState(false);
  const [all, setAll] = useState(false);
  const own = picturesOf(one.id);
  const broken = own.filter((picture) => picture.fault.value).length;
  const held = own.filter((picture) => picture.held && !picture.fault.value).length;
  const shown = all ? own : own.slice(0, SHOWN);
  const repeated = isRepeated(one);
  const unnamed = !one.name.trim();
  const note = repeated ? text.pictures.repeated : unnamed && own.length ? text.pictures.unnamed : '';
  const use = () => (lastClass.value = one.id);
  const drop = (event) => {
    setOver(false);
    const id = event.dataTransfer?.getData(DRAGGED);
    if (id) movePicture(id, one.id, text.picture.moved(nameOf(one.id)));
    else if (event.dataTransfer?.types.includes('Files')) takeDrop(event.dataTransfer, one.id);
    else return;
    event.preventDefault();
  };
  return (
    <li
      class={over ? `card c${one.colour} over` : `card c${one.colour}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => !event.currentTarget.contains(event.relatedTarget) && setOver(false)}
      onDrop={drop}
      onFocusIn={use}
    >
      <div class="card-head">
        <i class={`swatch c${one.colour}`} aria-hidden="true" />
        <input
          class="card-name"
          type="text"
          aria-label={text.pictures.name}
          aria-invalid={Boolean(note)}
          placeholder={text.pictures.namePlaceholder}
          value={one.name}
          maxLength={60}
          ref={(input) => {
            if (!input || fresh.value !== one.id) return;
            fresh.value = '';
            input.focus();
          }}
          onInput={({ currentTarget: { value } }) => renameClass(one.id, value, text.undo.renamed(value))}
        />
        <button
          type="button"
          class="quiet round small"
          aria-label={text.pictures.remove(nameOf(one.id))}
          onClick={() => removeClass(one.id, text.pictures.removed(nameOf(one.id)))}
        >
          <Icon of={X} size={16} />
        </button>
      </div>
      <p class={note ? 'card-note bad' : 'card-note'}>
        {note || text.pictures.count(own.length - held - broken, held, broken)}
      </p>
      {own.length > 0 ? (
        <ul class="thumbs">
          {shown.map((picture) => (
            <Thumb key={picture.id} picture={picture} />
          ))}
        </ul>
      ) : (
        <p class="card-empty">{text.pictures.empty}</p>
      )}
      {own.length > SHOWN && (
        <button type="button" class="quiet more" onClick={() => setAll(!all)}>
          {all ? text.pictures.less : text.pictures.more(own.length - SHOWN)}
        </button>
      )}
      <div class="card-tools" role="group" aria-label={text.pictures.add(nameOf(one.id))}>
        <FileButton class="tool" accept="image/*" onFiles={(files) => take(foundFiles(files), one.id)}>
          <Icon of={Upload} size={16} /> {text.pictures.upload}
        </FileButton>
        <FileButton class="tool" folder onFiles={(files) => take(foundFiles(files), one.id)}>
          <Icon of={FolderOpen} size={16} /> {text.pictures.folder}
        </FileButton>
        <button type="button" class="tool" onClick={() => (tool.value = { kind: 'webcam', id: one.id })}>
          <Icon of={Camera} size={16} /> {text.pictures.webcam}
        </button>
        <button type="button" class="tool" onClick={() => (tool.value = { kind: 'draw', id: one.id })}>
          <Icon of={Pencil} size={16} /> {text.pictures.draw}
        </button>
      </div>
      {over && <div class="card-over">{text.pictures.dropHere}</div>}
    </li>
  );
}

/** One step back, or forth again; what it is about is its name. */
function Step({ icon, entry, told, onStep }) {
  if (!entry) return null;
  return (
    <button
      type="button"
      class="quiet round small"
      aria-label={told(entry.what)}
      title={told(entry.what)}
      onClick={onStep}
    >
      <Icon of={icon} size={18} />
    </button>
  );
}

function Samples() {
  const credits = samples.value.find(({ id }) => id === sampleId.value)?.authors;
  return (
    <div class="samples">
      <div class="chips" role="group" aria-label={text.samples.title}>
        <span class="chips-label" aria-hidden="true">
          {text.samples.title}
        </span>
        {samples.value.map(({ id }) => (
          <button
            type="button"
            class={id === sampleId.value ? 'chip chosen' : 'chip'}
            aria-pressed={id === sampleId.value}
            aria-busy={fetching.value === id}
            key={id}
            onClick={() => openSample(id)}
          >
            {text.samples.names[id] ?? id}
          </button>
        ))}
        <button type="button" class="chip" onClick={startEmpty}>
          {text.samples.empty}
        </button>
        <Step icon={Undo2} entry={history.value.at(-1)} told={text.undo.last} onStep={() => undo()} />
        <Step icon={Redo2} entry={undone.value.at(-1)} told={text.undo.again} onStep={redo} />
      </div>
      {credits && (
        <details class="credits">
          <summary>{text.samples.authors}</summary>
          <p>
            {text.samples.credit}{' '}
            {credits.map(({ title, author, url, licence, licenceUrl }, i) => (
              <span key={title}>
                {i > 0 && '; '}
                <a href={url}>{title}</a>, {author} (<a href={licenceUrl}>{licence}</a>)
              </span>
            ))}
          </p>
        </details>
      )}
      {sampleError.value && (
        <Problem title={text.errors.title} onRetry={retrySample}>
          {sampleError.value.id ? text.samples.failed : text.samples.notListed}
        </Problem>
      )}
    </div>
  );
}

export function Pictures() {
  // What lies above all else would cover that another tab has the session.
  const open = place.value !== 'elsewhere' ? tool.value : null;
  const close = () => (tool.value = null);
  return (
    <section class="pictures" aria-label={text.pictures.title}>
      <Samples />
      {hasPhotos.value && <Photos />}
      {namesError.value && <Problem title={text.pictures.namesError}>{reasonOf(namesError.value)}</Problem>}
      {classes.value.length > 0 ? (
        <div class="pictures-head">
          <h2>{text.pictures.lead}</h2>
          {after.value && (
            <Segments
              label={text.pictures.showing}
              value={showing.value}
              options={[
                ['zero', text.before],
                ['tuned', text.after],
              ]}
              onChange={(value) => (showing.value = value)}
            />
          )}
          <span class="legend">
            <span class="held-mark">
              <Icon of={Eye} size={12} />
            </span>{' '}
            {text.pictures.legendHeld}
          </span>
        </div>
      ) : (
        !fetching.value && (
          <Empty icon={ImagePlus} title={text.pictures.nothing}>
            <p>{text.pictures.nothingHint}</p>
          </Empty>
        )
      )}
      <Hints />
      <ul class="cards">
        {classes.value.map((one) => (
          <Card key={one.id} one={one} />
        ))}
        {classes.value.length === 0 && fetching.value && [0, 1, 2, 3].map((i) => <li class="card ghost" key={i} />)}
        <li class="card-add">
          <button type="button" class="add-button" onClick={() => (fresh.value = addClass(text.undo.added))}>
            <Icon of={Plus} size={22} /> {text.pictures.addClass}
          </button>
          <FileButton class="quiet" folder onFiles={(files) => take(foundFiles(files))}>
            <Icon of={FolderOpen} size={16} /> {text.pictures.addFolders}
          </FileButton>
          <p class="fine">
            {text.pictures.addFoldersHint}. {text.pictures.pasteHint}
          </p>
        </li>
      </ul>
      {open?.kind === 'draw' && (
        <DrawDialog id={open.id} onClose={close} onPicture={(file) => addFiles(open.id, [file], 'drawing')} />
      )}
      {open?.kind === 'webcam' && (
        <WebcamDialog id={open.id} onClose={close} onPicture={(file) => addFiles(open.id, [file], 'webcam')} />
      )}
    </section>
  );
}
