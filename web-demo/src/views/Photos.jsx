/** The model of photographs, offered in a line where there are any; what the built-in one says of them is seen meanwhile. */
import { Aperture } from 'lucide';

import { BUILT_IN, MODELS, loadModel, loading, model } from '../models.js';
import { text } from '../strings.js';
import { Icon } from './bits.jsx';

const OFFER = /** @type {any} */ (MODELS[1]);

export function Photos() {
  if (model.value?.id !== BUILT_IN.id) return null;
  const load = loading.value?.model.id === OFFER.id ? loading.value : null;
  const name = text.model.names[OFFER.id];
  return (
    <div class="world" role="note">
      <Icon of={Aperture} size={22} />
      <p>{load ? text.photos.loading(name, load.loaded, load.total) : text.photos.offer(name, OFFER.bytes)}</p>
      {load ? (
        <button type="button" onClick={load.cancel}>
          {text.cancel}
        </button>
      ) : (
        <button type="button" onClick={() => loadModel(OFFER)}>
          {text.photos.action(name)}
        </button>
      )}
    </div>
  );
}
