import type { Batch, Blob, Storage } from './index.js';

/** A database of the browser. */
export declare class IndexedDbStorage implements Storage {
  private constructor();
  /** Rejects if another tab has it open. */
  static open(name?: string): Promise<IndexedDbStorage>;
  load(): Promise<Blob[]>;
  append(batch: Batch): Promise<void>;
  close(): Promise<void>;
}
