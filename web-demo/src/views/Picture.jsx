/** One picture, large: both answers, and what can be done with it. */
import { Eye, Trash2 } from 'lucide';

import { inspected, opened } from '../actions.js';
import { after, answersOf } from '../predict.js';
import { nameOf, pictures, removePicture, setHeld } from '../store.js';
import { text } from '../strings.js';
import { Bars, Belongs, Dialog, Icon } from './bits.jsx';

export function PictureDialog({ id }) {
  const picture = /** @type {import('../store.js').Picture} */ (pictures.value.find((one) => one.id === id));
  const close = () => (opened.value = '');
  return (
    <Dialog title={nameOf(picture.classId) || text.picture.title} onClose={close} class="picture-dialog">
      <div class="picture-large">
        <img src={picture.url} alt={nameOf(picture.classId)} />
        <div>
          {picture.fault.value && <p class="bad-text">{picture.fault.value}</p>}
          <h3 class="kind zero">{text.before}</h3>
          <Bars list={answersOf(picture, 'zero')} kind="zero" truth={picture.classId} />
          <h3 class="kind tuned">{text.after}</h3>
          {after.value ? (
            <Bars list={answersOf(picture, 'tuned')} kind="tuned" truth={picture.classId} />
          ) : (
            <p class="fine">{text.tryIt.untrained}</p>
          )}
        </div>
      </div>
      <Belongs picture={picture} />
      <label class="check">
        <input
          type="checkbox"
          checked={picture.held}
          onChange={(event) => setHeld(id, event.currentTarget.checked, text.undo.held(event.currentTarget.checked))}
        />
        {text.picture.held}
      </label>
      <div class="dialog-actions">
        <button
          type="button"
          onClick={() => {
            inspected.value = id;
            close();
            location.hash = 'inside';
          }}
        >
          <Icon of={Eye} /> {text.picture.inside}
        </button>
        <button
          type="button"
          class="danger"
          onClick={() => {
            close();
            removePicture(id, text.picture.removed);
          }}
        >
          <Icon of={Trash2} /> {text.picture.remove}
        </button>
      </div>
    </Dialog>
  );
}
