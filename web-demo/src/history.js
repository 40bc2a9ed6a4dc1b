/**
 * What a change has done, as plain data: what went, what came, what is different. So it can be taken back by itself,
 * however much was done since, and stored with the session.
 */

/** What of a thing may change; anything else of it never does. */
const FIELDS = { classes: ['name'], pictures: ['classId', 'held'], works: ['result', 'run'] };
const LISTS = /** @type {const} */ (['classes', 'pictures', 'works']);

/**
 * @typedef {object} Collection all that a visitor can change
 * @property {any[]} classes
 * @property {any[]} pictures
 * @property {any[]} works what was trained, for each model
 * @property {string} sample
 * @property {string} project
 *
 * @typedef {object} Difference of a list
 * @property {{ one: any, at: number }[]} gone and where each stood
 * @property {any[]} come
 * @property {{ id: string, was: any, is: any }[]} altered
 *
 * @typedef {object} Change
 * @property {Difference} classes
 * @property {Difference} pictures
 * @property {Difference} works
 * @property {{ was: string, is: string }} sample
 * @property {{ was: string, is: string }} [project] of changes that an earlier page has stored there is none
 * @property {any[]} homes the classes that pictures were taken from
 */

const idsOf = (list) => new Map(list.map((one) => [one.id, one]));
const partOf = (one, fields) => Object.fromEntries(fields.map((field) => [field, one[field]]));
const isSame = (one, other, fields) => fields.every((field) => one[field] === other[field]);

/** @returns {Difference} */
function difference(before, after, fields) {
  const [had, has] = [idsOf(before), idsOf(after)];
  return {
    gone: before.flatMap((one, at) => (has.has(one.id) ? [] : [{ one, at }])),
    come: after.filter(({ id }) => !had.has(id)),
    altered: before.flatMap((one) => {
      const now = has.get(one.id);
      if (!now || isSame(one, now, fields)) return [];
      return [{ id: one.id, was: partOf(one, fields), is: partOf(now, fields) }];
    }),
  };
}

/** Whether nothing is different. @param {any} change */
export const isNothing = ({ sample, project, ...change }) =>
  sample.was === sample.is &&
  project?.was === project?.is &&
  LISTS.every((key) => change[key].gone.length + change[key].come.length + change[key].altered.length === 0);

/** @param {Collection} before @param {Collection} after @returns {Change | null} null where nothing is different */
export function changeBetween(before, after) {
  const [classes, pictures, works] = LISTS.map((key) => difference(before[key], after[key], FIELDS[key]));
  const [sample, project] = ['sample', 'project'].map((key) => ({ was: before[key], is: after[key] }));
  if (isNothing({ classes, pictures, works, sample, project })) return null;
  const left = [...pictures.gone.map(({ one }) => one.classId), ...pictures.altered.map(({ was }) => was.classId)];
  const homes = before.classes.filter(({ id }) => left.includes(id));
  return { classes, pictures, works, sample, project, homes };
}

/** Two changes that followed each other as one; the second did nothing to what came with the first. */
export function joined(first, second) {
  const join = (a, b) => {
    const both = idsOf(a.altered);
    for (const { id, was, is } of b.altered) both.set(id, { id, was: both.get(id)?.was ?? was, is });
    return { gone: [...a.gone, ...b.gone], come: [...a.come, ...b.come], altered: [...both.values()] };
  };
  const [classes, pictures, works] = LISTS.map((key) => join(first[key], second[key]));
  const homes = [...idsOf([...first.homes, ...second.homes]).values()];
  const [sample, project] = ['sample', 'project'].map((key) => {
    return { was: (first[key] ?? second[key]).was, is: second[key].is };
  });
  return { classes, pictures, works, sample, project, homes };
}

/** A list without what a change has done to it; what was done since stands. */
function listBack(now, { gone, come, altered }, fields, needed = (one) => false) {
  const [came, other] = [idsOf(come), idsOf(altered)];
  const list = now.flatMap((one) => {
    const before = came.get(one.id);
    if (before && isSame(one, before, fields) && !needed(one)) return [];
    const { was, is } = other.get(one.id) ?? {};
    const back = was ? fields.filter((field) => one[field] === is[field] && one[field] !== was[field]) : [];
    return [back.length ? { ...one, ...partOf(was, back) } : one];
  });
  const here = idsOf(list);
  for (const { one, at } of gone) if (!here.has(one.id)) list.splice(Math.min(at, list.length), 0, one);
  return list;
}

/** The collection without a change; what was done since stands. @param {Collection} now @param {Change} change */
export function without(now, change) {
  const pictures = listBack(now.pictures, change.pictures, FIELDS.pictures);
  const used = new Set(pictures.map(({ classId }) => classId));
  const classes = listBack(now.classes, change.classes, FIELDS.classes, ({ id }) => used.has(id));
  const here = idsOf(classes);
  // No picture stands without its class, though that may have gone since.
  classes.push(...change.homes.filter(({ id }) => used.has(id) && !here.has(id)));
  return {
    classes,
    pictures,
    works: listBack(now.works, change.works, FIELDS.works),
    sample: now.sample === change.sample.is ? change.sample.was : now.sample,
    project: change.project && now.project === change.project.is ? change.project.was : now.project,
  };
}
