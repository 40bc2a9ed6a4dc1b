/** The sample tasks, as the bench's programs take them. */
import { fileURLToPath } from 'node:url';

import { loadDataset } from '../js/node/datasets.js';
import { renderTask } from '../models/pictoclip/tasks/render.js';

const FOLDER = fileURLToPath(new URL('../build/tasks', import.meta.url));

/** A task's folder, rendered where it is not there. @param {string} name */
export const taskFolder = (name) => renderTask(name, FOLDER);

/** Its classes, pictures and template. @param {string} name */
export const openTask = async (name) => loadDataset(await taskFolder(name));

/** @param {{ path: string, label: number }[]} pictures */
export const toExamples = (pictures) => pictures.map(({ path: image, label }) => ({ image, label }));
