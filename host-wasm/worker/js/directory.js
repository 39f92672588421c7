// The objects that know which accounts and queues there may be. A name is written when a queue appears
// for the first time, and taken off when its object has given everything back; whether it
// exists in between is for the queue itself to say.
import { DurableObject } from "cloudflare:workers";
import { spent } from "./counters.js";
import { Instance, describe } from "./instance.js";
import { hasTable } from "./journal.js";
import { ACCOUNT, NOW, accountStub, queueStub, rootStub } from "./places.js";
import { Settings } from "./settings.js";

/** So many are asked at a time. */
const CHUNK = 16;
/** Where a clock starts that is moved by hand; as `Timestamp::MANUAL_START`. */
const MANUAL_START = 1_000_000_000_000;

class Directory extends DurableObject {
  #names = null;
  /** Changes of the list are made one after the other. */
  #line = Promise.resolve();

  constructor(ctx, env) {
    super(ctx, env);
    this.settings = new Settings(env);
  }

  /** All names, in order of their UTF-8 bytes. */
  get names() {
    if (this.#names === null) {
      const { storage } = this.ctx;
      const rows = hasTable(storage, "names") ? storage.sql.exec("SELECT name FROM names ORDER BY name").toArray() : null;
      this.#names = rows?.map((row) => row.name) ?? [];
      this.hasTable = rows !== null;
    }
    return this.#names;
  }

  add(name, before = async () => {}) {
    return this.#inLine(async () => {
      if (this.names.includes(name)) return;
      if (this.names.length === 0) await before();
      if (!this.hasTable) this.#write("CREATE TABLE names (name TEXT PRIMARY KEY) WITHOUT ROWID");
      this.#write("INSERT INTO names VALUES (?)", name);
      this.#names = null;
    });
  }

  drop(name, whenEmpty = async () => {}) {
    return this.#inLine(async () => {
      if (!this.names.includes(name)) return;
      this.#write("DELETE FROM names WHERE name = ?", name);
      this.#names = null;
      if (this.names.length === 0) await whenEmpty();
    });
  }

  /** The answer to a request for a list, or to remove what it lists. `accountExists` is asked
   * where nothing is listed. */
  async list(request, isAlive, remove, accountExists) {
    const front = new Instance(this.settings.variables);
    const described = describe(request);
    const wanted = front.consult(described);
    if (wanted.response) return wanted.response;
    const behind = wanted.marker === null ? 0 : await this.#countUpTo(wanted.marker);
    const found = await this.#find(this.names.slice(behind), wanted.limit, wanted.removes ? remove : isAlive);
    return front.answerNames(described, found, found.length === 0 && behind > 0 && (await accountExists()));
  }

  /** Does something with each name; those for which it is true, in order, at most so many. */
  async #find(names, limit, act) {
    const found = [];
    for (let at = 0; at < names.length && found.length < limit; ) {
      const chunk = names.slice(at, at + Math.min(CHUNK, limit - found.length));
      const results = await Promise.all(chunk.map(act));
      found.push(...chunk.filter((_, index) => results[index]));
      at += chunk.length;
    }
    return found;
  }

  async any(act, but = null) {
    const others = this.names.filter((name) => name !== but);
    return (await this.#find(others, 1, act)).length > 0;
  }

  each(act) {
    return this.#find(this.names, Infinity, act);
  }

  #countUpTo(marker) {
    if (!this.hasTable) return 0;
    return this.ctx.storage.sql.exec("SELECT count(*) AS count FROM names WHERE name <= ?", marker).one().count;
  }

  #write(statement, ...values) {
    spent.rows += this.ctx.storage.sql.exec(statement, ...values).rowsWritten;
  }

  #inLine(act) {
    const done = this.#line.then(act);
    this.#line = done.catch(() => {});
    return done;
  }
}

/** The queues of an account. */
export class Account extends Directory {
  register(account, queue) {
    return this.add(queue, () => rootStub(this.env).register(account));
  }

  forget(account, queue) {
    return this.drop(queue, () => rootStub(this.env).forget(account));
  }

  hasOther(account, queue, now) {
    return this.any((other) => queueStub(this.env, account, other).isAlive(account, other, now), queue);
  }

  isAlive(account, now) {
    return this.hasOther(account, null, now);
  }

  async remove(account, now) {
    return (await this.each((queue) => queueStub(this.env, account, queue).remove(account, queue, now))).length > 0;
  }

  async advance(account, until) {
    let digest = 0n;
    await this.each(async (queue) => {
      // Added once it is there: several are asked at a time.
      const part = await queueStub(this.env, account, queue).advance(account, queue, until);
      digest += part;
    });
    return BigInt.asUintN(64, digest);
  }

  fetch(request) {
    const account = decodeURIComponent(request.headers.get(ACCOUNT));
    const now = request.headers.get(NOW);
    return this.list(
      request,
      (queue) => queueStub(this.env, account, queue).isAlive(account, queue, now),
      (queue) => queueStub(this.env, account, queue).remove(account, queue, now),
      () => this.isAlive(account, now),
    );
  }
}

/** All accounts, and the clock if it is moved by hand. */
export class Root extends Directory {
  #now = null;

  register(account) {
    return this.add(account);
  }

  forget(account) {
    return this.drop(account);
  }

  now() {
    if (this.#now === null) {
      const { storage } = this.ctx;
      this.#now = hasTable(storage, "clock") ? storage.sql.exec("SELECT now FROM clock").one().now : MANUAL_START;
    }
    return this.#now;
  }

  async fetch(request) {
    const described = describe(request);
    if (this.settings.manualClock && /^\/clock(\?|$)/.test(described.target)) return this.#moveClock(described);
    const now = request.headers.get(NOW);
    return this.list(
      request,
      (account) => accountStub(this.env, account).isAlive(account, now),
      (account) => accountStub(this.env, account).remove(account, now),
      () => false,
    );
  }

  async #moveClock(described) {
    const front = new Instance(this.settings.variables);
    const { response, advance } = front.consult(described);
    if (response) return response;
    const until = this.now() + advance;
    if (advance > 0) {
      const { sql } = this.ctx.storage;
      sql.exec("CREATE TABLE IF NOT EXISTS clock (one INTEGER PRIMARY KEY, now INTEGER NOT NULL)");
      sql.exec("INSERT OR REPLACE INTO clock VALUES (1, ?)", until);
      this.#now = until;
    }
    let digest = 0n;
    await this.each(async (account) => {
      const part = await accountStub(this.env, account).advance(account, until);
      digest += part;
    });
    return front.answerClock(described, until, BigInt.asUintN(64, digest));
  }
}
