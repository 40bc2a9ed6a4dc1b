/** Golden cases of heads, `"kind": "features"`, for golden.js: what tests/c/golden_heads.h is for C. */
import { LibraryHead, headBytes } from '../../js/core/heads.js';
import { compareNumber } from './golden-files.js';

const MODEL_SCALE = ['sstext', 'sstext+', 'clap'];

/** What a case's hyper-parameters say, as js/core/heads.js takes it. */
function configOf({ method, hyper_parameters: hyper }, templates, support, model) {
  const scale = MODEL_SCALE.includes(method) || hyper.scale === 'model' ? model.scale : (hyper.scale ?? 100);
  return {
    ...{ method, templates: templates[0], classes: templates[1], width: templates[2] },
    ...{ views: support[0], pictures: support[1], before: method === 'prolip' ? support[2] : 0 },
    ...{ alpha: hyper.alpha, beta: hyper.beta, lambda: hyper.lambda, rate: hyper.learning_rate, batch: hyper.batch },
    scale: method === 'lp++' ? 0 : scale,
    epochs: hyper.epochs ?? hyper.steps,
    stepsEach: hyper.steps_per_epoch ?? (method === 'tip-f' ? 1 : 0),
  };
}

/** The rows of a step; undefined: the method's own. Tip-Adapter-F's batches are a view and pictures. */
function rowsOf(batch, pictures) {
  return Array.isArray(batch?.[1]) ? batch[1].map((row) => batch[0] * pictures + row) : batch;
}

/** [rows, columns] -> [columns, rows] */
function turned(values, [rows, columns]) {
  return Float32Array.from(values, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]);
}

/** Logits and gradients of the first batch, every loss, what training ends with. */
function checkTraining(golden, head, pictures) {
  const { json, outcome } = golden;
  const first = rowsOf(json.batches[0], pictures);
  const { logits } = head.gradients(first, first?.length ?? pictures);
  golden.compareStored('logits', logits, golden.tolerance('logits'));
  const gradients = head.values('gradient');
  for (const [name, values] of gradients) golden.compareStored(`grad.${name}`, values, golden.tolerance('grad'));
  const starts = head.values();
  for (const [step, right] of json.losses.entries()) {
    const { loss } = head.step(rowsOf(json.batches[step], pictures));
    compareNumber(outcome, `losses[${step}]`, loss, right, golden.tolerance('losses'));
  }
  if (head.step()) outcome.fault('training goes on behind the last step');
  for (const name of gradients.keys()) {
    const final = head.values().get(name);
    golden.compareStored(`final.${name}`, final, golden.tolerance('final'));
    const change = { label: `final_change.${name}`, start: starts.get(name) };
    golden.compareStored(`final.${name}`, final, golden.tolerance('final_change'), change);
  }
}

/**
 * One case.
 * @param {any} golden a GoldenCase of golden-model.js
 * @param {{ library: any, scale: number, projection: Float32Array }} model
 */
export function runHeadCase(golden, model) {
  const { json, tensors } = golden;
  const { library } = model;
  const support = tensors.has('support.features') ? 'support.features' : 'support.before';
  const query = tensors.values(support.replace('support', 'query'));
  const templates = tensors.values('template_features');
  const config = configOf(json, tensors.shape('template_features'), tensors.shape(support), model);
  const given = { templates, projection: config.before ? model.projection : null };
  const labels = tensors.values('support.labels');
  if (!(headBytes(library, config) > 0)) throw new Error('a head takes no bytes');
  const head = LibraryHead.create(library, config, { ...given, features: tensors.values(support), labels });
  const compareTensors = (prefix, of) => {
    for (const { name, shape } of of.parameters()) {
      if (!tensors.has(prefix + name)) continue;
      const values = of.values().get(name);
      const isTurned = json.method === 'gda' && shape.length === 2;
      const kind = (prefix + name).replace(/\..*/, '');
      golden.compareStored(prefix + name, isTurned ? turned(values, shape) : values, golden.tolerance(kind));
    }
  };
  const compareLogits = (name, of) => golden.compareStored(name, of.logits(query), golden.tolerance(name));
  try {
    if (tensors.has('init.bias')) head.set({ bias: tensors.values('init.bias') });
    compareTensors('', head);
    compareTensors('init.', head);
    if (json.losses.length) checkTraining(golden, head, config.pictures);
    compareLogits('query_logits', head);
    const twin = LibraryHead.create(library, config, { ...given, labels });
    twin.set(Object.fromEntries(head.values()));
    compareLogits('query_logits', twin);
    twin.dispose();
    if (!tensors.has('new_template_features')) return;
    const other = head.createNew(tensors.values('new_template_features'));
    compareTensors('new_', other);
    compareLogits('new_query_logits', other);
    other.dispose();
  } finally {
    head.dispose();
  }
}
