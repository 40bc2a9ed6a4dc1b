/**
 * Limits that no input can overrun, on this side; those of the C library are named in src/mudpt.h (MUDPT_MAX_*).
 * docs/limits.md lists them all.
 */

/** Bytes of a safetensors file's header. */
export const LARGEST_HEADER = 100_000_000;
/** Tensors of a safetensors file, and dimensions of one. */
export const MOST_TENSORS = 100_000;
export const MOST_DIMENSIONS = 8;
/** Instructions of a pickle: a model of 1,000 tensors with its optimizer's has some 200,000. */
export const MOST_PICKLE_STEPS = 2_000_000;
/** Bytes of a tensor that does not lie row by row, which is put in order in memory. */
export const LARGEST_SCATTERED = 2 ** 28;
/** Bytes, and characters, of a model's small files: config.json, tokenizer.json, ... */
export const LARGEST_TEXT = 64 * 1024 * 1024;
/** Bytes of a split file; ImageNet's has 70 million. */
export const LARGEST_SPLIT = 256 * 2 ** 20;
/** Bytes of a picture file that is read from disk. */
export const LARGEST_PICTURE = 512 * 1024 * 1024;
/** Bytes of a picture file that comes another way, as MUDPT_MAX_IMAGE_FILE. */
export const LARGEST_DOWNLOAD = 2 ** 30;
/** As MUDPT_MAX_CLASSES. */
export const MOST_CLASSES = 100_000;
/** Characters of a class name or a template. */
export const LONGEST_NAME = 1000;
/** Characters of a text that is embedded, and of those between two spaces. */
export const LONGEST_TEXT = 100_000;
export const LONGEST_WORD = 2000;
/** Templates of an ensemble, as the C library has it. */
export const MOST_TEMPLATES = 1000;
/** As MUDPT_MAX_THREADS. */
export const MOST_THREADS = 64;
/** Classes that are measured at once: N x N counts take 800 MB then. */
export const MOST_MEASURED = 10_000;
/** Seeds are whole numbers from 0 on. */
export const MOST_SEED = 2 ** 32 - 1;
/** Views of a picture, whose pixels are in memory together. */
export const MOST_VIEWS = 64;
/** Bytes that WebAssembly's 32-bit addresses reach. */
export const MOST_BYTES = 2 ** 32 - 1;
/** Of one block of it, as src/base/arena.c has it. */
export const MOST_BLOCK = 2 ** 31 - 1;
