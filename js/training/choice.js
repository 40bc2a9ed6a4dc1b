/**
 * The pictures of a run: drawn among those that can be read. All are read before the first step, so that whatever is
 * wrong with them is told together.
 */
import { labelsOf } from '../classifier/labels.js';
import { BrokenPictures } from '../pictures/broken.js';
import { countEach, drawShots, drawValidation } from './shots.js';

export class Choice {
  #core;
  #classes;
  #settings;
  #given;
  #broken;
  /** Labels of the examples, and of those that validate where these were given. @type {number[]} */
  #labels;
  /** @type {number[]} */
  #others = [];
  /** What was found to be broken, of the examples and of the others. */
  #gone = { examples: new Set(), validation: new Set() };
  /** What was found to be whole among those that validate. */
  #looked = new Set();
  /** Indices of examples. @type {number[]} */
  train = [];
  /** Indices of those that validate. @type {number[]} */
  #held = [];

  /**
   * @param {import('../core/core.js').Core} core
   * @param {string[]} classes
   * @param {import('../methods/method.js').Settings} settings
   * @param {{ examples: any, validation: any, onBroken: unknown }} given
   */
  constructor(core, classes, settings, { examples, validation, onBroken }) {
    this.#core = core;
    this.#classes = classes;
    this.#settings = settings;
    this.#given = { examples, validation: Array.isArray(validation) ? validation : null, wanted: validation === true };
    this.#broken = new BrokenPictures(onBroken);
    this.#labels = labelsOf(classes, examples);
    if (this.#given.validation) this.#others = labelsOf(classes, validation);
  }

  /** How many each class has of those that are trained on. */
  get counts() {
    const labels = this.train.map((index) => this.#labels[index]);
    return countEach(this.#classes.length, labels);
  }

  /** The examples that validate. */
  get held() {
    return this.#held.map((index) => (this.#given.validation ?? this.#given.examples)[index]);
  }

  /** Draws among those that are not known to be broken. */
  draw() {
    const [core, classes, settings] = [this.#core, this.#classes, this.#settings];
    const left = (labels, gone) => labels.map((_, index) => index).filter((index) => !gone.has(index));
    const rest = left(this.#labels, this.#gone.examples);
    const labels = rest.map((index) => this.#labels[index]);
    const readable = rest.length < this.#labels.length;
    const drawn = drawShots(core, classes, labels, { ...settings, validation: this.#given.wanted, readable });
    this.train = drawn.train.map((index) => rest[index]);
    this.#held = drawn.validation.map((index) => rest[index]);
    if (!this.#given.validation) return;
    const others = left(this.#others, this.#gone.validation);
    const some = drawValidation(
      core,
      classes,
      others.map((index) => this.#others[index]),
      settings,
    );
    this.#held = some.map((index) => others[index]);
  }

  /**
   * Reads all that were drawn. Faults are told together.
   * @param {(image: any, label: number, name: string) => Promise<void>} add
   * @param {(image: any, name: string) => Promise<void>} look
   * @param {() => boolean} isStopped
   * @returns {Promise<boolean>} false: some are left out, so others must be drawn
   */
  async read(add, look, isStopped) {
    const { examples, validation } = this.#given;
    let whole = true;
    const attempt = async (list, index, reading) => {
      try {
        await reading();
      } catch (error) {
        this.#broken.add(error, index, list);
        this.#gone[list].add(index);
        whole = false;
      }
    };
    for (const index of this.train) {
      const name = `the picture of example ${index}`;
      await attempt('examples', index, () => add(examples[index].image, this.#labels[index], name));
      if (isStopped()) return true;
    }
    for (const index of this.#held) {
      if (this.#looked.has(index)) continue;
      const name = `the picture of ${validation ? 'validation ' : ''}example ${index}`;
      const { image } = (validation ?? examples)[index];
      await attempt(validation ? 'validation' : 'examples', index, () => look(image, name));
      this.#looked.add(index);
      if (isStopped()) return true;
    }
    this.#broken.settle();
    return whole;
  }
}
