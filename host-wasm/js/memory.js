/** Storage that is forgotten with the page or process; also a pattern for your own. */
export class MemoryStorage {
  #blobs = new Map();

  /** All blobs, as `{ sequence, blob }` in ascending order. */
  async load() {
    return [...this.#blobs].map(([sequence, blob]) => ({ sequence, blob }));
  }

  /** Stores a blob and drops those that it makes needless, all or nothing. */
  async append({ sequence, blob, drops }) {
    this.#blobs.set(sequence, blob);
    for (const [first, last] of drops) {
      for (const stored of [...this.#blobs.keys()]) {
        if (stored >= first && stored <= last) this.#blobs.delete(stored);
      }
    }
  }

  async close() {}
}
