/** Words of views that few open, fetched with these: every byte that the page begins with is waited for. */
import { format } from './strings.js';

const { percent, plural } = format;

export const late = {
  compare: {
    title: 'Compare',
    lead: (fixed, broken) =>
      fixed + broken === 0 ? 'Nothing changed sides' : `${fixed} mended, ${broken} lost: what changed sides first`,
    noTuned: 'Give two pictures, then see what changed',
    noTunedHint: 'Here stands what CLIP said of each picture before, beside what it says after it has learned.',
    filter: 'Which pictures',
    filters: { changed: 'Changed sides', wrong: 'Still wrong', all: 'All' },
    truth: (name) => `is ${name}`,
    none: 'None of the pictures.',
    perClass: 'Per class',
    confusion: 'Confusion',
    confusionHint: 'Rows are what a picture is, columns what it was taken for. A number opens its pictures.',
    cell: (truth, found, count) => `${plural(count, 'picture')} of ${truth} taken for ${found}`,
    cellTitle: (when, truth, found) =>
      truth === found ? `${when}: ${truth}, named rightly` : `${when}: ${truth} taken for ${found}`,
    remove: 'Remove',
    mended: 'mended',
    lost: 'lost',
    same: 'unchanged',
    onTraining: 'No picture is held out: these are the training pictures, which flatters the tuned answers.',
  },

  inside: {
    attention: 'Where it looks',
    attentionHint:
      'What the class token, of which the answer is made, takes from each patch in the last layer; ' +
      'the brighter, the more. Before and after share one scale.',
    sameTower: 'An instant answer leaves CLIP as it is, so both look alike: what it learned is behind what CLIP sees.',
    pick: 'Choose a picture',
    rest: (self, prompts) =>
      `${percent(self)} stays with the class token${prompts ? `, ${percent(prompts)} goes to learned prompts` : ''}.`,
    words: 'Nearest words',
    wordsHint:
      'The words of the vocabulary that lie nearest to each learned text prompt. Prompts mean more ' +
      'than words can say: far distances are normal.',
    wordsPartly: 'Of this model only words are compared that were fetched for class names.',
    noWords: 'Nothing that answers now has learned words: training does, with a method that has text prompts.',
    noTuned: 'Train, and the learned prompts appear here.',
    prompt: (number) => `Prompt ${number}`,
  },
};
