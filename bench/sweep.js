#!/usr/bin/env node
/**
 * What the store of features saves a sweep: eight methods, three seeds, one data set, few-shot, twice in one run, with
 * features kept and without. One line of JSON: seconds of each, their ratio, and pictures that went through the tower.
 *
 *   ./run bench sweep [--task zoo] [--methods zeroshot,tip,…] [--shots 16] [--model DIR] [--threads 2]
 *
 * Methods that train through the tower compute what they need at every step and gain nothing there; they are left out.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { counted } from '../tests/counted-pictures.js';
import { createCore } from '../js/core/core.js';
import { loadClip } from '../js/index.js';
import { SweepFeatures } from '../js/protocol/heads.js';
import { planJobs } from '../js/protocol/plan.js';
import { runJob } from '../js/protocol/run.js';
import { openSet } from '../js/protocol/sets.js';
import { optionsOf } from './options.js';
import { taskFolder } from './tasks.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const values = optionsOf({
  task: 'zoo',
  methods: 'zeroshot,sstext,sstext+,gda,tip,tip-f,clap,logistic',
  shots: '16',
  model: path.join(root, 'models/pictoclip'),
  threads: '2',
});

const set = await openSet(await taskFolder(values.task));
const methods = values.methods.split(',');
const sweep = { protocol: 'few-shot', sources: [{ set, targets: [] }], methods, shots: [Number(values.shots)] };
const core = await createCore({ threads: 1 });

/** @param {'memory' | 'none'} keepFeatures */
async function run(keepFeatures) {
  const clip = await loadClip(values.model, { threads: Number(values.threads), keepFeatures });
  const context = /** @type {any} */ ({ fingerprint: clip.info.fingerprint });
  const jobs = planJobs(
    { ...sweep, seeds: [1, 2, 3], changes: [] },
    context,
    /** @type {any} */ (clip.info.architecture),
  );
  const shared = new SweepFeatures(clip);
  await (await clip.zeroShot(['a', 'b'])).classify(set.dataset.test[0].path); // warm
  const [begun, then] = [performance.now(), counted.pictures];
  for (const job of jobs) {
    await runJob(clip, job, { core, features: keepFeatures === 'none' ? new SweepFeatures(clip) : shared });
  }
  const seconds = (performance.now() - begun) / 1000;
  await clip.dispose();
  return { runs: jobs.length, seconds: Number(seconds.toFixed(2)), encoded: counted.pictures - then };
}

const kept = await run('memory');
const none = await run('none');
core.dispose();
const ratio = Number((kept.seconds / none.seconds).toFixed(3));
console.log(JSON.stringify({ task: values.task, methods, shots: Number(values.shots), kept, none, ratio }));
