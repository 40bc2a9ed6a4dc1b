/** Files that are named on the command line: why one cannot be read is told in the same words by every command. */
import { readFile } from 'node:fs/promises';

import { MudptError } from '../base/errors.js';

const MISSING = 'there is no such file';
const FORBIDDEN = 'there is no permission to read it';
const REASONS = { ENOENT: MISSING, ENOTDIR: MISSING, EISDIR: 'is a folder', EACCES: FORBIDDEN, EPERM: FORBIDDEN };

/** Its bytes. @param {string} file @param {string} hint what is wanted instead */
export const readGiven = (file, hint) =>
  readFile(file).catch((error) => {
    throw new MudptError('file', `${file}: ${REASONS[error.code] ?? `cannot be read (${error.code})`}`, hint);
  });
