/** What a visitor has to know for as long as it is so. */
import { CircleAlert, Files } from 'lucide';

import { dialog, reasonOf } from '../actions.js';
import { loadModel, missing, stayWithBuiltIn } from '../models.js';
import { keeping } from '../session.js';
import { text } from '../strings.js';
import { place, takeOver, waiting } from '../tabs.js';
import { tunedError } from '../training.js';
import { outdated } from '../update.js';
import { Icon } from './bits.jsx';
import { modelName } from './Model.jsx';

function Notice({ icon = CircleAlert, title, children, actions = null }) {
  return (
    <div class="notice" role="note">
      <Icon of={icon} size={22} />
      <div>
        <strong>{title}</strong>
        <p>{children}</p>
      </div>
      {actions}
    </div>
  );
}

/** The session's model is not there, and the built-in one is. */
function Missing() {
  const { model, error, unasked } = /** @type {any} */ (missing.value);
  const why = !model.from
    ? text.model.folderGone
    : unasked
      ? text.model.ofProject(model.from)
      : error
        ? text.model.failedToLoad
        : text.model.cancelled;
  const again = () => (model.from ? loadModel(model) : (dialog.value = 'model'));
  return (
    <Notice
      title={text.model.missing(modelName(model))}
      actions={
        <span class="row">
          <button type="button" onClick={again}>
            {unasked && model.from ? text.model.use : model.from ? text.retry : text.model.folder}
          </button>
          <button type="button" class="quiet" onClick={stayWithBuiltIn}>
            {text.model.stay}
          </button>
        </span>
      }
    >
      {`${why} ${text.model.standIn}`}
      {error && <small>{reasonOf(error)}</small>}
    </Notice>
  );
}

/** The page was replaced where it came from. */
function Outdated() {
  return (
    <Notice
      title={text.update.title}
      actions={
        <button type="button" onClick={() => location.reload()}>
          {text.update.reload}
        </button>
      }
    >
      {keeping.value === 'newer' ? text.update.newer : text.update.body}
    </Notice>
  );
}

export function Notices() {
  return (
    <>
      {missing.value && <Missing />}
      {tunedError.value && <Notice title={text.model.unusable}>{reasonOf(tunedError.value)}</Notice>}
      {(outdated.value || keeping.value === 'newer') && <Outdated />}
      {keeping.value === 'none' && <Notice title={text.keep.sessionTitle}>{text.keep.sessionNot}</Notice>}
      {keeping.value === 'full' && <Notice title={text.keep.sessionTitle}>{text.keep.sessionFull}</Notice>}
    </>
  );
}

/** Another tab has the session: this one shows it, and can be given it. */
export function Elsewhere() {
  if (place.value !== 'elsewhere') return null;
  return (
    <div class="elsewhere">
      <Notice
        icon={Files}
        title={text.tabs.title}
        actions={
          <button type="button" class="main" disabled={waiting.value} onClick={takeOver}>
            {waiting.value ? text.tabs.taking : text.tabs.take}
          </button>
        }
      >
        {text.tabs.body}
      </Notice>
    </div>
  );
}
