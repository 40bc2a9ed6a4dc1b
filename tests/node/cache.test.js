/** What is kept of downloads, and when it is used: the table of docs/loading.md. tests/trust/cache.test.js mixes it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { cp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { keptAddress } from '../../js/base/address.js';
import { cache } from '../../js/index.js';
import { openSource } from '../../js/files/source.js';
import { CLASSES, OTHERS, answer, load, makeModel, scoresOf, serving } from './downloads.js';
import { isError, temporaryFolder } from './models.js';

/** Bytes that are asked for again, of four files, to see whether they have changed. */
const CHECKS = 4 * 4096;
const FILES = ['config.json', 'model.safetensors', 'preprocessor_config.json', 'tokenizer.json'];

/** Two models of the same sizes, and what they answer. */
const [model, other, folder] = [await temporaryFolder(), await temporaryFolder(), await temporaryFolder()];
let size;
let expected;
let expectedOther;
const { MUDPT_CACHE: own } = process.env;
before(async () => {
  await makeModel(model);
  await makeModel(other, 2);
  size = statSync(path.join(model, 'model.safetensors')).size;
  [expected, expectedOther] = [await answer(model), await answer(other)];
  process.env.MUDPT_CACHE = folder;
});
beforeEach(() => cache.clear());
after(() => {
  if (own === undefined) delete process.env.MUDPT_CACHE;
  else process.env.MUDPT_CACHE = own;
});

const withServer = (options, action) => serving({ root: model, ...options }, action);
const kept = (url, options) => answer(url, { cache: true, ...options });
/** Paths of all parts. */
const parts = () =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /-\d+-\d+$/.test(name))
    .map((name) => path.join(folder, name));
const keptBytes = async () => (await cache.list()).reduce((sum, { bytes }) => sum + bytes, 0);
const integrityOf = (root) =>
  `sha256-${createHash('sha256')
    .update(readFileSync(path.join(root, 'model.safetensors')))
    .digest('base64')}`;

describe('the cache', () => {
  test('what was downloaded is not downloaded again; list, delete and clear', () =>
    withServer({}, async (server) => {
      assert.deepEqual(await kept(server.url), expected);
      const first = server.sent;
      assert.deepEqual(await kept(server.url), expected);
      assert.ok(server.sent - first < CHECKS, `${server.sent - first} bytes were sent again`);

      const list = await cache.list();
      const names = ['config.json', 'model.safetensors', 'preprocessor_config.json', 'tokenizer.json'];
      assert.deepEqual(
        list.map(({ url }) => url).sort(),
        names.map((name) => server.url + name),
      );
      const weights = list.find(({ url }) => url.endsWith('.safetensors'));
      assert.equal(weights.size, size);
      assert.equal(weights.etag, `"1-${size}"`);
      assert.ok(weights.bytes > 0.3 * size && weights.bytes < size);
      assert.ok(Date.now() - weights.savedAt.getTime() < 600_000);

      assert.equal(await cache.delete('http://127.0.0.1:9/'), false);
      await assert.rejects(cache.delete('models/a'), isError('argument', /^"models\/a" is no URL; /));
      assert.equal(await cache.delete(`${server.url}model.safetensors`), true);
      assert.equal((await cache.list()).length, 3);
      assert.equal(await cache.delete(server.url), true);
      assert.deepEqual(await cache.list(), []);
      const before = server.sent;
      assert.deepEqual(await kept(server.url), expected);
      assert.ok(server.sent - before > 0.3 * size);
      await cache.clear();
      assert.deepEqual(await cache.list(), []);
      assert.deepEqual(readdirSync(folder), []);
    }));

  for (const fault of ['cut', 'cut-no-ranges']) {
    test(`a download that broke off goes on in the next session: ${fault}`, () =>
      withServer({ fault }, async (server) => {
        await assert.rejects(kept(server.url, { tokens: 'all', retryDelays: [] }), isError('network', /broke off/));
        server.fault = fault === 'cut' ? '' : 'no-ranges';
        const before = server.sent;
        assert.deepEqual(await kept(server.url, { tokens: 'all' }), expected);
        if (fault === 'cut') assert.ok(server.sent - before < 0.7 * size, `${server.sent - before} of ${size} again`);
        const again = server.sent;
        assert.deepEqual(await kept(server.url, { tokens: 'all' }), expected);
        if (fault === 'cut') assert.ok(server.sent - again < CHECKS);
      }));
  }

  test('a part that is damaged is fetched again, and only that', () =>
    withServer({}, async (server) => {
      assert.deepEqual(await kept(server.url, { tokens: 'all' }), expected);
      const [largest] = parts().sort((a, b) => statSync(b).size - statSync(a).size);
      const lost = statSync(largest).size;
      truncateSync(largest, 10);
      const before = server.sent;
      assert.deepEqual(await kept(server.url, { tokens: 'all' }), expected);
      assert.ok(server.sent - before >= lost && server.sent - before < lost + CHECKS);
      assert.equal(statSync(largest).size, lost);
    }));

  test('a model that has changed is loaded anew, and the old one goes', async () => {
    const changing = await temporaryFolder();
    await cp(model, changing, { recursive: true });
    await withServer({ root: changing }, async (server) => {
      assert.deepEqual(await kept(server.url, { tokens: 'all' }), expected);
      await makeModel(changing, 2);
      server.version = '2';
      const changed = await kept(server.url, { tokens: 'all' });
      assert.deepEqual(changed, await answer(changing));
      assert.notDeepEqual(changed, expected);
      const bytes = parts().reduce((sum, part) => sum + statSync(part).size, 0);
      assert.ok(bytes < 1.1 * size, `${bytes} bytes are kept for ${size}`);
    });
  });

  test('without a connection, what was kept is used', () =>
    withServer({}, async (server) => {
      assert.deepEqual(await kept(server.url), expected);
      await server.close();
      assert.deepEqual(await kept(server.url), expected);
      const clip = await load(server.url, { cache: true });
      await assert.rejects(clip.zeroShot(OTHERS), isError('network', /model\.safetensors/));
      assert.deepEqual(await scoresOf(clip), expected.scores);
      await clip.dispose();
    }));

  test('a cache that cannot be written fails no load', () =>
    withServer({}, async (server) => {
      const file = path.join(await temporaryFolder(), 'file');
      await writeFile(file, 'in the way');
      process.env.MUDPT_CACHE = file;
      try {
        assert.deepEqual(await kept(server.url), expected);
        assert.deepEqual(await cache.list(), []);
        await cache.clear();
      } finally {
        process.env.MUDPT_CACHE = folder;
      }
    }));

  test('two processes at once leave a whole cache', () =>
    withServer({}, async (server) => {
      const script = `
        import { loadClip } from ${JSON.stringify(new URL('../../js/index.js', import.meta.url).href)};
        const clip = await loadClip(${JSON.stringify(server.url)}, { threads: 1, tokens: 'all' });
        console.log(clip.info.fingerprint);
        await clip.dispose();`;
      const run = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
      for (const { stdout } of await Promise.all([run(), run()])) assert.equal(stdout.trim(), expected.fingerprint);
      const before = server.sent;
      assert.deepEqual(await kept(server.url, { tokens: 'all' }), expected);
      assert.ok(server.sent - before < CHECKS);
      assert.ok(parts().every((part) => statSync(part).size === Number(part.split('-').at(-1))));
    }));

  test('folders on disk are not kept', async () => {
    assert.deepEqual(await kept(model), expected);
    assert.deepEqual(await cache.list(), []);
  });
});

describe('new weights under the same address', () => {
  for (const validator of ['etag', 'weak', 'modified']) {
    test(`are seen where the server tells: ${validator}`, () =>
      withServer({}, async (server) => {
        server.validator = validator;
        assert.deepEqual(await kept(server.url), expected);
        const before = server.sent;
        assert.deepEqual(await kept(server.url), expected);
        assert.ok(server.sent - before < CHECKS, 'what has not changed is not downloaded again');
        [server.root, server.version] = [other, '2'];
        assert.deepEqual(await kept(server.url), expectedOther);
      }));
  }

  for (const validator of ['none', 'express', 'nginx', 'npm-time']) {
    test(`are seen where it does not: ${validator}`, () =>
      withServer({}, async (server) => {
        server.validator = validator;
        assert.deepEqual(await kept(server.url), expected);
        server.root = other;
        assert.deepEqual(await kept(server.url), expectedOther);
        const { bytes } = (await cache.list()).find(({ url }) => url.endsWith('.safetensors'));
        assert.equal(bytes, size, 'the old parts are still there, or rows are left for later');
        const onDisk = parts().reduce((sum, part) => sum + statSync(part).size, 0);
        assert.ok(onDisk < 1.1 * size, `${onDisk} bytes on disk for ${size}`);
        await server.close();
        assert.deepEqual(await kept(server.url), expectedOther, 'without a connection');
      }));

    test(`with integrity what is kept is used, and fetched anew where it fails: ${validator}`, () =>
      withServer({}, async (server) => {
        server.validator = validator;
        const load = async (root) => {
          const before = server.sent;
          const found = await kept(server.url, { integrity: integrityOf(root) });
          return { found, sent: server.sent - before };
        };
        assert.deepEqual((await load(model)).found, expected);
        const again = await load(model);
        assert.deepEqual(again.found, expected);
        assert.ok(again.sent < 0.2 * size, `${again.sent} bytes of ${size} again`);
        server.root = other;
        assert.deepEqual((await load(other)).found, expectedOther);
        const last = await load(other);
        assert.deepEqual(last.found, expectedOther);
        assert.ok(last.sent < 0.2 * size, `${last.sent} bytes of ${size} again`);
        const before = server.sent;
        await assert.rejects(load(model), isError('model', /is not the file that is wanted/));
        assert.ok(server.sent - before < 1.5 * size, 'it was fetched more than once');
        server.root = model;
        assert.deepEqual((await load(model)).found, expected);
      }));
  }

  test('with integrity, where the server says of both that they are the same', () =>
    withServer({}, async (server) => {
      assert.deepEqual(await kept(server.url, { integrity: integrityOf(model) }), expected);
      server.root = other;
      assert.deepEqual(await kept(server.url, { integrity: integrityOf(other) }), expectedOther);
    }));

  test('another beginning tells, whatever the server says', async () => {
    const changed = await temporaryFolder();
    await cp(model, changed, { recursive: true });
    const preprocessor = JSON.parse(readFileSync(path.join(model, FILES[2]), 'utf8'));
    await writeFile(path.join(changed, FILES[2]), JSON.stringify({ ...preprocessor, image_std: [0.5, 0.5, 0.5] }));
    await withServer({}, async (server) => {
      assert.deepEqual(await kept(server.url), expected);
      server.validator = 'weak';
      server.root = changed;
      assert.deepEqual(await kept(server.url), await answer(changed));
    });
  });

  test('while it loads without validators: refused, or of one kind', () =>
    withServer({ fault: 'cut', times: 1 }, async (server) => {
      server.validator = 'none';
      const loading = kept(server.url, { retryDelays: [200] });
      const poll = setInterval(() => {
        // The first answer about the weights has been cut.
        if (server.times === 0) server.root = other;
      }, 1);
      await assert.rejects(loading, isError('network', /changed while it was read/)).finally(() => clearInterval(poll));
      assert.deepEqual(await kept(server.url), expectedOther);
    }));

  test('an older library kept parts without a version together: they are not used', () =>
    withServer({}, async (server) => {
      server.validator = 'none';
      assert.deepEqual(await kept(server.url), expected);
      for (const entry of readdirSync(folder)) {
        const file = path.join(folder, entry, 'meta.json');
        const { load: _, ...meta } = JSON.parse(readFileSync(file, 'utf8'));
        writeFileSync(file, JSON.stringify(meta));
      }
      await server.close();
      await assert.rejects(kept(server.url), isError('network', /cannot be fetched/));
    }));

  test('what was used without a question, before another file turns out to have changed, is asked about again', () =>
    withServer({ fault: 'busy', times: 1 }, async (server) => {
      server.times = 0;
      assert.deepEqual(await kept(server.url), expected);
      [server.root, server.version, server.times] = [other, '2', 1]; // the weights' one question goes without an answer
      assert.deepEqual(await kept(server.url), expectedOther);
    }));
});

describe('answers that say nothing about the weights', () => {
  for (const fault of ['busy', 'gone', 'login', 'nothing', 'sorry', 'silent']) {
    for (const [validator, tokens] of [
      ['etag', 'needed'],
      ['none', 'all'],
    ]) {
      test(`${fault}, validator ${validator}: what is kept stays, and is used`, () =>
        withServer({}, async (server) => {
          server.validator = validator;
          assert.deepEqual(await kept(server.url, { tokens }), expected);
          const before = await keptBytes();
          server.fault = fault;
          assert.deepEqual(await kept(server.url, { tokens, timeout: 1000 }), expected);
          if (validator === 'etag') assert.equal(await keptBytes(), before);
          server.fault = '';
          const sent = server.sent;
          assert.deepEqual(await kept(server.url, { tokens }), expected);
          if (validator === 'etag') assert.ok(server.sent - sent < CHECKS, `${server.sent - sent} bytes again`);
        }));
    }
  }

  test('a 403 for a signed address that is good no more: kept, and gone on with under the next one', () =>
    withServer({ fault: 'cut' }, async (server) => {
      const signed = (n) => `${server.url}?X-Amz-Algorithm=AWS4&X-Amz-Date=${n}&X-Amz-Signature=${n}abc`;
      await assert.rejects(kept(signed(1), { tokens: 'all', retryDelays: [] }), isError('network', /broke off/));
      const before = server.sent;
      server.fault = '';
      assert.deepEqual(await kept(signed(2), { tokens: 'all' }), expected);
      assert.ok(server.sent - before < 0.7 * size, `${server.sent - before} bytes of ${size}`);
      const list = await cache.list();
      assert.equal(list.length, 4);
      assert.ok(
        list.every(({ url }) => !url.includes('?')),
        'a signature was kept',
      );
      const again = server.sent;
      assert.deepEqual(await kept(signed(3), { tokens: 'all' }), expected);
      assert.ok(server.sent - again < CHECKS);
      assert.equal(await cache.delete(signed(4)), true);
      assert.deepEqual(readdirSync(folder), []);
    }));
});

describe('addresses that are signed', () => {
  const at = 'https://h.example/m/model.safetensors';
  for (const [what, signature] of [
    [
      'AWS',
      'X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Date=c&X-Amz-Expires=1&X-Amz-SignedHeaders=h&X-Amz-Signature=1',
    ],
    ['AWS, version 2', 'AWSAccessKeyId=a&Expires=1&Signature=2&x-amz-security-token=3'],
    ['Google', 'X-Goog-Algorithm=a&X-Goog-Credential=b&X-Goog-Date=c&X-Goog-Expires=1&X-Goog-Signature=1'],
    ['Google, version 2', 'GoogleAccessId=a&Expires=1&Signature=2'],
    ['Google Cloud CDN', 'Expires=1&KeyName=k&Signature=2'],
    ['Azure', 'sv=2024-11-04&st=a&se=b&sr=b&sp=r&sip=0.0.0.0&spr=https&skoid=1&sktid=2&skt=3&ske=4&sks=b&skv=5&sig=6'],
    ['CloudFront', 'Expires=1&Signature=2&Key-Pair-Id=3'],
    ['CloudFront, own policy', 'Policy=1&Signature=2&Key-Pair-Id=3&Hash-Algorithm=SHA256'],
    ["Hugging Face's Xet", 'X-Xet-Cas-Uid=1&Expires=1&Policy=2&Signature=2&Key-Pair-Id=3'],
    ['Alibaba', 'OSSAccessKeyId=a&Expires=1&Signature=2&security-token=3'],
    [
      'Tencent',
      'q-sign-algorithm=sha1&q-ak=a&q-sign-time=1&q-key-time=1&q-header-list=&q-url-param-list=&q-signature=2',
    ],
    ['Bunny', 'token=a&token_path=%2Fm%2F&expires=1'],
    ['Akamai', 'hdnts=exp=1~acl=/*~hmac=2'],
    ['nginx', 'md5=a&expires=1'],
  ]) {
    test(what, () => {
      assert.equal(keptAddress(`${at}?${signature}`), at);
      assert.equal(keptAddress(`${at}?v=2&${signature}#x`), `${at}?v=2`);
    });
  }
  for (const query of [
    'v=2',
    'token=abc',
    'versionId=3',
    'download=true',
    'sig=1',
    'se=1&sv=2',
    'Expires=1',
    'hash=ab',
  ]) {
    test(`not signed: ${query}`, () => assert.equal(keptAddress(`${at}?${query}`), `${at}?${query}`));
  }
});

describe('without a connection', () => {
  const without = async (...names) => {
    const root = await temporaryFolder();
    await cp(model, root, { recursive: true });
    for (const name of names) await rm(path.join(root, name));
    return root;
  };

  for (const [what, options, fault] of [
    ['404', {}, ''],
    ['403', { missing: 403 }, ''],
    ['a web page', {}, 'page'],
  ]) {
    test(`that a file is not there is known: ${what}`, async () => {
      const root = await without(FILES[2]);
      await withServer({ root, fault }, async (server) => {
        Object.assign(server, options);
        const found = await kept(server.url);
        assert.deepEqual(found, await answer(root));
        assert.deepEqual((await cache.list()).map(({ url }) => path.basename(url)).sort(), [
          FILES[0],
          FILES[1],
          FILES[3],
        ]);
        await server.close();
        assert.deepEqual(await kept(server.url), found);
        assert.equal(await cache.delete(server.url), true);
        assert.deepEqual(readdirSync(folder), [], 'what is known of absent files goes with the others');
      });
    });
  }

  test('weights of the second name, and shards', async () => {
    const root = await without();
    await cp(path.join(root, FILES[1]), path.join(root, 'open_clip_model.safetensors'));
    await rm(path.join(root, FILES[1]));
    await withServer({ root }, async (server) => {
      assert.deepEqual(await kept(server.url), expected);
      await server.close();
      assert.deepEqual(await kept(server.url), expected);
    });
  });

  test('a file that comes later is seen, and one that goes with new weights', async () => {
    const root = await without(FILES[2]);
    await withServer({ root }, async (server) => {
      const bare = await kept(server.url);
      const config = JSON.parse(readFileSync(path.join(model, FILES[2]), 'utf8'));
      await writeFile(path.join(root, FILES[2]), JSON.stringify({ ...config, image_mean: [0, 0, 0] }));
      const full = await kept(server.url);
      assert.notDeepEqual(full, bare);
      await rm(path.join(root, FILES[2]));
      assert.deepEqual(await kept(server.url), full, 'a 404 beside the same weights says nothing');
      server.version = '2';
      assert.deepEqual(await kept(server.url), bare);
      await server.close();
      assert.deepEqual(await kept(server.url), bare);
    });
  });
});

describe('clear and delete', () => {
  test('during a load: it ends well, nothing is left, nobody is refused', () =>
    withServer({}, async (server) => {
      for (let i = 0; i < 30; i++) {
        const loading = kept(server.url, { tokens: 'all' });
        for (let k = 0; k < 4; k++) {
          await new Promise((resolve) => setTimeout(resolve, (7 * i + 11 * k) % 29));
          await Promise.all(k % 2 ? [cache.clear(), cache.clear()] : [cache.delete(server.url), cache.list()]);
        }
        assert.deepEqual(await loading, expected);
        const listed = new Set((await cache.list()).map(({ url }) => url));
        for (const entry of readdirSync(folder)) {
          const { url, absent } = JSON.parse(readFileSync(path.join(folder, entry, 'meta.json'), 'utf8'));
          assert.ok(absent || listed.has(url), `${url} is kept, and not listed`); // an absence is no file
        }
        await cache.clear();
        assert.deepEqual(readdirSync(folder), []);
      }
    }));

  test('what a process that was ended has left is removed', () =>
    withServer({}, async (server) => {
      assert.deepEqual(await kept(server.url), expected);
      const [lost, unfinished] = [path.join(folder, '0'.repeat(32)), `${parts()[0]}.1-1.part`];
      mkdirSync(lost);
      for (const file of [path.join(lost, '00000000-0-5'), unfinished]) writeFileSync(file, 'parts');
      utimesSync(unfinished, 1e9, 1e9);
      assert.equal((await cache.list()).length, 4);
      assert.deepEqual([existsSync(lost), existsSync(unfinished)], [false, false]);
      assert.deepEqual(await kept(server.url), expected);
    }));
});
