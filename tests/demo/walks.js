/** What a visitor does to the collection, for random walks; each takes numbers that choose among what there is. */
import fc from 'fast-check';

import * as store from '../../web-demo/src/store.js';

let made = 0;
/** A picture that is like no other. */
const blob = () => store.fileOf(new TextEncoder().encode(`picture ${made++}`), 'picture.png', 'image/png');
export const pick = (list, index) => list[index % Math.max(1, list.length)];
export const idsOf = (list) => new Set(list.map(({ id }) => id));

const of = (origin) => /** @type {const} */ (origin);

export const STEPS = {
  sample: (a, b) => {
    const names = ['bus', 'tent', 'truck'].slice(0, 2 + (a % 2));
    const added = names.map((name) => ({ name, blob: blob(), origin: 'sample', held: b % 2 === 0 }));
    store.replaceAll({ names, added, sample: `sample ${a % 3}` }, 'a sample');
  },
  empty: () => store.clearAll('empty'),
  everything: () => store.removeEverything('everything'),
  project: (a, b) => {
    const classes = Array.from({ length: a % 3 }, (_, i) => ({ id: store.newId(), name: `class ${i}`, colour: i }));
    const pictures = classes.flatMap(({ id: classId }) =>
      Array.from({ length: b % 4 }, () => ({ classId, blob: blob(), origin: of('file') })),
    );
    store.openProject({ classes, pictures, works: [], sample: '', project: `${store.newId()} it` }, 'a project');
  },
  nameProject: (a) => store.renameProject(`project ${a}`, 'named'),
  addClass: () => store.addClass('a class'),
  rename: (a, b) => {
    const one = pick(store.classes.value, a);
    if (one) store.renameClass(one.id, `name ${b}`, 'renamed');
  },
  removeClass: (a) => store.removeClass(pick(store.classes.value, a)?.id ?? '', 'a class went'),
  addPictures: (a, b) => {
    const classId = pick(store.classes.value, a)?.id ?? 'gone';
    store.addPictures(
      Array.from({ length: 1 + (b % 3) }, () => ({ classId, name: 'late', blob: blob(), origin: of('file') })),
      (count) => `${count} came`,
      { kind: b % 4 ? '' : `webcam ${classId}` },
    );
  },
  addFolders: (a) =>
    store.addPictures(
      ['bus', `folder ${a}`].map((name) => ({ name, blob: blob(), origin: of('file') })),
      'folders',
    ),
  teach: (a) => {
    const classId = pick(store.classes.value, a)?.id ?? 'gone';
    const picture = { classId, name: 'taught', blob: blob(), origin: of('drawing'), held: false };
    store.addPictures([picture], 'taught', { loud: true });
  },
  removePicture: (a) => store.removePicture(pick(store.pictures.value, a)?.id ?? '', 'a picture went'),
  move: (a, b) => {
    const [one, to] = [pick(store.pictures.value, a), pick(store.classes.value, b)];
    if (one && to) store.movePicture(one.id, to.id, 'moved');
  },
  hold: (a) => {
    const one = pick(store.pictures.value, a);
    if (one) store.setHeld(one.id, !one.held, 'held');
  },
  open: (a, b) =>
    store.useWork('a file', ['bus', 'late'], (ids) => {
      const file = new Uint8Array([a, b]);
      return { id: `model ${a % 2}`, from: '', run: null, result: { id: store.newId(), ids, file, curve: null } };
    }),
};
/** These leave nothing to take back but themselves. */
export const FORGETS = ['everything', 'project'];

/** @param {string[]} names */
const oneOf = (...names) => fc.tuple(fc.constantFrom(...names), fc.nat(50), fc.nat(50));

export const step = oneOf(...Object.keys(STEPS));
export const turn = fc.oneof(
  { weight: 6, arbitrary: step },
  { weight: 2, arbitrary: oneOf('undo') },
  { weight: 1, arbitrary: oneOf('older') },
  { weight: 1, arbitrary: oneOf('redo') },
);

export function take([name, a, b]) {
  if (name === 'undo') store.undo();
  else if (name === 'older') store.undo(pick(store.history.value, a));
  else if (name === 'redo') store.redo();
  else STEPS[name](a, b);
}
