/**
 * A project as one file: a zip that other tools can read, with the pictures in a folder for each class, what was
 * trained, and project.json, which says the rest (docs/demo.md). Teachable Machine's projects of pictures, and zips
 * with pictures in folders, are read as well. Fetched when it is used.
 */
import { strFromU8, strToU8, unzip, zip } from 'fflate';

import { isPicture, looksLikePicture } from './intake.js';
import { chosenModel } from './models.js';
import { bytesOf, classes, fileOf, newId, pictures, projectOf, project, sampleId, works } from './store.js';
import { text } from './strings.js';
import { chosen, method, preset } from './training.js';

const FORMAT = 'mudpt project';
const VERSION = 1;
/** What a file may hold, unpacked: it is in memory. */
const MOST_BYTES = 1e9;
const MOST_NAME = 60;
const TYPES = { png: 'image/png', jpg: 'image/jpeg', gif: 'image/gif', webp: 'image/webp', bmp: 'image/bmp' };
const ENDINGS = Object.fromEntries(Object.entries(TYPES).map(([ending, type]) => [type, ending]));

/**
 * @typedef {object} Opened
 * @property {string} name
 * @property {any[]} classes
 * @property {any[]} pictures for picturesFrom()
 * @property {any[]} works
 * @property {string} sample
 * @property {any} [model]
 * @property {any} [training]
 * @property {number} missing pictures that it tells of and does not have
 */

// ------------------------------------------------------------------------------------------------ saving

/** A class's folder, which every system takes. @param {string} name @param {Set<string>} used */
function folderOf(name, used) {
  const plain = name.replace(/[\\/:*?"<>|\p{Cc}]/gu, '_').replace(/^[. ]+|[. ]+$/g, '');
  const base = [...plain].slice(0, MOST_NAME).join('').trim() || 'class';
  for (let number = 1; ; number++) {
    const folder = number === 1 ? base : `${base} ${number}`;
    if (used.has(folder.toLowerCase())) continue;
    used.add(folder.toLowerCase());
    return folder;
  }
}

const endingOf = ({ type, name = '' }) => ENDINGS[type] ?? (/\.(\w{1,5})$/.exec(name)?.[1].toLowerCase() || 'img');

/** The present project. @param {string} name @returns {Promise<Uint8Array>} */
export async function packed(name) {
  const files = /** @type {Record<string, any>} */ ({});
  /** What is compressed already is only put in. */
  const put = (file, bytes) => (files[file] = [new Uint8Array(bytes), { level: 0 }]) && file;
  const used = /** @type {Set<string>} */ (new Set());
  const folders = new Map(classes.value.map((one) => [one.id, folderOf(one.name, used)]));
  const counts = new Map();
  const rows = [];
  for (const { id, classId, blob, origin, held } of pictures.value) {
    const count = (counts.get(classId) ?? 0) + 1;
    counts.set(classId, count);
    const number = String(count).padStart(4, '0');
    const bytes = bytesOf.get(blob) ?? (await blob.arrayBuffer());
    const file = put(`pictures/${folders.get(classId)}/${number}.${endingOf(/** @type {any} */ (blob))}`, bytes);
    rows.push({ file, id, class: classId, held, origin, type: blob.type, name: /** @type {File} */ (blob).name });
  }
  const trained = works.value.map(({ result, run, ...rest }, i) => ({
    ...rest,
    result: result && { ...result, file: put(`classifiers/${i + 1}.safetensors`, result.file) },
    run: run && { ...run, checkpoint: put(`runs/${i + 1}.checkpoint`, run.checkpoint) },
  }));
  const from = chosenModel.value?.from;
  const about = {
    ...{ format: FORMAT, version: VERSION, name, sample: sampleId.value },
    model: chosenModel.value && { ...chosenModel.value, from: typeof from === 'string' ? from : '' },
    training: { method: method.value, preset: preset.value, chosen: chosen.value },
    classes: classes.value.map((one) => ({ ...one, folder: `pictures/${folders.get(one.id)}` })),
    ...{ pictures: rows, trained },
  };
  files['project.json'] = strToU8(JSON.stringify(about, null, 1));
  return new Promise((resolve, reject) => zip(files, (error, data) => (error ? reject(error) : resolve(data))));
}

// ------------------------------------------------------------------------------------------------ opening

/** @param {string} what @param {unknown} [cause] */
const refuse = (what, cause) => new Error(what, { cause });

/** @param {Uint8Array} bytes @returns {Promise<Record<string, Uint8Array>>} */
async function unpacked(bytes) {
  if (bytes[0] !== 0x50 || bytes[1] !== 0x4b) throw refuse(text.project.isOther);
  let all = 0;
  const filter = ({ name, originalSize }) => {
    all += originalSize;
    return all <= MOST_BYTES && !name.endsWith('/');
  };
  const files = await new Promise((resolve, reject) =>
    unzip(bytes, { filter }, (error, data) => (error ? reject(refuse(text.project.isDamaged, error)) : resolve(data))),
  );
  if (all > MOST_BYTES) throw refuse(text.project.isTooLarge(MOST_BYTES));
  return files;
}

function jsonOf(bytes) {
  try {
    return JSON.parse(strFromU8(bytes));
  } catch (error) {
    throw refuse(text.project.isDamaged, error);
  }
}

/** Its list is one of things, and not of anything else. */
function listOf(about, key) {
  const list = about[key] ?? [];
  if (!Array.isArray(list) || list.some((one) => typeof one !== 'object' || one === null))
    throw refuse(text.project.isDamaged);
  return list;
}

const typeOf = (file) => TYPES[file.split('.').at(-1)?.toLowerCase().replace('jpeg', 'jpg')] ?? '';

/** Ids of its own: the same file may be opened twice. @param {any[]} list @returns {Map<any, string>} */
const freshIds = (list) => new Map(list.map(({ id }) => [id, newId()]));

/** @param {Record<string, Uint8Array>} files @param {any} about @returns {Opened} */
function ourProject(files, about) {
  if (!(about.version <= VERSION)) throw refuse(text.project.isNewer);
  const [homes, rows, trained] = ['classes', 'pictures', 'trained'].map((key) => listOf(about, key));
  const [classIds, pictureIds] = [freshIds(homes), freshIds(rows)];
  const there = rows.filter((row) => files[row.file] && classIds.has(row.class));
  // Which pictures a run was of is told by their ids.
  const renamed = (examples) =>
    typeof examples === 'string' ? examples.replace(/^\S+/gm, (id) => pictureIds.get(id) ?? id) : '';
  const learnedOf = (learned) =>
    Array.isArray(learned)
      ? learned.map(({ id, classId }) => ({
          id: pictureIds.get(id) ?? String(id),
          classId: classIds.get(classId) ?? '',
        }))
      : null;
  const resultOf = (result) =>
    result && files[result.file] && Array.isArray(result.ids)
      ? {
          ...{ id: newId(), file: files[result.file], curve: result.curve, examples: renamed(result.examples) },
          ids: result.ids.map((id) => classIds.get(id) ?? id),
          learned: learnedOf(result.learned),
        }
      : null;
  const runOf = (run) =>
    run && files[run.checkpoint]
      ? { ...run, id: newId(), checkpoint: files[run.checkpoint], examples: renamed(run.examples), state: 'paused' }
      : null;
  return {
    name: String(about.name ?? ''),
    classes: homes.map(({ id, name, colour }) => {
      return { id: classIds.get(id), name: String(name ?? ''), colour: Number.isInteger(colour) ? colour : 0 };
    }),
    pictures: there.map((row) => ({
      ...{ id: pictureIds.get(row.id), classId: classIds.get(row.class), held: Boolean(row.held) },
      origin: ['sample', 'file', 'webcam', 'drawing'].includes(row.origin) ? row.origin : 'file',
      blob: fileOf(
        files[row.file],
        String(row.name || row.file.split('/').at(-1)),
        String(row.type || typeOf(row.file)),
      ),
    })),
    works: trained
      .map(({ id, from, result, run }) => {
        return { id: String(id), from: String(from ?? ''), result: resultOf(result), run: runOf(run) };
      })
      .filter(({ result, run }) => result || run),
    ...{ sample: String(about.sample ?? ''), model: about.model, training: about.training },
    missing: rows.length - there.length,
  };
}

/** Of Teachable Machine: manifest.json, and a class's pictures as CLASS-!-NUMBER.jpg. */
function teachableMachine(files, { type }, name) {
  if (type !== 'image') throw refuse(text.project.isOfType(String(type)));
  const found = Object.keys(files).flatMap((file) => {
    const [, label, number] = /^(.+)-!-(\d+)\.\w+$/s.exec(file) ?? [];
    return label === undefined ? [] : [{ file, label, number: Number(number) }];
  });
  if (!found.length) throw refuse(text.project.isEmpty);
  const labels = [...new Set(found.map(({ label }) => label))];
  const homes = labels.map((label, i) => ({ id: newId(), name: label, colour: i % 10 }));
  const ordered = labels.flatMap((label) =>
    found.filter((one) => one.label === label).sort((a, b) => a.number - b.number),
  );
  return {
    name,
    classes: homes,
    pictures: ordered.map(({ file, label }) => ({
      classId: homes[labels.indexOf(label)].id,
      origin: /** @type {const} */ ('file'),
      blob: fileOf(files[file], file.replaceAll('/', '_'), typeOf(file)),
    })),
    ...{ works: [], sample: '', missing: 0 },
  };
}

/**
 * What is in a zip: a project, a classifier in a page of its own, or pictures in folders.
 * @param {File} file
 * @returns {Promise<{ project?: Opened, classifier?: File, found?: import('./intake.js').Found[] }>}
 */
export async function archive(file) {
  const files = await unpacked(new Uint8Array(await file.arrayBuffer()));
  const name = file.name.replace(/\.\w+$/, '');
  const about = files['project.json'] && jsonOf(files['project.json']);
  if (about?.format === FORMAT) return { project: ourProject(files, about) };
  if (files['manifest.json']) {
    const manifest = jsonOf(files['manifest.json']);
    if (manifest?.type && manifest.appdata) return { project: teachableMachine(files, manifest, name) };
  }
  if (files['classifier.safetensors'] && files['mudpt/index.js'])
    return { classifier: fileOf(files['classifier.safetensors'], 'classifier.safetensors', '') };
  if (files['model.json'] && files['metadata.json']) throw refuse(text.project.isTrainedModel);
  const found = Object.entries(files).map(([path, bytes]) => {
    return { path, file: fileOf(bytes, path.split('/').at(-1) ?? '', typeOf(path)) };
  });
  if (!found.some((one) => isPicture(one) || looksLikePicture(files[one.path]))) throw refuse(text.project.isEmpty);
  return { found };
}

/** What the present project is called, also where nobody has named it. */
export function presentName() {
  const { name } = projectOf(project.value);
  const names = classes.value.map((one) => one.name.trim()).filter(Boolean);
  return name || text.samples.names[sampleId.value] || names.slice(0, 3).join(', ') || text.project.unnamed;
}
