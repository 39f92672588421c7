// The journal of an object in its SQL storage. What is paid for is rows written, so a commit
// writes one: a blob takes over the row of one that nothing needs any more. Which rows
// these are stands in the row of the newest blob.
import { spent } from "./counters.js";

/** A row may have 2 MB. */
const PART_BYTES = 1_900_000;
/** Free rows that are kept for blobs to come, beside as many as there are in use. */
const SPARE_ROWS = 1_000;

export class Journal {
  #storage;
  /** The rows of each blob, in order of its parts; by sequence number, ascending. */
  #slots = new Map();
  /** Ranges of sequence numbers of blobs that nothing needs: their rows are free. */
  #free = [];
  #freeRows = 0;
  #rows = 0;
  #nextSlot = 1;
  #exists = false;
  /** The sequence number of the newest blob. */
  newest = 0;

  constructor(storage) {
    this.#storage = storage;
    this.#exists = hasTable(storage, "journal");
    if (!this.#exists) return;
    for (const { slot, sequence } of this.#query("SELECT slot, sequence FROM journal ORDER BY sequence, part")) {
      if (!this.#slots.has(sequence)) this.#slots.set(sequence, []);
      this.#slots.get(sequence).push(slot);
      this.#rows += 1;
      this.#nextSlot = Math.max(this.#nextSlot, slot + 1);
      this.newest = sequence;
    }
    const newest = this.#query("SELECT free FROM journal WHERE free IS NOT NULL ORDER BY sequence DESC LIMIT 1");
    this.#free = JSON.parse(newest[0]?.free ?? "[]");
    for (const sequence of this.#freeSequences()) this.#freeRows += this.#slots.get(sequence).length;
  }

  /** The sequence numbers of what is needed, ascending. */
  sequences() {
    const isFree = (sequence) => this.#free.some(([first, last]) => first <= sequence && sequence <= last);
    return [...this.#slots.keys()].filter((sequence) => !isFree(sequence));
  }

  /** The blob with this sequence number, or null. */
  read(sequence) {
    const parts = (this.#slots.get(sequence) ?? []).map((slot) => {
      const [row] = this.#query("SELECT blob FROM journal WHERE slot = ?", slot);
      return new Uint8Array(row.blob);
    });
    if (parts.length <= 1) return parts[0] ?? null;
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  /** Stores a batch. If it throws, nothing was stored, and this journal is of no use any more. */
  write({ sequence, drops, blob }) {
    const parts = [];
    for (let at = 0; at === 0 || at < blob.length; at += PART_BYTES) parts.push(blob.subarray(at, at + PART_BYTES));
    this.#storage.transactionSync(() => {
      if (!this.#exists) {
        this.#exec(
          "CREATE TABLE journal (slot INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, part INTEGER NOT NULL, free TEXT, blob BLOB NOT NULL)",
        );
        this.#exists = true;
      }
      for (const range of drops) this.#drop(range);
      const slots = parts.map(() => this.#takeSlot());
      this.#slots.set(
        sequence,
        slots.map(({ slot }) => slot),
      );
      this.newest = sequence;
      const free = JSON.stringify(this.#free);
      parts.forEach((part, index) => {
        const { slot, used } = slots[index];
        const statement = used
          ? "UPDATE journal SET sequence = ?2, part = ?3, free = ?4, blob = ?5 WHERE slot = ?1"
          : "INSERT INTO journal (slot, sequence, part, free, blob) VALUES (?1, ?2, ?3, ?4, ?5)";
        this.#exec(statement, slot, sequence, index, index === 0 ? free : null, part);
      });
    });
    this.#trim();
  }

  /** Deletes free rows where there are many more than in use: many at once, and seldom. */
  #trim() {
    if (this.#freeRows <= SPARE_ROWS + (this.#rows - this.#freeRows)) return;
    for (const [first, last] of this.#free) {
      this.#exec("DELETE FROM journal WHERE sequence BETWEEN ? AND ?", first, last);
    }
    for (const sequence of [...this.#freeSequences()]) {
      this.#rows -= this.#slots.get(sequence).length;
      this.#slots.delete(sequence);
    }
    this.#free = [];
    this.#freeRows = 0;
  }

  #drop([first, last]) {
    for (const sequence of this.#slots.keys()) {
      if (sequence > last) break;
      if (sequence >= first) this.#freeRows += this.#slots.get(sequence).length;
    }
    this.#free.push([first, last]);
    this.#free.sort((a, b) => a[0] - b[0]);
  }

  *#freeSequences() {
    for (const sequence of this.#slots.keys()) {
      if (this.#free.some(([first, last]) => first <= sequence && sequence <= last)) yield sequence;
    }
  }

  /** A row that is free, or a new one. */
  #takeSlot() {
    while (this.#free.length > 0) {
      const [range] = this.#free;
      for (; range[0] <= range[1]; range[0] += 1) {
        const slots = this.#slots.get(range[0]);
        if (slots === undefined) continue;
        const slot = slots.shift();
        if (slots.length === 0) this.#slots.delete(range[0]);
        if (slot === undefined) continue;
        this.#freeRows -= 1;
        return { slot, used: true };
      }
      this.#free.shift();
    }
    this.#rows += 1;
    return { slot: this.#nextSlot++, used: false };
  }

  #query(statement, ...values) {
    return this.#storage.sql.exec(statement, ...values).toArray();
  }

  #exec(statement, ...values) {
    spent.rows += this.#storage.sql.exec(statement, ...values).rowsWritten;
  }
}

export function hasTable(storage, name) {
  return storage.sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", name).toArray().length > 0;
}
