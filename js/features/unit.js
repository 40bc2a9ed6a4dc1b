/** Rows of features as directions. */

/** @param {Float32Array} row */
export const lengthOf = (row) => Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));

/** Scales a row to length one, in place; a row of zeros has no direction and stays. @param {Float32Array} row */
export function toUnit(row) {
  const length = lengthOf(row) || 1;
  for (let i = 0; i < row.length; i++) row[i] /= length;
}
