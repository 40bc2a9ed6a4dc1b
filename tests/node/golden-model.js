/** Golden cases of models for golden.js: every method's features, logits, loss, gradients and training run. */
import { existsSync } from 'node:fs';
import path from 'node:path';

import { DTYPES } from '../../js/core/core.js';
import { loadModel } from '../../js/loading/model.js';
import { startHeads } from '../../js/core/heads-module.js';
import { openSource } from '../../js/files/source.js';
import { Tensors, checkMethod, compare, compareNorm, compareNumber, readJson } from './golden-files.js';
import { runHeadCase } from './golden-heads.js';

/** What block integers may be off by, where it is more than a case allows f32. */
const FAST_TOLERANCE = {
  image_features: 2e-3,
  text_features: 2e-3,
  teacher: 2e-3,
  average: 6e-3,
  logits: 3e-3,
  logits_fusion: 3e-3,
  loss: 3e-3,
  grad: 2e-2,
  losses: 4e-3,
  final: 6e-3,
  final_change: 2e-2,
};

const POSITIONS = ['end', 'middle', 'front'];

/** A golden case's method with its sizes, as js/core/core.js takes it. */
export function methodOf(name, hyper) {
  const { n, depth } = hyper;
  switch (name) {
    case 'zeroshot':
      return { method: name };
    case 'coop':
    case 'cocoop':
      return {
        method: name,
        textLength: n,
        textDepth: 1,
        classPosition: POSITIONS.indexOf(hyper.position ?? 'end'),
        classSpecific: hyper.class_specific,
      };
    case 'vpt':
      return { method: name, visualLength: n, visualDepth: depth };
    case 'tcp':
      return { method: name, textLength: n, textDepth: 1, textWeight: 8, layer: hyper.layer };
    case 'kgcoop':
      return { method: name, textLength: n, textDepth: 1, textWeight: hyper.text_weight ?? 8 };
    case 'mmrl':
    case 'mmrlpp':
      return {
        ...{ method: name, textLength: n, textDepth: hyper.layers.length },
        ...{ visualLength: n, visualDepth: hyper.layers.length },
        ...{ layer: hyper.layers[0] - 1, inserted: true, space: hyper.space, second: 1 - (hyper.alpha ?? 0.7) },
        ...{ textWeight: hyper.weight ?? 1, imageWeight: hyper.weight ?? 1, scale: hyper.scale === 'model' ? 0 : 100 },
        ...(name === 'mmrlpp' && {
          ...{ kept: 1 - (hyper.beta ?? 0.9), rank: hyper.rank ?? 4, projectionRank: hyper.proj_rank ?? 64 },
        }),
      };
    case 'ivlp':
    case 'promptsrc':
      return {
        method: name,
        textLength: hyper.n_text,
        textDepth: hyper.depth_text,
        visualLength: hyper.n_visual,
        visualDepth: hyper.depth_visual,
        ...(name === 'promptsrc' && {
          ...{ textWeight: hyper.text_weight ?? 25, imageWeight: hyper.image_weight ?? 10, klWeight: 1 },
          averages: true,
        }),
      };
    default:
      return {
        method: name,
        textLength: n,
        textDepth: depth,
        visualLength: n,
        visualDepth: depth,
        layer0Fusion: name === 'mudpt' && (hyper.layer0_fusion ?? true),
      };
  }
}

/** The classes' sentences from a case's ids. */
export function sentencesOf(json, tensors, method) {
  const shape = tensors.shape('class_ids');
  const [classes, row] = shape.slice(-2);
  const ids = tensors.values('class_ids');
  const ends = tensors.values('eot');
  const sentence = (i) => ids.subarray(i * row, i * row + ends[i] + 1);
  const templates = shape.length === 3 ? shape[0] : 1;
  return {
    ids: Array.from({ length: templates }, (_, t) =>
      Array.from({ length: classes }, (_, c) => sentence(t * classes + c)),
    ),
    nameLengths: method.classPosition ? json.name_lengths : undefined,
  };
}

/** Sets every parameter to init.NAME; every parameter and every tensor must have its counterpart. */
export function setParameters(core, classifier, tensors) {
  const names = core.classifierParameters(classifier).map((parameter) => parameter.name);
  const initial = [...tensors.byName.keys()].filter((name) => name.startsWith('init.')).map((name) => name.slice(5));
  const missing = initial.filter((name) => !names.includes(name));
  const extra = names.filter((name) => !initial.includes(name));
  if (missing.length || extra.length) {
    throw new Error(
      `parameters: got ${extra.join(', ') || 'none'} that are not there, lacks ${missing.join(', ') || 'none'}`,
    );
  }
  for (const { name, shape } of core.classifierParameters(classifier)) {
    const right = tensors.shape(`init.${name}`);
    if (shape.join() !== right.join()) throw new Error(`parameter ${name}: got shape [${shape}], [${right}] is right`);
  }
  const values = initial.map((name) => [name, tensors.values(`init.${name}`)]);
  core.classifierSetParameters(classifier, Object.fromEntries(values));
}

/**
 * Gives a classifier the frozen model's class features, from sentences that end with the largest id; of several
 * templates the sum.
 */
export function giveTeacher(core, clip, classifier, tensors, name = 'teacher_ids') {
  const [templates, classes, row] = tensors.shape(name);
  const all = tensors.values(name);
  const sentences = Array.from({ length: templates * classes }, (_, i) => {
    const ids = all.subarray(i * row, (i + 1) * row);
    return ids.subarray(0, ids.indexOf(Math.max(...ids)) + 1);
  });
  const sum = [];
  for (let t = 0; t < templates; t++) {
    const ids = [sentences.slice(t * classes, (t + 1) * classes)];
    const frozen = core.classifierCreate(clip, { method: 'zeroshot' }, { ids });
    core.classifierTextFeatures(frozen).forEach((value, i) => (sum[i] = (sum[i] ?? 0) + value));
    core.classifierFree(frozen);
  }
  const teacher = Float32Array.from(sum);
  core.classifierSetTeacher(classifier, teacher);
  return teacher;
}

/** Mean cross-entropy in double precision. */
function lossOf(logits, labels) {
  const classes = logits.length / labels.length;
  let loss = 0;
  labels.forEach((label, i) => {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    const largest = Math.max(...row);
    const sum = row.reduce((total, value) => total + Math.exp(value - largest), 0);
    loss += (largest + Math.log(sum) - row[label]) / labels.length;
  });
  return loss;
}

/** One golden case, run on one core. */
class GoldenCase {
  /**
   * @param {import('./golden-files.js').Outcome} outcome
   * @param {import('../../js/core/core.js').Core} core
   * @param {number} clip
   * @param {object} json
   * @param {Tensors} tensors
   * @param {{ values: Float32Array, count: number }} images of the configuration
   * @param {boolean} fast
   */
  constructor(outcome, core, clip, json, tensors, images, fast) {
    Object.assign(this, { outcome, core, clip, json, tensors, images, fast });
  }

  tolerance(kind) {
    // PromptSRC's |f - teacher| has kinks, where an error of the features turns a gradient round.
    const { tolerance, method } = this.json;
    const times = method === 'promptsrc' ? 2 : 1;
    return Math.max(tolerance[kind] ?? 0, this.fast ? times * FAST_TOLERANCE[kind] : 0);
  }

  batch(index) {
    const { images, labels } = this.json.batches[index];
    const size = this.images.values.length / this.images.count;
    const pixels = new Float32Array(images.length * size);
    images.forEach((image, i) => pixels.set(this.images.values.subarray(image * size, (image + 1) * size), i * size));
    return { pixels, labels };
  }

  /** Compares with a stored tensor, or with its sample, norm and sum; `start` is what both are taken relative to. */
  compareStored(name, values, tolerance, { label = name, start } = {}) {
    const { outcome, tensors, json } = this;
    const sampled = !tensors.has(name);
    const step = sampled ? json.sample_step : 1;
    const want = tensors.values(sampled ? `${name}.sample` : name);
    const got = new Float32Array(Math.ceil(values.length / step));
    for (let i = 0; i < got.length; i++) {
      got[i] = values[i * step] - (start?.[i * step] ?? 0);
      if (start) want[i] -= start[i * step];
    }
    // Adam divides a value's gradient by its size, so that the least of them moves a value as far as the largest.
    if (this.fast && start) compareNorm(outcome, label, got, want, tolerance);
    else compare(outcome, label, got, want, tolerance);
    if (!sampled || start) return;
    const { sum, norm } = json.sampled[name];
    const squares = values.reduce((total, value) => total + value * value, 0);
    compareWithin(outcome, `${label}: norm`, Math.sqrt(squares), norm, tolerance * norm);
    const total = values.reduce((a, b) => a + b, 0);
    compareWithin(outcome, `${label}: sum`, total, sum, tolerance * norm * Math.sqrt(values.length));
  }

  /** All of it. */
  run() {
    const { core, clip, json, tensors } = this;
    checkMethod(core, json.method);
    const method = methodOf(json.method, json.hyper_parameters);
    const sentences = sentencesOf(json, tensors, method);
    const classifier = core.classifierCreate(clip, method, sentences);
    try {
      setParameters(core, classifier, tensors);
      if (tensors.has('teacher_ids')) this.#giveTeacher(classifier);
      this.#checkIdle(classifier);
      this.#checkOutputs(classifier);
      this.#checkFold(classifier, sentences);
      if (json.training) {
        this.#checkGradients(classifier);
        this.#checkTraining(classifier);
      }
    } finally {
      core.classifierFree(classifier);
    }
  }

  /** The frozen model's class features, which are those of the case. */
  #giveTeacher(classifier) {
    const { core, clip, tensors } = this;
    const teacher = giveTeacher(core, clip, classifier, tensors);
    const classes = tensors.shape('teacher_ids')[1];
    const embed = teacher.length / classes;
    for (let c = 0; c < classes; c++) {
      const feature = teacher.subarray(c * embed, (c + 1) * embed);
      const length = Math.hypot(...feature);
      feature.forEach((value, i) => (feature[i] = value / length));
    }
    this.compareStored('teacher', teacher, this.tolerance('teacher'));
  }

  /** What nothing depends on in this model is what the case says. */
  #checkIdle(classifier) {
    const idle = this.core.classifierParameters(classifier).flatMap(({ name, idle }) => (idle ? [name] : []));
    const right = this.json.without_gradient ?? [];
    if (idle.sort().join() !== [...right].sort().join()) this.outcome.fault(`idle: got ${idle}, ${right} are right`);
  }

  /** What a case calls the logits that a classifier gives. */
  get #logits() {
    return this.tensors.has('logits_fusion') ? 'logits_fusion' : 'logits';
  }

  #checkOutputs(classifier) {
    const { core, json, tensors, outcome } = this;
    const { pixels, labels } = this.batch(0);
    const { logits, features } = core.classifierLogits(classifier, pixels);
    this.compareStored('image_features', features, this.tolerance('image_features'));
    // Where every picture has its own text features they stay inside; the logits cover them.
    if (tensors.shape('text_features').length === 2) {
      this.compareStored('text_features', core.classifierTextFeatures(classifier), this.tolerance('text_features'));
    }
    this.compareStored(this.#logits, logits, this.tolerance(this.#logits));
    if (this.#logits !== 'logits') return; // of two features: the loss has a part of each
    const right = json.loss_parts?.cross_entropy ?? json.loss;
    compareNumber(outcome, 'cross-entropy of the logits', lossOf(logits, labels), right, this.tolerance('loss'));
  }

  /** The folded prompts by themselves, as an IVLP or VPT, must give this method's logits. */
  #checkFold(classifier, sentences) {
    const { core, clip } = this;
    if (this.json.method === 'cocoop') return; // prompts of its own for every picture
    const { text, textShape, visual, visualShape, second: projection } = core.classifierFold(classifier);
    if (!visualShape[0]) return;
    const hasText = textShape[0] > 0;
    const { layer, inserted, kept, second, scale } = methodOf(this.json.method, this.json.hyper_parameters);
    const method = {
      ...{ layer, inserted, kept, second, scale },
      method: hasText ? 'ivlp' : 'vpt',
      ...(hasText && { textDepth: textShape[0], textLength: textShape[1] }),
      visualDepth: visualShape[0],
      visualLength: visualShape[1],
    };
    const values = second ? { proj_rep: projection } : {};
    for (const [side, array, [depth, length, width]] of [
      ['text', text, textShape],
      ['visual', visual, visualShape],
    ]) {
      if (depth) values[`${side}_prompts.0`] = array.subarray(0, length * width);
      if (depth > 1) values[`${side}_prompts.deep`] = array.subarray(length * width);
    }
    const plain = core.classifierCreate(clip, method, sentences);
    try {
      core.classifierSetParameters(plain, values);
      const { logits } = core.classifierLogits(plain, this.batch(0).pixels);
      const label = 'logits of the folded prompts';
      this.compareStored(this.#logits, logits, this.tolerance(this.#logits), { label });
    } finally {
      core.classifierFree(plain);
    }
  }

  #checkGradients(classifier) {
    const { core, json, outcome } = this;
    const { pixels, labels } = this.batch(0);
    const { loss, logits } = core.classifierGradients(classifier, pixels, labels);
    compareNumber(outcome, 'loss', loss, json.loss, this.tolerance('loss'));
    const label = 'logits of the gradients';
    this.compareStored(this.#logits, logits, this.tolerance(this.#logits), { label });
    for (const { name, gradient, count } of core.classifierParameters(classifier)) {
      this.compareStored(`grad.${name}`, core.floats(gradient, count), this.tolerance('grad'));
    }
  }

  #checkTraining(classifier) {
    const { core, json, outcome } = this;
    const { average_mean: mean, average_std: deviation } = json.hyper_parameters;
    const { epoch_weights: shares } = json.training;
    const { learning_rate_per_epoch: rates, momentum, weight_decay: decay, losses } = json.training;
    if (losses.length !== rates.length * json.batches.length) throw new Error('the case has another number of losses');
    let step = 0;
    for (const [epoch, rate] of rates.entries()) {
      for (let index = 0; index < json.batches.length; index++, step++) {
        const { pixels, labels } = this.batch(index);
        const { loss } = core.classifierGradients(classifier, pixels, labels);
        if (json.training.optimizer.startsWith('adam')) core.classifierAdam(classifier, rate, decay, step + 1);
        else core.classifierSgd(classifier, rate, momentum, decay);
        compareNumber(outcome, `losses[${step}]`, loss, losses[step], this.tolerance('losses'));
      }
      if (!shares) continue;
      const share = core.averageWeight(rates.length, mean, deviation, epoch);
      compareNumber(outcome, 'share of an epoch', share, shares[epoch], 1e-6);
      core.classifierAverage(classifier, share);
    }
    this.#checkEnds(classifier, 'final', 'value');
    if (shares) this.#checkEnds(classifier, 'average', 'average');
  }

  #checkEnds(classifier, kind, what) {
    const { core, tensors, outcome } = this;
    for (const { name, count, idle, [what]: at } of core.classifierParameters(classifier)) {
      const final = core.floats(at, count).slice();
      const start = tensors.values(`init.${name}`);
      this.compareStored(`${kind}.${name}`, final, this.tolerance(kind));
      const label = `${kind}_change.${name}`;
      this.compareStored(`${kind}.${name}`, final, this.tolerance('final_change'), { label, start });
      const moved = final.some((value, i) => !Object.is(value, start[i]));
      if (idle && moved) outcome.fault(`${kind}.${name}: nothing trains it, but it moved`);
    }
  }
}

function compareWithin(outcome, what, got, want, tolerance) {
  const allowed = Math.max(tolerance, 1e-9);
  if (!(Math.abs(got - want) <= allowed)) {
    outcome.fault(`${what}: got ${got} where ${want} is right, allowed ${allowed.toPrecision(3)}`);
  }
}

/** A model from a file that the loader does not find by itself, or whose names or values are to be changed. */
function loadFile(core, config, file, { customText = false, halve = false } = {}) {
  const clip = core.clipCreate(config);
  for (const { name, dtype, shape } of file.header.tensors) {
    const prefix = customText && !name.startsWith('visual.') && name !== 'logit_scale' ? 'text.' : '';
    const half = halve && dtype === 'F32';
    if (core.clipTensorBegin(clip, prefix + name, half ? DTYPES.F16 : (DTYPES[dtype] ?? -1), shape)) {
      core.clipTensorBytes(clip, half ? file.halves(name) : file.bytes(name));
      core.clipTensorEnd(clip);
    }
  }
  core.clipFinish(clip);
  return clip;
}

/** Features of all pictures and of a case's sentences as plain zero-shot. */
function allFeatures(core, clip, sentences, images) {
  const classifier = core.classifierCreate(clip, { method: 'zeroshot' }, sentences);
  try {
    const { features } = core.classifierLogits(classifier, images.values);
    return [...features, ...core.classifierTextFeatures(classifier)];
  } finally {
    core.classifierFree(classifier);
  }
}

/** Every other file with the same weights, under whatever names, must give the same features bit for bit. */
async function runWeightFiles(context, folder, name, config, model, first, images) {
  const { core, report, storage } = context;
  const sentences = sentencesOf(first.json, first.tensors, {});
  const main = 'model/model.safetensors';
  const want = allFeatures(core, model.clip, sentences, images);
  for (const [file, [naming, type]] of Object.entries(config.files)) {
    for (const customText of [false, true]) {
      if (customText ? naming !== 'openai' : file === main) continue;
      await report.run(`${name}/${file}${customText ? " as open_clip's custom text" : ''}`, (outcome) => {
        const clip = loadFile(core, { ...model.config, storage }, new Tensors(folder, file), { customText });
        try {
          const got = allFeatures(core, clip, sentences, images);
          if (!config.f16_exact && type !== config.files[main]?.[1]) return;
          const same = got.length === want.length && got.every((value, i) => Object.is(value, want[i]));
          if (!same) outcome.fault(`features: got other bits than with ${main}, the same are right`);
          const [ours, right] = [clip, model.clip].map((handle) => core.clipFingerprint(handle));
          if (ours !== right) outcome.fault(`fingerprint: got ${ours}, ${right} is right`);
        } finally {
          core.clipFree(clip);
        }
      });
    }
  }
}

/** Pictures before and behind the image tower's projection, where a configuration has a file of them. */
async function runFeatures({ core, report }, folder, name, clip, images, tolerance) {
  if (!existsSync(path.join(folder, 'features.safetensors'))) return;
  await report.run(`${name}/features`, (outcome) => {
    const tensors = new Tensors(folder, 'features.safetensors');
    const classifier = core.classifierCreate(clip, { method: 'zeroshot' }, null, 1);
    try {
      for (const [key, projected] of /** @type {[string, boolean][]} */ (
        Object.entries({ before: false, after: true })
      )) {
        const got = core.classifierImageFeatures(classifier, images.values, projected);
        compare(outcome, key, got, tensors.values(key), tolerance);
      }
    } finally {
      core.classifierFree(classifier);
    }
  });
}

/** A model configuration: its cases, its features, and its other weight files. */
export async function runConfig(context, folder, name, config) {
  const { core, report, dtype, precision } = context;
  const fast = precision === 'fast';
  let model;
  let images;
  const loaded = await report.require(`${name}/model`, async () => {
    model = await loadModel(core, await openSource(path.join(folder, config.model ?? 'model')), { dtype, precision });
    const inputs = new Tensors(folder, config.inputs ?? 'inputs.safetensors');
    images = { values: inputs.values('images'), count: inputs.shape('images')[0] };
  });
  if (!loaded) return;
  const { clip } = model;
  /** What heads need; not every model of the family has a projection alone. */
  let forHeads;
  const read = (title) => ({
    json: readJson(folder, `${title}.json`),
    tensors: new Tensors(folder, `${title}.safetensors`),
  });
  let first;
  for (const title of [...config.cases, ...(config.new_cases ?? [])]) {
    const { kind } = readJson(folder, `${title}.json`);
    if (kind && kind !== 'features') report.skip(`${name}/${title}`, kind);
    if (kind && (kind !== 'features' || fast)) continue;
    if (kind) {
      forHeads ??= {
        library: await startHeads(),
        scale: core.clipLogitScale(clip),
        projection: core.clipProjection(clip),
      };
    }
    await report.run(`${name}/${title}`, (outcome) => {
      const { json, tensors } = read(title);
      const golden = (on) => new GoldenCase(outcome, core, on, json, tensors, images, fast);
      if (kind) return runHeadCase(golden(clip), forHeads);
      // A case may ask for weights rounded to float16.
      if (!json.hyper_parameters.f16_weights) return golden(clip).run();
      const weights = new Tensors(folder, 'model/model.safetensors');
      const halved = loadFile(core, { ...model.config, storage: -1 }, weights, { halve: true });
      try {
        return golden(halved).run();
      } finally {
        core.clipFree(halved);
      }
    });
    if (!kind) first ??= read(title);
  }
  if (first) {
    if (config.files) await runWeightFiles(context, folder, name, config, model, first, images);
    const tolerance = Math.max(first.json.tolerance.image_features ?? 0, fast ? FAST_TOLERANCE.image_features : 0);
    await runFeatures(context, folder, name, clip, images, tolerance);
  }
  forHeads?.library.dispose();
  core.clipFree(clip);
}
