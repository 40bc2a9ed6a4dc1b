/** What happens in a run, step by step, for any number of readers, each of whom gets all of it from the first step. */

/** @template Step */
export class Steps {
  #ended = false;
  /** @type {Step[]} */
  #steps = [];
  /** @type {(() => void)[]} wake readers who wait for the next step */
  #waiting = [];

  /** @param {Step} step */
  push(step) {
    this.#steps.push(step);
    this.#wake();
  }

  /** There are no further steps. */
  end() {
    this.#ended = true;
    this.#wake();
  }

  /** @returns {AsyncGenerator<Step>} */
  async *[Symbol.asyncIterator]() {
    for (let next = 0; ; next++) {
      while (next === this.#steps.length && !this.#ended) {
        await /** @type {Promise<void>} */ (new Promise((resolve) => this.#waiting.push(resolve)));
      }
      if (next === this.#steps.length) return;
      yield this.#steps[next];
    }
  }

  #wake() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
