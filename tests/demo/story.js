/**
 * A visitor's story on the demo page, from an empty page to a page of their own: what is pressed, chosen and typed,
 * each of which is counted. story.test.js goes through it, screenshots.js takes a picture at the end of every chapter.
 */

/** Seconds of a press (to decide on it, to point at it, to press it) and of a letter: Card, Moran and Newell 1980. */
const PRESS = 1.35 + 1.1 + 0.2;
const LETTER = 0.28;

/** What people's hands take for it. @param {{ presses: number, letters: number }} done */
export const secondsOf = ({ presses, letters }) => PRESS * presses + LETTER * letters;

/** In front of each chapter, behind visit.js's SEEN. */
export const COUNTED = `
  hands.done ??= { presses: 0, letters: 0 };
  const press = (...name) => (hands.done.presses++, hands.press(...name));
  const type = (input, words) => ((hands.done.letters += words.length), hands.write(input, words));
  // The button, and in the system's own dialog the files and "Open".
  const choose = (input, files) => ((hands.done.presses += 3), hands.give(input, files));
  const open = async (view) => {
    if (view !== 'train' || innerWidth < 1080) hands.done.presses++; // where it is beside every view
    await hands.view(view);
  };`;

/** What the visitor has at home: taken from the sample that the page opens with. @param {string[]} names */
export const atHome = (names) => `
  globalThis.home = {};
  for (const name of ${JSON.stringify(names)}) {
    const count = hands.count(name);
    home[name] = await Promise.all(Array.from({ length: count }, (_, i) => hands.picture(name, i)));
  }`;

/**
 * Each chapter's name, the view at its end, what is done in it, and what is looked at.
 * @param {string} one @param {string} other classes, whose pictures are at home
 * @returns {[string, string, string, string?][]}
 */
export const story = (one, other) => [
  ['empty', 'pictures', `await press('Start empty'); await hands.until('nothing', () => !hands.all('.card').length)`],
  [
    'collect',
    'pictures',
    `for (const name of ${JSON.stringify([one, other])}) {
      const before = hands.all('.card').length;
      await press('Add a class');
      await hands.until('the card', () => hands.all('.card').length > before);
      type(hands.all('.card-name').at(-1), name);
      await hands.until('the name', () => hands.card(name));
      choose(hands.card(name).querySelector('input[type=file]'), home[name].slice(0, 6));
      await hands.until('the pictures', () => hands.count(name) === 6);
    }
    await both(); await hands.answered()`,
  ],
  [
    'see',
    'train',
    `await open('train'); await press('File', '.try');
    choose(await hands.until('the box', () => document.querySelector('.try-file input')), home['${one}'].slice(6, 7));
    await hands.until('the answer', () => hands.text('.try .bars.tuned .bar-name'))`,
    '.try',
  ],
  [
    'correct',
    'train',
    `const chip = document.querySelector('.correct .chip');
    globalThis.righted = hands.named(chip);
    await press(righted, '.correct');
    await hands.until('the other answer', () => hands.text('.try .bars.tuned .bar-name') === righted);
    await press('Undo', '.toast'); await both()`,
    '.try',
  ],
  [
    'better',
    'train',
    `await press('Quick', '.presets'); await press('Train', '.train-buttons');
    await hands.until('the end', () => /^Done/.test(hands.text('.train-state'))); await both()`,
  ],
  [
    'compare',
    'compare',
    `await open('compare'); await press('All', '.compare');
    await hands.until('the rows', () => document.querySelector('.compare-row'))`,
  ],
  [
    'share',
    'keep',
    `await open('keep'); await press('Download the page');
    globalThis.page = await hands.until('the zip', () => watched.downloads.pop())`,
  ],
];
