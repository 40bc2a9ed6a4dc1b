/** Training: how long, with which method, the curve, and the buttons. */
import { CircleStop, Pause, Play, RotateCcw, Sparkles } from 'lucide';

import { reasonOf } from '../actions.js';
import { BUILT_IN, clip, model } from '../models.js';
import { after, knownPartly, points, trained, tuned, tunedAccuracy } from '../predict.js';
import { keeping, storedRuns } from '../session.js';
import { heldPictures, named } from '../store.js';
import { text } from '../strings.js';
import {
  busy,
  chosen,
  curve,
  estimate,
  goOn,
  isBehind,
  method,
  methodInfo,
  methods,
  obstacle,
  preset,
  run,
  settings,
  stage,
  stop,
  train,
  unfinished,
  unkept,
} from '../training.js';
import { Icon, Problem } from './bits.jsx';
import { Chart } from './Chart.jsx';

const PRESETS = ['quick', 'balanced', 'thorough'];
/** Methods in the order in which they are offered. */
const ORDER = ['mudpt', 'umudpt', 'ivlp', 'vpt', 'coop', 'cocoop'];
/** Under "Advanced": what can be set, and in which range. */
const NUMBERS = {
  shots: { min: 1, max: 64, step: 1 },
  epochs: { min: 1, max: 200, step: 1 },
  batchSize: { min: 1, max: 32, step: 1 },
  learningRate: { min: 0.0001, max: 1, step: 'any' },
  promptLength: { min: 1, max: 16, step: 1 },
  depth: { min: 1, max: 12, step: 1 },
  smallestCrop: { min: 0.05, max: 1, step: 0.05 },
  seed: { min: 0, max: 4294967295, step: 1 },
};
const CHOICES = { injection: ['linear', 'transformer'], classPosition: ['end', 'middle', 'front'] };
const SWITCHES = ['augment', 'classSpecific', 'layer0Fusion'];

function set(key, value) {
  const { layer0Fusion, ...others } = chosen.value;
  // The transformer's coupling has no such choice.
  const kept = key === 'injection' && value === 'transformer' ? others : chosen.value;
  chosen.value = { ...kept, [key]: value };
}

const has = (key, all) => key in all && !(key === 'layer0Fusion' && all.injection === 'transformer');

function mostOf(key, all) {
  const { architecture } = /** @type {any} */ (clip.value).info;
  if (key === 'depth') return Math.max(architecture.textLayers, architecture.visionLayers);
  // Prompts are started from the phrase's words, one each.
  if (key === 'promptLength' && all.phrase && methodInfo.value?.method !== 'vpt') return all.phrase.split(' ').length;
  return NUMBERS[key].max;
}

function Advanced() {
  const all = settings.value;
  if (!all) return null;
  return (
    <details class="advanced">
      <summary>{text.train.advanced}</summary>
      <div class="settings">
        {Object.entries(NUMBERS).map(([key, { min, step }]) => {
          if (!(key in all)) return null;
          const [label, hint] = text.train.settings[key];
          const max = mostOf(key, all);
          return (
            <label class="setting" key={key}>
              <span>{label}</span>
              <input
                type="number"
                inputMode="decimal"
                {...{ min, max, step }}
                value={all[key]}
                disabled={busy.value}
                onChange={(event) => {
                  const value = event.currentTarget.valueAsNumber;
                  if (value >= min && value <= max) set(key, step === 1 ? Math.round(value) : value);
                  else event.currentTarget.value = String(all[key]);
                }}
              />
              {hint && <small>{hint}</small>}
            </label>
          );
        })}
        {Object.entries(CHOICES).map(
          ([key, options]) =>
            key in all && (
              <label class="setting" key={key}>
                <span>{text.train.settings[key][0]}</span>
                <select
                  value={all[key]}
                  disabled={busy.value}
                  onChange={(event) => set(key, event.currentTarget.value)}
                >
                  {options.map((option) => (
                    <option key={option} value={option}>
                      {text.train.choices[option]}
                    </option>
                  ))}
                </select>
              </label>
            ),
        )}
        {SWITCHES.map(
          (key) =>
            has(key, all) && (
              <label class="check" key={key}>
                <input
                  type="checkbox"
                  checked={all[key]}
                  disabled={busy.value}
                  onChange={(event) => set(key, event.currentTarget.checked)}
                />
                {text.train.settings[key][0]}
              </label>
            ),
        )}
      </div>
      {methodInfo.value?.trainedValues && (
        <p class="fine">{text.train.trainedValues(methodInfo.value.trainedValues)}</p>
      )}
      {Object.keys(chosen.value).length > 0 && (
        <button type="button" class="quiet" onClick={() => (chosen.value = {})}>
          <Icon of={RotateCcw} size={16} /> {text.train.reset}
        </button>
      )}
    </details>
  );
}

function Presets() {
  // Of other models, methods and settings nothing was measured.
  const isMeasured = model.value?.id === BUILT_IN.id && method.value === 'mudpt' && !Object.keys(chosen.value).length;
  return (
    <fieldset class="presets" disabled={busy.value}>
      <legend>{text.train.preset}</legend>
      {PRESETS.map((name) => (
        <label class={preset.value === name ? 'preset chosen' : 'preset'} key={name}>
          <input
            type="radio"
            name="preset"
            value={name}
            checked={preset.value === name}
            onChange={() => {
              preset.value = name;
              chosen.value = {};
            }}
          />
          <strong>{text.train.presets[name]}</strong>
          <small>{text.train.estimate(estimate(name))}</small>
          {isMeasured && <small class="gain">{text.train.gain[name]}</small>}
        </label>
      ))}
      {isMeasured && <p class="fine">{text.train.gainHint}</p>}
    </fieldset>
  );
}

function Methods() {
  const known = ORDER.flatMap((name) => methods.value.find((one) => one.method === name) ?? []);
  const now = methodInfo.value;
  return (
    <details class="methods">
      <summary>
        {text.train.method}: <strong>{now?.title ?? 'MuDPT'}</strong>
      </summary>
      <fieldset disabled={busy.value}>
        <legend class="visually-hidden">{text.train.method}</legend>
        {known.map(({ method: name, title, trains }) => (
          <label class={method.value === name ? 'method chosen' : 'method'} key={name}>
            <input
              type="radio"
              name="method"
              value={name}
              checked={method.value === name}
              onChange={() => {
                method.value = name;
                chosen.value = {};
              }}
            />
            <strong>{title}</strong>
            <small>{trains}</small>
          </label>
        ))}
      </fieldset>
    </details>
  );
}

function Buttons() {
  const { state } = run.value;
  if (busy.value) {
    return (
      <div class="train-buttons">
        <button type="button" disabled={state !== 'running'} onClick={() => stop('pause')}>
          <Icon of={Pause} /> {text.train.pause}
        </button>
        <button type="button" disabled={state !== 'running'} onClick={() => stop('stop')}>
          <Icon of={CircleStop} /> {text.train.stop}
        </button>
      </div>
    );
  }
  return (
    <div class="train-buttons">
      {unfinished.value && (
        <button type="button" class="main" onClick={goOn}>
          <Icon of={Play} /> {text.train.goOn}
        </button>
      )}
      <button
        type="button"
        class={unfinished.value ? '' : 'main'}
        disabled={obstacle.value !== ''}
        aria-describedby={obstacle.value ? 'train-obstacle' : undefined}
        onClick={() => train()}
      >
        <Icon of={Sparkles} /> {trained.value ? text.train.again : text.train.start}
      </button>
    </div>
  );
}

/** Whether a run that was paused goes on after a reload: only once it is stored. */
function pausedWords() {
  if (storedRuns.value.has(unfinished.value?.id ?? '')) return text.train.paused;
  return keeping.value === 'full' || keeping.value === 'none' ? text.train.pausedOnly : text.train.pausedHere;
}

/** What has come of it, once it is known. */
function doneWords() {
  if (!heldPictures.value.length && tunedAccuracy.value === null) return text.train.done(null, 0);
  if (points.value === null) return text.train.measuring;
  return text.train.done(points.value, tunedAccuracy.value?.share ?? 0);
}

/** How it stands, in words; spoken when it changes. */
function State() {
  const { progress, seen } = run.value;
  const words = {
    starting: () => text.train.starting,
    pausing: () => text.train.pausing,
    paused: pausedWords,
    interrupted: () => text.train.interrupted(unfinished.value?.progress),
    done: doneWords,
  }[stage.value];
  return (
    <>
      {busy.value && progress && (
        <div class="train-progress">
          <progress
            aria-label={text.train.title}
            max={seen?.total ?? progress.steps}
            value={seen?.done ?? progress.step}
          />
          <span>
            <span>{seen ? text.train.seen(seen) : text.train.step(progress.step, progress.steps)}</span>
            {!seen && <span>{text.train.left(progress.etaMs)}</span>}
          </span>
        </div>
      )}
      <p class="train-state" role="status">
        {words?.()}
      </p>
      {tuned.value && !trained.value && !busy.value && (
        <p class="fine">
          {knownPartly.value ? text.train.partly(knownPartly.value, named.value.length) : text.train.ofOthers}
        </p>
      )}
      {isBehind.value && !busy.value && <p class="fine">{text.train.since}</p>}
    </>
  );
}

export function Train() {
  const { error } = run.value;
  return (
    <section class="panel train" aria-labelledby="train-title">
      <h2 id="train-title">{text.train.title}</h2>
      {after.value && !trained.value && <p class="fine">{text.train.lead}</p>}
      <Presets />
      <Buttons />
      {obstacle.value && !busy.value && (
        <p class="fine" id="train-obstacle">
          {text.train.obstacles[obstacle.value]}
        </p>
      )}
      <State />
      {Boolean(unkept.value) && (
        <Problem title={text.train.unkept}>
          {`${text.train.unkeptFrom(unfinished.value?.progress)} ${reasonOf(unkept.value)}`}
        </Problem>
      )}
      {stage.value === 'failed' && <Problem title={text.train.failed}>{reasonOf(error)}</Problem>}
      {(busy.value || Boolean(curve.value?.losses.length)) && <Chart />}
      <Methods />
      <Advanced />
    </section>
  );
}
