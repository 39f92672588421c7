// The object of one queue. Its node lives in an instance of the module, and comes back from
// the journal whenever the object was evicted or something went wrong.
import { DurableObject } from "cloudflare:workers";
import { spent } from "./counters.js";
import { Instance, describe } from "./instance.js";
import { Journal, hasTable } from "./journal.js";
import { ACCOUNT, NOW, QUEUE, accountStub, queueStub } from "./places.js";
import { Settings } from "./settings.js";

/** Above this the object takes no more messages. */
const MEMORY_BYTES = 88 << 20;
/** The longest that a timer is set for. */
const TIMER_MS = 3_600_000;
/** When messages that did not reach their dead-letter queue are sent again. */
const FORWARD_AGAIN_MS = 5_000;
/** What is due within this is waited for; what is due later has the alarm. */
const SOON_MS = 10_000;
const PIECE_BYTES = 1 << 20;
const MAX_NAME_BYTES = 255;

export class Queue extends DurableObject {
  #settings;
  #instance = null;
  #journal = null;
  /** By what the clock is behind the journal. */
  #lag = 0;
  #name = null;
  #isRegistered = false;
  #registering = null;
  #opening = null;
  #leaving = null;
  /** Who waits for the outcome of a request, by its number. */
  #pending = new Map();
  #hasWork = false;
  #working = null;
  #timer = null;
  #alarmAt = null;
  #forwardAgain = false;

  constructor(ctx, env) {
    super(ctx, env);
    this.#settings = new Settings(env);
  }

  // ---- what clients ask

  async fetch(request) {
    const body = await readBody(request, this.#settings.maxRequestBytes);
    if (body === undefined) return new Instance([]).answerTooLarge(this.#settings.maxRequestBytes);
    const described = describe(request);
    const [account, queue] = [ACCOUNT, QUEUE].map((name) => decodeURIComponent(request.headers.get(name)));
    try {
      const creates = described.method === "PUT" || this.#settings.manualClock;
      return await this.#with(account, queue, creates, () => {
        const instance = this.#instance;
        const now = this.#now(request.headers.get(NOW));
        const handled = instance.handle(now, described, body, instance.memoryBytes < MEMORY_BYTES);
        return handled instanceof Response ? handled : this.#outcome(handled, request.signal);
      });
    } catch (error) {
      return this.#fail(error);
    }
  }

  // ---- what other objects ask

  /** Takes messages that another queue has given up. */
  async take(account, queue, piece, manualNow) {
    return this.#with(account, queue, true, () => {
      if (this.#instance.memoryBytes >= MEMORY_BYTES) return false;
      const outcome = this.#outcome(this.#instance.import(this.#now(manualNow), piece), null);
      // Not as part of the work under way, which may wait for the very object that asks.
      this.#store();
      this.#collect().forEach((deliver) => deliver());
      return outcome;
    });
  }

  async isAlive(account, queue, manualNow) {
    return this.#with(account, queue, false, () => this.#instance.exists(this.#now(manualNow)));
  }

  /** Removes the queue with all that it holds. False if there was none. */
  async remove(account, queue, manualNow) {
    const removed = await this.#with(account, queue, false, () => this.#instance.remove(this.#now(manualNow)));
    await this.#work();
    return removed;
  }

  /** Moves a clock that stands still, and gives a digest of what there is then. */
  async advance(account, queue, until) {
    await this.#with(account, queue, false, () => this.#instance.advanceTo(until));
    await this.#work();
    return this.#with(account, queue, false, () => this.#instance.digest());
  }

  async alarm() {
    this.#alarmAt = null;
    await this.#open(null, null);
    if (this.#instance === null) return;
    await this.#guarded(() => this.#instance.handleDeadline(this.#now(null)));
    await this.#work();
    if (this.#instance?.isEmpty && this.#pending.size === 0 && this.#isIdle()) await this.#leave();
  }

  // ---- from the journal, and back to nothing

  /** Makes the node, if it is not there. Its names are stored; before that, they are given. */
  async #open(account, queue) {
    if (this.#instance !== null && this.#leaving === null) return;
    await this.#leaving;
    this.#opening ??= this.#restore(account, queue).finally(() => (this.#opening = null));
    await this.#opening;
  }

  async #restore(account, queue) {
    if (this.#instance !== null) return;
    const storage = this.ctx.storage;
    this.#alarmAt = await storage.getAlarm();
    this.#isRegistered = hasTable(storage, "queue");
    if (this.#isRegistered) {
      const [row] = storage.sql.exec("SELECT account, queue FROM queue").toArray();
      this.#name = [row.account, row.queue];
    } else if (account !== null) {
      this.#name = [account, queue];
    } else {
      return;
    }
    const journal = new Journal(storage);
    const instance = new Instance(this.#settings.variables, (sequence) => journal.read(sequence));
    const now = this.#settings.manualClock ? 0 : Date.now();
    instance.restore(...this.#name, journal.sequences(), now);
    this.#lag = Math.max(0, instance.now - now);
    [this.#journal, this.#instance] = [journal, instance];
    if (instance.outbox(this.#now(null)) !== null) this.#soon(() => (this.#forwardAgain = true), FORWARD_AGAIN_MS);
  }

  /** Tells the account of the queue before the queue holds anything, and remembers that. */
  async #register() {
    if (this.#isRegistered || this.#name.some((name) => new TextEncoder().encode(name).length > MAX_NAME_BYTES)) return;
    this.#registering ??= this.#tellAccount().finally(() => (this.#registering = null));
    await this.#registering;
  }

  async #tellAccount() {
    const [account, queue] = this.#name;
    await accountStub(this.env, account).register(account, queue);
    const { sql } = this.ctx.storage;
    spent.rows += sql.exec("CREATE TABLE queue (account TEXT NOT NULL, queue TEXT NOT NULL, idle_at INTEGER)").rowsWritten;
    spent.rows += sql.exec("INSERT INTO queue VALUES (?, ?, NULL)", account, queue).rowsWritten;
    this.#isRegistered = true;
  }

  /** True if nothing has happened since the last alarm, which came a retention time ago. */
  #isIdle() {
    const { sql } = this.ctx.storage;
    const { newest } = this.#journal;
    if (sql.exec("SELECT idle_at FROM queue").one().idle_at === newest) return true;
    spent.rows += sql.exec("UPDATE queue SET idle_at = ?", newest).rowsWritten;
    return false;
  }

  /** There is nothing left: gives all space back, then takes the name off the account's list. */
  async #leave() {
    const [account, queue] = this.#name;
    this.#instance = null;
    this.#isRegistered = false;
    this.#leaving = (async () => {
      await this.ctx.storage.deleteAll();
      await accountStub(this.env, account).forget(account, queue);
    })().finally(() => (this.#leaving = null));
    await this.#leaving;
  }

  /** The node is not what is stored, or its instance is broken: it comes back from the journal. */
  #fail(error) {
    console.error("burrow: restoring a queue after", error?.stack ?? String(error));
    this.#instance = null;
    const answer = () => new Instance([]).answerNotStored(true);
    for (const deliver of [...this.#pending.values()]) deliver({ response: answer(), done: false });
    return answer();
  }

  /** Does something with the node when it is there and, if that may create the queue, its
   * account knows of it. */
  async #with(account, queue, creates, act) {
    do {
      await this.#open(account, queue);
      if (creates) await this.#register();
    } while (this.#instance === null);
    return this.#guarded(act);
  }

  /** Does something with the node, and lets go of the node if that fails. */
  #guarded(act) {
    try {
      const result = act();
      this.#kick();
      return result;
    } catch (error) {
      this.#instance = null;
      throw error;
    }
  }

  // ---- deciding, storing, answering

  #now(manual) {
    if (this.#settings.manualClock) return Math.max(Number(manual ?? 0), this.#instance.now);
    return Date.now() + this.#lag;
  }

  #outcome(number, signal) {
    const instance = this.#instance;
    return new Promise((resolve) => {
      spent.waiting += 1;
      const finish = () => {
        signal?.removeEventListener("abort", leave);
        this.#pending.delete(number);
        spent.waiting -= 1;
      };
      const leave = () => {
        if (!this.#pending.has(number)) return;
        finish();
        if (instance === this.#instance) this.#guarded(() => instance.cancel(number));
        resolve(new Response(null, { status: 499 }));
      };
      this.#pending.set(number, (outcome) => {
        finish();
        resolve(outcome.response ?? outcome.done);
      });
      signal?.addEventListener("abort", leave);
      if (signal?.aborted) leave();
    });
  }

  /** There may be something to store or to answer. */
  #kick() {
    this.#hasWork = true;
    this.#working ??= this.#loop().finally(() => (this.#working = null));
  }

  async #work() {
    this.#kick();
    await this.#working;
  }

  async #loop() {
    try {
      while (this.#hasWork && this.#instance !== null) {
        // What has arrived by now is stored in one row.
        await turn();
        if (this.#instance === null) return;
        this.#hasWork = false;
        this.#store();
        const deliveries = this.#collect();
        await this.#forward();
        deliveries.forEach((deliver) => deliver());
      }
      if (this.#instance !== null) this.#arm();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Stores all that was decided. The runtime lets no answer out before it is on disk. */
  #store() {
    for (let batch; (batch = this.#instance.pollBatch()) !== null; ) {
      this.#journal.write(batch);
      this.#instance.handleDurable(batch.sequence);
    }
  }

  /** What can be told to whom. */
  #collect() {
    const deliveries = [];
    for (let outcome; (outcome = this.#instance.next()) !== null; ) {
      const { number } = outcome;
      if (outcome.done === null) {
        deliveries.push(() => this.#askAccount(number));
      } else {
        const told = outcome;
        deliveries.push(() => this.#pending.get(number)?.(told));
      }
    }
    return deliveries;
  }

  /** The queue does not exist. Whether its account does, others know. */
  async #askAccount(number) {
    const instance = this.#instance;
    const [account, queue] = this.#name;
    const exists = await accountStub(this.env, account).hasOther(account, queue, instance.now);
    if (instance === this.#instance) this.#pending.get(number)?.({ response: instance.decide(number, exists) });
  }

  /** Sends dead letters to their queue, and drops them here once they are there. If it is
   * interrupted, they are sent again: the same messages take the same places. */
  async #forward() {
    const instance = this.#instance;
    const [account] = this.#name;
    for (let queue; (queue = instance.outbox(this.#now(null))) !== null; ) {
      const exported = () => instance.exportAll(this.#now(null), queue, PIECE_BYTES);
      for (let sent = null, pieces = exported(); !isSame(sent, pieces); pieces = exported()) {
        for (const piece of pieces) {
          if (!(await this.#sendTo(account, queue, piece))) return;
          if (instance !== this.#instance) return;
        }
        sent = pieces;
      }
      instance.dropOutbox(this.#now(null), queue);
      this.#store();
    }
    this.#forwardAgain = false;
  }

  async #sendTo(account, queue, piece) {
    try {
      if (await queueStub(this.env, account, queue).take(account, queue, piece, this.#now(null))) return true;
    } catch (error) {
      console.error("burrow: dead letters stay for now:", String(error));
    }
    this.#forwardAgain = true;
    return false;
  }

  // ---- time

  /** Sees to it that what becomes due happens. */
  #arm() {
    if (this.#forwardAgain) this.#soon(() => {}, FORWARD_AGAIN_MS);
    if (this.#settings.manualClock) return;
    const { deadline, waiters } = this.#instance;
    const now = this.#now(null);
    if (deadline !== null && (waiters > 0 || deadline - now < SOON_MS)) {
      this.#soon(() => this.#instance.handleDeadline(this.#now(null)), deadline - now);
    }
    const late = deadline === null ? now + this.#settings.markerRetentionMs : Math.max(deadline, now) + this.#settings.alarmSlackMs;
    const at = this.#forwardAgain ? now + FORWARD_AGAIN_MS : late;
    if (!this.#isRegistered || (this.#alarmAt !== null && at + this.#settings.alarmSlackMs > this.#alarmAt)) return;
    this.#alarmAt = at;
    spent.rows += 1;
    spent.alarms += 1;
    this.ctx.storage.setAlarm(new Date(at)).catch(() => (this.#alarmAt = null));
  }

  #soon(act, afterMs) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        if (this.#instance !== null) this.#guarded(act);
      },
      Math.min(Math.max(afterMs, 0), TIMER_MS),
    );
  }
}

function isSame(sent, pieces) {
  const isEqual = (a, b) => a.length === b.length && a.every((byte, index) => byte === b[index]);
  return sent !== null && sent.length === pieces.length && sent.every((piece, index) => isEqual(piece, pieces[index]));
}

/** Lets other requests in that have arrived. */
function turn() {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** The body, or undefined if it is larger than allowed. */
async function readBody(request, maximumBytes) {
  if (request.body === null) return null;
  const length = request.headers.get("Content-Length");
  if (length !== null) {
    if (Number(length) > maximumBytes) return undefined;
    return new Uint8Array(await request.arrayBuffer());
  }
  const pieces = [];
  let bytes = 0;
  for await (const piece of request.body) {
    bytes += piece.length;
    if (bytes > maximumBytes) return undefined;
    pieces.push(piece);
  }
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
