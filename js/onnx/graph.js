/**
 * ONNX files, written as they are: a message of Protocol Buffers (onnx.proto of ONNX 1.16), operators of opset 17. A
 * graph is built from its inputs on; each method gives the name of the value that it has added.
 */

/** onnx.proto: TensorProto.DataType */
export const FLOAT = 1;
export const INT64 = 7;
export const FLOAT16 = 10;
/** onnx.proto: AttributeProto.AttributeType */
const [AN_INT, A_FLOAT, INTS] = [2, 1, 7];
const IR_VERSION = 8;
const OPSET = 17;
/** What a file of Protocol Buffers can have. */
export const LARGEST = 2 ** 31 - 1;

/** @param {number} value */
function varint(value) {
  const bytes = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
    if (rest < 128n) return Uint8Array.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
}

/**
 * A field is its number and kind, then a number, or a length and bytes. Pieces stay apart, so that weights are copied
 * once, into the file.
 * @typedef {Uint8Array[]} Pieces
 */
const number = (field, value) => [varint(field * 8), varint(value)];
const lengthOf = (pieces) => pieces.reduce((sum, { length }) => sum + length, 0);
/** @param {number} field @param {Pieces} pieces @returns {Pieces} */
const message = (field, pieces) => [varint(field * 8 + 2), varint(lengthOf(pieces)), ...pieces];
const text = (field, value) => message(field, [new TextEncoder().encode(value)]);

/** @param {[string, number | number[]]} entry whole numbers alone are such, others f32 */
function attribute([name, value]) {
  if (Array.isArray(value)) {
    return message(5, [text(1, name), ...value.map((one) => number(8, one)), number(20, INTS)].flat());
  }
  if (Number.isInteger(value)) return message(5, [...text(1, name), ...number(3, value), ...number(20, AN_INT)]);
  const float = new Uint8Array(5);
  float[0] = 2 * 8 + 5;
  new DataView(float.buffer).setFloat32(1, value, true);
  return message(5, [...text(1, name), float, ...number(20, A_FLOAT)]);
}

/**
 * @param {number} field
 * @param {string} name
 * @param {number} type
 * @param {(number | string)[]} shape names: any size
 */
function valueInfo(field, name, type, shape) {
  const sides = shape.flatMap((side) => message(1, typeof side === 'string' ? text(2, side) : number(1, side)));
  return message(field, [...text(1, name), ...message(2, message(1, [...number(1, type), ...message(2, sides)]))]);
}

export class Graph {
  /** @type {Pieces} */
  #pieces = [];
  #count = 0;

  /** @param {string} name @param {number} type @param {(number | string)[]} shape */
  input(name, type, shape) {
    this.#pieces.push(...valueInfo(11, name, type, shape));
    return name;
  }

  /** @param {string} name of a value @param {(number | string)[]} shape of f32 */
  output(name, shape) {
    this.#pieces.push(...valueInfo(12, name, FLOAT, shape));
  }

  /**
   * A constant; its bytes must stay as they are until the file is written.
   * @param {number} type
   * @param {number[]} shape
   * @param {Float32Array | BigInt64Array | Uint8Array} array
   */
  tensor(type, shape, array) {
    const name = `v${this.#count++}`;
    const raw = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    const sides = shape.flatMap((side) => number(1, side));
    this.#pieces.push(...message(5, [...sides, ...number(2, type), ...text(8, name), ...message(9, [raw])]));
    return name;
  }

  /** @param {...number} values */
  integers(...values) {
    return this.tensor(INT64, [values.length], BigInt64Array.from(values, BigInt));
  }

  /** @param {number} value of f32, for any shape */
  number(value) {
    return this.tensor(FLOAT, [], Float32Array.of(value));
  }

  /**
   * @param {string} type
   * @param {string[]} inputs
   * @param {Record<string, number | number[]>} [attributes]
   * @param {string} [name] of its value, where it is an output of the graph
   */
  op(type, inputs, attributes = {}, name = `v${this.#count++}`) {
    return this.ops(type, inputs, attributes, [name])[0];
  }

  /** An operator of several values. @param {string[] | number} outputs their names, or how many */
  ops(type, inputs, attributes, outputs) {
    const names = Array.isArray(outputs) ? outputs : Array.from({ length: outputs }, () => `v${this.#count++}`);
    const ends = [...inputs.flatMap((one) => text(1, one)), ...names.flatMap((one) => text(2, one))];
    const described = Object.entries(attributes).flatMap(attribute);
    this.#pieces.push(...message(1, [...ends, ...text(4, type), ...described]));
    return names;
  }

  /**
   * The file, in pieces.
   * @param {{ producer?: string, version?: string, metadata?: Record<string, string> }} [about]
   * @returns {Pieces}
   */
  model({ producer = 'mudpt', version = '', metadata = {} } = {}) {
    return [
      ...number(1, IR_VERSION),
      ...text(2, producer),
      ...text(3, version),
      ...message(7, [...this.#pieces, ...text(2, 'classifier')]),
      ...message(8, number(2, OPSET)),
      ...Object.entries(metadata).flatMap(([key, value]) => message(14, [...text(1, key), ...text(2, value)])),
    ];
  }
}

/** @param {Pieces} pieces */
export function joined(pieces) {
  const out = new Uint8Array(lengthOf(pieces));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}
