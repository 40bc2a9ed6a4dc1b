/** The project as a file, and the others that are kept in this browser. */
import { useEffect, useState } from 'preact/hooks';
import { FilePlus, FolderArchive, Trash2 } from 'lucide';

import { openArchives, reasonOf, taken, tell } from '../actions.js';
import { download } from '../keep.js';
import { openShelved, readShelf, removeShelved, shelf, startNew } from '../projects.js';
import { classes, project, projectOf, renameProject } from '../store.js';
import { format, text } from '../strings.js';
import { FileButton, Icon } from './bits.jsx';

const SURE_MS = 5000;

/** What may fail says so, and one is done at a time. */
function useWork() {
  const [busy, setBusy] = useState(false);
  const doing = (work, failed) => async () => {
    setBusy(true);
    await work().catch((error) => tell(`${failed}: ${reasonOf(error)}`, true));
    setBusy(false);
  };
  return /** @type {const} */ ([busy, doing]);
}

async function save() {
  const { packed, presentName } = await import('../project.js');
  const name = presentName();
  const bytes = await packed(name);
  const file = name.replace(/[^\p{L}\p{N}-]+/gu, '_').replace(/^_|_$/g, '') || 'project';
  download(new Blob([/** @type {any} */ (bytes)], { type: 'application/zip' }), `${file}.zip`);
}

function Shelved({ one, busy, doing }) {
  const [asked, setAsked] = useState(false);
  useEffect(() => {
    if (!asked) return undefined;
    const timer = setTimeout(() => setAsked(false), SURE_MS);
    return () => clearTimeout(timer);
  }, [asked]);
  const remove = doing(() => removeShelved(one.id), text.project.notRemoved);
  return (
    <li class="shelved">
      <span>
        <strong>{one.name}</strong>
        <small>{text.project.about(one.pictures, one.classes, new Date(one.at).toLocaleDateString())}</small>
      </span>
      <button
        type="button"
        disabled={busy}
        onClick={doing(() => taken().then(() => openShelved(one.id)), text.project.notOpened)}
      >
        {text.project.open}
        <span class="visually-hidden"> {one.name}</span>
      </button>
      <button type="button" class={asked ? 'danger' : 'quiet'} onClick={() => (asked ? remove() : setAsked(true))}>
        {asked ? text.project.sure : <Icon of={Trash2} size={16} />}
        <span class="visually-hidden"> {text.project.remove(one.name)}</span>
      </button>
    </li>
  );
}

export function Projects() {
  const [busy, doing] = useWork();
  useEffect(() => {
    readShelf().catch(() => {}); // where nothing is stored there is none
  }, []);
  const { id, name } = projectOf(project.value);
  const others = shelf.value.filter((one) => one.id !== id);
  return (
    <section class="panel keep-box projects">
      <Icon of={FolderArchive} size={24} />
      <div>
        <h3>{text.project.title}</h3>
        <p>{text.project.body}</p>
        <label class="field">
          <span>{text.project.name}</span>
          <input
            type="text"
            maxLength={60}
            placeholder={text.project.unnamed}
            value={name}
            onInput={({ currentTarget: { value } }) => renameProject(value, text.project.renamed(value))}
          />
        </label>
        <div class="row">
          <button
            type="button"
            class="main"
            disabled={busy || classes.value.length === 0}
            onClick={doing(save, text.project.notSaved)}
          >
            {text.project.save}
          </button>
          <FileButton accept=".zip,.tm" multiple={false} onFiles={openArchives}>
            {text.project.openFile}
          </FileButton>
          <button type="button" disabled={busy} onClick={doing(() => taken().then(startNew), text.project.notOpened)}>
            <Icon of={FilePlus} size={16} /> {text.project.fresh}
          </button>
        </div>
        <p class="fine">{text.project.others}</p>
        {others.length > 0 && (
          <ul class="shelf" aria-label={text.project.shelf}>
            {others.map((one) => (
              <Shelved key={one.id} {...{ one, busy, doing }} />
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}
