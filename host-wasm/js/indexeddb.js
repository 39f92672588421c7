// Storage in a browser: one record a commit, in a database of its own.

const STORE = 'journal';

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** A queue that other tabs of the site may not open at the same time. */
export class IndexedDbStorage {
  #database;
  #letGo;

  constructor(database, letGo) {
    this.#database = database;
    this.#letGo = letGo;
  }

  /** Rejects if another tab has it open: two writers would undo each other's work. */
  static async open(name = 'burrow') {
    const letGo = await lock(`burrow:${name}`);
    try {
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE);
      return new IndexedDbStorage(await done(request), letGo);
    } catch (error) {
      letGo();
      throw error;
    }
  }

  async load() {
    const store = this.#database.transaction(STORE).objectStore(STORE);
    const [sequences, blobs] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
    return sequences.map((sequence, at) => ({ sequence, blob: blobs[at] }));
  }

  append({ sequence, blob, drops }) {
    return new Promise((resolve, reject) => {
      const transaction = this.#database.transaction(STORE, 'readwrite', { durability: 'strict' });
      const store = transaction.objectStore(STORE);
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error('the transaction was aborted'));
      store.add(blob, sequence);
      for (const [first, last] of drops) store.delete(IDBKeyRange.bound(first, last));
    });
  }

  async close() {
    this.#database.close();
    this.#letGo();
  }
}

/** Holds a lock of the site until the function that it gives is called. */
function lock(name) {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (held) => {
        if (!held) throw new Error(`${name} is open elsewhere`);
        return new Promise((letGo) => resolve(letGo));
      })
      .catch(reject);
  });
}
