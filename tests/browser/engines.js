/**
 * The three browser engines, as Debian has them, each with a fresh profile and behind one small interface: Chromium and
 * Firefox through Puppeteer, WebKitGTK through WebDriver (w3.org/TR/webdriver2) on a screen of its own.
 *
 *   const browser = await ENGINES.webkit();
 *   await browser.open('http://127.0.0.1:8080/');
 *   await browser.evaluate('return document.title');      // the body of an async function; its value must fit JSON
 *   await browser.close();
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import puppeteer from 'puppeteer-core';

const START_MS = 60_000;
const SCRIPT_MS = 300_000;

/**
 * @typedef {object} Browser
 * @property {(url: string) => Promise<void>} open
 * @property {(body: string) => Promise<any>} evaluate
 * @property {() => Promise<void>} close
 * @property {import('puppeteer-core').Page} [page] Puppeteer's, where it drives the engine
 */

/** @param {import('puppeteer-core').LaunchOptions} options @returns {Promise<Browser>} */
async function throughPuppeteer(options) {
  const browser = await puppeteer.launch({
    headless: true,
    timeout: START_MS,
    protocolTimeout: SCRIPT_MS,
    ...options,
  });
  const page = await browser.newPage();
  return {
    open: async (url) => {
      await page.goto(url);
    },
    evaluate: (body) => page.evaluate(`(async () => { ${body} })()`),
    close: () => browser.close(),
    page,
  };
}

/** @param {string[]} [more] further command-line options */
const chromium = (more = []) =>
  throughPuppeteer({
    executablePath: '/usr/bin/chromium',
    args: [
      ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
      ...more,
    ],
  });

const firefox = () =>
  throughPuppeteer({
    browser: 'firefox',
    executablePath: '/usr/bin/firefox-esr',
    // The pages are local; everything else that Firefox would ask of the network is switched off.
    extraPrefsFirefox: {
      'network.captive-portal-service.enabled': false,
      'network.connectivity-service.enabled': false,
    },
  });

/**
 * Asks again until there is an answer.
 * @template T
 * @param {string} what
 * @param {() => T | undefined | Promise<T | undefined>} ask
 */
async function until(what, ask) {
  for (const end = Date.now() + START_MS; Date.now() < end; await sleep(50)) {
    const answer = await ask();
    if (answer !== undefined) return answer;
  }
  throw new Error(`${what} did not start within ${START_MS / 1000} s`);
}

/** A port that nobody listens on. @returns {Promise<number>} */
const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });

/** Ends a program that was started here. @param {import('node:child_process').ChildProcess} child */
async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill();
  await ended;
}

/** An X server without a screen; it chooses its number. */
async function startScreen() {
  const child = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1024x768x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  let text = '';
  /** @type {import('node:stream').Readable} */ (child.stdio[3]).on('data', (data) => (text += data));
  const number = await until('Xvfb', () => /^(\d+)\n/.exec(text)?.[1]);
  return { child, display: `:${number}` };
}

/** @returns {Promise<Browser>} */
async function webkit() {
  const binary = ['x86_64', 'aarch64']
    .map((machine) => `/usr/lib/${machine}-linux-gnu/webkit2gtk-4.1/MiniBrowser`)
    .find((file) => existsSync(file));
  if (!binary) throw new Error("WebKitGTK's MiniBrowser is not there: install libwebkit2gtk-4.1-0");
  const screen = await startScreen();
  const port = await freePort();
  const environment = { ...process.env, DISPLAY: screen.display, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1' };
  const driver = spawn('WebKitWebDriver', [`--port=${port}`], { env: environment, stdio: 'ignore' });
  const ask = async (method, path, body) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, body: body && JSON.stringify(body) });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`${value.error}: ${value.message}`);
    return value;
  };
  await until('WebKitWebDriver', () => ask('GET', '/status').catch(() => undefined));
  const { sessionId } = await ask('POST', '/session', {
    capabilities: {
      alwaysMatch: {
        'webkitgtk:browserOptions': { binary, args: ['--automation'] },
        timeouts: { script: SCRIPT_MS, pageLoad: START_MS },
      },
    },
  });
  const session = `/session/${sessionId}`;
  const evaluate = async (body) => {
    const script = `const done = arguments[0];
      (async () => { ${body} })().then((value) => done({ value }), (error) => done({ error: String(error) }));`;
    const { value, error } = await ask('POST', `${session}/execute/async`, { script, args: [] });
    if (error !== undefined) throw new Error(error);
    return value;
  };
  return {
    async open(url) {
      await ask('POST', `${session}/url`, { url });
      // Isolation moves the page to another process, which the driver does not wait for.
      const there = `return (location.href === ${JSON.stringify(url)} && document.readyState === 'complete') || null`;
      await until(url, async () => (await evaluate(there).catch(() => undefined)) ?? undefined);
    },
    evaluate,
    async close() {
      await ask('DELETE', session).catch(() => {});
      await end(driver);
      await end(screen.child);
    },
  };
}

/** @type {Record<string, (more?: string[]) => Promise<Browser>>} */
export const ENGINES = { chromium, firefox, webkit };
