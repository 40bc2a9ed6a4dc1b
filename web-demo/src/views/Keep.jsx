/** What can be taken away, and what is stored. */
import { useState } from 'preact/hooks';
import { Code, Database, FileDown, FileUp, Package, Trash2 } from 'lucide';

import { open, reasonOf, tell } from '../actions.js';
import { download, fileName, selfContained, snippet } from '../keep.js';
import { BUILT_IN, model } from '../models.js';
import { tuned } from '../predict.js';
import { forgetSession, saved } from '../session.js';
import { clearAll } from '../store.js';
import { text } from '../strings.js';
import { forgetTraining, tunedFile } from '../training.js';
import { FileButton, Icon } from './bits.jsx';

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
      const blob = await selfContained(/** @type {any} */ (tunedFile.value), tuned.value?.classifier);
      download(blob, fileName(tuned.value?.classifier.classes).replace('.safetensors', '.zip'));
    } catch (error) {
      tell(`${text.keep.zipFailed}: ${reasonOf(error)}`, true);
    }
    setPacking(false);
  };
  return (
    <Box icon={Package} title={text.keep.zipTitle}>
      <p>
        {text.keep.zipBody} {model.value?.id === BUILT_IN.id ? text.keep.zipModel : text.keep.zipNoModel}
      </p>
      <button type="button" disabled={!tunedFile.value || packing} aria-busy={packing} onClick={pack}>
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
  const file = tunedFile.value;
  return (
    <section class="keep" aria-labelledby="keep-title">
      <h2 id="keep-title">{text.keep.title}</h2>
      <div class="keep-boxes">
        <Box icon={FileDown} title={text.keep.exportTitle}>
          <p>{file ? text.keep.exportBody(`${Math.ceil(file.length / 1000)} kB`) : text.keep.nothing}</p>
          <button
            type="button"
            class="main"
            disabled={!file}
            onClick={() => file && download(new Blob([file]), fileName(tuned.value?.classifier.classes))}
          >
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
          <p>{saved.value === false ? text.keep.sessionNot : text.keep.sessionBody}</p>
          <button
            type="button"
            class="danger"
            onClick={() => {
              forgetTraining();
              clearAll(text.samples.emptied);
              forgetSession();
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
