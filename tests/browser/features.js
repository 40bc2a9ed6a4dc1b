/** Cases of the browser tests (suite.js): features of pictures and texts. */
import { near, ok, rejectsWith, same } from './checks.js';
import { FACE } from './task.js';

/** @param {() => any} model */
export const featureCases = (model) => ({
  async 'features: of whatever a list has, handed over by the worker'() {
    const clip = model();
    const bytes = new Uint8Array(await (await fetch(FACE)).arrayBuffer());
    const element = new Image();
    element.src = FACE;
    await element.decode();
    const list = [FACE.slice(1), new URL(FACE, location.href), element, new Blob([bytes]), bytes];
    const { data, dims } = await clip.embedImages(list);
    same([dims[0], data instanceof Float32Array], [list.length, true], 'rows');
    const row = (i) => Array.from(data.subarray(i * dims[1], (i + 1) * dims[1]));
    list.forEach((_, i) => near(row(i), row(0), `row ${i}`));
    ok(Math.abs(row(0).reduce((sum, value) => sum + value * value, 0) - 1) < 1e-5, 'length one');
    const set = await clip.embedImages(new Set(list.slice(0, 2)), { unit: false });
    same(set.dims, [2, dims[1]], 'of a set');
    const told = [];
    const onBroken = ({ index, code }) => told.push([index, code]);
    const { dims: fewer } = await clip.embedImages([FACE, new Uint8Array(4), '/nowhere.png'], { onBroken });
    same(
      [fewer[0], told],
      [
        1,
        [
          [1, 'image'],
          [2, 'network'],
        ],
      ],
      'left out',
    );
    await clip.embedImages([bytes], { transfer: true });
    same(bytes.length, 0, 'bytes that were moved');
    await rejectsWith('argument', clip.embedTexts('one'), /must be an array/);
  },
});
