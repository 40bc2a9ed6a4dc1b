/** What a model can be loaded from, and what is kept of it. */

/** A file's bytes; `new Blob([bytes])` takes them. `Uint8Array<ArrayBuffer>` where TypeScript tells buffers apart. */
export type FileBytes = ReturnType<Uint8ArrayConstructor['of']>;

/**
 * Where a model is: the URL of a folder or of a file with weights in it (in Node also a path), or the files
 * themselves. Of a Hugging Face model repository, the URL of its page or `hf:ORGANISATION/NAME`, each perhaps with
 * `@REVISION`. In pages also what a visitor has dropped (give `event.dataTransfer` before anything is awaited) or
 * picked (a `FileSystemDirectoryHandle`). Where files do not lie beside each other, each one's URL by its name; the
 * embedded model is given so: `import { pictoclip } from 'mudpt/pictoclip'`.
 *
 * A model folder has `config.json`, `preprocessor_config.json`, `tokenizer.json` and `model.safetensors` (or the
 * shards that `model.safetensors.index.json` lists, or `pytorch_model.bin` and others that PyTorch has saved: their
 * pickles are read, never run). `vocab.json` and `merges.txt` do for `tokenizer.json`, and a model with OpenAI's
 * vocabulary needs neither. Tensors may have Hugging Face's, OpenAI's or open_clip's names.
 */
export type ModelSource = string | URL | Blob | Iterable<Blob> | DroppedFiles | PickedFolder | ModelAddresses;

/** URLs by file name: `{ 'model.safetensors': …, 'tokenizer.json': …, … }`. */
export interface ModelAddresses {
  readonly [name: string]: string | URL;
}

/** `DataTransfer`. */
export interface DroppedFiles {
  readonly items: object;
  readonly files: Iterable<Blob>;
}

/** `FileSystemDirectoryHandle`. */
export interface PickedFolder {
  readonly kind: 'directory';
  readonly name: string;
}

/** Files that were downloaded, in browsers those of the page's origin. */
export const cache: {
  list(): Promise<KeptFile[]>;
  /** Removes a model's files, or one file; whether there was anything. */
  delete(from: string | URL): Promise<boolean>;
  clear(): Promise<void>;
};

export interface KeptFile {
  url: string;
  /** Bytes that are kept; those of parts that were never needed are missing. */
  bytes: number;
  /** Bytes of the whole file; `undefined` where the server did not tell. */
  size: number | undefined;
  /** The server's ETag, or what it gave as Last-Modified; `''` where neither tells versions apart. */
  etag: string;
  savedAt: Date;
}
