/**
 * Runs that are interrupted and continued: the same bits as without the interruption, whatever the step and the number
 * of threads; and what must be refused.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { loadClip } from '../../js/index.js';
import { headerOf, writeSafetensors } from '../../js/loading/safetensors.js';
import { makeDataset, mudpt, workFolder } from './command.js';
import { PICTURES, TINY_A, TINY_B, isError } from './models.js';

const CLASSES = ['cat', 'sail_boat', 'x'];
const EXAMPLES = PICTURES.map((image, i) => ({ image, label: i % 3 }));
const RUN = { classes: CLASSES, examples: EXAMPLES, epochs: 3, batchSize: 2, learningRate: 0.01 };
const STEPS = 9;

/** What a run leaves: every step, the classifier with its parameters, velocities and place. */
async function left(job) {
  const steps = [];
  for await (const { etaMs, replayed, validationAccuracy, ...step } of job) steps.push(step);
  const checkpoint = await job.checkpoint();
  return { steps, file: await (await job.finished).export({ raw: true }), checkpoint };
}

/** A checkpoint after `count` steps of a run that then goes no further. */
async function interrupted(clip, options, count) {
  const job = clip.tune(options);
  if (count === 0) {
    const bytes = await job.checkpoint();
    job.stop();
    await job.finished;
    return bytes;
  }
  for await (const { step } of job) if (step === count) job.stop();
  return job.checkpoint();
}

let clip;
let two;
before(async () => {
  clip = await loadClip(TINY_A, { threads: 1 });
  two = await loadClip(TINY_A, { threads: 2 });
});
after(() => Promise.all([clip.dispose(), two.dispose()]));

for (const [method, settings] of [
  ['mudpt', { promptLength: 2 }],
  ['mudpt', { promptLength: 2, injection: 'transformer', depth: 2 }],
  ['umudpt', { promptLength: 2, depth: 2 }],
  ['ivlp', {}],
  ['vpt', { augment: false }],
  ['coop', { promptLength: 4, augment: false }],
  ['coop', { promptLength: 4, classSpecific: true, classPosition: 'middle' }],
  ['cocoop', { augment: false }],
  ['maple', { depth: 2 }],
  ['tcp', {}],
  ['mmrlpp', { space: 8, rank: 2, projectionRank: 2, augment: false }],
  ['promptsrc', { promptLength: 2 }],
  ['promptsrc', { promptLength: 2, augment: false }],
]) {
  test(`${method} ${JSON.stringify(settings)}: interrupted at any step, the same bits`, async () => {
    const options = { ...RUN, method, ...settings };
    const whole = await left(clip.tune(options));
    assert.equal(whole.steps.length, STEPS);
    // mid-epoch, at an epoch's end, before the first step and after the last one
    for (const count of [0, 1, 3, 5, STEPS]) {
      const resume = await interrupted(clip, options, count);
      const again = await left((count % 2 ? two : clip).tune({ examples: EXAMPLES, resume }));
      assert.deepEqual(again.steps, whole.steps, `steps after a break at step ${count}`);
      assert.deepEqual(again.file, whole.file, `the classifier after a break at step ${count}`);
      assert.deepEqual(again.checkpoint, whole.checkpoint, `the checkpoint after a break at step ${count}`);
    }
  });
}

test('interrupted again and again, after every step', async () => {
  const whole = await left(clip.tune(RUN));
  let resume = await interrupted(clip, RUN, 0);
  for (let step = 1; step <= STEPS; step++) {
    const job = clip.tune({ ...RUN, resume });
    for await (const { replayed, etaMs, ...told } of job) {
      assert.deepEqual(told, whole.steps[told.step - 1]);
      assert.equal(Boolean(replayed), told.step < step);
      if (told.step === step) job.stop();
    }
    resume = await job.checkpoint();
  }
  assert.deepEqual(resume, whole.checkpoint);
});

test('a checkpoint can be taken while the run goes on, and changes nothing', async () => {
  const plain = await left(clip.tune(RUN));
  const job = clip.tune(RUN);
  const taken = [await job.checkpoint()];
  for await (const _ of job) taken.push(await job.checkpoint());
  assert.deepEqual(await left(job), plain);
  for (const resume of taken) assert.deepEqual(await left(clip.tune({ ...RUN, resume })), plain);
});

test('validation does not disturb it', async () => {
  const options = { ...RUN, shots: 1, validation: true };
  const whole = await left(clip.tune(options));
  const resume = await interrupted(clip, options, 2);
  assert.deepEqual(await left(clip.tune({ ...options, resume })), whole);
});

test('stopped before it has begun: the checkpoint that it came from is still the last one', async () => {
  const resume = await interrupted(clip, RUN, 4);
  const job = clip.tune({ ...RUN, resume });
  job.stop();
  const classifier = await job.finished;
  await assert.rejects(job.checkpoint(), isError('state', /nothing of this run that can be continued/));
  const taken = clip.tune({ ...RUN, resume });
  const told = [];
  for await (const { step } of taken) if (told.push(step) === 5) taken.stop();
  assert.deepEqual(told, [1, 2, 3, 4, 5]);
  await classifier.dispose();
});

/** A checkpoint with other metadata; undefined takes an entry away. */
function withMetadata(checkpoint, changes) {
  const { tensors, metadata } = headerOf(checkpoint, 'it');
  const list = tensors.map(({ name, dtype, shape, begin, bytes }) => {
    return { name, dtype, shape, data: checkpoint.slice(begin, begin + bytes) };
  });
  const kept = Object.entries({ ...metadata, ...changes }).filter(([, value]) => value !== undefined);
  return writeSafetensors(/** @type {any} */ (list), Object.fromEntries(kept));
}

describe('arithmetic that rounds in another way', () => {
  let resume;
  let arithmetic;
  before(async () => {
    resume = await interrupted(clip, RUN, 4);
    arithmetic = JSON.parse(headerOf(resume, 'it').metadata.arithmetic);
  });
  const notes = async (job) => {
    const found = [];
    for await (const { step, note } of job) if (note !== undefined) found.push([step, note]);
    await (await job.finished).dispose();
    return found;
  };

  for (const [what, foreign, expected] of [
    [
      'multiply-add',
      () => (/once/.test(arithmetic['multiply-add']) ? 'is rounded twice' : 'is rounded once'),
      /multiply-add is rounded (once|twice) here, and is rounded (once|twice) there$/,
    ],
    ['precision', () => 'is fast', /precision is high here, and is fast there$/],
    ['device', () => 'is webgpu', /device is wasm here, and is webgpu there$/],
    ['convention', () => 'is transformers', /convention is openai here, and is transformers there$/],
  ]) {
    test(`${what}: the run goes on, and its first new step says why not to the same bits`, async () => {
      const other = withMetadata(resume, { arithmetic: JSON.stringify({ ...arithmetic, [what]: foreign() }) });
      const found = await notes(clip.tune({ ...RUN, resume: other }));
      assert.equal(found.length, 1);
      assert.equal(found[0][0], 5);
      assert.match(found[0][1], /^the run goes on, but not to the same bits as where it was begun: /);
      assert.match(found[0][1], expected);
    });
  }

  test('the same, and what earlier versions kept: nothing is said', async () => {
    assert.deepEqual(await notes(clip.tune({ ...RUN, resume })), []);
    const early = withMetadata(resume, { arithmetic: undefined });
    assert.deepEqual(await notes(clip.tune({ ...RUN, resume: early })), []);
  });

  test('plain and relaxed SIMD: said where they round differently, and only there', async () => {
    const plain = await loadClip(TINY_A, { threads: 1, variant: 'plain' });
    const found = await notes(plain.tune({ ...RUN, resume }));
    assert.equal(found.length, /once/.test(arithmetic['multiply-add']) ? 1 : 0);
    const own = await interrupted(plain, RUN, 2);
    assert.equal(JSON.parse(headerOf(own, 'it').metadata.arithmetic)['multiply-add'], 'is rounded twice');
    await plain.dispose();
  });

  for (const text of ['', '[', 'null', '7']) {
    test(`damaged: ${JSON.stringify(text)}`, () =>
      assert.rejects(
        clip.tune({ ...RUN, resume: withMetadata(resume, { arithmetic: text }) }).finished,
        isError('classifier', /does not say how the run was computed/),
      ));
  }
});

describe('refused', () => {
  let resume;
  before(async () => (resume = await interrupted(clip, RUN, 4)));

  const differing = [
    ['another method', { method: 'ivlp' }, /method is ivlp, and mudpt in the run/],
    ['other settings', { learningRate: 0.02 }, /learningRate is 0.02, and 0.01 in the run that is to be continued/],
    ['another preset', { preset: 'quick' }, /in the run that is to be continued/],
    ['more epochs', { epochs: 4 }, /epochs is 4, and 3 in the run/],
    ['an option that there is not', { learningrate: 1 }, /no option "learningrate"/],
    ['other classes', { classes: ['cat', 'dog', 'x'] }, /the classes are not those of the run/],
    ['classes in another order', { classes: ['x', 'sail_boat', 'cat'] }, /the classes are not those/],
    ['fewer pictures', { examples: EXAMPLES.slice(1) }, /the pictures are not those that the run was trained on/],
    ['pictures in another order', { examples: [EXAMPLES[3], ...EXAMPLES.slice(1, 3), EXAMPLES[0]] }, /the pictures/],
    [
      'other labels',
      { examples: EXAMPLES.map(({ image, label }) => ({ image, label: (label + 1) % 3 })) },
      /the pictures are not those/,
    ],
  ];
  for (const [what, options, message] of differing) {
    test(what, async () => {
      await assert.rejects(
        clip.tune({ examples: EXAMPLES, resume, ...options }).finished,
        isError('argument', message),
      );
    });
  }

  test('another model', async () => {
    const other = await loadClip(TINY_B, { threads: 1 });
    await assert.rejects(other.tune({ ...RUN, resume }).finished, isError('classifier', /belongs to another model/));
    await other.dispose();
  });

  /** The checkpoint with something else in it. */
  const changed = (change) => {
    const { tensors, metadata } = headerOf(resume, 'it');
    const parts = tensors.map(({ name, dtype, shape, begin, bytes }) => {
      return { name, dtype, shape, data: resume.slice(begin, begin + bytes) };
    });
    return writeSafetensors(change(parts, metadata) ?? parts, metadata);
  };
  for (const [what, message, make] of [
    ['half a file', /cut short/, () => resume.subarray(0, resume.length >> 1)],
    [
      'a classifier',
      /is a saved classifier, no checkpoint of a training run; give a file that checkpoint\(\)/,
      async () => await (await clip.zeroShot(CLASSES)).export(),
    ],
    ['a place that there is not', /step 3 of epoch 1 does not exist/, () => changed((_, m) => void (m.step = '3'))],
    [
      'fewer losses than steps',
      /losses is F32 \[4\], expected F32 \[3\]/,
      () => changed((_, m) => void (m.step = '0')),
    ],
    ['no place', /does not say where the run stands/, () => changed((_, m) => void delete m.epoch)],
    ['impossible settings', /batchSize is/, () => changed((_, m) => void (m.hyper_parameters = '{"batchSize":"x"}'))],
    [
      'a missing velocity',
      /has no tensor velocity\.inject\.layer0\.bias/,
      () => changed((parts) => parts.filter(({ name }) => name !== 'velocity.inject.layer0.bias')),
    ],
    [
      'NaN',
      /tensor text_prompts\.0 holds NaN/,
      () =>
        changed((parts) =>
          parts.map((part) => (part.name === 'text_prompts.0' ? { ...part, data: part.data.fill(0xff) } : part)),
        ),
    ],
  ]) {
    test(what, async () => {
      const job = clip.tune({ examples: EXAMPLES, resume: await make() });
      await assert.rejects(job.finished, isError('classifier', message));
      await assert.rejects(job.checkpoint(), isError('state', /nothing of this run/));
    });
  }

  test('a checkpoint where a classifier is wanted, and what is no file', async () => {
    await assert.rejects(clip.import(resume), isError('classifier', /is a checkpoint of a training run, no saved/));
    await assert.rejects(clip.tune({ ...RUN, resume: 'run.safetensors' }).finished, isError('argument', /bytes/));
  });

  test('after an abort there is nothing to go on from', async () => {
    const abort = new AbortController();
    const job = clip.tune({ ...RUN, signal: abort.signal });
    await job.checkpoint();
    abort.abort();
    await assert.rejects(job.finished, { name: 'AbortError' });
    await assert.rejects(job.checkpoint(), isError('state', /nothing of this run/));
  });
});

describe('mudpt train --checkpoint, --resume', () => {
  const folder = workFolder();
  const at = (name) => path.join(folder, name);
  const run = (args, onOutput) => mudpt(args.split(' '), { cwd: folder, onOutput });
  before(() => makeDataset(at('data'), 3));

  /** Ends a run from outside as soon as it has told of an epoch. */
  const endBy = (signal) => {
    let sent = false;
    return (text, child) => {
      if (!sent && /epoch +\d+\/12/.test(text)) sent = child.kill(signal);
    };
  };
  const settings = '--epochs 12 --batch 2 --raw';

  test('killed, stopped by Ctrl-C, and continued: the same file', async () => {
    const whole = await run(`train --data data ${settings} --out whole.safetensors --json --quiet`);
    assert.equal(whole.code, 0, whole.stderr);
    const killed = await run(`train --data data ${settings} --out a.safetensors --checkpoint run`, endBy('SIGKILL'));
    assert.equal(killed.code, null);
    assert.ok(existsSync(at('run')) && !existsSync(at('a.safetensors')));
    const stopped = await run('train --data data --resume run --out b.safetensors --threads 1', endBy('SIGINT'));
    assert.equal(stopped.code, 130, stopped.stderr);
    assert.match(stopped.stdout, /Go on: mudpt train \.\.\. --resume run/);
    const about = await run('info run');
    assert.match(about.stdout, /checkpoint +run, .*\n.*mudpt\nstands +before step/);
    const ended = await run('train --data data --resume run --out c.safetensors --raw --json --quiet');
    assert.equal(ended.code, 0, ended.stderr);
    assert.deepEqual(readFileSync(at('c.safetensors')), readFileSync(at('whole.safetensors')));
    const [first, last] = [whole, ended].map(({ stdout }) => JSON.parse(stdout.trim().split('\n').at(-1)));
    assert.deepEqual(last.lossPerEpoch, first.lossPerEpoch);
    assert.deepEqual(last.settings, first.settings);
    assert.match((await run('info run')).stdout, /stands +complete/);
  });

  for (const [what, args, message] of [
    ['a file that is there', '--checkpoint run', /run: a run is kept there already; go on with it by --resume/],
    ['one file for both', '--checkpoint one --out ./one', /one is to be the checkpoint and the result; give --out/],
    ['no file', '--resume nothing', /nothing: there is no such file; give a file that --checkpoint kept/],
    ['a classifier', '--resume c.safetensors', /c\.safetensors: is a saved classifier, no checkpoint/],
    ['another method', '--resume run --method vpt', /--method is vpt, and the run in run is of mudpt/],
    ['other settings', '--resume run --epochs 13', /epochs is 13, and 12 in the run/],
  ]) {
    test(`refused: ${what}`, async () => {
      const { code, stdout, stderr } = await run(`train --data data --out refused.safetensors ${args}`);
      assert.equal(code, 1);
      assert.equal(stdout, '', 'before anything is measured');
      assert.match(stderr, message);
      assert.ok(!existsSync(at('refused.safetensors')));
    });
  }
});
