/** The built page with watch.js in front, in a folder of its own, served as a host would. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { SITE, serve } from '../../web-demo/serve.js';

/** @param {{ isolated: boolean, below?: string }} options */
export async function watchedSite({ isolated, below = '/' }) {
  const folder = await mkdtemp(path.join(tmpdir(), 'mudpt-demo-'));
  await cp(SITE, folder, { recursive: true });
  await cp(path.join(import.meta.dirname, 'watch.js'), path.join(folder, 'watch.js'));
  const page = await readFile(path.join(folder, 'index.html'), 'utf8');
  await writeFile(
    path.join(folder, 'index.html'),
    page.replace('<meta charset="utf-8" />', '$&<script src="./watch.js"></script>'),
  );
  const server = await serve({ folder, isolated, below });
  return {
    url: server.url,
    folder,
    close: async () => {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
