/**
 * The best answer that some seconds buy: the instant one first, then one of more views of each picture, if that fits,
 * then a few steps of prompts to see how long one takes here, then the longest recipe that fits; pictures that were not
 * trained on decide what of it is taken (prompts.js).
 */
import { MudptError, requireAwaited } from '../base/errors.js';
import { nextTurn } from '../base/platform.js';
import { Steps } from '../training/steps.js';
import { InstantClassifier } from './classifier.js';
import { InstantJob, VIEWS, checkHead } from './job.js';
import { PromptsJob } from './prompts.js';
import { Source } from './source.js';

/** Presets from the longest; they differ in epochs alone. */
const RECIPES = ['thorough', 'balanced', 'quick'];
/** Steps that are looked at, of which the first one warms up and is not counted; and pictures, another view of each. */
const PROBED = 4;
/** Share of what is left that looking may take, and by how much a run may turn out longer than was expected. */
const LOOKING = 0.2;
const LONGER = 1.25;
/** What a budget settles by itself. */
const SETTLED = ['preset', 'epochs', 'batchSize', 'smallestCrop', 'views', 'resume'];
/** Options of an instant answer among those of a run. */
const SHARED = ['classes', 'examples', 'shots', 'seed', 'goal', 'template', 'templates', 'onProgress', 'onBroken'];
/** What is given beside a method's settings and the classes. */
const BESIDE = [
  ...['examples', 'goal', 'template', 'templates', 'onProgress', 'onBroken'],
  ...['validation', 'memoryLimit', 'transfer', 'signal'],
];

export class BudgetJob {
  #stopped = false;
  /** @type {any} the run that is going on */
  #now = null;
  /** @type {Steps<any>} */
  #steps = new Steps();

  /**
   * @param {any} clip
   * @param {(options: any) => any} tune
   * @param {Record<string, any>} options
   * @param {string | URL} [assetsUrl]
   */
  constructor(clip, tune, options, assetsUrl) {
    this.classifier = /** @type {any} */ (null);
    this.finished = this.#run(clip, tune, options, assetsUrl).finally(() => this.#steps.end());
    this.finished.catch(() => {});
  }

  /** What there is answers. */
  stop() {
    this.#stopped = true;
    this.#now?.stop();
  }

  async checkpoint() {
    if (this.#now instanceof PromptsJob) return this.#now.checkpoint();
    throw new MudptError('state', 'there is no run of prompts to be continued', 'it begins when it is known which');
  }

  async *[Symbol.asyncIterator]() {
    yield* this.#steps;
    await this.finished;
  }

  async #run(clip, tune, options, assetsUrl) {
    const begun = performance.now();
    await nextTurn();
    const { budget, head = 'auto', ...run } = options;
    requireAwaited(budget, 'budget');
    if (!(typeof budget === 'number' && budget > 0))
      throw new MudptError('argument', `budget is ${budget}, expected a number of seconds above 0`);
    const settled = SETTLED.find((name) => options[name] !== undefined);
    if (settled)
      throw new MudptError('argument', `${settled} is given, and budget settles it`, 'leave out one of them');
    checkHead(head);
    // What is misspelt is refused now, and not by the prompts, which may not come.
    const settings = Object.entries(run).filter(([name]) => !BESIDE.includes(name));
    await clip.plan({ ...Object.fromEntries(settings), preset: 'quick' });
    const left = () => budget - (performance.now() - begun) / 1000;

    const shared = Object.fromEntries(SHARED.flatMap((name) => (name in run ? [[name, run[name]]] : [])));
    const { signal } = run;
    /** @param {number} views */
    const answer = (views) => {
      const job = new InstantJob(clip, { preset: 'instant', ...shared, views, signal }, assetsUrl);
      this.#now = job;
      return job.finished;
    };
    let instant = await answer(1);
    let taken = 'instant';
    this.classifier = instant;
    // What was asked for before may have left features behind: how long the first answer took says little.
    const views = head !== 'none' && instant.labels.length > 0 && left() > 0 && !this.#stopped;
    const ofViews = views ? (VIEWS - 1) * instant.labels.length * (await viewSeconds(clip, run)) : 0;
    if (views && ofViews * LONGER < left()) {
      const closer = await answer(VIEWS);
      await instant.dispose();
      this.classifier = instant = closer;
      taken = 'views';
    }
    const { goal, template: _, templates: __, onProgress, ...prompts } = run;
    // The tuned tower sees all of a picture's views, and where the answers were of one view the plain one the others.
    const ofHead = taken === 'views' ? ofViews : 2 * ofViews;
    const looks = !this.#stopped && left() >= 0;
    const seconds = looks ? await this.#look(clip, tune, prompts, { most: left() * LOOKING, ofHead }) : null;
    const preset = seconds && RECIPES.find((name) => seconds[name] * LONGER < left());
    const recipe = { budget, taken: preset || taken, seconds };
    if (!preset || this.#stopped) return Object.assign(instant, { recipe: { ...recipe, taken } });

    const onPrompts = head === 'auto' && goal === 'new-names' ? 'prolip' : head;
    this.#now = onPrompts === 'none' ? tune({ ...prompts, preset }) : undefined;
    this.#now ??= new PromptsJob(clip, tune, { ...prompts, preset, head: onPrompts, onProgress }, assetsUrl);
    if (this.#stopped) this.#now.stop();
    for await (const step of this.#now) this.#steps.push(step);
    const tuned = await this.#now.finished;
    // Stopped while its head was made: prompts alone are worth less than the answer that there is.
    if (onPrompts !== 'none' && !(tuned instanceof InstantClassifier)) {
      await tuned.dispose();
      return Object.assign(instant, { recipe: { ...recipe, taken } });
    }
    this.classifier = tuned;
    await instant.dispose();
    return Object.assign(tuned, { recipe });
  }

  /**
   * Seconds that each recipe would take, by the first steps of the shortest; null where not even those fit.
   * @param {any} clip
   * @param {(options: any) => any} tune
   * @param {Record<string, any>} options
   * @param {{ most: number, ofHead: number }} seconds to look, and that the head takes
   * @returns {Promise<Record<string, number> | null>}
   */
  async #look(clip, tune, options, { most, ofHead }) {
    const job = (this.#now = tune({ ...options, preset: 'quick', onBroken: options.onBroken && (() => {}) }));
    const begun = performance.now();
    let start = 0;
    let found = /** @type {{ each: number, ofEpoch: number } | null} */ (null);
    for await (const { step, steps, epochs } of job) {
      const now = performance.now();
      if (step > 1) found = { each: (now - start) / (step - 1), ofEpoch: steps / epochs };
      else start = now;
      if (step === PROBED || now - begun > 1000 * most || this.#stopped) {
        job.stop();
        break;
      }
    }
    await (await job.finished).dispose();
    const { method = 'mudpt' } = options;
    const { presets } = clip.methods().find((each) => each.method === method);
    const rest = (start - begun) / 1000 + ofHead;
    if (!found) return null;
    const { each, ofEpoch } = found;
    return Object.fromEntries(RECIPES.map((name) => [name, rest + (presets[name].epochs * ofEpoch * each) / 1000]));
  }
}

/**
 * Seconds that a view of a picture takes: those of the first few are kept for whoever asks for them next.
 * @param {any} clip
 * @param {Record<string, any>} options
 */
async function viewSeconds(clip, { examples, seed = 1, signal }) {
  const images = examples.slice(0, PROBED).map(({ image }) => image);
  const begun = performance.now();
  await new Source(clip, null, []).views(images, false, { views: 2, seed }, { onBroken: () => {}, signal });
  return (performance.now() - begun) / 1000 / images.length;
}
