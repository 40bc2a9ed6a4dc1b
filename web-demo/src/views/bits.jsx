/** Small parts that several views use. */
import { useEffect, useRef } from 'preact/hooks';

import { bestOf } from '../predict.js';
import { classOf, classes, movePicture, nameOf } from '../store.js';
import { format, text } from '../strings.js';

/** An icon of Lucide's. @param {{ of: any[], size?: number }} props */
export function Icon({ of, size = 18 }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width={size} height={size} aria-hidden="true">
      {of.map(([Tag, attributes]) => (
        <Tag {...attributes} />
      ))}
    </svg>
  );
}

/** A choice among a few. @param {{ label: string, value: string, options: [string, any][], onChange: (value) => void }} props */
export function Segments({ label, value, options, onChange, name = label }) {
  return (
    <div class="segments" role="radiogroup" aria-label={label}>
      {options.map(([key, content]) => (
        <label class={key === value ? 'segment chosen' : 'segment'}>
          <input type="radio" name={name} value={key} checked={key === value} onChange={() => onChange(key)} />
          <span>{content}</span>
        </label>
      ))}
    </div>
  );
}

/** A button for files. @param {Record<string, any>} props */
export function FileButton({ children, onFiles, accept, multiple = true, folder = false, ...rest }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  return (
    <>
      <button type="button" {...rest} onClick={() => input.current?.click()}>
        {children}
      </button>
      <input
        ref={input}
        type="file"
        hidden
        accept={accept}
        multiple={multiple}
        {...(folder ? { webkitdirectory: true } : {})}
        onChange={(event) => {
          onFiles([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = '';
        }}
      />
    </>
  );
}

/** @param {{ title: string, onClose: () => void, children: any, class?: string }} props */
export function Dialog({ title, onClose, children, class: name = '' }) {
  const element = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    element.current?.showModal();
  }, []);
  return (
    <dialog
      ref={element}
      class={`dialog ${name}`}
      aria-label={title}
      onClose={onClose}
      onClick={(event) => event.target === element.current && element.current?.close()}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2>{title}</h2>
          <button type="button" class="quiet round" aria-label={text.close} onClick={() => element.current?.close()}>
            <span aria-hidden="true">✕</span>
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** A class's mark and name. */
export function ClassName({ id, strong = false }) {
  const one = classOf(id);
  return (
    <span class={strong ? 'class-name strong' : 'class-name'}>
      <i class={`swatch c${one?.colour ?? 0}`} aria-hidden="true" />
      <span>{nameOf(id)}</span>
    </span>
  );
}

/** The class of a picture, and the way to another one. */
export function Belongs({ picture }) {
  const move = (to) => movePicture(picture.id, to, text.picture.moved(nameOf(to)));
  return (
    <label class="field">
      <span>{text.picture.belongs}</span>
      <select value={picture.classId} onChange={(event) => move(event.currentTarget.value)}>
        {classes.value.map((one) => (
          <option key={one.id} value={one.id}>
            {nameOf(one.id) || text.pictures.namePlaceholder}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Bars of a classifier's best answers. @param {{ list: any[] | null, kind: string, truth?: string, most?: number }} props */
export function Bars({ list, kind, truth = '', most = 4 }) {
  const shown = (list ?? []).slice(0, most);
  return (
    <ol class={`bars ${kind}`}>
      {shown.map(({ id, score }, i) => (
        <li class={truth && id === truth ? 'true' : ''} key={i}>
          <span class="bar-name">{nameOf(id)}</span>
          <span class="bar" aria-hidden="true">
            <i style={{ transform: `scaleX(${Math.max(0.004, score)})` }} />
          </span>
          <span class="bar-share">{format.percent(score)}</span>
        </li>
      ))}
    </ol>
  );
}

/** What is said of a picture, in words. */
export function answerText(picture, kind) {
  if (picture.fault.value) return text.pictures.unreadable;
  const best = bestOf(picture, kind);
  if (!best) return text.pictures.unanswered;
  return (best.right ? text.pictures.right : text.pictures.wrong)(nameOf(best.id), best.score);
}

/** A place that is empty. */
export function Empty({ icon, title, children }) {
  return (
    <div class="empty">
      <Icon of={icon} size={36} />
      <strong>{title}</strong>
      {children}
    </div>
  );
}

/** Something went wrong, and what to do. @param {{ title: string, children: any, onRetry?: () => void }} props */
export function Problem({ title, children, onRetry }) {
  return (
    <div class="problem" role="alert">
      <strong>{title}</strong>
      <p>{children}</p>
      {onRetry && (
        <button type="button" onClick={onRetry}>
          {text.retry}
        </button>
      )}
    </div>
  );
}
