// Drives the machine: gives it instants, stores its batches, lets answers go, keeps its deadlines.

import { OutcomeUnknown, Refused } from './errors.js';
import { load, Machine } from './wasm.js';

/** A timer cannot be set further ahead. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class Engine {
  #storage;
  #settings;
  #clock;
  #machine;
  /** How far the host's clock is behind what is stored. */
  #behind = 0;
  #waiting = new Map();
  /** The write that is under way. */
  #storing;
  /** Set while what is stored must be read again, after a write that failed. */
  #recovering;
  #timer;
  /** Writes that failed. */
  #failures = 0;
  #closed = false;
  #closing;

  constructor(storage, settings, clock) {
    this.#storage = storage;
    this.#settings = settings;
    this.#clock = clock;
  }

  static async open(storage, settings, clock) {
    await load();
    const engine = new Engine(storage, settings, clock);
    await engine.#restore();
    engine.#pump();
    return engine;
  }

  get machine() {
    if (this.#closed) throw new Error('the queue is closed');
    if (!this.#machine) throw new Error('the queue is reading what is stored');
    return this.#machine;
  }

  now() {
    return this.#clock ? this.#clock() + this.#behind : this.machine.now();
  }

  /** Has `submit` give the machine something, and waits for the outcome. */
  async run(submit, signal) {
    signal?.throwIfAborted();
    if (this.#recovering) await this.#recovering;
    else if (!this.#closed && !this.#machine) await this.#recover();
    signal?.throwIfAborted();
    const submitted = submit(this.machine, this.now());
    if (typeof submitted !== 'number') {
      this.#pump();
      return submitted;
    }
    const outcome = new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiting.delete(submitted);
        this.#machine?.cancel(submitted);
        this.#pump();
        reject(signal.reason);
      };
      signal?.addEventListener('abort', abort, { once: true });
      const end = () => signal?.removeEventListener('abort', abort);
      this.#waiting.set(submitted, { resolve, reject, end });
    });
    this.#pump();
    return outcome;
  }

  /** Moves a manual clock on, and resolves when what that changed is stored. */
  async advance(spanMs) {
    if (this.#clock) throw new TypeError("only a queue with clock: 'manual' can be advanced");
    const before = this.#failures;
    await this.run((machine) => {
      machine.advance(spanMs);
    });
    while (this.#storing) await this.#storing;
    if (this.#failures !== before) throw new OutcomeUnknown(new Error('the storage failed'));
  }

  /** Stores what is to be stored. Whoever still waits is told so. */
  close() {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close() {
    while (this.#storing) await this.#storing;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#fail(new Error('the queue was closed'));
    this.#machine?.free();
    this.#machine = undefined;
    await this.#storage.close?.();
  }

  async #restore() {
    const blobs = new Map();
    for await (const { sequence, blob } of await this.#storage.load()) blobs.set(sequence, blob);
    const sequences = [...blobs.keys()].sort((one, other) => one - other);
    const started = this.#clock ? this.#clock() : 0;
    this.#machine = new Machine(this.#settings, started, sequences, (sequence) => blobs.get(sequence));
    this.#behind = this.#clock ? Math.max(0, this.#machine.now() - started) : 0;
  }

  #recover() {
    this.#recovering = this.#restore().finally(() => {
      this.#recovering = undefined;
    });
    return this.#recovering;
  }

  #pump() {
    if (this.#closed || !this.#machine) return;
    this.#answer();
    if (!this.#storing) {
      const batch = this.#machine.pollBatch();
      if (batch) this.#storing = this.#store(batch);
    }
    this.#arm();
  }

  #answer() {
    for (let next = this.#machine.poll(); next; next = this.#machine.poll()) {
      const [number, outcome] = next;
      const waiting = this.#waiting.get(number);
      if (!waiting) continue;
      this.#waiting.delete(number);
      waiting.end();
      if (outcome?.code) waiting.reject(new Refused(outcome.code, outcome.message));
      else waiting.resolve(outcome);
    }
  }

  async #store(batch) {
    try {
      await this.#storage.append(batch);
    } catch (error) {
      this.#failures += 1;
      this.#machine.free();
      this.#machine = undefined;
      clearTimeout(this.#timer);
      this.#fail(new OutcomeUnknown(error));
      // If this fails as well, the next call tries again.
      await this.#recover().catch(() => {});
      this.#storing = undefined;
      this.#pump();
      return;
    }
    this.#storing = undefined;
    this.#machine.handleDurable(batch.sequence);
    this.#pump();
  }

  #fail(error) {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject, end } of waiting) {
      end();
      reject(error);
    }
  }

  #arm() {
    clearTimeout(this.#timer);
    const deadline = this.#clock && this.#machine.deadline();
    if (deadline === undefined) return;
    const wait = Math.min(Math.max(0, deadline - this.now()), MAX_TIMER_MS);
    this.#timer = setTimeout(() => {
      this.#machine?.handleDeadline(this.now());
      this.#pump();
    }, Math.ceil(wait));
    // A queue alone does not keep a process alive; whoever waits for it does.
    if (this.#waiting.size === 0) this.#timer.unref?.();
  }
}
