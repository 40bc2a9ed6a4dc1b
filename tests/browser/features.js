/** Cases of the browser tests (suite.js): features of pictures and texts. */
import { loadClip } from '/js/index.js';
import { near, ok, rejectsWith, same } from './checks.js';
import { FACE, MODEL, int8Of } from './task.js';

/** A stripe on nothing, or on a colour. @param {string} [ground] */
function stripe(ground) {
  const canvas = Object.assign(document.createElement('canvas'), { width: 48, height: 48 });
  const context = canvas.getContext('2d');
  for (const [colour, size] of [
    [ground, 48],
    ['#c03020', 24],
  ]) {
    if (colour) Object.assign(context, { fillStyle: colour }).fillRect(0, 0, size, 48);
  }
  return canvas;
}

/** @param {() => any} model @param {() => any} wanted */
export const featureCases = (model, wanted) => ({
  async 'features: gives the bits that Node gives, in precision int8'() {
    const small = await loadClip(MODEL.slice(1), { precision: 'int8' });
    const actual = await int8Of(small, (path) => path);
    // Where a busy machine's clock found integers no faster, there is nothing to compare.
    if ([actual, wanted().int8].every(({ precision }) => precision === 'int8')) same(actual, wanted().int8, 'int8');
    else ok(actual.features.every(Number.isFinite), 'features');
    await rejectsWith('argument', loadClip(MODEL.slice(1), { precision: 'int8', device: 'auto' }), /takes device wasm/);
    await small.dispose();
  },

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

  async 'features: what is transparent lies on white where transformers is the convention, however the page has it'() {
    const [clear, white] = [stripe(), stripe('#ffffff')];
    const blob = await new Promise((resolve) => clear.toBlob(resolve));
    const pixels = clear.getContext('2d').getImageData(0, 0, 48, 48);
    const list = [white, clear, await createImageBitmap(clear), pixels, blob, new Uint8Array(await blob.arrayBuffer())];
    const of = async (convention) => {
      const clip = await loadClip(MODEL, { convention });
      const { data, dims } = await clip.embedImages(list);
      await clip.dispose();
      return list.map((_, i) => Array.from(data.subarray(i * dims[1], (i + 1) * dims[1])));
    };
    const [onWhite, ...others] = await of('transformers');
    others.forEach((row, i) => near(row, onWhite, `picture ${i + 1}`));
    const [opaque, ...dropped] = await of('openai');
    near(opaque, onWhite, 'what hides nothing');
    for (const row of dropped)
      ok(
        row.some((value, i) => Math.abs(value - opaque[i]) > 0.01),
        'alpha is dropped',
      );
  },
});
