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

import { clip, loadError, model, readKept } from './models.js';
import { startPredicting } from './predict.js';
import { listSamples, openSample, samples } from './samples.js';
import { loadFirst, restore, startSaving } from './session.js';
import { startTheme } from './theme.js';
import { forgetTraining } from './training.js';
import { tuned } from './predict.js';
import { tell } from './actions.js';
import { text } from './strings.js';
import { App } from './views/App.jsx';

startTheme();
render(<App />, /** @type {HTMLElement} */ (document.getElementById('page')));
startPredicting();

const session = restore();
const listed = listSamples().catch(() => {});
session.then(async (before) => {
  const loaded = loadFirst(before?.model);
  if (!before) await listed.then(() => samples.value.length && openSample(samples.value[0].id));
  await loaded;
  if (before && clip.value) await before.restoreTuned().catch(() => {});
  startSaving();
  readKept();
  // A classifier belongs to its model.
  let known = clip.value;
  effect(() => {
    if (clip.value === known) return;
    known = clip.value;
    if (tuned.peek()) tell(text.model.changed);
    forgetTraining();
  });
});

// For tests and for whoever looks: how far the page is.
effect(() => {
  document.documentElement.dataset.model = loadError.value ? 'failed' : (model.value?.id ?? 'none');
});
