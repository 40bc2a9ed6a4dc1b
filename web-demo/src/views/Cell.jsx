/** A cell of the confusion matrix, opened: its pictures, what was said of them before and after, and what can be done. */
import { signal } from '@preact/signals';
import { Trash2 } from 'lucide';

import { late } from '../late-strings.js';
import { answersOf, bestOf } from '../predict.js';
import { judged, nameOf, removePicture } from '../store.js';
import { text } from '../strings.js';
import { Belongs, Bars, Dialog, Icon } from './bits.jsx';

/** The cell that is open: whose answers, what its pictures are, and what they were taken for. */
export const cell = signal(/** @type {{ kind: 'zero' | 'tuned', truth: string, found: string } | null} */ (null));

function Row({ picture }) {
  return (
    <li class="cell-row">
      <img src={picture.url} alt={late.compare.truth(nameOf(picture.classId))} />
      <div>
        <h3 class="kind zero">{text.before}</h3>
        <Bars list={answersOf(picture, 'zero')} kind="zero" truth={picture.classId} most={2} />
        <h3 class="kind tuned">{text.after}</h3>
        <Bars list={answersOf(picture, 'tuned')} kind="tuned" truth={picture.classId} most={2} />
      </div>
      <div class="cell-does">
        <Belongs picture={picture} />
        <button type="button" class="danger" onClick={() => removePicture(picture.id, text.picture.removed)}>
          <Icon of={Trash2} size={16} /> {late.compare.remove}
        </button>
      </div>
    </li>
  );
}

export function CellDialog() {
  const { kind, truth, found } = /** @type {any} */ (cell.value);
  const here = judged.value.filter((picture) => picture.classId === truth && bestOf(picture, kind)?.id === found);
  const when = kind === 'zero' ? text.before : text.after;
  return (
    <Dialog
      title={late.compare.cellTitle(when, nameOf(truth), nameOf(found))}
      class="wide"
      onClose={() => (cell.value = null)}
    >
      {here.length > 0 ? (
        <ul class="cell-rows">
          {here.map((picture) => (
            <Row key={picture.id} picture={picture} />
          ))}
        </ul>
      ) : (
        <p class="fine">{late.compare.none}</p>
      )}
    </Dialog>
  );
}
