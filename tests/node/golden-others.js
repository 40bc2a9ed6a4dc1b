/** Golden files that are no model's cases, for golden.js: pictures, crops, token ids, learning rates, recorded runs. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { loadModel } from '../../js/loading/model.js';
import { openSource } from '../../js/files/source.js';
import { ClipTokenizer } from '../../js/loading/tokenizer.js';
import { Tensors, checkMethod, compare, comparePictures, readBytes, readJson, readPng } from './golden-files.js';
import { giveTeacher, methodOf, setParameters } from './golden-model.js';
import { cropPixels, cropView, imageSize, normalize, testView } from './views.js';

/** Runs `action` with an image of the library. */
function withImage(core, image, action) {
  try {
    return action(image);
  } finally {
    core.imageFree(image);
  }
}

/** One picture file through the test transform. */
function checkPicture(core, outcome, folder, { size, mean, std }, item) {
  const exact = { largest: item.tolerance, mean: item.tolerance };
  const limits = item.own_decoder ?? exact;
  const bytes = readBytes(folder, item.file);
  const expected = (file) => readPng(folder, file).rgb;
  const image = core.imageDecode(bytes);
  withImage(core, image, () => {
    const { width, height } = imageSize(core, image);
    if (width !== item.width || height !== item.height) {
      outcome.fault(`size: got ${width} x ${height}, ${item.width} x ${item.height} is right`);
    }
    const view = testView(core, image, size);
    // 16-bit grey: the high byte is as right as what Pillow does.
    const highByte = item.expected_high_byte && Buffer.from(expected(item.expected_high_byte)).equals(view);
    if (!highByte) comparePictures(outcome, 'test view', view, expected(item.expected), limits);
    if (item.normalised && !item.decoded) checkNormalised(image);
  });
  if (item.expected_upright) {
    withImage(core, core.imageDecode(bytes, 1), (turned) => {
      comparePictures(outcome, 'upright view', testView(core, turned, size), expected(item.expected_upright), limits);
    });
  }
  if (item.decoded) {
    const { width, height, rgb } = readPng(folder, item.decoded);
    withImage(core, core.imageFromPixels(rgb, width, height, 3), (decoded) => {
      const view = testView(core, decoded, size);
      comparePictures(outcome, 'view of decoded pixels', view, expected(item.expected), exact);
      if (item.normalised) checkNormalised(decoded);
    });
  }

  function checkNormalised(from) {
    const { tensor, size: side, tolerance } = item.normalised;
    const got = normalize(core, testView(core, from, side), side, mean, std);
    compare(outcome, 'normalised', got, new Tensors(folder, 'normalised.safetensors').values(tensor), tolerance);
  }
}

/** One file that must be refused, or may be. */
function checkBadPicture(core, outcome, folder, { size }, item) {
  let image;
  try {
    image = core.imageDecode(readBytes(folder, item.file));
  } catch (error) {
    if (error.code !== 'image' || !error.message || error.message.includes('\n')) {
      outcome.fault(`refused, but not with one line: ${error.code}, ${JSON.stringify(error.message)}`);
    }
    return;
  }
  withImage(core, image, () => {
    if (item.expect === 'refuse') {
      const { width, height } = imageSize(core, image);
      outcome.fault(`got a picture of ${width} x ${height}, must be refused`);
      return;
    }
    const { rgb } = readPng(folder, 'expected', path.basename(item.file));
    comparePictures(outcome, 'test view', testView(core, image, size), rgb, { largest: 0, mean: 0 });
  });
}

export async function runPreprocess({ core, report }, folder, name, json) {
  for (const item of json.cases) {
    await report.run(`${name}/${item.file}`, (outcome) => checkPicture(core, outcome, folder, json, item));
  }
  for (const item of json.bad ?? []) {
    await report.run(`${name}/${item.file}`, (outcome) => checkBadPicture(core, outcome, folder, json, item));
  }
}

export async function runCrops({ core, report }, folder, name, json) {
  for (const item of json.cases) {
    await report.run(`${name}/${item.expected}`, (outcome) => {
      withImage(core, core.imageDecode(readBytes(folder, item.image)), (image) => {
        const limits = { largest: item.tolerance, mean: item.tolerance };
        comparePictures(
          outcome,
          'crop',
          cropView(core, image, item, item.size),
          readPng(folder, item.expected).rgb,
          limits,
        );
      });
    });
  }
}

export async function runSchedule({ core, report }, name, json) {
  for (const { epochs, base, rates } of json.cases) {
    await report.run(`${name}/schedule: ${epochs} epochs from ${base}`, (outcome) => {
      rates.forEach((want, epoch) => {
        const got = core.learningRate(base, json.warmup_rate, epochs, epoch);
        const allowed = json.relative_tolerance * want;
        if (!(Math.abs(got - want) <= allowed)) {
          outcome.fault(`rate of epoch ${epoch}: got ${got} where ${want} is right, allowed ${allowed}`);
        }
      });
    });
  }
}

/** Token ids; either the original tokenizer's or tokenizer.json's own are right. Says which in `context.summary`. */
export async function runTokenizer({ report, summary }, folder, name, json) {
  const { start_of_text, end_of_text, context } = json;
  const vocab = Math.max(start_of_text, end_of_text) + 1;
  const tokenizer = new ClipTokenizer(readJson(folder, 'tokenizer.json'), { vocab, context });
  const specials = tokenizer.sentence('a', 'a').filter((id) => id === start_of_text || id === end_of_text);
  let original = 0;
  let own = 0;
  for (const [i, { text, ids, row, tokenizer_json_ids: others }] of json.cases.entries()) {
    await report.run(`${name}/${i} ${JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)}`, (outcome) => {
      const got = tokenizer.encode(text);
      if (got.join() === ids.join()) original++;
      else if (others && got.join() === others.join()) own++;
      else outcome.fault(`ids: got ${got}, ${ids}${others ? ` or ${others}` : ''} is right`);
      const whole = [specials[0], ...got.slice(0, context - 2), specials[1]];
      if (row && whole.join() !== row.join()) outcome.fault(`row: got ${whole}, ${row} is right`);
    });
  }
  summary.push(
    `${name}: ${original} texts as OpenAI's tokenizer, ${own} as tokenizer.json alone (no text repair, no HTML)`,
  );
}

// ------------------------------------------------------------------------------------------------ recorded runs

const PRODUCT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * A folder that a recorded run names: beside the golden folder, or in the product's tree; below tests/ first, where
 * the model of the recorded runs is kept as it was when they were recorded.
 */
function findFolder(replay, named) {
  const places = [path.join(replay, '../../..'), path.join(PRODUCT, 'tests'), PRODUCT];
  const found = places.map((place) => path.join(place, named)).find((folder) => existsSync(folder));
  if (!found) throw new Error(`${named} lies neither beside the golden folder nor in the product's tree`);
  return found;
}

/** The sentences as a method reads them: words of the phrase, the name, a full stop. */
function replaySentences(json, classes, method, tokenizer) {
  const { phrase, n, n_text: nText } = json.hyper_parameters;
  const words = phrase?.split(' ') ?? Array(nText ?? n).fill('X');
  // MuDPT and its variants drop the phrase's words beyond the learned ones; the other methods keep them.
  const lead = (method.method.endsWith('mudpt') ? words.slice(0, method.textLength) : words).join(' ');
  const names = classes.map((name) => name.replaceAll('_', ' '));
  return {
    ids: [names.map((name) => tokenizer.sentence(`${lead} ${name}.`, name))],
    nameLengths: method.classPosition ? names.map((name) => tokenizer.encode(name).length) : undefined,
  };
}

/**
 * All steps of a run, then how far its tensors end from the recorded ones and which test pictures it sees otherwise;
 * or its first steps alone.
 * @returns {string} the figures
 */
function checkReplay({ core, steps, verbose }, outcome, json, tensors, { clip, config, tokenizer }, data) {
  const method = methodOf(json.method, json.hyper_parameters);
  const classifier = core.classifierCreate(clip, method, replaySentences(json, json.classes, method, tokenizer));
  const pixelsOf = (file, read) => withImage(core, core.imageDecode(readBytes(data, file)), read);
  try {
    setParameters(core, classifier, tensors);
    if (tensors.has('teacher_ids')) giveTeacher(core, clip, classifier, tensors);
    const { epoch_weights: shares, optimizer = 'sgd' } = json;
    let worst = 0;
    let at = 0;
    json.steps.slice(0, steps).forEach(({ epoch, images, labels, loss: want }, step) => {
      const views = images.map(([file, top, left, height, width, flip]) =>
        pixelsOf(file, (image) => cropPixels(core, clip, image, { top, left, height, width, flip }, config.image)),
      );
      const pixels = new Float32Array(views.length * views[0].length);
      views.forEach((view, i) => pixels.set(view, i * view.length));
      const { loss } = core.classifierGradients(classifier, pixels, labels);
      const rate = json.learning_rate_per_epoch[epoch];
      if (optimizer === 'sgd') core.classifierSgd(classifier, rate, 0.9, 5e-4);
      else core.classifierAdam(classifier, rate, 5e-4, step + 1);
      if (shares && json.steps[step + 1]?.epoch !== epoch) core.classifierAverage(classifier, shares[epoch]);
      if (!(Math.abs(loss - want) <= worst)) [worst, at] = [Math.abs(loss - want), step];
      if (verbose && step % 20 === 19)
        console.log(`     step ${step + 1}: losses at most ${worst.toPrecision(2)} apart`);
    });
    // What the recording measured for another picture decoder; golden/README.md states the figures.
    const noise = json.loss_difference?.['half a unit of noise on the pixels'] ?? 0;
    const allowed = Math.max(json.method === 'uumudpt' ? 0.06 : 0.02, noise);
    if (!(worst <= allowed)) outcome.fault(`losses: off by ${worst} at step ${at}, allowed ${allowed}`);
    const losses = `losses at most ${worst.toPrecision(2)} apart`;
    if (steps < json.steps.length) return `${steps} of ${json.steps.length} steps, ${losses}`;

    // A run with an average ends with it.
    if (shares) {
      const averages = core.classifierParameters(classifier).map(({ name, average, count }) => {
        return [name, core.floats(average, count).slice()];
      });
      core.classifierSetParameters(classifier, Object.fromEntries(averages));
    }
    let off = 0;
    let way = 0;
    for (const { name, value, count } of core.classifierParameters(classifier)) {
      const [start, end] = [tensors.values(`init.${name}`), tensors.values(`final.${name}`)];
      core.floats(value, count).forEach((got, i) => {
        off += (got - end[i]) ** 2;
        way += (start[i] - end[i]) ** 2;
      });
    }
    const share = Math.sqrt(off / way);
    if (!(share <= 0.1)) outcome.fault(`final tensors: got ${share} of the way beside the recorded ones, allowed 0.1`);

    const predictionsOf = (one, { test, test_margin: margin }) => {
      const predicted = test.map(([file]) => {
        const pixels = pixelsOf(file, (image) => core.clipTestPixels(clip, image));
        const { logits } = core.classifierLogits(one, pixels);
        return logits.indexOf(Math.max(...logits));
      });
      const count = (isSo) => test.filter(([, label, want], i) => isSo(predicted[i], want, label)).length;
      const differ = count((got, want) => got !== want);
      const most = margin['below_0.01'];
      if (differ > most) outcome.fault(`predictions: ${differ} of ${test.length} differ, allowed ${most}`);
      const [ours, theirs] = [count((got, _, label) => got === label), count((_, want, label) => want === label)];
      return `${differ} of ${test.length} predictions differ, ${ours} right beside ${theirs}`;
    };
    const percent = (100 * share).toPrecision(2);
    const predictions = predictionsOf(classifier, json);
    const among = json.new ? `; among new classes ${amongNew(predictionsOf)}` : '';
    return `${losses}, tensors ${percent} % of their way; ${predictions}${among}`;

    /** The same parameters among other classes, where pictures have no second feature. */
    function amongNew(judge) {
      const { second: _, ...sizes } = method;
      const other = core.classifierCreate(clip, sizes, replaySentences(json, json.new.classes, method, tokenizer));
      try {
        if (tensors.has('new.teacher_ids')) giveTeacher(core, clip, other, tensors, 'new.teacher_ids');
        const values = core.classifierParameters(classifier).map(({ name, value, count }) => {
          return [name, core.floats(value, count).slice()];
        });
        const wanted = core.classifierParameters(other).map(({ name }) => name);
        core.classifierSetParameters(other, Object.fromEntries(values.filter(([name]) => wanted.includes(name))));
        return judge(other, json.new);
      } finally {
        core.classifierFree(other);
      }
    }
  } finally {
    core.classifierFree(classifier);
  }
}

export async function runReplay(context, folder, name, json) {
  const { core, report, summary, dtype } = context;
  await report.run(name, async (outcome) => {
    checkMethod(core, json.method);
    const tensors = new Tensors(folder, 'replay.safetensors');
    const model = await loadModel(core, await openSource(findFolder(folder, json.model)), { dtype });
    try {
      summary.push(`${name}: ${checkReplay(context, outcome, json, tensors, model, findFolder(folder, json.data))}`);
    } finally {
      core.clipFree(model.clip);
    }
  });
}
