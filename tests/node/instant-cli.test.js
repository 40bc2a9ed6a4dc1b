/** mudpt train --preset instant, and what other commands make of its file. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { headerOf } from '../../js/loading/safetensors.js';
import { CLASSES, makeDataset, mudpt as command, workFolder } from './command.js';

const folder = workFolder();
const at = (...names) => path.join(folder, ...names);
const mudpt = (args) => command(args, { cwd: folder, env: { MUDPT_CACHE: at('cache') } });
makeDataset(at('faces3'), 4);
const quick = ['train', '--data', 'faces3', '--shots', '2', '--epochs', '1'];

const json = ({ code, stdout, stderr }) => {
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
};
const refused = ({ code, stderr }, message) => {
  assert.equal(code, 1);
  assert.match(stderr, message);
};

test('--preset instant is the instant answer alone, which classify, eval, add-classes and info take', async () => {
  const alone = ['train', '--data', 'faces3', '--preset', 'instant', '--json'];
  const { instant, tuned, method, output, settings, perClass } = json(
    await mudpt([...alone, '--shots', '4', '--seed', '7']),
  );
  assert.deepEqual(
    [method, tuned, output, settings],
    ['instant', null, 'faces3-instant.safetensors', { shots: 4, seed: 7 }],
  );
  assert.equal(headerOf(readFileSync(at(output)), output).metadata.version, '2');
  assert.equal(perClass.length, 3);
  const measured = json(await mudpt(['eval', '--data', 'faces3', '--classifier', output, '--json']));
  assert.deepEqual([measured.accuracy, measured.method], [instant.accuracy, instant.method]);
  const { results } = json(await mudpt(['classify', 'faces3/test/clown_face', '--classifier', output, '--json']));
  assert.ok(results.every(({ top }) => top.length === 3));
  const wider = ['add-classes', output, '--classes', 'robot', '--out', 'wider.safetensors', '--json'];
  assert.deepEqual(json(await mudpt(wider)).classes, [...CLASSES, 'robot']);
  const { head } = json(await mudpt(['info', output, '--json']));
  assert.equal(head.name, instant.method);
  refused(await mudpt(['export', output, '--out', 'x.safetensors']), /nothing is trained in zeroshot/);
  refused(
    await mudpt(['export', output, '--format', 'onnx', '--out', 'x.onnx']),
    /its head, tip-f, cannot be written as ONNX/,
  );

  const named = json(await mudpt([...alone, '--head', 'tip', '--out', 'tip.safetensors']));
  assert.deepEqual([named.instant.method, named.instant.heldOut], ['tip', []]);
  const without = json(await mudpt([...quick, '--head', 'none', '--out', 'w.safetensors', '--json']));
  assert.equal(without.instant, null);
  assert.ok(!existsSync(at('w-instant.safetensors')));
  for (const [words, message] of [
    ['--epochs 3', /--epochs is of prompts that are trained, and --preset instant trains none/],
    ['--method coop', /--method is of prompts/],
    ['--checkpoint x', /--checkpoint is of prompts/],
    ['--val', /--val is of prompts/],
  ])
    refused(await mudpt([...alone.slice(0, -1), ...words.split(' ')]), message);
  refused(
    await mudpt([...alone.slice(0, -1), '--head', 'x']),
    /--head: "x" is not possible; choose auto, none, sstext/,
  );
});

test('--budget trains what fits, and says which', async () => {
  const train = ['train', '--data', 'faces3', '--shots', '2', '--json'];
  const tiny = json(await mudpt([...train, '--budget', '0.001s', '--out', 'tiny.safetensors']));
  assert.deepEqual([tiny.tuned.recipe.taken, tiny.tuned.method, tiny.tuned.head], ['instant', 'tip-f', 'tip-f']);
  const much = json(await mudpt([...train, '--budget', '5h', '--out', 'much.safetensors']));
  assert.deepEqual([much.tuned.recipe.taken, much.lossPerEpoch.length], ['thorough', 30]);
  assert.equal(much.tuned.heldOut.length, 4);
  const measured = json(await mudpt(['eval', '--data', 'faces3', '--classifier', 'much.safetensors', '--json']));
  assert.equal(measured.accuracy, much.tuned.accuracy);
  refused(
    await mudpt([...train.slice(0, -1), '--budget', 'soon']),
    /--budget: "soon" is not possible; expected a time/,
  );
  refused(
    await mudpt([...train.slice(0, -1), '--head', 'none', '--views', '3']),
    /--views is of a head, and --head is/,
  );
  refused(await mudpt([...train.slice(0, -1), '--budget', '9s', '--epochs', '3']), /'--epochs|--budget/);
});
