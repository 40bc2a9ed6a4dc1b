/** Weights as PyTorch writes them, made here of any tensors: the tests' own pickles, in zip archives of any kind. */

const utf8 = new TextEncoder();
const STORAGES = { F64: 'Double', F32: 'Float', F16: 'Half', BF16: 'BFloat16' };

/** Bytes, texts and numbers of 32 bits in a row. @param {any[]} parts */
export const bytesOf = (...parts) =>
  Uint8Array.from(
    parts.flatMap((part) => {
      if (typeof part === 'string') return [...utf8.encode(part)];
      if (typeof part === 'number') return [...new Uint8Array(Uint32Array.of(part).buffer)];
      return [...part];
    }),
  );
const text = (value) => ['X', utf8.encode(value).length, value];
const number = (value) => ['J', value];
const numbers = (values) => ['(', ...values.flatMap(number), 't'];
const call = (name, args) => [`c${name.replace(/\.(?=\w+$)/, '\n')}\n`, '(', ...args, 't', 'R'];

/** The pickle of a dictionary of tensors, each with a storage of its own. */
export function pickleOf(tensors) {
  const items = tensors.flatMap(({ name, dtype, shape }, i) => {
    const count = shape.reduce((product, side) => product * side, 1);
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, side) => product * side, 1));
    const type = [`ctorch\n${STORAGES[dtype]}Storage\n`];
    const storage = ['(', ...text('storage'), ...type, ...text(String(i)), ...text('cpu'), ...number(count), 't', 'Q'];
    const args = [...storage, ...number(0), ...numbers(shape), ...numbers(strides), [0x89], ...['}']];
    return [...text(name), ...call('torch._utils._rebuild_tensor_v2', args)];
  });
  return bytesOf([0x80, 2], '}', '(', ...items, 'u', '.');
}

/**
 * A zip archive.
 * @param {{ name: string, data: Uint8Array, method?: number, flags?: number }[]} entries
 * @param {object} [how]
 * @param {number} [how.align] where entries' bytes begin, as PyTorch's at multiples of 64; 1: anywhere
 * @param {number} [how.footer] bytes behind those of an entry: 0, 12, 16, 20 or 24
 * @param {number} [how.gap] bytes between entries that belong to none
 * @param {boolean} [how.large] whether numbers stand where those of more than 4 GB do
 * @param {string} [how.comment]
 */
export function zipOf(entries, { align = 64, footer = 16, gap = 0, large = true, comment = '' } = {}) {
  const parts = /** @type {Uint8Array[]} */ ([]);
  let at = 0;
  const write = (...bytes) => {
    const part = bytesOf(...bytes);
    parts.push(part);
    at += part.length;
  };
  const u16 = (...values) => new Uint8Array(Uint16Array.from(values).buffer);
  const u64 = (...values) => new Uint8Array(BigUint64Array.from(values, BigInt).buffer);
  const directory = entries.map(({ name, data, method = 0, flags = 0x800 }) => {
    const from = at;
    const names = utf8.encode(name);
    const flag = flags | (footer ? 8 : 0);
    const extra = (align - ((from + 30 + names.length) % align)) % align;
    write(0x04034b50, u16(0, flag, method, 0, 0), 0, 0, 0, u16(names.length, extra), names, new Uint8Array(extra));
    parts.push(data);
    at += data.length;
    write(new Uint8Array(footer + gap));
    const more = large ? [...u16(1, 24), ...u64(data.length, data.length, from)] : [];
    const [size, place] = large ? [0xffffffff, 0xffffffff] : [data.length, from];
    const lengths = u16(names.length, more.length, 0, 0, 0);
    return [0x02014b50, u16(0, 0, flag, method, 0, 0), 0, size, size, lengths, 0, place, names, more];
  });
  const begin = at;
  for (const entry of directory) write(...entry);
  const size = at - begin;
  if (large) {
    const end = at;
    const count = directory.length;
    write(0x06064b50, u64(44), u16(45, 45), 0, 0, u64(count, count, size, begin), 0x07064b50, 0, u64(end), 1);
  }
  const [told, where] = large ? [0xffffffff, 0xffffffff] : [size, begin];
  write(0x06054b50, u16(0, 0, 0xffff, 0xffff), told, where, u16(comment.length), comment);
  const file = new Uint8Array(at);
  let filled = 0;
  for (const part of parts) {
    file.set(part, filled);
    filled += part.length;
  }
  return file;
}

/** As torch.save has it. @param {{ name: string, dtype: string, shape: number[], data: ArrayBufferView }[]} tensors */
export function torchSave(tensors, how) {
  const bytes = (data) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const storages = tensors.map(({ data }, i) => ({ name: `archive/data/${i}`, data: bytes(data) }));
  return zipOf([{ name: 'archive/data.pkl', data: pickleOf(tensors) }, ...storages], how);
}
