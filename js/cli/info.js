/** mudpt info: what a model, a saved classifier or a checkpoint is. */
import { stat } from 'node:fs/promises';
import { Argument, Command, Option } from 'commander';
import { MudptError } from '../base/errors.js';
import { CHECKPOINT, CLASSIFIER } from '../classifier/saved.js';
import { openSource } from '../files/source.js';
import { closeAll, openWeights, readAnyHeader } from '../loading/weights.js';
import { openFile } from '../node/files.js';
import { onInterrupt } from './interrupt.js';
import { openModel } from './model.js';
import { DEFAULT_MODEL, given, whole, withOutput } from './options.js';
import { familyOf, ownLayout } from './tensor-names.js';
import { count, openTerminal, plural, size, table, wrap } from './terminal.js';

export function infoCommand() {
  return withOutput(
    new Command('info')
      .description('describe a model, a saved classifier or a checkpoint')
      .addArgument(
        new Argument('[file]', 'model (folder, file or URL), classifier or checkpoint')
          .argParser(given)
          .default(DEFAULT_MODEL, 'pictoclip'),
      )
      .option('--plan', 'also how much memory training would take, kept in several ways')
      .addOption(new Option('--classes <n>', 'of the plan').argParser(whole(2, 100000)).default(10))
      .addOption(new Option('--batch <n>', 'pictures a step, of the plan').argParser(whole(1, 4096)).default(4)),
  ).action(run);
}

async function run(name, options) {
  const terminal = openTerminal(options);
  const { rows, result } = (await describeSaved(name)) ?? (await describeModel(name, terminal, options));
  const room = terminal.columns() - 20;
  const paint = (text, _, x) => (x ? text : terminal.colors.dim(text));
  const shown = rows.flatMap(([key, value]) =>
    value === undefined ? [] : wrap(value, room).map((line, i) => [i ? '' : key, line]),
  );
  for (const line of table(shown, 'll', { indent: 0, paint })) terminal.print(line);
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** Undefined for what is neither a classifier nor a checkpoint. */
async function describeSaved(name) {
  const info = await stat(name).catch(() => undefined);
  const file = info?.isFile() ? await openFile(name) : null;
  if (!file) return undefined;
  let header;
  try {
    header = await readAnyHeader(file);
  } finally {
    await file.close();
  }
  const { metadata, tensors } = header;
  if (metadata.format !== CLASSIFIER && metadata.format !== CHECKPOINT) return undefined;
  const kind = metadata.format === CLASSIFIER ? 'classifier' : 'checkpoint';
  const read = (key) => {
    try {
      return metadata[key] === undefined ? undefined : JSON.parse(metadata[key]);
    } catch {
      throw new MudptError('classifier', `${name}: its metadata "${key}" is no valid JSON`, 'train it again');
    }
  };
  const classes = read('classes');
  if (!Array.isArray(classes)) throw new MudptError('classifier', `${name}: it names no classes`, 'train it again');
  const { method, fingerprint, library, phrase, prompt_length: promptLength, depth } = metadata;
  const layers = depth === undefined ? 1 : Number(depth);
  const sizes = { promptLength: Number(promptLength), ...(depth !== undefined && { depth: layers }) };
  const settings = { ...sizes, phrase, ...read('hyper_parameters') };
  const shapes = Object.fromEntries(tensors.map((tensor) => [tensor.name, tensor.shape]));
  const trained = phrase !== undefined;
  const trainedOn = read('trained_on');
  const head = read('head');
  return {
    rows: [
      [kind, `${name}, ${size(header.end)}`],
      ['method', method],
      ['head', head && `${head.name}, with ${plural(shapes.pictures?.[0] ?? 0, 'picture')}`],
      ['stands', kind === 'checkpoint' ? placeOf(metadata, settings) : undefined],
      ['classes', `${count(classes.length)}: ${classes.join(', ')}`],
      ['templates', read('templates')?.join(' | ')],
      ['prompts', trained ? `${promptLength} tokens in ${plural(layers, 'layer')}, phrase "${phrase}"` : undefined],
      [
        'training',
        trained
          ? Object.entries(read('hyper_parameters') ?? {})
              .map(([k, v]) => `${k} ${v}`)
              .join(', ')
          : undefined,
      ],
      ['trained on', trainedOn && saidOf(trainedOn)],
      [
        'tensors',
        Object.entries(shapes)
          .map(([tensor, shape]) => `${tensor} [${shape.join(', ')}]`)
          .join(', '),
      ],
      ['for model', fingerprint],
      ['made by', `mudpt ${library}`],
    ],
    result: {
      kind,
      ...(kind === 'checkpoint' && { epoch: Number(metadata.epoch), step: Number(metadata.step) }),
      ...{ file: name, bytes: header.end, method, classes, fingerprint, library, tensors: shapes },
      ...(trained && { settings }),
      ...(trainedOn && { trainedOn }),
      ...(head && { head }),
    },
  };
}

const saidOf = ({ pictures, least, most }) =>
  `${plural(pictures, 'picture')}, ${least === most ? most : `${least} to ${most}`} a class`;

/** Where a run stands. */
function placeOf({ epoch, step }, { epochs }) {
  if (Number(epoch) === epochs) return 'complete';
  return `before step ${Number(step) + 1} of epoch ${Number(epoch) + 1}`;
}

async function describeModel(name, terminal, options) {
  const { signal, release } = onInterrupt();
  let clip;
  try {
    const { parameters, dtypes, names, bytes } = await readWeights(name);
    clip = await openModel({ model: name, threads: 1, variant: 'auto' }, terminal, signal);
    const plan = options.plan ? await plans(clip, options) : undefined;
    const { architecture: a, fingerprint, logitScale, weightBytes, mean, std, pictures, assumed } = clip.info;
    const tower = (width, layers, heads) => `width ${width}, ${plural(layers, 'layer')}, ${plural(heads, 'head')}`;
    const traits = traitsOf(a);
    return {
      rows: [
        ['model', name],
        [
          'image tower',
          `${a.image} x ${a.image} pixels, patches of ${a.patch}, ` +
            tower(a.visionWidth, a.visionLayers, a.visionHeads) +
            traits.image,
        ],
        [
          'text tower',
          `context ${a.context}, vocabulary ${count(a.vocab)}, ` +
            tower(a.textWidth, a.textLayers, a.textHeads) +
            traits.text,
        ],
        ['pictures', tellPictures(clip.info)],
        ['joint space', `${a.embed} numbers, logit scale ${logitScale.toFixed(1)}${traits.bias}`],
        ['parameters', count(parameters)],
        ['stored as', `${dtypes.join(', ')}, names of ${names}, ${size(bytes)}`],
        ['in memory', size(weightBytes)],
        ['fingerprint', fingerprint],
        ['assumed', assumed.length ? `${assumed.join('; ')}: no file says it` : undefined],
        ...(plan ? planRows(plan, options) : []),
      ],
      result: {
        kind: 'model',
        name,
        architecture: a,
        ...{ mean, std, pictures, assumed },
        logitScale,
        parameters,
        dtypes,
        names,
        bytes,
        weightBytes,
        fingerprint,
        ...(plan && { plan }),
      },
    };
  } finally {
    release();
    await clip?.dispose();
  }
}

/** What the towers have that OpenAI's have not, in words. */
function traitsOf(a) {
  const activations = ['', 'GELU', 'tanh-GELU'];
  const poolings = ['', 'mean of the patches', 'attention pooling', 'last row'];
  const told = (list) => list.map((one) => (one ? `, ${one}` : '')).join('');
  return {
    bias: a.logitBias ? ' and a bias, which sigmoid scores need' : '',
    image: told([
      activations[a.visionActivation ?? 0],
      poolings[a.visionPooling ?? 0],
      a.rope && 'rotary positions',
      a.visionLayerScale && 'LayerScale',
    ]),
    text: told([
      activations[a.textActivation ?? 0],
      poolings[a.textPooling ?? 0],
      a.noMask && 'no causal mask',
      a.textLayerScale && 'LayerScale',
    ]),
  };
}

/** What becomes of a picture. */
function tellPictures({ mean, std, pictures: { fit, size: side, filter } }) {
  const fits = {
    shortest: `shorter side to ${side}`,
    longest: `longer side to ${side}`,
    exact: `to ${[side].flat().join(' x ')}`,
    none: 'not resized',
  };
  const numbers = (list) => list.map((value) => Number(value.toPrecision(3))).join(' ');
  return `${fits[fit]}, ${filter}; mean ${numbers(mean)}, deviation ${numbers(std)}`;
}

/** @type {[string, { recompute?: boolean, dtype?: "int8" }][]} */
const WAYS = [
  ['as loaded', {}],
  ['recompute', { recompute: true }],
  ['int8', { dtype: 'int8' }],
  ['int8, recompute', { dtype: 'int8', recompute: true }],
];

/** What training would take, kept in several ways. */
async function plans(clip, { classes, batch: batchSize }) {
  const names = Array.from({ length: classes }, (_, i) => `thing ${i + 1}`);
  const all = [];
  for (const [way, changes] of WAYS) all.push({ way, ...(await clip.plan({ classes: names, batchSize, ...changes })) });
  return all;
}

/** @returns {[string, string][]} */
function planRows(all, { classes, batch }) {
  const parts = ['weights', 'activations', 'prompts', 'optimizer', 'examples'];
  const told = (plan) => `${size(plan.total)}: ${parts.map((part) => `${part} ${size(plan[part])}`).join(', ')}`;
  return [
    ['to train', `MuDPT, ${count(classes)} classes of 16 pictures, ${batch} a step`],
    ...all.map((plan) => [plan.way, told(plan)]),
  ];
}

/** What the header of the weights tells without reading them. What makes no sense is left to loading to refuse. */
async function readWeights(name) {
  const { files, headers } = await openWeights(await openSource(name));
  try {
    const tensors = headers.flatMap((header) => header.tensors);
    const bytes = headers.reduce((sum, { end }) => sum + end, 0);
    const names = tensors.map((tensor) => tensor.name);
    const family = familyOf(names) ?? 'another kind';
    const known = new Set(ownLayout(names).map((entry) => entry.name));
    const weights = tensors.filter((tensor) => known.has(tensor.name));
    const parameters = weights.reduce((sum, { shape }) => sum + shape.reduce((product, side) => product * side, 1), 0);
    return { parameters, dtypes: [...new Set(weights.map((tensor) => tensor.dtype))], names: family, bytes };
  } finally {
    await closeAll(files);
  }
}
