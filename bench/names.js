/** Names of one or two words, as data sets have them. @param {number} count @returns {string[]} */
export function classNames(count) {
  const looks = ['red', 'green', 'small', 'large', 'old', 'young', 'striped', 'spotted', 'wild', 'wooden'];
  const things = ['owl', 'bridge', 'tractor', 'violin', 'orchid', 'kettle', 'glacier', 'lizard', 'tower', 'basket'];
  const names = [...things, ...looks.flatMap((look) => things.map((thing) => `${look} ${thing}`))];
  const numbered = (i) => (i < names.length ? names[i] : `${names[i % names.length]} ${Math.floor(i / names.length)}`);
  return Array.from({ length: count }, (_, i) => numbered(i));
}
