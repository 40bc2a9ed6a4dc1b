/** mudpt models: models that people load, with what their authors say of them. docs/models.md has the same list. */
import { Command } from 'commander';
import { withOutput } from './options.js';
import { openTerminal, table, wrap } from './terminal.js';

/**
 * @typedef {object} KnownModel
 * @property {string} name
 * @property {string} model what --model and loadClip() take
 * @property {number} millions values of both towers, token embedding included
 * @property {number} image pixels a side
 * @property {number} rows of a picture in the image tower: what a picture costs, beside the tower's width
 * @property {number} imageNet zero-shot accuracy in percent, as published
 * @property {string} source of the accuracy
 * @property {string} licence
 * @property {string} goodFor
 */

/** @type {KnownModel[]} */
export const MODELS = [
  {
    ...{ name: 'TinyCLIP 8M/16', model: 'hf:wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M', millions: 23 },
    ...{ image: 224, rows: 197, imageNet: 41.1, source: "its model card's table", licence: 'MIT' },
    goodFor: 'the smallest download that knows photographs: pages, phones, tuning in a browser',
  },
  {
    ...{ name: 'TinyCLIP 40M/32', model: 'hf:wkcn/TinyCLIP-ViT-40M-32-Text-19M-LAION400M', millions: 84 },
    ...{ image: 224, rows: 50, imageNet: 59.8, source: "its model card's table", licence: 'MIT' },
    goodFor: 'many pictures in little time: patches of 32 pixels are few rows',
  },
  {
    ...{ name: 'DataComp B/32-256', model: 'hf:laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K', millions: 151 },
    ...{ image: 256, rows: 65, imageNet: 72.8, source: "open_clip's table of results", licence: 'MIT' },
    goodFor: "more accurate than OpenAI's B/16 at a third of its rows, with the same tokenizer",
  },
  {
    ...{ name: 'OpenAI B/16', model: 'hf:openai/clip-vit-base-patch16', millions: 150 },
    ...{ image: 224, rows: 197, imageNet: 68.3, source: "open_clip's table of results" },
    licence: 'MIT, of the code; the card of the weights names none',
    goodFor: 'comparison with the literature: papers of prompt tuning measure on it',
  },
  {
    ...{ name: 'SigLIP 2 B/32-256', model: 'hf:google/siglip2-base-patch32-256', millions: 375 },
    ...{ image: 256, rows: 64, imageNet: 74, source: "its authors' table", licence: 'Apache-2.0' },
    goodFor: 'names in many languages; scores that can say “none of these”',
  },
  {
    ...{ name: 'PE-Core-S/16-384', model: 'hf:timm/PE-Core-S-16-384', millions: 87 },
    ...{ image: 384, rows: 577, imageNet: 72.7, source: "its authors' table", licence: 'Apache-2.0' },
    goodFor: 'small details and accuracy from few values, at many rows a picture',
  },
];

/** What the list is, and what it is not. */
const ABOUT =
  'Accuracy is zero-shot on ImageNet, as published by the sources in docs/models.md; nothing was measured here, ' +
  'and these weights are not part of the package. What a model needs and the library lacks is refused by name ' +
  'when it is loaded. The built-in model, pictoclip, knows drawings (models/pictoclip/MODEL_CARD.md).';

export function modelsCommand() {
  return withOutput(new Command('models').description('models that people load, and what each is good for')).action(
    (options) => {
      const terminal = openTerminal(options);
      if (options.json) return void process.stdout.write(`${JSON.stringify({ models: MODELS, about: ABOUT })}\n`);
      const { bold, dim } = terminal.colors;
      const room = terminal.columns() - 2;
      const head = ['', 'values', 'pixels', 'rows', 'ImageNet', 'licence'];
      const short = ({ licence }) => licence.split(',')[0];
      const rows = MODELS.map((each) => [
        ...[each.name, `${each.millions} M`, `${each.image}`, `${each.rows}`, `${each.imageNet.toFixed(1)} %`],
        short(each),
      ]);
      const paint = (text, y, x) => (!y ? dim(text) : x ? text : bold(text));
      const lines = table([head, ...rows], 'lrrrrl', { indent: 0, paint });
      terminal.print(lines[0]);
      MODELS.forEach(({ model, goodFor, licence }, i) => {
        terminal.print(lines[i + 1]);
        const notes = [model, goodFor, ...(licence.includes(',') ? [`licence: ${licence}`] : [])];
        for (const line of notes.flatMap((note) => wrap(note, room))) terminal.print(dim(`  ${line}`));
      });
      terminal.print();
      for (const line of wrap(ABOUT, terminal.columns())) terminal.print(dim(line));
    },
  );
}
