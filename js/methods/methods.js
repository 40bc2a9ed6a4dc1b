/**
 * The methods as one table: what each trains, its defaults, which options and sizes it has, and what its sentences
 * begin with. The mathematics are the library's (src/methods); adding a method is a file here, a row in this table (and
 * in exports.js, where its authors' code has names), and a file and a row there.
 */
import { cocoop } from './cocoop.js';
import { coop } from './coop.js';
import { ivlp } from './ivlp.js';
import { kgcoop } from './kgcoop.js';
import { maple } from './maple.js';
import { mmrl } from './mmrl.js';
import { mmrlpp } from './mmrlpp.js';
import { mudpt } from './mudpt.js';
import { promptsrc } from './promptsrc.js';
import { tcp } from './tcp.js';
import { umudpt } from './umudpt.js';
import { vpt } from './vpt.js';
import { zeroshot } from './zeroshot.js';

/** @type {Record<string, import('./method.js').MethodRow>} */
export const METHODS = {
  ...{ zeroshot, coop, cocoop, vpt, ivlp, mudpt, umudpt, maple, kgcoop, promptsrc, tcp },
  ...{ mmrl, mmrlpp },
};

/** Names of the methods that train something. */
export const TRAINABLE = Object.keys(METHODS).filter((name) => METHODS[name].defaults);

/** A method's defaults; for one that trains nothing there are none. @param {string} method */
export const defaultsOf = (method) => /** @type {import('./method.js').Settings} */ (METHODS[method].defaults);
