// Burrow in this process: the whole queue as promises.

import { Engine } from './engine.js';
import { OutcomeUnknown, Refused } from './errors.js';
import * as input from './input.js';
import { MemoryStorage } from './memory.js';
import { respond } from './respond.js';
import { Batch, Choice, Settlements } from './wasm.js';

export { MemoryStorage, OutcomeUnknown, Refused };

const SPANS = ['defaultTtl', 'defaultHide', 'markerRetention', 'maxWait', 'claimDelay'];
const COUNTS = [
  'maxBodyBytes', 'maxBatchMessages', 'maxAnswerBytes', 'maxQueueMessages', 'maxQueueBytes', 'maxAccountMessages',
  'maxAccountBytes', 'maxAccountQueues', 'maxMessages', 'maxBytes', 'maxQueues', 'maxWaiters',
  'maxQueueWaiters', 'maxMarkers', 'checkpointBytes', 'seed',
];
const MESSAGE = ['id', 'body', 'contentType', 'ttl', 'hide'];
const SELECT = ['marker', 'limit', 'matchHidden', 'wait', 'detail', 'signal'];
const EMPTY = ['account-not-found', 'queue-not-found', 'message-not-found'];
const decoder = new TextDecoder();

/** A message as it was found. */
export class Message {
  constructor(found) {
    Object.assign(this, found);
  }

  text() {
    return decoder.decode(this.body);
  }

  json() {
    return JSON.parse(this.text());
  }
}

export class Queue {
  #engine;

  constructor(engine) {
    this.#engine = engine;
  }

  static async open(options = {}) {
    const known = ['storage', 'clock', 'corsOrigin', ...SPANS, ...COUNTS];
    const { storage = new MemoryStorage(), clock = 'system', ...rest } = input.fields('options', options, known);
    for (const method of ['load', 'append']) {
      if (typeof storage?.[method] !== 'function') throw new TypeError(`storage.${method} must be a function`);
    }
    return new Queue(await Engine.open(storage, settings(rest, clock), instants(clock)));
  }

  /** Stores a message, or puts it in the place of the one with its id. */
  put(account, queue, message) {
    return this.#run((machine, now) => {
      const batch = new Batch();
      add(batch, 'message', message);
      input.text('message.id', message.id);
      return machine.put(now, ...names(account, queue), batch);
    });
  }

  /** Stores messages in one atomic step, and gives their ids. */
  putBatch(account, queue, messages) {
    return this.#run((machine, now) => {
      const batch = new Batch();
      input.list('messages', messages).forEach((message, at) => add(batch, `messages[${at}]`, message));
      return machine.putBatch(now, ...names(account, queue), batch);
    });
  }

  /** Takes messages for a while; nobody else gets them meanwhile. */
  claim(account, queue, { hide = '30s', limit = 1, ttl, ...options } = {}) {
    return this.#select(account, queue, { limit, ...options }, 'all', (machine, now, choice) => {
      const hideMs = input.span('hide', hide);
      if (hideMs === 0) throw new TypeError('hide must be more than 0: a claim hides its message');
      return machine.updateMany(now, choice, input.span('ttl', ttl), hideMs);
    });
  }

  /** Claims one message after the other, and waits for those to come. Ends with its signal; with a `wait` of 0, when there is none. */
  async *claims(account, queue, { wait = '60s', ...options } = {}) {
    const comesBack = input.span('wait', wait) > 0;
    while (!options.signal?.aborted) {
      let found;
      try {
        found = await this.claim(account, queue, { wait, ...options });
      } catch (error) {
        if (options.signal?.aborted) return;
        throw error;
      }
      if (found.length === 0 && !comesBack) return;
      yield* found;
    }
  }

  /** Takes messages and removes them in one step. */
  pop(account, queue, options = {}) {
    return this.#select(account, queue, { limit: 1, ...options }, 'all', (machine, now, choice) =>
      machine.deleteMany(now, choice));
  }

  /** Messages that match, without taking them. */
  list(account, queue, options) {
    return this.#select(account, queue, options, 'all', (machine, now, choice) => machine.list(now, choice));
  }

  /** The first messages, as they are. */
  peek(account, queue, options = {}) {
    return this.list(account, queue, { limit: 1, ...options });
  }

  /** New times for all messages that match. */
  updateMany(account, queue, { ttl, hide, ...options } = {}) {
    return this.#select(account, queue, options, 'attributes', (machine, now, choice) =>
      machine.updateMany(now, choice, input.span('ttl', ttl), input.span('hide', hide)));
  }

  /** Removes all messages that match. */
  deleteMany(account, queue, options) {
    return this.#select(account, queue, options, 'id', (machine, now, choice) => machine.deleteMany(now, choice));
  }

  /** A message by its id, hidden or not; undefined if it is not there. */
  async get(account, queue, id) {
    const [found] = await this.#find((machine, now) => machine.get(now, ...names(account, queue), input.text('id', id)));
    return found.map((message) => new Message(message))[0];
  }

  /** New times for one message. */
  async update(account, queue, id, options = {}) {
    const { claim, ttl, hide } = input.fields('options', options, ['claim', 'ttl', 'hide']);
    const [[message]] = await this.#run((machine, now) => machine.updateOne(
      now, ...names(account, queue), input.text('id', id),
      input.optionalText('claim', claim), input.span('ttl', ttl), input.span('hide', hide)));
    return new Message(message);
  }

  /** Holds a claimed message for longer. */
  extend(account, queue, message, hide) {
    return this.update(account, queue, message.id, { claim: input.text('claim', message.claim), hide });
  }

  /** Gives a claimed message back at once. */
  release(account, queue, message) {
    return this.extend(account, queue, message, 0);
  }

  /** Removes a message, whoever has claimed it; with a claim only if that is the current one. */
  async delete(account, queue, id, claim) {
    await this.#run((machine, now) => machine.deleteOne(
      now, ...names(account, queue), input.text('id', id), input.optionalText('claim', claim)));
  }

  /** The work is done: removes a claimed message. */
  ack(account, queue, message) {
    return this.delete(account, queue, message.id, input.text('claim', message.claim));
  }

  /** Acknowledges, extends and releases many: for each null, or why it was refused. */
  settle(account, queue, settlements) {
    return this.#run((machine, now) => {
      const all = new Settlements();
      input.list('settlements', settlements).forEach((one, at) => settlement(all, `settlements[${at}]`, one));
      return machine.settle(now, ...names(account, queue), all);
    });
  }

  accounts(page) {
    return this.#names(undefined, page, false);
  }

  deleteAccounts(page) {
    return this.#names(undefined, page, true);
  }

  queues(account, page) {
    return this.#names(input.text('account', account), page, false);
  }

  deleteQueues(account, page) {
    return this.#names(input.text('account', account), page, true);
  }

  getSettings(account, queue) {
    return this.#run((machine, now) => machine.getSettings(now, ...names(account, queue)));
  }

  putSettings(account, queue, options) {
    const known = ['defaultTtl', 'defaultHide', 'maxAttempts', 'deadLetter', 'maxMessages', 'maxBytes', 'order', 'markerRetention'];
    const given = input.fields('settings', options, known);
    const { order = 'fifo' } = given;
    if (order !== 'fifo' && order !== 'lifo') throw new TypeError("order must be 'fifo' or 'lifo'");
    return this.#run((machine, now) => machine.putSettings(
      now, ...names(account, queue),
      input.span('defaultTtl', given.defaultTtl), input.span('defaultHide', given.defaultHide),
      input.whole('maxAttempts', given.maxAttempts), input.optionalText('deadLetter', given.deadLetter),
      input.whole('maxMessages', given.maxMessages), input.whole('maxBytes', given.maxBytes),
      order === 'lifo', input.span('markerRetention', given.markerRetention)));
  }

  clearSettings(account, queue) {
    return this.#run((machine, now) => machine.clearSettings(now, ...names(account, queue)));
  }

  /** A piece of a queue, to be imported elsewhere: `{ piece, next }`; go on with `after: next`. */
  export(account, queue, options = {}) {
    const { after, maxBytes = 1 << 20 } = input.fields('options', options, ['after', 'maxBytes']);
    return this.#run((machine, now) => machine.exportPiece(
      now, ...names(account, queue), input.whole('after', after), input.whole('maxBytes', maxBytes)));
  }

  import(account, queue, piece) {
    return this.#run((machine, now) => machine.importPiece(now, ...names(account, queue), input.bytes('piece', piece)));
  }

  /** Answers a request as the server does. */
  fetch(request) {
    return respond(this.#engine, request);
  }

  /** Moves a manual clock on; what falls due happens at once, in order. */
  advance(span) {
    return this.#engine.advance(input.span('span', span) ?? 0);
  }

  /** The instant of the queue, in milliseconds since 1970. */
  now() {
    return this.#engine.now();
  }

  stats() {
    return this.#engine.machine.stats();
  }

  /** Equal for queues that hold the same. */
  digest() {
    return this.#engine.machine.digest().toString(16).padStart(16, '0');
  }

  close() {
    return this.#engine.close();
  }

  #run(submit, signal) {
    return this.#engine.run(submit, signal);
  }

  /** As `run`, for what gives a list and whether there is more; what is not there is an empty one. */
  async #find(submit, signal) {
    try {
      return await this.#run(submit, signal);
    } catch (error) {
      if (error instanceof Refused && EMPTY.includes(error.code)) return [[], false];
      throw error;
    }
  }

  async #select(account, queue, options, detail, submit) {
    const given = input.fields('options', options, SELECT);
    const { signal } = given;
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError('signal must be an AbortSignal');
    const [found, hasMore] = await this.#find((machine, now) => submit(machine, now, new Choice(
      ...names(account, queue), input.optionalText('marker', given.marker), input.whole('limit', given.limit),
      Boolean(given.matchHidden), input.span('wait', given.wait) ?? 0, input.detail(given.detail, detail))), signal);
    return list(found.map((message) => new Message(message)), hasMore);
  }

  async #names(account, page, remove) {
    const { marker, limit } = input.fields('page', page, ['marker', 'limit']);
    return list(...await this.#find((machine, now) => machine.names(
      now, account, input.optionalText('marker', marker), input.whole('limit', limit), remove)));
  }
}

/** An array like any other, which knows whether the answer was full. */
function list(items, hasMore) {
  return Object.defineProperty(items, 'hasMore', { value: hasMore });
}

function names(account, queue) {
  return [input.text('account', account), input.text('queue', queue)];
}

function add(batch, what, message) {
  const { id, body, contentType, ttl, hide } = input.fields(what, message, MESSAGE);
  batch.add(
    input.optionalText(`${what}.id`, id), input.bytes(`${what}.body`, body),
    input.optionalText(`${what}.contentType`, contentType),
    input.span(`${what}.ttl`, ttl), input.span(`${what}.hide`, hide));
}

function settlement(all, what, one) {
  const { id, claim, action = 'delete', ttl, hide } = input.fields(what, one, ['id', 'claim', 'action', 'ttl', 'hide']);
  const named = [input.text(`${what}.id`, id), input.optionalText(`${what}.claim`, claim)];
  if (action === 'delete') all.delete(...named);
  else if (action === 'update') all.update(...named, input.span(`${what}.ttl`, ttl), input.span(`${what}.hide`, hide));
  else throw new TypeError(`${what}.action must be 'delete' or 'update'`);
}

/** Settings for the machine: spans in milliseconds, numbers that are numbers. */
function settings(options, clock) {
  const read = { manualClock: clock === 'manual' };
  for (const name of SPANS) if (options[name] !== undefined) read[`${name}Ms`] = input.span(name, options[name]);
  for (const name of COUNTS) if (options[name] !== undefined) read[name] = input.whole(name, options[name]);
  // Nobody is to know which ids collide.
  read.seed ??= crypto.getRandomValues(new Uint32Array(2)).reduce((high, low) => high * 2 ** 21 + (low >>> 11));
  if (options.corsOrigin !== undefined) read.corsOrigin = input.text('corsOrigin', options.corsOrigin);
  return read;
}

/** A function that tells the instant; none for a manual clock. */
function instants(clock) {
  if (clock === 'manual') return undefined;
  if (clock === 'system') return () => Date.now();
  if (typeof clock === 'function') return clock;
  throw new TypeError("clock must be 'system', 'manual' or a function that gives milliseconds");
}
