// Prints what the product trains a method with on a model, and the sentences that the frozen model reads, as JSON.
// record.py trains with the same.
//
//   node recipe.mjs MODEL '{"method": "maple", "epochs": 5}'
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { teacherTemplates } from '../../../js/classifier/teacher.js';
import { architectureFromConfig } from '../../../js/loading/transformers.js';
import { resolveSettings } from '../../../js/methods/settings.js';

const [model, options] = process.argv.slice(2);
const arch = architectureFromConfig(JSON.parse(await readFile(join(model, 'config.json'), 'utf8')), model);
const { method, settings } = resolveSettings(JSON.parse(options), arch);
console.log(JSON.stringify({ ...settings, teacher: teacherTemplates(method, settings) }));
