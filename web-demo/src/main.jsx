/** Starts the page: the session of before or the first sample, the model, then everything by itself. */
import '@fontsource-variable/figtree';
import 'uplot/dist/uPlot.min.css';
import './style/base.css';
import './style/page.css';
import './style/parts.css';
import './style/views.css';
import './style/results.css';

import { render } from 'preact';
import { effect } from '@preact/signals';

import { startHints } from './hints.js';
import { startInstant } from './instant.js';
import { clip, loadError, loadFirst, missing, model, readKept } from './models.js';
import { after, startPredicting, trained } from './predict.js';
import { listSamples, openFirst } from './samples.js';
import { keeping, restore, settled, startSaving } from './session.js';
import { startTabs } from './tabs.js';
import { startTheme } from './theme.js';
import { busy, pauseNow, startUsing, unfinished } from './training.js';
import { startTellingFaults, taken, tell } from './actions.js';
import { text } from './strings.js';
import { startAsking } from './update.js';
import { App, fetchViews } from './views/App.jsx';

startTheme();
render(<App />, /** @type {HTMLElement} */ (document.getElementById('page')));
startPredicting();
startUsing();
startInstant();
startHints();
startTellingFaults();
startAsking();
fetchViews();
const listed = listSamples();

/** What was stored, where there was something. @type {{ model: any, begun: boolean } | null} */
let before = null;

/** The model of the session, and where there is none the first sample. @param {boolean} own whether it is this tab's */
async function open(own) {
  const same = model.value && model.value.from === before?.model?.from;
  // A tab that only shows the session loads no large model for it.
  const loaded = own && !same ? loadFirst(before?.model) : model.value ? null : loadFirst(null);
  await listed.then(openFirst);
  await loaded;
  readKept();
  if (!own || busy.value) return;
  const isLeft = unfinished.value && (before?.begun || unfinished.value.state === 'running');
  if (isLeft) tell(text.train.interruptedNotice);
  else if (before?.begun && !unfinished.value && !missing.value) tell(text.train.interruptedEarly, true);
}

startTabs({
  reads: async () => {
    before = await restore();
    return keeping.value !== 'none' && keeping.value !== 'newer';
  },
  opens: open,
  leaves: async () => {
    await Promise.all([taken(), pauseNow()]);
    await settled();
  },
});
startSaving();
// A page that comes back as it was left may have lost the session to another one since.
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

// For tests and for whoever looks: how far the page is.
effect(() => {
  const { dataset } = document.documentElement;
  dataset.model = loadError.value && !missing.value ? 'failed' : (model.value?.id ?? 'none');
  dataset.kept = keeping.value;
  dataset.after = trained.value ? 'trained' : after.value ? 'instant' : 'none';
});
