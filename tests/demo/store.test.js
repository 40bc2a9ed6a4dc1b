/**
 * The demo page's collection under random walks of changes, of undo and redo, the last one and older ones: what was
 * there and was not removed is there, each change is taken back by itself, and no picture is without its class.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';

import * as store from '../../web-demo/src/store.js';
import { FORGETS, idsOf, step, take, turn } from './walks.js';

const RUNS = Number(process.env.MUDPT_FUZZ_RUNS ?? 300);
const seed = Number(process.env.MUDPT_FUZZ_SEED ?? 18);
const blob = new Blob(['x']);

const reset = () =>
  store.restoreAll({ classes: [], pictures: [], works: [], sample: '', project: '', past: [], future: [] });

/** All of the collection that a visitor sees, in order. */
const seen = () => ({
  classes: store.classes.value.map(({ id, name, colour }) => [id, name, colour]),
  pictures: store.pictures.value.map(({ id, classId, held, blob: kept }) => [id, classId, held, kept.size]),
  works: store.works.value.map(({ id, result, run }) => [id, result?.id, run?.id]).sort(),
  sample: store.sampleId.value,
  project: store.project.value,
});

function isSound() {
  const [classes, pictures] = [store.classes.value, store.pictures.value];
  assert.equal(idsOf(classes).size, classes.length);
  assert.equal(idsOf(pictures).size, pictures.length);
  const known = idsOf(classes);
  for (const { classId } of pictures) assert.ok(known.has(classId), 'a picture without its class');
  assert.ok(store.history.value.length <= 30);
}

const always = (arbitrary, property) =>
  fc.assert(
    fc.property(arbitrary, (value) => {
      reset();
      property(value);
    }),
    { numRuns: RUNS, seed },
  );

describe("the demo page's collection", () => {
  test('whatever was done is taken back as if it had not been, and done again as if it had', () => {
    always(fc.tuple(fc.array(turn, { maxLength: 25 }), step), ([walk, last]) => {
      walk.forEach(take);
      const before = seen();
      const count = store.history.value.length;
      const latest = store.history.value.at(-1);
      take(last);
      isSound();
      const after = seen();
      if (store.history.value.at(-1) === latest) return; // nothing was done
      // What joined the change before goes with it.
      if (store.history.value.length === count && count < 30 && !FORGETS.includes(last[0])) return;
      store.undo();
      assert.deepEqual(seen(), before);
      store.redo();
      assert.deepEqual(seen(), after);
      store.undo();
      assert.deepEqual(seen(), before);
    });
  });

  test('all the way back is where it began, and all the way forth where it ended', () => {
    always(fc.array(step, { maxLength: 20 }), (walk) => {
      const first = walk.findIndex(([name]) => FORGETS.includes(name));
      const kept = first < 0 ? walk : walk.slice(0, first);
      let start = seen();
      for (const one of kept) {
        // A page's first sample takes no one's place, and is no change.
        if (!store.history.value.length) start = seen();
        take(one);
        if (!store.history.value.length) start = seen();
      }
      const end = seen();
      const count = store.history.value.length;
      for (let i = 0; i < count; i++) store.undo();
      if (count < 30) assert.deepEqual(seen(), start);
      for (let i = 0; i < count; i++) store.redo();
      assert.deepEqual(seen(), end);
    });
  });

  test('an older change is taken back alone: what it took is there again, what came since stays', () => {
    always(fc.tuple(fc.array(turn, { maxLength: 20 }), step, fc.array(step, { maxLength: 8 })), ([walk, it, since]) => {
      walk.forEach(take);
      const before = idsOf(store.pictures.value);
      const latest = store.history.value.at(-1);
      take(it);
      const entry = store.history.value.at(-1);
      if (!entry || entry === latest) return;
      const after = idsOf(store.pictures.value);
      since.filter(([name]) => !FORGETS.includes(name)).forEach(take);
      if (!store.history.value.includes(entry)) return; // it has grown, or is too old
      const now = store.pictures.value;
      store.undo(entry);
      isSound();
      const left = idsOf(store.pictures.value);
      for (const id of before) if (!after.has(id)) assert.ok(left.has(id), 'what it took is there again');
      for (const { id } of now) {
        if (before.has(id) || !after.has(id)) assert.ok(left.has(id), 'what was there, and what came since, stays');
      }
    });
  });

  test('"Everything was removed · Undo" leaves the class that was made meanwhile', () => {
    reset();
    store.replaceAll({ names: ['bus'], added: [{ name: 'bus', blob, origin: 'sample' }], sample: 'travel' }, 'sample');
    store.clearAll('Everything was removed');
    const offered = store.undoable.value;
    const id = store.addClass('added');
    store.renameClass(id, 'mine', 'renamed');
    store.addPictures([{ classId: id, blob, origin: 'file' }], 'one came');
    assert.equal(store.undoable.value, offered);
    store.undo(offered);
    assert.deepEqual(
      store.classes.value.map(({ name }) => name),
      ['bus', 'mine'],
    );
    assert.equal(store.pictures.value.length, 2);
    assert.equal(store.sampleId.value, 'travel');
  });

  test('what cannot be brought back any more is let go, and nothing else', () => {
    always(fc.array(turn, { maxLength: 40 }), (walk) => {
      const [made, gone] = [new Set(), new Set()];
      const { createObjectURL, revokeObjectURL } = URL;
      URL.createObjectURL = () => (made.add(`blob:${made.size}`), `blob:${made.size - 1}`);
      URL.revokeObjectURL = (url) => void gone.add(url);
      try {
        walk.forEach(take);
      } finally {
        Object.assign(URL, { createObjectURL, revokeObjectURL });
      }
      const still = new Set(store.everyPicture().map(({ url }) => url));
      for (const url of made) assert.equal(gone.has(url), !still.has(url));
    });
  });
});
