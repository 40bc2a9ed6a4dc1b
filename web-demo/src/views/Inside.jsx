/** A look inside: where the image tower looks, and which words the learned prompts are near. */
import { useEffect, useRef, useState } from 'preact/hooks';

import { inspected, reasonOf } from '../actions.js';
import { late } from '../late-strings.js';
import { BUILT_IN, model } from '../models.js';
import { bestOf, changeOf, untrained, usable } from '../predict.js';
import { judged, nameOf, pictures } from '../store.js';
import { format, text } from '../strings.js';
import { Problem } from './bits.jsx';

const SIDE = 320;
const MOST_PICKS = 40;
const WORDS = 5;

/** Whether it has learned no prompts, so that its tower is the model's. */
const hasSameTower = ({ method, head }) => method === 'zeroshot' || method === head;

/** Colour and cover by strength: night where nothing is taken, then violet, orange, and light that lets all through. */
const STOPS = [
  [0, [12, 8, 38, 205]],
  [0.3, [88, 34, 140, 175]],
  [0.65, [235, 96, 60, 120]],
  [1, [255, 224, 120, 70]],
];
function heat(share) {
  const next = Math.max(
    1,
    STOPS.findIndex(([at]) => at >= share),
  );
  const [[from, a], [to, b]] = /** @type {any} */ ([STOPS[next - 1], STOPS[next]]);
  const t = (share - from) / (to - from);
  return a.map((value, i) => Math.round(value + t * (b[i] - value)));
}

/** The picture's middle square, as the model sees it, under what is taken from each patch. */
async function paint(canvas, url, { grid, patches }, most) {
  const image = new Image();
  image.src = url;
  await image.decode();
  const context = canvas.getContext('2d');
  const side = Math.min(image.naturalWidth, image.naturalHeight);
  const [left, top] = [(image.naturalWidth - side) / 2, (image.naturalHeight - side) / 2];
  const small = new OffscreenCanvas(grid, grid);
  const pixels = new ImageData(grid, grid);
  patches.forEach((share, i) => {
    pixels.data.set(heat(Math.min(1, (share / most) ** 0.6)), 4 * i);
  });
  /** @type {any} */ (small.getContext('2d')).putImageData(pixels, 0, 0);
  context.drawImage(image, left, top, side, side, 0, 0, SIDE, SIDE);
  context.imageSmoothingQuality = 'high';
  context.drawImage(small, 0, 0, SIDE, SIDE);
}

function Look({ picture, kind, title, attention, most }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  useEffect(() => {
    if (attention) paint(canvas.current, picture.url, attention, most).catch(() => {});
  }, [attention, most, picture.url]);
  const best = bestOf(picture, kind);
  const prompts = attention ? attention.prompts.reduce((sum, share) => sum + share, 0) : 0;
  const answer = best ? `${nameOf(best.id)} ${format.percent(best.score)}` : '';
  return (
    <figure class={`look ${kind}`}>
      <canvas ref={canvas} width={SIDE} height={SIDE} role="img" aria-label={`${late.inside.attention}: ${title}`} />
      <figcaption>
        <strong class={`kind ${kind}`}>{title}</strong>
        <span class={best ? (best.right ? 'good-text' : 'bad-text') : ''}>
          {best && (best.right ? '✓ ' : '✗ ')}
          {answer}
        </span>
        {attention && <small>{late.inside.rest(attention.self, prompts)}</small>}
      </figcaption>
    </figure>
  );
}

function Attention({ picture }) {
  const [found, setFound] = useState(/** @type {any} */ ({}));
  const [before, last] = [untrained.value, usable.value];
  useEffect(() => {
    let current = true;
    setFound({});
    const look = async () => {
      const zero = before && (await before.classifier.attention(picture.blob));
      const trained = last && (await last.classifier.attention(picture.blob));
      if (current) setFound({ zero, tuned: trained });
    };
    look().catch((error) => current && setFound({ error }));
    return () => {
      current = false;
    };
  }, [picture.id, before?.classifier, last?.classifier]);
  if (found.error) return <Problem title={text.errors.title}>{reasonOf(found.error)}</Problem>;
  const most = Math.max(...[found.zero, found.tuned].flatMap((one) => (one ? [...one.patches] : [])), 1e-6);
  return (
    <div class="looks">
      <figure class="look">
        <img src={picture.url} alt={nameOf(picture.classId)} />
        <figcaption>
          <strong>{nameOf(picture.classId)}</strong>
        </figcaption>
      </figure>
      <Look picture={picture} kind="zero" title={text.before} attention={found.zero} most={most} />
      {last && <Look picture={picture} kind="tuned" title={text.after} attention={found.tuned} most={most} />}
    </div>
  );
}

function Words() {
  const [lists, setLists] = useState(/** @type {any} */ (null));
  const last = usable.value?.classifier;
  useEffect(() => {
    let current = true;
    setLists(null);
    last?.nearestWords({ topK: WORDS }).then(
      (found) => current && setLists(found),
      (error) => current && setLists({ error }),
    );
    return () => {
      current = false;
    };
  }, [last]);
  return (
    <section class="panel" aria-labelledby="words-title">
      <h3 id="words-title">{late.inside.words}</h3>
      <p class="fine">
        {late.inside.wordsHint} {model.value?.id !== BUILT_IN.id && late.inside.wordsPartly}
      </p>
      {!last && <p>{late.inside.noTuned}</p>}
      {lists?.error && <Problem title={text.errors.title}>{reasonOf(lists.error)}</Problem>}
      {Array.isArray(lists) && lists.length === 0 && <p>{late.inside.noWords}</p>}
      {Array.isArray(lists) && lists.length > 0 && (
        <ol class="words">
          {lists.slice(0, 16).map((words, i) => (
            <li key={i}>
              <strong>{late.inside.prompt(i + 1)}</strong>
              <ul>
                {words.map(({ word, distance }, rank) => (
                  <li key={word} class={rank === 0 ? 'word first' : 'word'}>
                    {word} <small>{distance.toFixed(2)}</small>
                  </li>
                ))}
              </ul>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

export function Inside() {
  const all = judged.value;
  // The first that is seen is one that was mended, where there is one.
  const mended = () => all.find((picture) => changeOf(picture) === 'mended');
  const found = pictures.value.find(({ id }) => id === inspected.value) ?? mended() ?? all[0];
  const picks = all.slice(0, MOST_PICKS);
  const shown = found && !picks.includes(found) ? [found, ...picks] : picks;
  return (
    <section class="inside" aria-labelledby="inside-title">
      <div class="panel">
        <h2 id="inside-title">{late.inside.attention}</h2>
        <p class="fine">{late.inside.attentionHint}</p>
        {usable.value && hasSameTower(usable.value.classifier) && <p class="fine">{late.inside.sameTower}</p>}
        {found ? <Attention picture={found} /> : <p>{text.pictures.nothingHint}</p>}
        <div class="picks" role="radiogroup" aria-label={late.inside.pick}>
          {shown.map((picture) => (
            <label class={picture === found ? 'pick chosen' : 'pick'} key={picture.id}>
              <input
                type="radio"
                name="pick"
                checked={picture === found}
                aria-label={nameOf(picture.classId)}
                onChange={() => (inspected.value = picture.id)}
              />
              <img src={picture.url} alt="" loading="lazy" decoding="async" />
            </label>
          ))}
        </div>
      </div>
      <Words />
    </section>
  );
}
