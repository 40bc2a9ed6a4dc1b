/**
 * The demo page's session under random walks of changes, undo and redo, with reloads between them, over a database in
 * memory: what was there before a reload is there after it, to the last byte, and so is the way back.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import 'fake-indexeddb/auto';
import fc from 'fast-check';

import { FORGETS, take, turn } from './walks.js';

const WALKS = Number(process.env.MUDPT_FUZZ_RUNS ?? 30);
const seed = Number(process.env.MUDPT_FUZZ_SEED ?? 18);

// As much of a page as the session asks of it.
const nothing = () => {};
Object.assign(globalThis, {
  document: { baseURI: 'http://localhost/', addEventListener: nothing, visibilityState: 'visible' },
  addEventListener: nothing,
  BroadcastChannel: undefined,
});
const store = await import('../../web-demo/src/store.js');
const { keeping, restore, settled, startSaving } = await import('../../web-demo/src/session.js');
const { place } = await import('../../web-demo/src/tabs.js');

/** All of it, with the pictures' and the classifiers' bytes. */
async function all() {
  const read = async (list) => Promise.all(list.map(({ blob }) => blob.text()));
  const rows = ({ id, classId, held, origin }) => [id, classId, held, origin];
  const told = ({ what, id, loud, pictures: { gone, come } }) => [what, id, loud, gone.length, come.length];
  return {
    classes: store.classes.value.map(({ id, name, colour }) => [id, name, colour]),
    pictures: store.pictures.value.map(rows),
    bytes: await read(store.pictures.value),
    works: store.works.value.map(({ id, result }) => [id, result?.id, [...(result?.file ?? [])]]),
    sample: store.sampleId.value,
    project: store.project.value,
    past: store.history.value.filter(({ kept }) => kept).map(told),
    gone: await read(
      store.history.value.filter(({ kept }) => kept).flatMap((one) => one.pictures.gone.map((it) => it.one)),
    ),
    future: store.undone.value.filter(({ kept }) => kept).map(told),
  };
}

const EMPTY = { classes: [], pictures: [], works: [], sample: '', project: '', past: [], future: [] };

/** The page goes, with all that it has in memory, and comes back. */
async function reload() {
  await settled();
  assert.equal(keeping.value, 'kept');
  place.value = 'unknown';
  store.restoreAll(EMPTY);
  await restore();
  place.value = 'here';
}

test(`${WALKS} walks with reloads lose nothing`, async () => {
  await restore();
  startSaving();
  place.value = 'here';
  const walk = fc.array(fc.oneof({ weight: 9, arbitrary: turn }, { weight: 2, arbitrary: fc.constant(['reload']) }), {
    minLength: 10,
    maxLength: 30,
  });
  let reloads = 0;
  const kept = async (turns) => {
    for (const one of turns) {
      if (one[0] !== 'reload') {
        take(/** @type {any} */ (one));
        continue;
      }
      const before = await all();
      await reload();
      assert.deepEqual(await all(), before);
      reloads++;
    }
    // The way back, too, is whole: with it nothing of the walk is left but what nothing can bring back.
    const forgot = turns.some(([name]) => FORGETS.includes(String(name)));
    await reload();
    while (store.history.value.length) store.undo();
    if (!forgot) for (const picture of store.pictures.value) assert.ok(await picture.blob.text());
    store.removeEverything('the end');
    store.forgetPast();
  };
  await fc.assert(fc.asyncProperty(walk, kept), { numRuns: WALKS, seed, includeErrorInReport: true });
  assert.ok(reloads > WALKS);
  await settled();
});
