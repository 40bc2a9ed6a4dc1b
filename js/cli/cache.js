/** mudpt cache: what is kept of downloads and of features, and removing it. */
import { Argument, Command, Option } from 'commander';
import { keptFeatures } from '../features/kept.js';
import { cache } from '../index.js';
import { cacheFolder } from '../node/cache.js';
import { withOutput } from './options.js';
import { openTerminal, plural, size, table } from './terminal.js';

export function cacheCommand() {
  const command = new Command('cache')
    .description('list what is kept of downloads and of features, or remove it')
    .addArgument(new Argument('[what]', 'list or clear').choices(['list', 'clear']).default('list'))
    .addOption(new Option('--features', 'features alone'));
  return withOutput(command).action(run);
}

async function run(what, options) {
  const terminal = openTerminal(options);
  const features = await keptFeatures();
  const files = options.features ? [] : await cache.list();
  if (what === 'clear') {
    if (options.features) for (const { remove } of features) await remove();
    else await cache.clear();
    const removed = { files: files.length, features: features.length };
    const said = `${plural(files.length, 'file')}, features of ${plural(sum(features, 'rows'), 'picture')}`;
    terminal.print(`Removed: ${said}`);
    if (options.json) process.stdout.write(`${JSON.stringify({ removed })}\n`);
    return;
  }
  terminal.print(terminal.colors.bold(cacheFolder()));
  const rows = [
    ...files.map(({ url, bytes }) => [size(bytes), url]),
    ...features.map(({ about, rows: count, bytes }) => {
      const { fingerprint, variant, precision, dtype } = about;
      return [
        size(bytes),
        `features of ${plural(count, 'picture')} (${fingerprint}, ${dtype}, ${precision}, ${variant})`,
      ];
    }),
  ];
  for (const line of rows.length ? table(rows, 'rl') : ['  nothing']) terminal.print(line);
  if (!options.json) return;
  const said = {
    folder: cacheFolder(),
    files,
    features: features.map(({ about, rows: count, bytes }) => ({ about, rows: count, bytes })),
  };
  process.stdout.write(`${JSON.stringify(said)}\n`);
}

/** @param {any[]} list @param {string} key */
const sum = (list, key) => list.reduce((total, each) => total + each[key], 0);
