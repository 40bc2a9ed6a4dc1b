/** Command lines of the bench's programs. */
import { parseArgs } from 'node:util';

/**
 * What was typed, over the defaults; a default that is true or false makes a switch.
 * @param {Record<string, string | boolean | undefined>} defaults undefined: there is none
 * @returns {Record<string, any>} texts and switches
 */
export function optionsOf(defaults) {
  const options = Object.entries(defaults).map(([name, value]) => {
    const type = /** @type {'boolean' | 'string'} */ (typeof value === 'boolean' ? 'boolean' : 'string');
    return [name, { type, ...(value !== undefined && { default: value }) }];
  });
  return parseArgs({ options: Object.fromEntries(options) }).values;
}
