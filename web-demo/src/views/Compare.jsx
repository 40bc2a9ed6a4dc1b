/** Zero-shot and tuned on the same pictures: what changed sides, per class, and who is taken for whom. */
import { signal } from '@preact/signals';
import { BarChart3, Minus, TrendingDown, TrendingUp } from 'lucide';

import { opened } from '../actions.js';
import { late } from '../late-strings.js';
import { after, answersOf, bestOf, changeOf, confusionOf, points, tunedAccuracy, untrained } from '../predict.js';
import { heldPictures, judged, named, nameOf } from '../store.js';
import { format, text } from '../strings.js';
import { place } from '../tabs.js';
import { Bars, ClassName, Empty, Icon, Segments } from './bits.jsx';
import { CellDialog, cell } from './Cell.jsx';

const MOST_ROWS = 60;
const filter = signal('changed');

const MARKS = { mended: TrendingUp, lost: TrendingDown, same: Minus };
const RANK = { mended: 0, lost: 1, same: 2 };

function Row({ picture }) {
  const change = changeOf(picture);
  return (
    <li class={`compare-row ${change}`}>
      <button type="button" class="compare-picture" onClick={() => (opened.value = picture.id)}>
        <img src={picture.url} alt={late.compare.truth(nameOf(picture.classId))} loading="lazy" decoding="async" />
      </button>
      <div class="compare-truth">
        <ClassName id={picture.classId} strong />
        <span class={`change ${change}`}>
          <Icon of={MARKS[change]} size={14} /> {late.compare[change]}
        </span>
      </div>
      <Bars list={answersOf(picture, 'zero')} kind="zero" truth={picture.classId} most={3} />
      <Bars list={answersOf(picture, 'tuned')} kind="tuned" truth={picture.classId} most={3} />
    </li>
  );
}

function PerClass() {
  const rows = named.value.map(({ id }) => {
    const own = judged.value.filter(({ classId }) => classId === id);
    const share = (kind) =>
      own.length ? own.filter((picture) => bestOf(picture, kind)?.right).length / own.length : 0;
    return { id, zero: share('zero'), tuned: share('tuned'), count: own.length };
  });
  return (
    <section class="panel" aria-labelledby="per-class">
      <h3 id="per-class">{late.compare.perClass}</h3>
      <ul class="per-class">
        {rows.map(({ id, zero, tuned }) => (
          <li key={id}>
            <ClassName id={id} />
            <span class="twin">
              {[
                ['zero', zero, text.before],
                ['tuned', tuned, text.after],
              ].map(([kind, share, label]) => (
                <span class={`twin-bar ${kind}`} key={kind}>
                  <span class="visually-hidden">{label} </span>
                  <span class="bar" aria-hidden="true">
                    <i style={{ transform: `scaleX(${share})` }} />
                  </span>
                  <span class="bar-share">{format.percent(share)}</span>
                </span>
              ))}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Matrix({ kind, title }) {
  const counts = confusionOf(kind);
  const most = Math.max(1, ...counts.map((row) => row.reduce((a, b) => a + b, 0)));
  const ids = named.value.map(({ id }) => id);
  return (
    <div class={`matrix ${kind}`} tabIndex={0} role="region" aria-label={`${late.compare.confusion}: ${title}`}>
      <table>
        <caption class={`kind ${kind}`}>{title}</caption>
        <thead>
          <tr>
            <td />
            {ids.map((id) => (
              <th scope="col" key={id}>
                <span>{nameOf(id)}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {counts.map((row, i) => (
            <tr key={ids[i]}>
              <th scope="row">{nameOf(ids[i])}</th>
              {row.map((count, j) => (
                <td
                  key={ids[j]}
                  class={`${i === j ? 'right' : 'wrong'}${count / most > 0.45 ? ' deep' : ''}`}
                  style={{ '--share': count / most }}
                  title={late.compare.cell(nameOf(ids[i]), nameOf(ids[j]), count)}
                >
                  {count > 0 && (
                    <button
                      type="button"
                      aria-label={late.compare.cell(nameOf(ids[i]), nameOf(ids[j]), count)}
                      onClick={() => (cell.value = { kind, truth: ids[i], found: ids[j] })}
                    >
                      {count}
                    </button>
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Compare() {
  if (!after.value || !untrained.value) {
    return (
      <section aria-label={late.compare.title}>
        <Empty icon={BarChart3} title={late.compare.noTuned}>
          <p>{late.compare.noTunedHint}</p>
        </Empty>
      </section>
    );
  }
  const list = judged.value
    .map((picture) => ({ picture, change: changeOf(picture) }))
    .sort((a, b) => RANK[a.change] - RANK[b.change]);
  const count = (change) => list.filter((one) => one.change === change).length;
  // Before all pictures are looked at, what changed sides is that of the first classes.
  const { count: seen = 0, total = 0 } = (points.value === null && tunedAccuracy.value) || {};
  const kept = list.filter(({ picture, change }) => {
    if (filter.value === 'changed') return change !== 'same';
    return filter.value === 'all' || bestOf(picture, 'tuned')?.right === false;
  });
  return (
    <section class="compare" aria-labelledby="compare-title">
      {!heldPictures.value.length && <p class="fine">{late.compare.onTraining}</p>}
      <div class="panel">
        <div class="compare-head">
          <h2 id="compare-title">
            {total ? text.score.looking(seen, total) : late.compare.lead(count('mended'), count('lost'))}
          </h2>
          <Segments
            label={late.compare.filter}
            value={filter.value}
            options={Object.entries(late.compare.filters)}
            onChange={(value) => (filter.value = value)}
          />
        </div>
        <div class="compare-columns" aria-hidden="true">
          <span class="kind zero">{text.before}</span>
          <span class="kind tuned">{text.after}</span>
        </div>
        {kept.length > 0 ? (
          <ul class="compare-rows">
            {kept.slice(0, MOST_ROWS).map(({ picture }) => (
              <Row key={picture.id} picture={picture} />
            ))}
          </ul>
        ) : (
          <p class="fine">{late.compare.none}</p>
        )}
      </div>
      {!total && <PerClass />}
      <section class="panel" aria-labelledby="confusion" hidden={total > 0}>
        <h3 id="confusion">{late.compare.confusion}</h3>
        <p class="fine">{late.compare.confusionHint}</p>
        <div class="matrices">
          <Matrix kind="zero" title={text.before} />
          <Matrix kind="tuned" title={text.after} />
        </div>
      </section>
      {cell.value && place.value !== 'elsewhere' && <CellDialog />}
    </section>
  );
}
