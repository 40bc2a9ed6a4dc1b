/**
 * Zip archives (also those of more than 4 GB) whose entries are read by ranges, where they are stored as they are: what
 * torch.save writes. The directory at the end of the file tells all but one thing, how long the header in front of an
 * entry's bytes is. That follows from where the next entry begins, and is checked when the bytes are read: the header
 * comes along with them.
 */
import { MudptError } from '../base/errors.js';
import { LARGEST_HEADER } from '../base/limits.js';
import { headerLength, LOCAL_BYTES, readExactly, viewOf } from './places.js';

const [ENTRY, END, END_64, LOCATOR] = [0x02014b50, 0x06054b50, 0x06064b50, 0x07064b50];
/** Bytes of each, without what follows it. */
const [ENTRY_BYTES, END_BYTES, END_64_BYTES, LOCATOR_BYTES] = [46, 22, 56, 20];
/** The longest comment that may follow the end of the directory. */
const LONGEST_COMMENT = 0xffff;
const FULL = 0xffffffff; // the number is too large for this place, and stands in another
/** What may lie between an entry's bytes and the next header, where a flag says that something does. */
const [HAS_FOOTER, IS_ENCRYPTED] = [8, 1];
const FOOTERS = [12, 16, 20, 24];
/** PyTorch's writer lets bytes begin at multiples of this. */
const ALIGNED = 64;

/**
 * @typedef {(offset: number, length: number) => Promise<Uint8Array>} Read
 * @typedef {{ name: string, size: number, read: Read }} File
 * @typedef {import('./safetensors.js').Tensor} Tensor
 *
 * @typedef {object} Entry
 * @property {string} name
 * @property {number} size
 * @property {number} from where its header begins
 * @property {number} next where what follows begins
 * @property {number} least bytes of its header, or more
 * @property {number} flags
 * @property {number} method 0: stored as it is
 */

/** @param {string} name @param {string} what */
const bad = (name, what) => new MudptError('model', `${name}: ${what}`, 'download or export the file again');

/**
 * The entries of an archive, in the order of their bytes.
 * @param {File} file
 * @returns {Promise<Map<string, Entry>>}
 */
export async function readDirectory(file) {
  const length = file.size;
  const from = Math.max(0, length - LONGEST_COMMENT - END_BYTES - LOCATOR_BYTES - END_64_BYTES);
  const tail = await readExactly(file, from, length - from);
  const view = viewOf(tail);
  let end = tail.length - END_BYTES;
  const isEnd = (at) =>
    view.getUint32(at, true) === END && at + END_BYTES + view.getUint16(at + 20, true) === tail.length;
  while (end >= 0 && !isEnd(end)) end--;
  if (end < 0) throw bad(file.name, 'is cut short: a zip archive ends with its directory, which is not there');
  let size = view.getUint32(end + 12, true);
  let begin = view.getUint32(end + 16, true);
  let most = from + end;
  const locator = end - LOCATOR_BYTES;
  if (locator >= 0 && view.getUint32(locator, true) === LOCATOR) {
    most = Number(view.getBigUint64(locator + 8, true));
    const record = viewOf(await within(file, most, END_64_BYTES, from + locator));
    if (record.getUint32(0, true) !== END_64)
      throw bad(file.name, 'the end of its directory is not where it should be');
    size = Number(record.getBigUint64(40, true));
    begin = Number(record.getBigUint64(48, true));
  }
  if (size > LARGEST_HEADER)
    throw bad(file.name, `its directory has ${size} bytes, at most ${LARGEST_HEADER} are read`);
  const bytes = begin >= from && begin + size <= length ? tail.subarray(begin - from, begin - from + size) : null;
  return entriesOf(bytes ?? (await within(file, begin, size, most)), begin, file.name);
}

/** @param {File} file @param {number} begin @param {number} length @param {number} end before which they lie */
function within(file, begin, length, end) {
  if (begin + length > end) throw bad(file.name, 'its directory names bytes that are not there');
  return readExactly(file, begin, length);
}

/** @param {Uint8Array} bytes the directory @param {number} end where it begins in the file @param {string} file */
function entriesOf(bytes, end, file) {
  const view = viewOf(bytes);
  const list = /** @type {Entry[]} */ ([]);
  for (let at = 0; at < bytes.length;) {
    if (at + ENTRY_BYTES > bytes.length || view.getUint32(at, true) !== ENTRY)
      throw bad(file, 'its directory is damaged');
    const [names, extras, comments] = [28, 30, 32].map((place) => view.getUint16(at + place, true));
    const name = at + ENTRY_BYTES;
    const next = name + names + extras + comments;
    if (next > bytes.length) throw bad(file, 'its directory is damaged');
    const numbers = [24, 20, 42].map((place) => view.getUint32(at + place, true)); // size, that of the stored, place
    for (let extra = name + names; extra + 4 <= name + names + extras;) {
      const [id, length] = [view.getUint16(extra, true), view.getUint16(extra + 2, true)];
      let place = extra + 4;
      extra = place + length;
      for (let i = 0; id === 1 && i < 3; i++) {
        if (numbers[i] !== FULL || place + 8 > Math.min(extra, name + names + extras)) continue;
        numbers[i] = Number(view.getBigUint64(place, true));
        place += 8;
      }
    }
    const [size, , from] = numbers;
    list.push({
      ...{ name: new TextDecoder().decode(bytes.subarray(name, name + names)), size, from, next: end },
      ...{ least: LOCAL_BYTES + names, flags: view.getUint16(at + 8, true), method: view.getUint16(at + 10, true) },
    });
    at = next;
  }
  list.sort((a, b) => a.from - b.from);
  list.forEach((entry, i) => (entry.next = list[i + 1]?.from ?? end));
  const entries = new Map(list.map((entry) => [entry.name, entry]));
  if (entries.size < list.length) throw bad(file, 'two of its entries have one name');
  return entries;
}

/**
 * Where an entry's bytes begin.
 * @param {File} file
 * @param {Entry} entry
 * @returns {Promise<Tensor>} the header in front of them, which must be read and checked before they are used
 */
export async function headerBefore(file, entry) {
  const { name, from, size, next, least, flags, method } = entry;
  if (method || flags & IS_ENCRYPTED) {
    const what = `${file.name}: entry ${name} is ${method ? 'compressed' : 'encrypted'}, which PyTorch never does`;
    throw new MudptError('model', what, 'pack the archive again without (zip -0), or save it with torch.save');
  }
  const fits = (begin) => begin >= from + least && begin - from - least <= 0xffff;
  const guesses = flags & HAS_FOOTER ? FOOTERS.map((footer) => next - size - footer) : [next - size];
  const likely = guesses.filter((begin) => fits(begin) && (guesses.length === 1 || begin % ALIGNED === 0));
  const header = likely.length === 1 ? null : await readExactly(file, from, LOCAL_BYTES);
  const bytes = header ? headerLength(header, least) : likely[0] - from;
  if (!bytes) throw bad(file.name, `entry ${name} does not begin where its directory says`);
  if (from + bytes + size > next) throw bad(file.name, `entry ${name} is longer than the room that it has`);
  return { name, dtype: 'U8', shape: [bytes], begin: from, bytes, expected: { least } };
}
