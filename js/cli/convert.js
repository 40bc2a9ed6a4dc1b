/** mudpt convert: a model under other tensor names, or with its weights in another type, as a complete folder. */
import { copyFile, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Argument, Command, Option } from 'commander';
import { MudptError } from '../base/errors.js';
import { describeModel } from '../loading/configuration.js';
import { vocabularyOf } from '../loading/model.js';
import { ClipTokenizer } from '../loading/tokenizer.js';
import { closeAll, openWeights } from '../loading/weights.js';
import { openPath } from '../node/files.js';
import { makeFolder } from '../node/whole-files.js';
import { convertWeights } from './convert-model.js';
import { onInterrupt } from './interrupt.js';
import { openClipConfigOf, processorOf, transformersConfigOf } from './model-files.js';
import { given, withOutput } from './options.js';
import { FAMILIES } from './tensor-names.js';
import { openTerminal, size } from './terminal.js';

/** Small files of a model that are taken along as they are, where there are any. */
const COMPANIONS =
  /^(tokenizer|tokenizer_config|special_tokens_map|vocab)\.json$|^merges\.txt$|^(MODEL_CARD|README|LICENSE)(\.\w+)?$/;
/** Types that are written, and what transformers calls that of a model's other tensors. */
const TORCH_NAMES = { f32: 'float32', f16: 'float16', int8: 'float16', int16: 'float16' };

export function convertCommand() {
  return withOutput(
    new Command('convert')
      .description('write a model with its weights in another type or under other names')
      .addArgument(new Argument('<model>', 'folder of a model, or a file with weights in it').argParser(given))
      .addOption(new Option('--dtype <type>', 'type of the weights').choices(Object.keys(TORCH_NAMES)))
      .addOption(new Option('--to <type>', 'the same').choices(Object.keys(TORCH_NAMES)).hideHelp())
      .addOption(new Option('--names <family>', "whose tensor names (default: the model's own)").choices(FAMILIES))
      .addOption(new Option('--out <dir>', 'folder to make').argParser(given).makeOptionMandatory()),
  ).action(run);
}

async function run(model, options) {
  const to = options.dtype ?? options.to;
  if (!to) throw new MudptError('argument', 'convert needs --dtype', `one of ${Object.keys(TORCH_NAMES).join(', ')}`);
  const terminal = openTerminal(options);
  const { signal, release } = onInterrupt();
  const opened = await openPath(model);
  const { files, headers, folder: source = opened } = await openWeights(opened);
  let result;
  let description;
  try {
    description = await describeModel(source, headers, files[0].name);
    const { document, isAssumed } = await vocabularyOf(source, description, headers);
    const vocabulary = document();
    if (isAssumed) description.assumed.push('OpenAI’s vocabulary');
    await makeFolder(options.out, async (folder) => {
      result = await convertWeights(files, headers, path.join(folder, 'model.safetensors'), {
        to,
        names: options.names,
        architecture: description.architecture,
        signal,
        onProgress: (share) => terminal.progress(share, `${to} ${options.out}`),
      });
      await writeCompanions(files[0], description, vocabulary, folder, { to, names: result.names });
    });
  } finally {
    terminal.wipe();
    await closeAll(files);
    release();
  }
  const was = files.reduce((sum, file) => sum + (file.size ?? 0), 0);
  terminal.print(`${options.out}: ${to}, names of ${result.names}, ${size(result.bytes)} (was ${size(was)})`);
  const { assumed } = description;
  if (assumed.length) terminal.warn(`mudpt: assumed, and written down, where no file says it: ${assumed.join('; ')}`);
  if (options.json) process.stdout.write(`${JSON.stringify({ output: options.out, to, ...result, assumed })}\n`);
}

/** Everything that makes the folder a whole model: sizes, transform, tokenizer. */
async function writeCompanions(file, description, vocabulary, folder, { to, names }) {
  const from = path.dirname(file.name);
  const write = (name, document) => writeFile(path.join(folder, name), `${JSON.stringify(document, null, 2)}\n`);

  for (const name of await readdir(from)) {
    if (COMPANIONS.test(name) && (await stat(path.join(from, name))).isFile()) {
      await copyFile(path.join(from, name), path.join(folder, name));
    }
  }
  if (!(await readdir(folder)).includes('tokenizer.json')) await write('tokenizer.json', vocabulary);
  const { architecture, preprocessing, documents } = description;
  const { openClip } = documents;
  if (!documents.config && names !== 'huggingface') {
    const document = openClip ?? openClipConfigOf(architecture, preprocessing);
    document.model_cfg.custom_text = names === 'open_clip';
    await write('open_clip_config.json', document);
    return;
  }
  const ends = () => new ClipTokenizer(vocabulary, architecture).sentence('', 'an empty text');
  const config = documents.config ?? transformersConfigOf(architecture, ends());
  for (const key of ['dtype', 'torch_dtype']) if (key in config) config[key] = TORCH_NAMES[to];
  await write('config.json', config);
  await write('preprocessor_config.json', documents.processor ?? processorOf(preprocessing, architecture.image));
}
