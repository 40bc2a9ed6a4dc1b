/** Cases of the browser tests (suite.js): the instant answer, with the model in its worker and in the page. */
import { loadClip } from '/js/index.js';
import { near, ok, rejectsWith, same } from './checks.js';
import { CLASSES, EXAMPLES, FACE, MODEL, TESTS, TUNING, scoresOf } from './task.js';

const TEST_IMAGES = TESTS.map(({ image }) => image);

/** @param {() => any} model in the page's worker @param {() => any} expected what Node gives */
export const instantCases = (model, expected) => ({
  async 'instant: the answer of Node, from the worker and from the page itself; steps; saved, changed'() {
    const here = await loadClip(MODEL, { worker: false, threads: 1 });
    const files = [];
    for (const clip of [model(), here]) {
      const job = clip.tune({ preset: 'instant', classes: CLASSES, examples: EXAMPLES, head: 'tip-f' });
      let turns = 0;
      const beat = setInterval(() => turns++, 0);
      const steps = [];
      for await (const { step } of job) steps.push(step);
      clearInterval(beat);
      same([steps.length, steps.at(-1)], [20, 20], 'steps');
      ok(turns > 0, 'the page had no turn');
      const classifier = await job.finished;
      same(
        [classifier.method, job.classifier === classifier, classifier.labels.length],
        ['tip-f', true, 12],
        'what it is',
      );
      const scores = await scoresOf(classifier, TEST_IMAGES);
      near(scores, expected().instant, 'scores');
      same((await classifier.evaluate(TESTS)).count, TESTS.length, 'evaluated');
      const file = await classifier.export();
      files.push(file);
      const again = await clip.import(file);
      same(await scoresOf(again, TEST_IMAGES), scores, 'exported and imported');
      const element = new Image();
      element.src = FACE;
      const place = await again.add(element, CLASSES[1]);
      same([place, again.labels.at(-1)], [12, CLASSES[1]], 'added');
      await again.remove(place);
      same(await scoresOf(again, TEST_IMAGES), scores, 'removed');
      const more = await again.withClasses(['robot face']);
      same(more.classes, [...CLASSES, 'robot face'], 'with a class');
      ok((await more.attention(FACE)).grid > 1, 'attention');
      const auto = await clip.tune({ preset: 'instant', classes: CLASSES, examples: EXAMPLES }).finished;
      same(auto.heldOut.length > 1, true, 'candidates');
      const run = clip.tune({ ...TUNING, examples: EXAMPLES, head: 'tip' });
      let last;
      for await (const step of run) last = step;
      const both = await run.finished;
      same([last.epoch, both.method, both.head, both.weight], [2, 'mudpt', 'tip', 1], 'prompts and a head');
      same(
        await scoresOf(await clip.import(await both.export()), TEST_IMAGES),
        await scoresOf(both, TEST_IMAGES),
        'both',
      );
      const bought = await clip.tune({ classes: CLASSES, examples: EXAMPLES, budget: 1e-6 }).finished;
      same([bought.recipe.taken, bought.head], ['instant', 'tip-f'], 'a budget');
      await rejectsWith('state', job.checkpoint(), /no checkpoint/);
      await rejectsWith(
        'argument',
        clip.tune({ preset: 'instant', classes: CLASSES, examples: EXAMPLES, epochs: 3 }).finished,
        /no option "epochs"/,
      );
      const refused = await clip.import(file.slice(0, 100)).catch((error) => error.code);
      same(refused, 'classifier', 'a file that is cut short');
      for (const each of [classifier, again, more, auto]) await each.dispose();
      await rejectsWith('state', again.classify(FACE), /disposed/);
    }
    const other = await here.import(files[0]);
    near(await scoresOf(other, TEST_IMAGES), expected().instant, "the worker's in the page");
    await here.dispose();
  },
});
