import type { Batch, Blob, Storage } from './index.js';

/** A folder, for Node, Deno and Bun. Every answer is on disk. */
export declare class FileStorage implements Storage {
  private constructor();
  /** Rejects if another process that is alive has the folder open. */
  static open(folder: string): Promise<FileStorage>;
  load(): Promise<Blob[]>;
  append(batch: Batch): Promise<void>;
  close(): Promise<void>;
}
