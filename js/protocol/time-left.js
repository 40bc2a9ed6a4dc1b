/** How long the runs of a sweep that are still to come will take, judged by those that are finished. */
import { METHODS } from '../methods/methods.js';
import { isHead } from './heads.js';
import { classesOf, examplesOf } from './sets.js';

/** A training step goes forward and backward. */
const TRAINING = 3;

export class TimeLeft {
  /** @type {Map<string, { seconds: number, pictures: number }>} what each method took so far */
  #methods = new Map();
  /** @type {Map<string, number>} pictures of jobs, by id */
  #work = new Map();

  /** @param {import('./run.js').Log[]} logs  of runs that are finished, maybe on other machines */
  constructor(logs) {
    for (const log of logs) this.add(log);
  }

  /** @param {import('./run.js').Log} log */
  add({ identity: { method, settings }, drawn, results, seconds }) {
    const sum = this.#methods.get(method) ?? { seconds: 0, pictures: 0 };
    const tested = results.reduce((total, { pictures }) => total + pictures, 0);
    sum.seconds += seconds.train + seconds.test;
    sum.pictures += tested + TRAINING * passes(method, settings) * (drawn?.count ?? 0);
    this.#methods.set(method, sum);
  }

  /**
   * @param {import('./plan.js').Job[]} jobs  the first of which is running
   * @param {number} spent  seconds, on the first
   * @returns {number | null} seconds; null while nothing is known
   */
  left(jobs, spent) {
    if (!this.#methods.size) return null;
    const [first = 0, ...rest] = jobs.map((job) => this.#seconds(job));
    return rest.reduce((sum, each) => sum + each, Math.max(0, first - spent));
  }

  /** @param {import('./plan.js').Job} job */
  #seconds(job) {
    const known = this.#methods.get(job.identity.method) ?? this.#closest();
    if (!this.#work.has(job.id)) this.#work.set(job.id, workOf(job));
    return (known.seconds / known.pictures) * (this.#work.get(job.id) ?? 0);
  }

  /** Of a method that has not run yet: as those that have, of which the ones that train tell more. */
  #closest() {
    const all = [...this.#methods].filter(([method]) => !isHead(method) && METHODS[method].defaults);
    const some = all.length ? all : [...this.#methods];
    const add = (key) => some.reduce((sum, [, each]) => sum + each[key], 0);
    return { seconds: add('seconds'), pictures: add('pictures') };
  }
}

/** How often a run's pictures go through the model while it trains: a head's epochs are of features. */
const passes = (method, settings) => (isHead(method) ? 0 : (settings?.epochs ?? 0));

/** Pictures that a job passes through the model. @param {import('./plan.js').Job} job */
function workOf({ identity: { method, settings }, train, tests }) {
  const tested = tests.reduce((sum, { set, part }) => sum + examplesOf(set, part, 'test').length, 0);
  const drawn = train ? classesOf(train.set, train.part).length * (settings?.shots ?? 0) : 0;
  return tested + TRAINING * passes(method, settings) * drawn;
}
