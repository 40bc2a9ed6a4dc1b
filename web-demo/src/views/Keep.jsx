/** What can be taken away, and what is stored. */
import { useState } from 'preact/hooks';
import { Code, Database, FileDown, FileUp, Package, Trash2 } from 'lucide';

import { open, reasonOf, tell } from '../actions.js';
import { classifierFile, download, fileAtHand, fileName, snippet } from '../keep.js';
import { BUILT_IN, model } from '../models.js';
import { usable } from '../predict.js';
import { forgetStored, keeping } from '../session.js';
import { removeEverything } from '../store.js';
import { text } from '../strings.js';
import { discard } from '../training.js';
import { askWhetherOutdated, outdated } from '../update.js';
import { FileButton, Icon } from './bits.jsx';
import { Projects } from './Projects.jsx';

function Box({ icon, title, children }) {
  return (
    <section class="panel keep-box">
      <Icon of={icon} size={24} />
      <div>
        <h3>{title}</h3>
        {children}
      </div>
    </section>
  );
}

function Zip() {
  const [packing, setPacking] = useState(false);
  const pack = async () => {
    setPacking(true);
    try {
      const { classifier } = /** @type {any} */ (usable.value);
      const { selfContained } = await import('../own-page.js');
      const blob = await selfContained(classifier);
      // Files of two versions are no page.
      await askWhetherOutdated();
      if (outdated.value) throw new Error(text.update.title);
      download(blob, fileName(classifier.classes).replace('.safetensors', '.zip'));
    } catch (error) {
      await askWhetherOutdated();
      tell(`${text.keep.zipFailed}: ${outdated.value ? text.update.title : reasonOf(error)}`, true);
    }
    setPacking(false);
  };
  return (
    <Box icon={Package} title={text.keep.zipTitle}>
      <p>
        {text.keep.zipBody} {model.value?.id === BUILT_IN.id ? text.keep.zipModel : text.keep.zipNoModel}
      </p>
      <button type="button" disabled={!usable.value || packing} aria-busy={packing} onClick={pack}>
        {packing ? text.keep.zipping : text.keep.zip}
      </button>
    </Box>
  );
}

function CodeBox() {
  const [copied, setCopied] = useState(false);
  const code = snippet();
  const copy = async () => {
    await navigator.clipboard.writeText(code).then(
      () => setCopied(true),
      (error) => tell(reasonOf(error), true),
    );
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <Box icon={Code} title={text.keep.codeTitle}>
      <p>
        <code>{text.keep.install}</code>
      </p>
      <pre tabIndex={0} aria-label={text.keep.codeTitle}>
        <code>{code}</code>
      </pre>
      <button type="button" onClick={copy} aria-live="polite">
        {copied ? text.keep.copied : text.keep.copy}
      </button>
    </Box>
  );
}

export function Keep() {
  const entry = /** @type {any} */ (usable.value);
  const file = entry && fileAtHand();
  const size = file ? `${Math.ceil(file.length / 1000)} kB` : '';
  const save = () => {
    const name = fileName(entry.classifier.classes);
    const put = (bytes) => download(new Blob([/** @type {any} */ (bytes)]), name);
    if (file) put(file);
    else classifierFile().then(put, (error) => tell(reasonOf(error), true));
  };
  const stored = {
    kept: 'sessionBody',
    saving: 'sessionSaving',
    full: 'sessionFull',
    none: 'sessionNot',
    newer: 'sessionNewer',
  };
  return (
    <section class="keep" aria-labelledby="keep-title">
      <h2 id="keep-title">{text.keep.title}</h2>
      <Projects />
      <div class="keep-boxes">
        <Box icon={FileDown} title={text.keep.exportTitle}>
          <p>{entry ? text.keep.exportBody(size) : text.keep.nothing}</p>
          <button type="button" class="main" disabled={!entry} onClick={save}>
            {text.keep.export}
          </button>
        </Box>
        <Box icon={FileUp} title={text.keep.importTitle}>
          <p>{text.keep.importBody}</p>
          <FileButton accept=".safetensors" multiple={false} onFiles={([one]) => one && open(one)}>
            {text.keep.import}
          </FileButton>
        </Box>
        <Zip />
        <Box icon={Database} title={text.keep.sessionTitle}>
          <p>{text.keep[stored[keeping.value]]}</p>
          <button
            type="button"
            class="danger"
            onClick={() => {
              discard();
              removeEverything(text.samples.emptied);
              forgetStored();
            }}
          >
            <Icon of={Trash2} size={16} /> {text.keep.clear}
          </button>
        </Box>
        <CodeBox />
      </div>
    </section>
  );
}
