/** mudpt convert: a model under other tensor names, or with its weights in another type, as a complete folder. */
import { Argument, Command, Option } from 'commander';
import { copyFile, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { MudptError } from '../errors.js';
import { CLIP_MEAN, CLIP_STD, architectureFromTensors, isClipConfig } from '../model.js';
import { openPath } from '../node/files.js';
import { readHeader } from '../safetensors.js';
import { readJson } from '../source.js';
import { convertWeights } from './convert-model.js';
import { makeFolder } from '../node/whole-files.js';
import { onInterrupt } from './interrupt.js';
import { given, withOutput } from './options.js';
import { FAMILIES } from './tensor-names.js';
import { openTerminal, size } from './terminal.js';

/** Small files of a model that are taken along as they are, where there are any. */
const COMPANIONS =
  /^(tokenizer|tokenizer_config|special_tokens_map|vocab)\.json$|^merges\.txt$|^(MODEL_CARD|README|LICENSE)(\.\w+)?$/;
/** Types that are written, and what transformers calls that of a model's other tensors. */
const TORCH_NAMES = { f32: 'float32', f16: 'float16', int8: 'float16' };

export function convertCommand() {
  return withOutput(
    new Command('convert')
      .description('write a model with its weights in another type or under other names')
      .addArgument(new Argument('<model>', 'folder of a model, or a .safetensors file in it').argParser(given))
      .addOption(
        new Option('--to <type>', 'type of the weights').choices(Object.keys(TORCH_NAMES)).makeOptionMandatory(),
      )
      .addOption(new Option('--names <family>', "whose tensor names (default: the model's own)").choices(FAMILIES))
      .addOption(new Option('--out <dir>', 'folder to make').argParser(given).makeOptionMandatory()),
  ).action(run);
}

async function run(model, options) {
  const terminal = openTerminal(options);
  const { signal, release } = onInterrupt();
  const source = await openPath(model);
  const name = source.weights ?? 'model.safetensors';
  const file = await source.open(name);
  if (!file) throw new MudptError('file', `${model}: has no ${name}`, 'name the .safetensors file itself');
  let result;
  try {
    await makeFolder(options.out, async (folder) => {
      result = await convertWeights(file, path.join(folder, 'model.safetensors'), {
        ...options,
        signal,
        onProgress: (share) => terminal.progress(share, 'weights'),
      });
      await writeCompanions(source, file, folder, options.to);
    });
  } finally {
    terminal.wipe();
    await file.close();
    release();
  }
  terminal.print(
    `${options.out}: ${options.to}, names of ${result.names}, ${size(result.bytes)} (was ${size(file.size)})`,
  );
  if (options.json) process.stdout.write(`${JSON.stringify({ output: options.out, to: options.to, ...result })}\n`);
}

/** Everything that makes the folder a whole model: sizes, transform, tokenizer. */
async function writeCompanions(source, file, folder, to) {
  const from = path.dirname(file.name);
  const write = (name, document) => writeFile(path.join(folder, name), `${JSON.stringify(document, null, 2)}\n`);

  const present = await readdir(from);
  if (!present.includes('tokenizer.json')) {
    throw new MudptError(
      'tokenizer',
      `${from}: has no tokenizer.json`,
      'put the one that was published with the model there',
    );
  }
  for (const name of present) {
    if (COMPANIONS.test(name) && (await stat(path.join(from, name))).isFile()) {
      await copyFile(path.join(from, name), path.join(folder, name));
    }
  }
  let config = await readJson(source, 'config.json');
  const usable = config && isClipConfig(config);
  const sizes = usable ? undefined : architectureFromTensors((await readHeader(file)).tensors, file.name);
  if (sizes) config = configOf(sizes);
  for (const key of ['dtype', 'torch_dtype']) if (key in config) config[key] = TORCH_NAMES[to];
  await write('config.json', config);
  const processor = await readJson(source, 'preprocessor_config.json');
  await write(
    'preprocessor_config.json',
    processor ?? processorOf(sizes?.image ?? config.vision_config.image_size ?? 224),
  );
}

/** A config.json of transformers' CLIPModel. */
function configOf(sizes) {
  return {
    architectures: ['CLIPModel'],
    model_type: 'clip',
    projection_dim: sizes.embed,
    text_config: {
      model_type: 'clip_text_model',
      bos_token_id: sizes.vocab - 2,
      eos_token_id: sizes.vocab - 1,
      hidden_act: 'quick_gelu',
      hidden_size: sizes.textWidth,
      intermediate_size: sizes.textMlp,
      max_position_embeddings: sizes.context,
      num_attention_heads: sizes.textHeads,
      num_hidden_layers: sizes.textLayers,
      projection_dim: sizes.embed,
      vocab_size: sizes.vocab,
    },
    vision_config: {
      model_type: 'clip_vision_model',
      hidden_act: 'quick_gelu',
      hidden_size: sizes.visionWidth,
      image_size: sizes.image,
      intermediate_size: sizes.visionMlp,
      num_attention_heads: sizes.visionHeads,
      num_hidden_layers: sizes.visionLayers,
      patch_size: sizes.patch,
      projection_dim: sizes.embed,
    },
  };
}

/** A preprocessor_config.json with CLIP's transform. */
function processorOf(image) {
  return {
    image_processor_type: 'CLIPImageProcessor',
    do_resize: true,
    size: { shortest_edge: image },
    resample: 3,
    do_center_crop: true,
    crop_size: { height: image, width: image },
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    do_convert_rgb: true,
    image_mean: CLIP_MEAN,
    image_std: CLIP_STD,
  };
}
