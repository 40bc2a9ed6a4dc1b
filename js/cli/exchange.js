/** mudpt export and mudpt import: exchange with the authors' PyTorch code; docs/exchange.md tells the whole way. */
import { Command, Option } from 'commander';
import { MudptError } from '../base/errors.js';
import { EXCHANGE_FORMATS, exportOfficial } from '../classifier/exchange.js';
import { openInstant } from '../instant/saved.js';
import { headerOf } from '../loading/safetensors.js';
import { TRAINABLE } from '../methods/methods.js';
import { loadDataset } from '../node/datasets.js';
import { checkTarget, writeWhole } from '../node/whole-files.js';
import { readGiven } from './given-file.js';
import { onInterrupt } from './interrupt.js';
import { openModel } from './model.js';
import {
  DEFAULT_MODEL,
  classesOf,
  decimal,
  given,
  settingsOf,
  whole,
  withClasses,
  withData,
  withModel,
  withOutput,
} from './options.js';
import { openTerminal, plural, size } from './terminal.js';

const ONNX = 'onnx';

export function exportCommand() {
  const command = new Command('export')
    .description("write what was trained for the methods' authors' PyTorch code, or a classifier as ONNX")
    .argument('<file>', 'a checkpoint, or a classifier that was saved with --raw; onnx: any saved classifier')
    .addOption(
      new Option('--format <name>', 'whose names; or onnx, the image tower with its prompts and the classes')
        .choices([...EXCHANGE_FORMATS, ONNX])
        .default('official'),
    )
    .addOption(
      new Option('--model <model>', 'onnx: the model that it was made with')
        .argParser(given)
        .default(DEFAULT_MODEL, 'pictoclip'),
    )
    .addOption(new Option('--out <file>', 'where to write it').argParser(given).makeOptionMandatory());
  return withOutput(command).action(runExport);
}

/** Writes an image tower with its prompts, and the classes. @param {string} file @param {any} options */
async function writeOnnx(file, { model, out, json }, terminal) {
  const saved = await read(file);
  const { signal, release } = onInterrupt();
  let bytes;
  try {
    const { exportOnnx } = await import('../onnx/export.js');
    bytes = await exportOnnx(saved, { model, name: file, signal });
  } finally {
    release();
  }
  await writeWhole(out, bytes);
  terminal.print(
    `Saved ${terminal.colors.bold(out)} (${size(bytes.length)}): pixel_values to logits and probabilities`,
  );
  if (json) process.stdout.write(`${JSON.stringify({ output: out, format: ONNX, bytes: bytes.length })}\n`);
}

async function runExport(file, { format, out, ...options }) {
  const terminal = openTerminal(options);
  await checkTarget(out);
  if (format === ONNX) return writeOnnx(file, { ...options, out }, terminal);
  const saved = await read(file);
  // Of prompts with a head the prompts, as nobody else knows its head.
  const bytes = exportOfficial(openInstant(saved, file)?.base ?? saved, { format, name: file });
  await writeWhole(out, bytes);
  const { tensors } = headerOf(bytes, out);
  const count = plural(tensors.length, 'tensor');
  terminal.print(`Saved ${count} in ${terminal.colors.bold(out)} (${size(bytes.length)}):`);
  for (const { name, shape } of tensors) terminal.print(`  ${name} [${shape.join(', ')}]`);
  if (!options.json) return;
  const shapes = Object.fromEntries(tensors.map(({ name, shape }) => [name, shape]));
  process.stdout.write(`${JSON.stringify({ output: out, format, tensors: shapes })}\n`);
}

export function importCommand() {
  const command = new Command('import')
    .description("make a classifier from what the authors' PyTorch code has trained")
    .argument('<file>', 'their checkpoint (model.pth.tar-N), or a .safetensors file with its names')
    .addOption(new Option('--method <name>', 'what it is of').choices(TRAINABLE).makeOptionMandatory())
    .addOption(new Option('--data <path>', 'a data set that has its classes').argParser(given));
  withData(withClasses(command, 'its classes', { conflicts: 'data' }))
    .option('--phrase <words>', 'CTX_INIT, "" for a random start (default: that of the method)')
    .addOption(new Option('--class-position <where>', 'coop: place of the name').choices(['end', 'middle', 'front']))
    .addOption(new Option('--injection <kind>', 'mudpt: transformer for UUMuDPT').choices(['linear', 'transformer']))
    .addOption(new Option('--layer <l>', "tcp: text layer of the classes' own rows").argParser(whole(1, 127)))
    .addOption(new Option('--from-layer <l>', 'first layer with prompts: of REP_LAYERS').argParser(whole(1, 128)))
    .addOption(new Option('--alpha <share>', 'mmrl, mmrlpp: SCALE or ALPHA').argParser(decimal(0, 1, true)))
    .addOption(new Option('--beta <share>', "mmrlpp: BETA, of a layer's own prompt").argParser(decimal(0, 1, true)))
    .option('--no-layer0-fusion', 'mudpt: a file that was exported from a run without it')
    .option('--raw', 'save the parameters, too, as mudpt export needs them')
    .addOption(new Option('--out <file>', 'where to save').argParser(given).makeOptionMandatory());
  return withOutput(withModel(command)).action(runImport);
}

async function runImport(file, options) {
  const { method, out, raw } = options;
  const terminal = openTerminal(options);
  const named = classesOf(options);
  if (!named && !options.data) {
    const hint = 'give --classes a,b,c, --classes-file FILE or --data PATH';
    throw new MudptError('argument', 'the file does not name its classes', hint);
  }
  await checkTarget(out);
  const { signal, release } = onInterrupt();
  let clip;
  try {
    const classes = named ?? (await loadDataset(options.data, options)).classes;
    clip = await openModel(options, terminal, signal);
    const meaning = settingsOf(method, options);
    const classifier = await clip.importOfficial(file, { method, classes, ...meaning, signal });
    const bytes = await classifier.export({ raw });
    await writeWhole(out, bytes);
    tell(terminal, options, { output: out, bytes, classes });
  } finally {
    release();
    await clip?.dispose();
  }
}

/** What was made of a file. */
export function tell(terminal, { json }, { output, bytes, classes }) {
  const count = plural(classes.length, 'class', 'classes');
  terminal.print(`Saved in ${terminal.colors.bold(output)} (${count}, ${size(bytes.length)})`);
  terminal.print(`Use it: mudpt classify PICTURE --classifier ${output}`);
  if (json) process.stdout.write(`${JSON.stringify({ output, classes })}\n`);
}

const read = (file) => readGiven(file, 'give what mudpt train has saved');
