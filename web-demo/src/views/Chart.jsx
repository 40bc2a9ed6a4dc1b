/** The live chart of a run: loss of every step, and accuracy on held-out pictures after every epoch. */
import { useEffect, useRef } from 'preact/hooks';
import { effect } from '@preact/signals';

import { format, text } from '../strings.js';
import { isDark } from '../theme.js';
import { busy, curve as shown } from '../training.js';

const HEIGHT = 190;
const EMPTY = { losses: [], accuracies: [], steps: 0 };
/** Of the smoothed loss: how much of the old value stays. */
const SMOOTHING = 0.92;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** What uPlot draws: steps, loss, smoothed loss, accuracy. */
function dataOf({ losses, accuracies, steps }) {
  const length = Math.max(losses.length, 1);
  const shares = Array(length).fill(null);
  for (const [step, share] of accuracies) if (step <= length) shares[step - 1] = 100 * share;
  let mean = losses[0] ?? 0;
  let weight = 0;
  const smooth = losses.map((loss) => {
    weight = SMOOTHING * weight + 1;
    return (mean += (loss - mean) / Math.min(weight, 1 / (1 - SMOOTHING)));
  });
  const x = Array.from({ length }, (_, i) => i + 1);
  if (steps > length) {
    // The axis is as long as the run from the start.
    x.push(steps);
    return [x, [...losses, null], [...smooth, null], [...shares, null]];
  }
  return [x, losses, smooth, shares];
}

/**
 * The library, when a first chart is drawn. While it is loaded it asks for number formats of the browser's language,
 * which some Linux set-ups call "C": that is none, and it would throw.
 */
async function library() {
  try {
    new Intl.NumberFormat(navigator.language);
  } catch {
    Object.defineProperty(navigator, 'language', { value: 'en', configurable: true });
  }
  return (await import('uplot')).default;
}

/** @param {typeof import('uplot').default} uPlot @param {HTMLElement} element */
function make(uPlot, element) {
  const [ink, grid, loss, tuned] = ['--ink-soft', '--line', '--zero', '--tuned'].map(colour);
  const font = '12px Figtree Variable, system-ui, sans-serif';
  const axis = { stroke: ink, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
  return new uPlot(
    {
      width: element.clientWidth || 320,
      height: HEIGHT,
      cursor: { drag: { x: false, y: false } },
      legend: { show: false },
      padding: [10, 4, 0, 0],
      scales: {
        x: { time: false },
        share: { range: [0, 100] },
        loss: { range: (_, __, most) => [0, Math.max(most, 0.5)] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 26 },
        { ...axis, scale: 'loss', size: 38 },
        {
          ...axis,
          scale: 'share',
          side: 1,
          size: 44,
          grid: { show: false },
          values: (_, all) => all.map((v) => `${v} %`),
        },
      ],
      series: [
        {},
        { scale: 'loss', stroke: `${loss}55`, width: 1, points: { show: false } },
        { scale: 'loss', stroke: loss, width: 2, points: { show: false } },
        {
          scale: 'share',
          stroke: tuned,
          width: 2.5,
          spanGaps: true,
          points: { show: true, size: 6, fill: tuned },
        },
      ],
    },
    /** @type {any} */ ([[1], [null], [null], [null]]),
    element,
  );
}

export function Chart() {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  useEffect(() => {
    const element = /** @type {HTMLDivElement} */ (place.current);
    let plot = null;
    let stop = () => {};
    let gone = false;
    library().then((uPlot) => {
      if (gone) return;
      const stopTheme = effect(() => {
        isDark();
        plot?.destroy();
        plot = make(uPlot, element);
        plot.setData(dataOf(shown.peek() ?? EMPTY));
      });
      const stopData = effect(() => plot?.setData(dataOf(shown.value ?? EMPTY)));
      const observer = new ResizeObserver(() => {
        if (element.clientWidth) plot?.setSize({ width: element.clientWidth, height: HEIGHT });
      });
      observer.observe(element);
      stop = () => {
        stopTheme();
        stopData();
        observer.disconnect();
        plot?.destroy();
      };
    });
    return () => {
      gone = true;
      stop();
    };
  }, []);
  const { losses, accuracies, measured, held } = /** @type {import('../store.js').Curve} */ (shown.value ?? EMPTY);
  const share = accuracies.at(-1)?.[1] ?? null;
  return (
    <figure class="chart">
      <div ref={place} class="chart-place" role="img" aria-label={text.train.chart} />
      <figcaption>
        <span class="key loss">{text.train.loss}</span>
        {(Boolean(measured) || share !== null) && (
          <span class="key share">
            {text.train.accuracy(measured, held)}
            {busy.value && share !== null && <strong> {format.percent(share)}</strong>}
          </span>
        )}
        <span class="visually-hidden">{losses.length > 0 && text.train.chartNow(losses.at(-1), share)}</span>
      </figcaption>
    </figure>
  );
}
