/**
 * Runs in the page before anything else: keeps what goes wrong there, how long the main thread was busy, and files that
 * the page would download.
 */
globalThis.watched = { errors: [], tasks: [], downloads: [] };
for (const level of ['error', 'warn']) {
  const tell = console[level];
  console[level] = (...values) => {
    watched.errors.push(`console.${level}: ${values.map(String).join(' ')}`);
    tell.apply(console, values);
  };
}
addEventListener('error', (event) => watched.errors.push(`error: ${event.message}`));
addEventListener('unhandledrejection', (event) => watched.errors.push(`rejected: ${event.reason}`));
addEventListener('securitypolicyviolation', (event) => watched.errors.push(`policy: ${event.violatedDirective}`));
if (globalThis.PerformanceObserver?.supportedEntryTypes?.includes('longtask')) {
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) watched.tasks.push([startTime, duration]);
  }).observe({ type: 'longtask', buffered: true });
}
// What has this in its address waits, from the first moment of the page, for as long as it stands here.
if (sessionStorage.held) {
  const { fetch } = globalThis;
  globalThis.fetch = async (...asked) => {
    const isHeld = () => sessionStorage.held && String(asked[0]).includes(sessionStorage.held);
    while (isHeld()) await new Promise((resolve) => setTimeout(resolve, 20));
    return fetch(...asked);
  };
}
const click = HTMLAnchorElement.prototype.click;
HTMLAnchorElement.prototype.click = function () {
  if (!this.download) return click.call(this);
  watched.downloads.push({ name: this.download, file: fetch(this.href).then((answer) => answer.blob()) });
};

/** What a test does in the page; everything as a visitor finds it, by the words on it. */
globalThis.hands = {
  /** So long anything may take. */
  ms: 150_000,
  async until(what, ask, ms = hands.ms) {
    for (const end = performance.now() + ms; performance.now() < end;) {
      const answer = await ask();
      if (answer) return answer;
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    throw new Error(`${what}: not within ${ms} ms; ${document.body.innerText.slice(0, 600)}`);
  },
  all: (selector, root = document) => [...root.querySelectorAll(selector)],
  text: (selector) => document.querySelector(selector)?.textContent ?? '',
  named: (element) => (element.getAttribute('aria-label') ?? element.textContent).trim().replace(/\s+/g, ' '),
  /** Presses what has this name, or begins with it. */
  async press(name, within = 'body') {
    const found = await hands.until(`something to press called ${name}`, () => {
      const root = document.querySelector(within);
      const those = root ? hands.all('button, a, summary, label', root) : [];
      const fits = (element) => !element.disabled && element.checkVisibility?.() !== false;
      return (
        those.find((element) => fits(element) && hands.named(element) === name) ??
        those.find((element) => fits(element) && hands.named(element).startsWith(name))
      );
    });
    found.click();
    return found;
  },
  /** Closes the dialog, which is gone a moment after its button was pressed. */
  async close() {
    await hands.press('Close', 'dialog');
    await hands.until('the dialog to close', () => !document.querySelector('dialog'));
  },
  async view(name) {
    location.hash = name;
    await hands.until(`view ${name}`, () => document.querySelector(`.view-${name} .view`)?.firstElementChild);
    await new Promise((resolve) => setTimeout(resolve, 60));
  },
  /** What is said of every picture. */
  answers: () => hands.all('.thumb').map((thumb) => thumb.getAttribute('aria-label')),
  async answered() {
    await hands.until(
      'answers',
      () => hands.all('.thumb').length && !hands.answers().some((text) => /no answer/.test(text)),
    );
    return hands.answers();
  },
  card: (name) => hands.all('.card').find((card) => card.querySelector('.card-name')?.value === name),
  count: (name) => hands.all('.thumb', hands.card(name)).length,
  /** Gives files to an input. */
  give(input, files) {
    const transfer = new DataTransfer();
    for (const file of files) transfer.items.add(file);
    input.files = transfer.files;
    input.dispatchEvent(new Event('change', { bubbles: true }));
  },
  write(input, text) {
    input.value = text;
    input.dispatchEvent(new Event('input', { bubbles: true }));
  },
  async picture(name, index = 0) {
    const image = hands.all('.thumb img', hands.card(name))[index];
    return new File([await (await fetch(image.src)).blob()], `${name}-${index}.png`, { type: 'image/png' });
  },
  /** An event that carries files, folders too: { 'folder/name.png': File }. */
  carry(type, target, tree) {
    const entry = (name, inside) =>
      inside instanceof File
        ? { name, isFile: true, isDirectory: false, file: (tell) => tell(inside) }
        : {
            name,
            isFile: false,
            isDirectory: true,
            createReader: () => {
              const rest = Object.entries(inside).map(([key, value]) => entry(key, value));
              return { readEntries: (tell) => tell(rest.splice(0, 2)) };
            },
          };
    const items = Object.entries(tree).map(([key, value]) => ({
      kind: 'file',
      webkitGetAsEntry: () => entry(key, value),
    }));
    const files = Object.values(tree).filter((one) => one instanceof File);
    const carried = { items, files, types: ['Files'], getData: () => '' };
    const event = new Event(type, { bubbles: true, cancelable: true });
    Object.defineProperty(event, type === 'paste' ? 'clipboardData' : 'dataTransfer', { value: carried });
    target.dispatchEvent(event);
  },
  pointer(element, type, x, y) {
    const box = element.getBoundingClientRect();
    const at = { clientX: box.left + x * box.width, clientY: box.top + y * box.height };
    element.dispatchEvent(new PointerEvent(type, { bubbles: true, pointerId: 1, ...at }));
  },
  async base64(blob) {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    let text = '';
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return btoa(text);
  },
  bytes: (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0)),
};
// What is not a real pointer cannot be captured.
Element.prototype.setPointerCapture = () => {};
