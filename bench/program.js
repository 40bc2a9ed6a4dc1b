#!/usr/bin/env node
/** One program of the bench as a process, told to by turns.js: node bench/program.js MODULE ARGUMENTS (JSON). */
import { createInterface } from 'node:readline';

const [module, text] = process.argv.slice(2);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

const { prepare } = await import(new URL(module, import.meta.url).href);
const { once, about, warm = 1, processor } = await prepare(...JSON.parse(text));
const used = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const now = processor ? used : () => performance.now();
for (let i = 0; i < warm; i++) await once();
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  if (line !== 'go') break;
  const start = now();
  await once();
  say({ ms: now() - start });
}
say({ peakBytes: process.resourceUsage().maxRSS * 1024, ...about?.() });
process.exit(0);
