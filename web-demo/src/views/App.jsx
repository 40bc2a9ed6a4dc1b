/** The whole page: what is always there, and the view that is open. */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { BarChart3, Download, Eye, Images, Moon, Sparkles, Sun, SunMoon } from 'lucide';

import { dialog, opened, takeDrop, take } from '../actions.js';
import { pasted } from '../intake.js';
import { clip, loadError, loading, model } from '../models.js';
import { after, opening, points, tunedAccuracy, zeroAccuracy } from '../predict.js';
import { classes, named, pictures, redo, trainPictures, undo } from '../store.js';
import { format, text } from '../strings.js';
import { place } from '../tabs.js';
import { THEMES, theme } from '../theme.js';
import { busy, run } from '../training.js';
import { askWhetherOutdated } from '../update.js';
import { Icon, Problem } from './bits.jsx';
import { LoadFailure, ModelDialog, modelName } from './Model.jsx';
import { Elsewhere, Notices } from './Notices.jsx';
import { PictureDialog } from './Picture.jsx';
import { Pictures } from './Pictures.jsx';
import { Toast } from './Toast.jsx';
import { Train } from './Train.jsx';
import { TryIt } from './TryIt.jsx';

const VIEWS = ['pictures', 'train', 'compare', 'inside', 'keep'];
const ICONS = { pictures: Images, train: Sparkles, compare: BarChart3, inside: Eye, keep: Download };
/** Views that are not there from the first moment: they come a little later, or when they are opened. */
const LATER = {
  compare: () => import('./Compare.jsx').then(({ Compare }) => Compare),
  inside: () => import('./Inside.jsx').then(({ Inside }) => Inside),
  keep: () => import('./Keep.jsx').then(({ Keep }) => Keep),
};
const LATER_MS = 5000;
const there = signal(/** @type {Record<string, any>} */ ({ pictures: Pictures, train: Pictures }));
/** Views that could not be fetched. */
const failed = signal(/** @type {Record<string, any>} */ ({}));

async function fetchView(name) {
  if (there.value[name]) return;
  try {
    const found = await LATER[name]();
    there.value = { ...there.value, [name]: found };
  } catch (error) {
    failed.value = { ...failed.value, [name]: error };
    askWhetherOutdated();
  }
}

/** All views, so that none is missing when the network, or this page, has gone from where it came. */
export const fetchViews = () =>
  setTimeout(
    () => Object.keys(LATER).reduce((last, name) => last.then(() => fetchView(name)), Promise.resolve()),
    LATER_MS,
  );

/** A view that is on its way. */
function Later({ name }) {
  const fetchNow = () => {
    failed.value = { ...failed.value, [name]: null };
    fetchView(name);
  };
  useEffect(fetchNow, [name]);
  if (!failed.value[name]) return null;
  return (
    <Problem title={text.errors.view(text.views[name])} onRetry={fetchNow}>
      {text.errors.fetch}
    </Problem>
  );
}

const fromAddress = () => VIEWS.find((name) => location.hash === `#${name}`) ?? 'pictures';
export const view = signal(fromAddress());
const dragging = signal(false);

function usePageEvents() {
  useEffect(() => {
    const isHere = () => place.value !== 'elsewhere';
    const hasFiles = (event) => isHere() && event.dataTransfer?.types.includes('Files');
    const on = {
      hashchange: () => (view.value = fromAddress()),
      dragover: (event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        dragging.value = true;
      },
      dragleave: (event) => {
        if (!event.relatedTarget) dragging.value = false;
      },
      drop: (event) => {
        dragging.value = false;
        if (!hasFiles(event) || event.defaultPrevented) return;
        event.preventDefault();
        takeDrop(event.dataTransfer);
      },
      paste: (event) => {
        const found = pasted(event);
        if (!found.length || !isHere()) return;
        event.preventDefault();
        take(found);
      },
      keydown: (event) => {
        const typing = /^(input|textarea)$/i.test(event.target?.tagName ?? '') && event.target.type !== 'radio';
        const key = event.ctrlKey || event.metaKey ? event.key.toLowerCase() : '';
        if (typing || !/^[zy]$/.test(key) || document.querySelector('dialog') || !isHere()) return;
        event.preventDefault();
        if (key === 'y' || event.shiftKey) redo();
        else undo();
      },
    };
    for (const [name, listener] of Object.entries(on)) addEventListener(name, listener);
    return () => Object.entries(on).forEach(([name, listener]) => removeEventListener(name, listener));
  }, []);
}

function ThemeButton() {
  const icon = { auto: SunMoon, light: Sun, dark: Moon }[theme.value] ?? SunMoon;
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length];
  return (
    <button
      type="button"
      class="quiet round"
      aria-label={`${text.theme.label}: ${text.theme[theme.value]}`}
      title={`${text.theme.label}: ${text.theme[theme.value]}`}
      onClick={() => (theme.value = next)}
    >
      <Icon of={icon} size={20} />
    </button>
  );
}

function ModelButton() {
  const load = loading.value;
  const share = load?.total ? load.loaded / load.total : 0;
  const name = load ? modelName(load.model) : model.value ? modelName(model.value) : '…';
  return (
    <button type="button" class="model-button" aria-haspopup="dialog" onClick={() => (dialog.value = 'model')}>
      <span class={`lamp ${load ? 'waiting' : loadError.value ? 'bad' : 'good'}`} aria-hidden="true" />
      <span class="visually-hidden">{load ? text.model.loading('') : `${text.model.button}: `}</span>
      <span class="model-name">{name}</span>
      {load && <span class="model-share">{load.total ? format.percent(share) : '…'}</span>}
    </button>
  );
}

/** What it is all about, in two numbers. */
function Score() {
  const zero = zeroAccuracy.value;
  const last = tunedAccuracy.value;
  const { state, progress } = run.value;
  const live = busy.value && progress;
  const untold = named.value.length < 2 ? text.score.noClasses : text.score.waiting;
  const told = (one) => {
    if (!one) return untold;
    return one.count < one.total ? text.score.looking(one.count, one.total) : text.score.of(one.right, one.total);
  };
  const afterNote = live
    ? text.score.training(progress.epoch, progress.epochs)
    : after.value
      ? told(last)
      : opening.value || trainPictures.value.length > 1
        ? text.score.waiting
        : text.score.untrained;
  const change = live ? null : points.value;
  return (
    <section class="score" aria-label={text.score.label}>
      <Meter kind="zero" label={text.before} share={zero?.share ?? null} note={told(zero)} />
      <span class={change === null ? 'score-points none' : change >= 0 ? 'score-points' : 'score-points lost'}>
        {change === null ? <span aria-hidden="true">→</span> : text.score.points(change)}
      </span>
      <Meter
        kind="tuned"
        label={text.after}
        share={live ? null : (last?.share ?? null)}
        note={afterNote}
        progress={live ? progress.step / progress.steps : state === 'starting' ? 0 : null}
      />
    </section>
  );
}

function Meter({ kind, label, share, note, progress = null }) {
  return (
    <div class={`meter ${kind}`}>
      <div class="meter-head">
        <span class="meter-label">{label}</span>
        <span class="meter-note">{note}</span>
      </div>
      <div class="meter-row">
        <span class="meter-share">{share === null ? text.score.none : format.percent(share)}</span>
        <span class={progress === null ? 'meter-bar' : 'meter-bar working'} aria-hidden="true">
          <i style={{ transform: `scaleX(${progress ?? share ?? 0})` }} />
        </span>
      </div>
    </div>
  );
}

function Tabs() {
  return (
    <nav class="tabs" aria-label={text.viewsLabel}>
      {VIEWS.map((name) => (
        <a
          key={name}
          class={`tab tab-${name}`}
          href={`#${name}`}
          aria-current={view.value === name ? 'page' : undefined}
        >
          <Icon of={ICONS[name]} size={20} />
          <span>{text.views[name]}</span>
        </a>
      ))}
    </nav>
  );
}

export function App() {
  usePageEvents();
  const Main = there.value[view.value] ?? Later;
  const inert = { inert: place.value === 'elsewhere' };
  return (
    <div class={`app view-${view.value}`}>
      <a
        class="skip"
        href="#content"
        onClick={(event) => (event.preventDefault(), document.getElementById('content')?.focus())}
      >
        {text.skip}
      </a>
      <Elsewhere />
      <header class="top" {...inert}>
        <div class="brand">
          <Logo />
          <div>
            <h1>{text.title}</h1>
            <p>
              {text.tagline} <span class="privacy">{text.privacy}</span>
            </p>
          </div>
        </div>
        <div class="top-actions">
          <ModelButton />
          <ThemeButton />
        </div>
      </header>
      <div class="strip" {...inert}>
        <Score />
        <Toast />
        <Tabs />
      </div>
      {!clip.value && <LoadFailure />}
      {!inert.inert && <Notices />}
      <main class="columns" id="content" tabIndex={-1} {...inert}>
        <div class="view">
          <Main name={view.value} />
        </div>
        <div class="side">
          <Train />
          <TryIt />
        </div>
      </main>
      <footer class="foot">
        <p>
          {text.footer.about}
          {clip.value && ` ${text.footer.threads(clip.value.info.threads, clip.value.info.variant)}.`}{' '}
          <a href="licences.txt">{text.footer.licences}</a>
        </p>
      </footer>
      {!inert.inert && dialog.value === 'model' && <ModelDialog />}
      {!inert.inert && opened.value && pictures.value.some(({ id }) => id === opened.value) && (
        <PictureDialog id={opened.value} />
      )}
      {dragging.value && classes.value.length === 0 && <div class="drop-veil">{text.pictures.dropAnywhere}</div>}
    </div>
  );
}

function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" width="40" height="40" aria-hidden="true">
      <rect width="32" height="32" rx="9" class="logo-ground" />
      <g class="logo-ink">
        <rect x="7" y="6" width="5" height="20" rx="2.5" />
        <rect x="20" y="6" width="5" height="20" rx="2.5" />
        <rect x="11" y="9.5" width="10" height="3" rx="1.5" opacity=".65" />
        <rect x="11" y="14.5" width="10" height="3" rx="1.5" opacity=".65" />
        <rect x="11" y="19.5" width="10" height="3" rx="1.5" opacity=".65" />
      </g>
    </svg>
  );
}
