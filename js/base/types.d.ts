/** Errors. */

export type ErrorCode =
  | 'argument'
  | 'memory'
  | 'model'
  | 'tokenizer'
  | 'image'
  | 'dataset'
  | 'classifier'
  | 'file'
  | 'network'
  | 'not-finite'
  | 'state'
  | 'environment';

/** What this library throws. */
export class MudptError extends Error {
  constructor(code: ErrorCode, what: string, hint?: string, options?: { cause?: unknown });
  readonly code: ErrorCode;
  /** What to do about it; also the end of the message. */
  readonly hint: string;
}

/** Every code, with what it means. */
export const ERROR_CODES: Readonly<Record<ErrorCode, string>>;
