/** Long-CLIP's own files: OpenAI's first 20 positions are in one tensor, all those behind them in another. */
import { MudptError } from '../base/errors.js';
import { MORE_POSITIONS } from './shapes.js';
import { readTensor } from './places.js';

const KEPT = 20;
const POSITIONS = 'positional_embedding';

/**
 * The header with one tensor of both.
 * @param {import('../files/source.js').SourceFile} file
 * @param {import('./safetensors.js').Header} header
 * @returns {Promise<import('./safetensors.js').Header>}
 */
export async function joinPositions(file, header) {
  const [more] = header.tensors.filter(({ name }) => name === MORE_POSITIONS);
  const [first] = header.tensors.filter(({ name }) => name === POSITIONS);
  const isAlike = first?.dtype === more.dtype && first.shape.join() === more.shape.join();
  if (!isAlike || more.shape.length !== 2 || more.shape[0] < KEPT || first.strides || more.strides) {
    const what = `${file.name}: ${MORE_POSITIONS} is not of the type and shape that ${POSITIONS} has`;
    throw new MudptError('model', what, 'download the file again, or use a Long-CLIP in Hugging Face’s layout');
  }
  const rows = (await readTensor(file, first)).subarray(0, (first.bytes / first.shape[0]) * KEPT);
  const joined = { ...more, name: POSITIONS, front: new Uint8Array(rows) };
  // The other name stays, without bytes: it tells whose file this is.
  const mark = { ...more, bytes: 0, shape: [0, more.shape[1]] };
  const tensors = header.tensors.flatMap((one) => (one === first ? [] : one === more ? [joined, mark] : [one]));
  return { ...header, tensors };
}
