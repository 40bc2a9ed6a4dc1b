/**
 * Downloads: servers of every kind, and addresses. tests/node/cache.test.js has what is kept, tests/node/model.test.js
 * the layouts.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, statSync, truncateSync } from 'node:fs';
import { cp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { before, describe, test } from 'node:test';

import { modelAddress } from '../../js/base/address.js';
import { MODELS } from '../../js/cli/models.js';
import { createCore, DTYPES, TEXT } from '../../js/core/core.js';
import { droppedFiles } from '../../js/files/files.js';
import { loadClip } from '../../js/index.js';
import { loadModel } from '../../js/loading/model.js';
import { headerOf, writeSafetensors } from '../../js/loading/safetensors.js';
import { openSource } from '../../js/files/source.js';
import { OFFERS } from '../../web-demo/src/offers.js';
import { makeClip } from '../make-clip.js';
import { CLASSES, OTHERS, VOCAB, WIDTH, answer, load, makeModel, scoresOf, serving } from './downloads.js';
import { PICTURES, isError, temporaryFolder } from './models.js';

const WEIGHTS = '/model.safetensors';

/** A model whose token embedding is a large part of it, as in real ones. */
const model = await temporaryFolder();
let size;
let expected;
before(async () => {
  await makeModel(model);
  size = statSync(path.join(model, 'model.safetensors')).size;
  expected = await answer(model);
});

const withServer = (options, action) => serving({ root: model, ...options }, action);

const weightsRequests = (server) => server.requests.filter((one) => one.path === WEIGHTS);

describe('servers with ranges', () => {
  test('only the rows of the token embedding that are needed are fetched', () =>
    withServer({}, async (server) => {
      const clip = await load(server.url);
      assert.equal(clip.info.fingerprint, expected.fingerprint);
      const table = VOCAB * WIDTH * 4;
      assert.ok(server.sent < size - 0.9 * table, `${server.sent} of ${size} bytes`);
      assert.deepEqual(await scoresOf(clip), expected.scores);
      const before = server.requests.length;
      assert.deepEqual(await scoresOf(clip), expected.scores);
      assert.equal(server.requests.length, before, 'the same names need nothing more');
      const other = await load(model);
      assert.deepEqual(await scoresOf(clip, OTHERS), await scoresOf(other, OTHERS));
      await other.dispose();
      assert.ok(server.requests.every(({ status }) => [200, 206, 404].includes(status)));
      await clip.dispose();
    }));

  test('the photo model that the demo page proposes: the smallest, and as many bytes as are said', async () => {
    const [smallest] = [...MODELS].sort((a, b) => a.millions - b.millions);
    assert.equal(OFFERS[0].from, smallest.model.replace('hf:', 'https://huggingface.co/'));
    const root = await temporaryFolder();
    await makeClip(root, { preset: 'tinyclip-8m-16' });
    const { size: bytes } = statSync(path.join(root, 'model.safetensors'));
    assert.equal(Math.round(bytes / 4e6), smallest.millions);
    await withServer({ root }, async (server) => {
      let read = 0;
      const clip = await loadClip(server.url, { dtype: 'f16', onProgress: ({ total }) => (read = total) });
      assert.ok(Math.abs(read - OFFERS[0].bytes) < 0.02 * read, `${read} bytes, the page says ${OFFERS[0].bytes}`);
      const classifier = await clip.zeroShot(['cat', 'dog']);
      assert.equal((await classifier.classify(PICTURES[0])).length, 2);
      await clip.dispose();
    });
  });

  test('a run of training and an import need their rows too', () =>
    withServer({}, async (server) => {
      const clip = await load(server.url);
      const examples = CLASSES.map((label, i) => ({ image: PICTURES[i], label }));
      const job = clip.tune({ classes: CLASSES, examples, epochs: 1, promptLength: 2, method: 'cocoop' });
      const file = await (await job.finished).export();
      const fresh = await load(server.url);
      const [ours, theirs] = await Promise.all(
        [clip, fresh].map(async (one) => (await one.import(file)).classify(PICTURES[0])),
      );
      assert.deepEqual(ours, theirs);
      const tuned = fresh.tune({
        classes: OTHERS,
        examples: [
          { image: PICTURES[0], label: 0 },
          { image: PICTURES[1], label: 1 },
        ],
        epochs: 1,
      });
      const more = await (await tuned.finished).withClasses(['violin']);
      assert.equal((await more.classify(PICTURES[0])).length, 3);
      await Promise.all([clip.dispose(), fresh.dispose()]);
    }));

  test("tokens: 'needed' of a folder: the same scores with less memory; a changed file is refused", async () => {
    const folder = await temporaryFolder();
    await cp(model, folder, { recursive: true });
    const [whole, clip] = [await loadClip(model), await loadClip(folder, { tokens: 'needed' })];
    assert.deepEqual(await scoresOf(clip), expected.scores);
    const [{ weights }, { weights: less }] = [
      await whole.plan({ classes: OTHERS }),
      await clip.plan({ classes: OTHERS }),
    ];
    assert.ok(weights - less > (VOCAB / 2) * WIDTH * 4, `${less} bytes of weights, ${weights} with all tokens`);
    truncateSync(path.join(folder, 'model.safetensors'), size - 4);
    await assert.rejects(clip.zeroShot(['violin']), isError('file', /has changed since/));
    await Promise.all([clip.dispose(), whole.dispose()]);
  });

  test("tokens: 'all' needs no server later", () =>
    withServer({}, async (server) => {
      const clip = await load(server.url, { tokens: 'all' });
      await server.close();
      assert.deepEqual(await scoresOf(clip), expected.scores);
      await clip.dispose();
    }));

  test("towers: 'image' fetches no text tower, and is enough for a classifier that was saved", () =>
    withServer({}, async (server) => {
      const whole = await load(model);
      const examples = CLASSES.map((label, i) => ({ image: PICTURES[i], label }));
      const tuned = await whole.tune({ classes: CLASSES, examples, epochs: 2, batchSize: 1 }).finished;
      const files = await Promise.all([await whole.zeroShot(CLASSES), tuned].map((one) => one.export()));
      const clip = await load(server.url, { towers: 'image' });
      assert.ok(server.sent < 0.75 * size, `${server.sent} of ${size} bytes`);
      assert.ok(!server.requests.some((one) => one.path === '/tokenizer.json'));
      assert.equal(clip.info.fingerprint, expected.fingerprint);
      assert.ok(clip.info.weightBytes < 0.75 * whole.info.weightBytes);
      assert.deepEqual(clip.methods(), whole.methods());
      for (const file of files) {
        const [ours, theirs] = await Promise.all(
          [clip, whole].map(async (one) => (await one.import(file)).classify(PICTURES[0])),
        );
        assert.deepEqual(ours, theirs);
      }
      assert.deepEqual(await (await clip.import(files[1])).classify(PICTURES[0]), await tuned.classify(PICTURES[0]));
      await assert.rejects(clip.zeroShot(CLASSES), isError('state', /without its text tower.*towers: 'both'/));
      await assert.rejects(clip.tune({ classes: CLASSES, examples }).finished, isError('state', /text tower/));
      await Promise.all([clip.dispose(), whole.dispose()]);
      await assert.rejects(load(model, { towers: 'text' }), isError('argument', /towers must be one of both, image/));
    }));

  test('another address that the server names', () =>
    withServer({}, async (server) => {
      const redirects = { [`/a${WEIGHTS}`]: `${server.url}model.safetensors` };
      for (const name of ['config', 'preprocessor_config', 'tokenizer'])
        redirects[`/a/${name}.json`] = `${server.url}${name}.json`;
      await withServer({ redirects }, async (first) => assert.deepEqual(await answer(`${first.url}a`), expected));
    }));

  test('shards: the sum of their sizes is known before the first tensor', async () => {
    const folder = await temporaryFolder();
    await splitInTwo(folder);
    await withServer({ root: folder }, async (server) => {
      const told = [];
      const clip = await load(server.url, { onProgress: (progress) => told.push(progress) });
      assert.deepEqual(await scoresOf(clip), expected.scores);
      assert.equal(told[0].loaded, 0);
      assert.deepEqual(told.at(-1), { loaded: told[0].total, total: told[0].total });
      assert.ok(told.every(({ total }) => total === told[0].total));
      await clip.dispose();
    });
  });

  test('a reader who is slow holds up the server', async () => {
    const folder = await temporaryFolder();
    const whole = 96 * 1024 * 1024;
    await writeFile(path.join(folder, 'model.safetensors'), '');
    truncateSync(path.join(folder, 'model.safetensors'), whole);
    for (const fault of ['', 'no-ranges']) {
      await withServer({ root: folder, fault }, async (server) => {
        const file = await (await openSource(server.url, { cache: false })).open('model.safetensors');
        const pieces = file.stream(0, whole)[Symbol.asyncIterator]();
        await pieces.next();
        for (let before = -1; before !== server.sent;) {
          before = server.sent;
          await new Promise((resolve) => setTimeout(resolve, 300));
        }
        assert.ok(server.sent < whole / 3, `${server.sent} bytes were sent to a reader of one piece`);
        await pieces.return();
        await file.close();
      });
    }
  });
});

/** The model as two shards with an index. */
async function splitInTwo(folder) {
  await cp(model, folder, { recursive: true });
  const bytes = new Uint8Array(readFileSync(path.join(model, 'model.safetensors')));
  const { tensors } = headerOf(bytes, 'model');
  const map = {};
  for (const [name, part] of [
    ['model-1.safetensors', tensors.slice(0, 30)],
    ['model-2.safetensors', tensors.slice(30)],
  ]) {
    const data = part.map((tensor) => ({ ...tensor, data: bytes.slice(tensor.begin, tensor.begin + tensor.bytes) }));
    await writeFile(path.join(folder, name), writeSafetensors(data));
    for (const tensor of part) map[tensor.name] = name;
  }
  await rm(path.join(folder, 'model.safetensors'));
  await writeFile(path.join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
}

test('rows of the token embedding, in the library', async () => {
  const core = await createCore({ threads: 1 });
  const { config, clip: whole } = await loadModel(core, await openSource(model));
  const clip = core.clipCreate({ ...config, text: TEXT.ROWS });
  const row = new Uint8Array(new Float32Array(WIDTH).fill(0.5).buffer);
  const bad = new Uint8Array(new Float32Array(WIDTH).fill(NaN).buffer);
  assert.equal(core.clipHasToken(whole, VOCAB - 1), true);
  assert.equal(core.clipHasToken(clip, 7), false);
  assert.throws(() => core.clipToken(clip, VOCAB, DTYPES.F32, row), isError('argument', /vocabulary has 0 to 8191/));
  assert.throws(() => core.clipToken(clip, 7, DTYPES.I8, row), isError('model', /expected F32, F16 or BF16/));
  assert.throws(() => core.clipToken(clip, 7, DTYPES.F32, bad), isError('model', /NaN or infinity in row 7/));
  assert.throws(() => core.clipToken(whole, 7, DTYPES.F32, row), isError('state', /by rows/));
  assert.equal(core.clipHasToken(clip, 7), false);
  for (let id = 0; id < 200; id++) core.clipToken(clip, id, DTYPES.F32, row); // more than there is room for at first
  assert.deepEqual(
    [7, 199, 200, -1, VOCAB].map((id) => core.clipHasToken(clip, id)),
    [true, true, false, false, false],
  );
  assert.throws(() => core.clipCreate({ ...config, text: 3 }), isError('argument', /text 3 is unknown; valid/));
  core.clipFree(clip);
  core.dispose();
});

describe('servers with faults', () => {
  test('no ranges: one request', () =>
    withServer({ fault: 'no-ranges' }, async (server) => {
      assert.deepEqual(await answer(server.url), expected);
      assert.equal(weightsRequests(server).length, 1);
    }));

  test('ranges that are forgotten on the way', () =>
    withServer({ fault: 'forgets-ranges' }, async (server) => assert.deepEqual(await answer(server.url), expected)));

  test('every answer is cut at 60 %: each goes on where the last one ended', () =>
    withServer({ fault: 'cut' }, async (server) => {
      assert.deepEqual(await answer(server.url, { tokens: 'all' }), expected);
      assert.ok(server.sent < 1.3 * size, `${server.sent} bytes were sent for ${size}`);
    }));

  test('cut once, without ranges: from the start again', () =>
    withServer({ fault: 'cut-no-ranges', times: 1 }, async (server) => {
      assert.deepEqual(await answer(server.url), expected);
      assert.equal(weightsRequests(server).length, 2);
    }));

  for (const [what, fault, code, message] of [
    ['always cut, without ranges', 'cut-no-ranges', 'network', /model\.safetensors broke off after \d+ bytes of \d+; /],
    ['a web page for weights', 'html', 'file', /shows a web page \(HTML\) in place of model\.safetensors; /],
    ['a file that ends early', 'short', 'model', /model\.safetensors: is cut short/],
    ['a length that is too large', 'wrong-length', 'model', /has 1000 bytes that belong to no tensor/],
    ['another file on the way', 'changed', 'network', /model\.safetensors changed while it was read; load it again/],
    ['an error of its own', 'busy', 'network', /was answered with 503 Service Unavailable; .*try again later/],
    ['no answer', 'silent', 'network', /model\.safetensors sent nothing for 0\.15 s; .*timeout/],
    [
      'half an answer',
      'stall-no-ranges',
      'network',
      /model\.safetensors sent nothing for 0\.15 s after \d+ bytes; .*timeout/,
    ],
  ]) {
    test(`refused: ${what}`, () =>
      withServer({ fault }, async (server) => {
        const timeout = ['silent', 'stall-no-ranges'].includes(fault) ? 150 : 20_000;
        await assert.rejects(answer(server.url, { timeout, tokens: 'all' }), isError(code, message));
      }));
  }

  test('a server that shows a page for what is not there', () =>
    withServer({ fault: 'page' }, async (server) => {
      assert.deepEqual(await answer(server.url), expected);
      await assert.rejects(answer(`${server.url}elsewhere/`), isError('file', /shows a web page/));
    }));

  for (const validator of ['etag', 'none']) {
    test(`lengths that nobody tells, validator ${validator}`, { timeout: 60_000 }, () =>
      withServer({ fault: 'no-total' }, async (server) => {
        server.validator = validator;
        const bytes = readFileSync(path.join(model, 'model.safetensors'));
        const integrity = `sha256-${createHash('sha256').update(bytes).digest('base64')}`;
        assert.deepEqual(await answer(server.url, { integrity }), expected);
        assert.deepEqual(await answer(server.url), expected);
        const file = await (await openSource(server.url, { cache: false })).open('model.safetensors');
        for (const from of [0, size - 10, size]) {
          const found = await file.read(from, size - from + 100);
          assert.ok(bytes.subarray(from).equals(found), `${found.length} bytes from ${from} on`);
        }
        await file.close();
      }),
    );
  }

  for (const fault of ['gzip', 'gzip-ranges', 'strict']) {
    test(`loads: ${fault}`, () =>
      withServer({ fault }, async (server) => {
        assert.deepEqual(await answer(server.url), expected);
        const file = await (await openSource(server.url, { cache: false })).open('config.json');
        const text = new TextDecoder().decode(await file.read(0, 1e6));
        assert.equal(text, readFileSync(path.join(model, 'config.json'), 'utf8'));
        await file.close();
      }));
  }

  test('403 for what is not there, as of storage that lists nothing', async () => {
    const bare = await temporaryFolder();
    await cp(model, bare, { recursive: true });
    await rm(path.join(bare, 'preprocessor_config.json'));
    await withServer({ root: bare }, async (server) => {
      server.missing = 403;
      assert.deepEqual(await answer(server.url), await answer(bare));
      await rm(path.join(bare, 'tokenizer.json'));
      await assert.rejects(answer(server.url), isError('tokenizer', /answers 403 \(forbidden\) for tokenizer\.json/));
      const nothing = isError('network', /model\.safetensors was answered with 403 .*needs a login, is not public, or/);
      await assert.rejects(answer(`${server.url}elsewhere/`), nothing);
    });
  });

  describe('Retry-After', () => {
    const waits = async (retryAfter, most = Infinity) => {
      await withServer({ fault: 'wait', times: 1 }, async (server) => {
        server.retryAfter = retryAfter();
        const begun = Date.now();
        assert.deepEqual(await answer(server.url), expected);
        assert.ok(Date.now() - begun >= 950 || most < 950, `${Date.now() - begun} ms`);
      });
    };
    test('in seconds', () => waits(() => '1'));
    test('as a date', () => waits(() => new Date(Math.ceil(Date.now() / 1000) * 1000 + 1000).toUTCString()));
    for (const text of ['', 'soon', '-5', 'Mon, 01 Jan 2001 00:00:00 GMT']) {
      test(`that says nothing: "${text}"`, () => waits(() => text, 0));
    }
    test('for longer than anybody waits: refused at once, saying so', () =>
      withServer({ fault: 'wait' }, async (server) => {
        server.retryAfter = '86400';
        const asks = /was answered with 429 .*asks to come back in 86400 s/;
        await assert.rejects(answer(server.url), isError('network', asks));
        assert.equal(server.requests.length, 1);
      }));
    test('an abort meanwhile', () =>
      withServer({ fault: 'wait' }, async (server) => {
        server.retryAfter = '50';
        await assert.rejects(answer(server.url, { signal: AbortSignal.timeout(200) }), { name: 'TimeoutError' });
      }));
  });

  for (const fault of ['busy', 'stall', 'silent']) {
    test(`in trouble once, and then not: ${fault}`, () =>
      withServer({ fault, times: 1 }, async (server) =>
        assert.deepEqual(await answer(server.url, { timeout: fault === 'busy' ? 20_000 : 300 }), expected),
      ));
  }

  for (const [what, fault] of [
    ['while a download stalls', 'stall'],
    ['before there is an answer', 'silent'],
    ['while waiting for a new attempt', 'busy'],
  ]) {
    test(`an abort ${what}`, () =>
      withServer({ fault }, async (server) => {
        const controller = new AbortController();
        const loading = answer(server.url, { signal: controller.signal, retryDelays: [1e6] });
        const poll = setInterval(() => {
          const seen = fault === 'busy' ? server.requests : weightsRequests(server);
          if (seen.length) setTimeout(() => controller.abort(), 50);
        }, 5);
        await assert.rejects(loading, { name: 'AbortError' }).finally(() => clearInterval(poll));
      }));
  }

  test('an abort of the load ends nothing that comes later', () =>
    withServer({}, async (server) => {
      const controller = new AbortController();
      const clip = await load(server.url, { signal: controller.signal });
      controller.abort();
      assert.deepEqual(await scoresOf(clip), expected.scores);
      await clip.dispose();
    }));

  test('a server that is gone when names need it', () =>
    withServer({}, async (server) => {
      const clip = await load(server.url);
      await server.close();
      await assert.rejects(clip.zeroShot(CLASSES), isError('network', /model\.safetensors cannot be fetched any more/));
      await clip.dispose();
    }));

  test('at most 10 events a second, the last one not counted', () =>
    withServer({}, async (server) => {
      // Counted over the whole load: on a busy machine an event may be told late, and the next one at its time.
      let events = 0;
      const start = performance.now();
      const clip = await load(server.url, { onProgress: () => void events++ });
      const most = Math.floor((performance.now() - start) / 100) + 2;
      await clip.dispose();
      assert.ok(events >= 2 && events <= most, `${events} events, ${most} at most`);
    }));

  test('options that make no sense', async () => {
    await assert.rejects(loadClip(model, { timeout: 0 }), isError('argument', /timeout is 0/));
    await assert.rejects(loadClip(model, { tokens: 'some' }), isError('argument', /tokens must be one of needed, all/));
    await assert.rejects(loadClip('http://'), isError('argument', /"http:\/\/" is no URL/));
  });
});

describe('addresses', () => {
  for (const [from, base, file] of [
    ['https://huggingface.co/openai/clip-vit-base-patch16', '/openai/clip-vit-base-patch16/resolve/main/'],
    ['https://huggingface.co/openai/clip-vit-base-patch16/', '/openai/clip-vit-base-patch16/resolve/main/'],
    ['https://hf.co/openai/clip/tree/v1/sub', '/openai/clip/resolve/v1/sub/'],
    ['https://huggingface.co/openai/clip/resolve/main', '/openai/clip/resolve/main/'],
    ['https://huggingface.co/o/n/blob/main/w.safetensors?download=true', '/o/n/resolve/main/', 'w.safetensors'],
    ['hf:openai/clip-vit-base-patch16', '/openai/clip-vit-base-patch16/resolve/main/'],
    ['hf:openai/clip@0123abc', '/openai/clip/resolve/0123abc/'],
  ]) {
    test(from, () => {
      const address = modelAddress(from);
      assert.equal(address.base.href.replace(/\?.*/, ''), `https://huggingface.co${base}`);
      assert.equal(address.file, file);
    });
  }

  for (const from of ['hf:clip', 'hf:', 'nowhere']) {
    test(`refused: ${from}`, () => assert.throws(() => modelAddress(from), isError('argument', /; (expected|for) /)));
  }

  test('other sites', () => {
    const folder = modelAddress('https://example.org/a/model?key=1#x');
    assert.deepEqual([folder.base.href, folder.file], ['https://example.org/a/model/?key=1', undefined]);
    const file = modelAddress(new URL('https://example.org/a/w.safetensors'));
    assert.deepEqual([file.base.href, file.file], ['https://example.org/a/', 'w.safetensors']);
  });
});

describe('folders that a page was given', () => {
  const names = ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'model.safetensors'];
  const fileOf = (name) => new File([readFileSync(path.join(model, name))], name);

  test('picked', async () => {
    const getFileHandle = async (name) => {
      if (!names.includes(name)) throw new DOMException('no', 'NotFoundError');
      return { getFile: async () => fileOf(name) };
    };
    assert.deepEqual(await answer({ kind: 'directory', name: 'model', getFileHandle }), expected);
  });

  test('dropped', async () => {
    const files = names.map((name) => ({ isFile: true, file: (resolve) => resolve(fileOf(name)) }));
    const pieces = [files.slice(0, 3), files.slice(3), []];
    const folder = { isDirectory: true, createReader: () => ({ readEntries: (resolve) => resolve(pieces.shift()) }) };
    const transfer = { items: [{ webkitGetAsEntry: () => folder }], files: [] };
    assert.deepEqual((await droppedFiles(transfer)).map(({ name }) => name).sort(), [...names].sort());
    pieces.push(files.slice(0, 3), files.slice(3), []);
    assert.deepEqual(await answer(transfer), expected);
  });
});
