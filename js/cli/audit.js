/** mudpt audit: labels of a data set that look wrong, with what their pictures look like instead. */
import { Command, Option } from 'commander';
import { MudptError } from '../base/errors.js';
import { auditLabels } from '../features/audit.js';
import { classTexts } from '../features/class-texts.js';
import { DEFAULT_TEMPLATE } from '../methods/sentences.js';
import { loadDataset } from '../node/datasets.js';
import { onInterrupt } from './interrupt.js';
import { embedFiles, openModel } from './model.js';
import { decimal, given, templateOption, whole, withData, withModel, withOutput, withPictures } from './options.js';
import { wholePictures, withSkip } from './pictures.js';
import { apart, cutMiddle, openTerminal, percent, plural, table, wrap } from './terminal.js';

const PARTS = /** @type {const} */ (['train', 'val', 'test']);

export function auditCommand() {
  const command = new Command('audit')
    .description('labels of a data set that look wrong, and what their pictures look like instead')
    .addOption(new Option('--data <path>', 'folder per class or split file').argParser(given).makeOptionMandatory());
  withData(command)
    .addOption(new Option('--part <name>', 'which pictures').choices(['all', ...PARTS]).default('all'))
    .addOption(new Option('--least <chance>', 'that a label is wrong').argParser(decimal(0, 1, true)).default(0.5))
    .addOption(new Option('--top <n>', 'how many to show').argParser(whole(1, 1000000)))
    .addOption(templateOption());
  return withOutput(withSkip(withPictures(withModel(command)))).action(run);
}

async function run(options) {
  const { part, least, top = Infinity, json } = options;
  const terminal = openTerminal(options);
  const { signal, release } = onInterrupt();
  let clip;
  try {
    const read = await loadDataset(options.data, { ...options, listBroken: true });
    const parts = PARTS.filter((name) => ['all', name].includes(part) && read[name]?.length);
    const count = parts.reduce((sum, name) => sum + /** @type {any} */ (read[name]).length, 0);
    const { length: classes } = read.classes;
    if (count < 3 || classes < 2) {
      const what = `has ${plural(count, 'picture')} of ${plural(classes, 'class', 'classes')} to compare`;
      throw new MudptError('dataset', `${options.data}: ${what}`, 'give 3 pictures of 2 classes at least');
    }
    clip = await openModel(options, terminal, signal);
    const data = await wholePictures(read, { ...options, parts }, terminal, signal);
    for (const note of data.notes.filter((each) => !each.includes('trained on and tested'))) terminal.note(note);
    const examples = parts.flatMap((name) => data[name] ?? []);
    const texts = await classTexts(clip, data.classes, options.template ?? [data.template ?? DEFAULT_TEMPLATE], {
      signal,
    });
    const pictures = await embedFiles(
      clip,
      examples.map(({ path }) => path),
      terminal,
      signal,
    );
    const labels = examples.map(({ label }) => label);
    const what = { pictures, labels, texts, classes };
    const onProgress = ({ done, total }) => terminal.progress(done / total, `comparing, ${done} of ${total}`);
    const { wrong, noise } = await auditLabels(what, { onProgress, signal });
    terminal.wipe();
    const suspects = wrong
      .filter((each) => each.wrong >= least)
      .map((each) => ({
        file: examples[each.index].path,
        label: data.classes[each.label],
        looksLike: data.classes[each.like],
        index: { label: each.label, looksLike: each.like },
        wrong: each.wrong,
      }));
    show(terminal, data, suspects.slice(0, top), { total: suspects.length, pictures: examples.length, noise });
    const leftOut = data.broken.map(({ path: file, error }) => ({ file, message: error.message }));
    const more = leftOut.length ? { leftOut } : {};
    const said = { task: data.name, classes: data.classes, pictures: examples.length, wrongShare: noise };
    if (json) process.stdout.write(`${JSON.stringify({ ...said, suspects: suspects.slice(0, top), ...more })}\n`);
  } finally {
    terminal.wipe();
    release();
    await clip?.dispose();
  }
}

function show(terminal, data, suspects, { total, pictures, noise }) {
  const { bold, dim } = terminal.colors;
  const names = apart(data.classes);
  const found = total
    ? `${plural(total, 'label')} of ${pictures} ${total === 1 ? 'looks' : 'look'} wrong`
    : `None of ${plural(pictures, 'label')} looks wrong`;
  const rest = `about ${percent(noise)} of all labels seem to be`;
  for (const line of wrap(`${data.name}: ${found}; ${rest}`, terminal.columns())) terminal.print(bold(line));
  if (!suspects.length) return;
  const room = Math.max(16, Math.floor((terminal.columns() - 20) / 3));
  const rows = suspects.map(({ file, index, wrong }) => [
    percent(wrong),
    cutMiddle(names[index.label], room),
    cutMiddle(names[index.looksLike], room),
    file,
  ]);
  const paint = (text, y) => (y ? text : dim(text));
  for (const line of table([['wrong', 'label', 'looks like', 'picture'], ...rows], 'rlll', { paint }))
    terminal.print(line);
  if (suspects.length < total)
    terminal.print(dim(`  and ${total - suspects.length} more; --top shows as many as it says`));
}
