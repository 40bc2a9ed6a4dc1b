/** Which model is in use, and which there are. */
import { signal } from '@preact/signals';
import { Box, FolderOpen, Trash2 } from 'lucide';

import { dialog, openFolder, reasonOf, takeDrop } from '../actions.js';
import { MODELS, clip, forget, kept, keptBytes, loadError, loadModel, loading, model, retryLoad } from '../models.js';
import { text } from '../strings.js';
import { Dialog, FileButton, Icon, Problem } from './bits.jsx';

export const modelName = ({ id, name }) => text.model.names[id] ?? name ?? text.model.custom;
const address = signal('');
/** What is wrong with what was typed. */
const addressError = signal('');

function Progress() {
  const { loaded, total, cancel, model: wanted } = loading.value;
  return (
    <div class="load">
      <label>
        {text.model.loading(modelName(wanted))}
        <progress max={total || 1} value={total ? loaded : undefined} />
      </label>
      <div class="load-row">
        <span>{text.model.progress(loaded, total)}</span>
        <button type="button" onClick={cancel}>
          {text.cancel}
        </button>
      </div>
    </div>
  );
}

function Choice({ one }) {
  const inUse = model.value?.from === one.from;
  const bytes = kept.value && keptBytes(one.from);
  return (
    <li class={inUse ? 'model-card chosen' : 'model-card'}>
      <Icon of={Box} size={24} />
      <div>
        <h3>{modelName(one)}</h3>
        <p>{text.model.about[one.id]}</p>
        <p class="fine">
          {text.model.size(one.bytes)}
          {bytes > 0 && ` · ${text.model.kept(bytes)}`}
          {bytes > 0 && one.photos && (
            <button type="button" class="quiet" onClick={() => forget(one.from)}>
              <Icon of={Trash2} size={14} /> {text.model.forget}
            </button>
          )}
        </p>
      </div>
      {inUse ? (
        <span class="in-use">{text.model.inUse}</span>
      ) : (
        <button type="button" disabled={loading.value?.model.from === one.from} onClick={() => loadModel(one)}>
          {text.model.use}
          <span class="visually-hidden"> {modelName(one)}</span>
        </button>
      )}
    </li>
  );
}

/** The load that has failed last, while no other one goes on. */
export function LoadFailure() {
  const failed = loadError.value;
  if (!failed || loading.value) return null;
  return (
    <Problem title={text.model.failed(modelName(failed.model))} onRetry={retryLoad}>
      {reasonOf(failed.error)}
    </Problem>
  );
}

export function ModelDialog() {
  const own = () => {
    const from = address.value.trim();
    const name = from.replace(/\/+$/, '').split('/').at(-1) ?? from;
    addressError.value = from ? '' : text.model.noAddress;
    if (from) loadModel({ id: 'address', from, photos: true, name });
    else document.getElementById('model-address')?.focus();
  };
  const drop = (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    takeDrop(event.dataTransfer);
  };
  return (
    <Dialog title={text.model.title} class="wide" onClose={() => (dialog.value = '')}>
      <p class="lead">{text.model.intro}</p>
      {loading.value && <Progress />}
      <LoadFailure />
      <ul class="model-list">
        {MODELS.map((one) => (
          <Choice key={one.id} one={one} />
        ))}
      </ul>
      <form
        class="model-own"
        onSubmit={(event) => {
          event.preventDefault();
          own();
        }}
      >
        <label for="model-address">{text.model.address}</label>
        <div class="row">
          <input
            id="model-address"
            type="text"
            inputMode="url"
            aria-describedby="model-address-hint"
            aria-invalid={addressError.value !== ''}
            placeholder={text.model.addressPlaceholder}
            value={address.value}
            onInput={(event) => {
              address.value = event.currentTarget.value;
              addressError.value = '';
            }}
          />
          <button type="submit">{text.model.use}</button>
        </div>
        <p class={addressError.value ? 'bad-text' : 'fine'} id="model-address-hint" aria-live="polite">
          {addressError.value || text.model.addressHint}
        </p>
      </form>
      <div class="drop-box" onDragOver={(event) => event.preventDefault()} onDrop={drop}>
        <FileButton folder onFiles={openFolder}>
          <Icon of={FolderOpen} /> {text.model.folder}
        </FileButton>
        <p class="fine">{text.model.folderHint}</p>
      </div>
      {clip.value?.info.assumed.length > 0 && <p class="bad-text">{text.model.assumed(clip.value.info.assumed)}</p>}
      <p class="fine">
        {text.model.large} {clip.value && text.model.threads(clip.value.info.threads)}
      </p>
    </Dialog>
  );
}
