// Storage in a folder, for Node, Deno and Bun: one file a commit, named by its number.
//
// A blob is written under another name, synced and renamed, so that a file with a number is whole.
// Files are dropped after the new one is there: what a crash leaves behind does no harm.

import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

const BLOB = /^(\d{16})\.blob$/;
const LOCK = 'lock';
/** Processes with the same number that began further apart are not the same one. */
const ABOUT_MS = 2000;
/** When this process began. Asked once, as clocks are set, and computers sleep. */
const STARTED_MS = Math.round(Date.now() - process.uptime() * 1000);

export class FileStorage {
  #folder;
  #sequences = new Set();

  constructor(folder) {
    this.#folder = folder;
  }

  /** Rejects if another process that is alive has the folder open. */
  static async open(folder) {
    await mkdir(folder, { recursive: true });
    await lock(join(folder, LOCK));
    return new FileStorage(folder);
  }

  async load() {
    const blobs = [];
    for (const name of (await readdir(this.#folder)).sort()) {
      const numbered = BLOB.exec(name);
      if (!numbered) continue;
      const sequence = Number(numbered[1]);
      this.#sequences.add(sequence);
      blobs.push({ sequence, blob: new Uint8Array(await readFile(join(this.#folder, name))) });
    }
    return blobs;
  }

  async append({ sequence, blob, drops }) {
    const partial = join(this.#folder, 'partial');
    await write(partial, blob, 'w');
    await rename(partial, this.#path(sequence));
    await syncFolder(this.#folder);
    this.#sequences.add(sequence);
    for (const [first, last] of drops) {
      for (const stored of this.#sequences) {
        if (stored < first || stored > last) continue;
        await rm(this.#path(stored), { force: true });
        this.#sequences.delete(stored);
      }
    }
  }

  async close() {
    await rm(join(this.#folder, LOCK), { force: true });
  }

  #path(sequence) {
    return join(this.#folder, `${String(sequence).padStart(16, '0')}.blob`);
  }
}

async function write(path, bytes, flags) {
  const file = await open(path, flags);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path) {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function lock(path) {
  const own = `${process.pid} ${STARTED_MS}`;
  try {
    await write(path, own, 'wx');
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    const [owner, started] = (await readFile(path, 'utf8')).split(' ').map(Number);
    if (isHeld(owner, started)) throw new Error(`${path} is held by process ${owner}`);
    // Its process was killed. This is no guard against two that come to it at the same moment.
    await rm(path, { force: true });
    await write(path, own, 'wx');
  }
}

function isHeld(owner, started) {
  // It was killed before it had said who it is.
  if (!(owner > 0)) return false;
  // In a container the next process often has the same number as the one before.
  if (owner === process.pid) return !(Math.abs(started - STARTED_MS) > ABOUT_MS);
  return isAlive(owner);
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Whoever may not ask, as in Deno without --allow-run, cannot know that nobody is there.
    return error.code !== 'ESRCH';
  }
}
