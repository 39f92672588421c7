// An instance of the wasm module, and how values pass in and out of it: see ../src/wire.rs.
import module from "../build/burrow.wasm";

const ABSENT = 0xffffffff;
const NO_LIMIT = 0xffffffffffffffffn;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What an HTTP request is to the module. The target is as the client sent it. */
export function describe(request) {
  const headers = request.headers;
  return {
    method: request.method,
    target: targetOf(request.url),
    contentType: headers.get("Content-Type"),
    origin: headers.get("Origin"),
    asks: headers.get("Access-Control-Request-Method"),
  };
}

export function targetOf(url) {
  return url.slice(url.indexOf("/", url.indexOf("://") + 3));
}

export class Instance {
  #exports;
  #memory;
  #bytes;

  /** `read` gives the stored blob with a sequence number, or null. */
  constructor(variables, read = () => null) {
    const storage = {
      read: (sequence) => {
        const blob = read(sequence);
        if (blob === null) return 0;
        this.#put(blob);
        return 1;
      },
    };
    this.#exports = new WebAssembly.Instance(module, { storage }).exports;
    this.#memory = this.#exports.memory;
    this.#bytes = new Uint8Array(this.#memory.buffer);
    for (const [name, value] of variables) {
      this.#putTexts([name, value]);
      if (this.#exports.configure() !== 1) throw new Error(this.#text(this.#output()));
    }
  }

  /** Bytes of memory that the instance has taken. It never gives any back. */
  get memoryBytes() {
    return this.#memory.buffer.byteLength;
  }

  // ---- requests that need no queue

  /** Where a target belongs: no names for no place in particular, or account, or account and queue. */
  locate(target) {
    this.#put(encoder.encode(target));
    return this.#texts(this.#exports.locate());
  }

  consult(request) {
    this.#putRequest(request);
    const kind = this.#exports.consult();
    if (kind === 0) return { response: this.#response(0) };
    const out = this.#output();
    const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
    const number = view.getBigUint64(0, true);
    if (kind === 3) return { advance: Number(number) };
    return {
      removes: kind === 2,
      limit: number === NO_LIMIT ? Infinity : Number(number),
      marker: out[8] === 1 ? this.#text(out.subarray(9)) : null,
    };
  }

  answerNames(request, names, accountExists) {
    const encoded = names.map((name) => encoder.encode(name));
    const body = new Uint8Array(encoded.reduce((sum, name) => sum + 4 + name.length, 0));
    const view = new DataView(body.buffer);
    let at = 0;
    for (const name of encoded) {
      view.setUint32(at, name.length, true);
      body.set(name, at + 4);
      at += 4 + name.length;
    }
    this.#putRequest(request, body);
    return this.#answer(this.#exports.answer_names(accountExists ? 1 : 0));
  }

  answerClock(request, now, digest) {
    this.#putRequest(request);
    return this.#answer(this.#exports.answer_clock(now, digest));
  }

  answerHealth(request) {
    this.#putRequest(request);
    return this.#answer(this.#exports.answer_health());
  }

  answerTooLarge(maximumBytes) {
    return this.#answer(this.#exports.answer_too_large(maximumBytes));
  }

  answerNotStored(unknown) {
    return this.#answer(this.#exports.answer_not_stored(unknown ? 1 : 0));
  }

  // ---- the queue

  restore(account, queue, sequences, now) {
    const names = [account, queue].map((name) => encoder.encode(name));
    const length = names[0].length + names[1].length + 8;
    const bytes = new Uint8Array(length + sequences.length * 8);
    const view = new DataView(bytes.buffer);
    let at = 0;
    for (const name of names) {
      view.setUint32(at, name.length, true);
      bytes.set(name, at + 4);
      at += 4 + name.length;
    }
    sequences.forEach((sequence, index) => view.setBigUint64(length + index * 8, BigInt(sequence), true));
    this.#put(bytes);
    if (this.#exports.restore(now) !== 1) throw new Error(this.#text(this.#output()));
  }

  /** The number of the request, or its answer. */
  handle(now, request, body, hasRoom) {
    this.#putRequest(request, body);
    const number = this.#exports.handle(now, hasRoom ? 1 : 0);
    return number === 0 ? this.#response(0) : this.#checked(number);
  }

  import(now, piece) {
    this.#put(piece);
    return this.#checked(this.#exports.import(now));
  }

  pollBatch() {
    if (this.#exports.poll_batch() === 0) return null;
    const out = this.#output();
    const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
    const number = (at) => Number(view.getBigUint64(at, true));
    const drops = [];
    let at = 12;
    for (let left = view.getUint32(8, true); left > 0; left--, at += 16) drops.push([number(at), number(at + 8)]);
    return { sequence: number(0), drops, blob: out.slice(at) };
  }

  handleDurable(sequence) {
    this.#exports.handle_durable(sequence);
  }

  /** What has become of some request: its number with a response, or with what was done, or with neither. */
  next() {
    const kind = this.#exports.next();
    if (kind === 0) return null;
    const out = this.#output();
    const number = new DataView(out.buffer, out.byteOffset).getUint32(0, true);
    if (kind === 1) return { number, response: this.#response(4) };
    return { number, done: kind === 2 ? out[4] === 1 : null };
  }

  decide(number, accountExists) {
    return this.#answer(this.#exports.decide(number, accountExists ? 1 : 0));
  }

  cancel(number) {
    this.#exports.cancel(number);
  }

  get deadline() {
    const deadline = this.#exports.deadline();
    return deadline < 0 ? null : deadline;
  }

  get now() {
    return this.#exports.now();
  }

  get waiters() {
    return this.#exports.waiters();
  }

  /** There is neither a message nor a setting. */
  get isEmpty() {
    return this.#exports.queues() === 0;
  }

  handleDeadline(now) {
    this.#exports.handle_deadline(now);
  }

  advanceTo(until) {
    this.#exports.advance_to(until);
  }

  digest() {
    return BigInt.asUintN(64, this.#exports.digest());
  }

  exists(now) {
    return this.#exports.exists(now) === 1;
  }

  remove(now) {
    return this.#exports.remove(now) === 1;
  }

  /** A dead-letter queue for which there are messages. */
  outbox(now) {
    return this.#exports.outbox(now) === 1 ? this.#text(this.#output()) : null;
  }

  /** All that is there for a dead-letter queue. */
  exportAll(now, queue, maximumBytes) {
    const name = encoder.encode(queue);
    const pieces = [];
    let after = -1;
    do {
      this.#put(name);
      after = this.#exports.export(now, after, maximumBytes);
      pieces.push(this.#output().slice());
    } while (after >= 0);
    return pieces;
  }

  dropOutbox(now, queue) {
    this.#put(encoder.encode(queue));
    this.#exports.drop_outbox(now);
  }

  // ---- bytes

  #view() {
    if (this.#bytes.byteLength === 0) this.#bytes = new Uint8Array(this.#memory.buffer);
    return this.#bytes;
  }

  #put(bytes) {
    const at = this.#exports.input(bytes.length);
    this.#view().set(bytes, at);
  }

  #putTexts(texts, body = null) {
    const encoded = texts.map((text) => (text === null ? null : encoder.encode(text)));
    const head = encoded.reduce((sum, text) => sum + 4 + (text?.length ?? 0), 0);
    const start = this.#exports.input(head + (body?.length ?? 0));
    const bytes = this.#view();
    const view = new DataView(bytes.buffer);
    let at = start;
    for (const text of encoded) {
      view.setUint32(at, text === null ? ABSENT : text.length, true);
      at += 4;
      if (text === null) continue;
      bytes.set(text, at);
      at += text.length;
    }
    if (body !== null) bytes.set(body, at);
  }

  #putRequest({ method, target, contentType, origin, asks }, body = null) {
    this.#putTexts([method, target, contentType, origin, asks], body);
  }

  /** Valid until the next call. */
  #output() {
    const at = this.#exports.output();
    return this.#view().subarray(at, at + this.#exports.output_length());
  }

  #text(bytes) {
    return decoder.decode(bytes);
  }

  #texts(count) {
    const out = this.#output();
    const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
    const texts = [];
    for (let at = 0; texts.length < this.#checked(count); ) {
      const end = at + 4 + view.getUint32(at, true);
      texts.push(this.#text(out.subarray(at + 4, end)));
      at = end;
    }
    return texts;
  }

  #checked(number) {
    if (number < 0) throw new Error("the module cannot read what it was given");
    return number;
  }

  #answer(status) {
    this.#checked(status);
    return this.#response(0);
  }

  #response(at) {
    const out = this.#output();
    const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
    const status = view.getUint16(at, true);
    const isHead = out[at + 2] === 1;
    const headers = [];
    let left = view.getUint32(at + 3, true);
    at += 7;
    const text = () => {
      const end = at + 4 + view.getUint32(at, true);
      const value = this.#text(out.subarray(at + 4, end));
      at = end;
      return value;
    };
    for (; left > 0; left--) headers.push([text(), text()]);
    const length = out.length - at;
    if (isHead && length > 0) headers.push(["Content-Length", String(length)]);
    const body = isHead || length === 0 ? null : out.slice(at);
    if (out.length > 65536) this.#exports.release();
    return new Response(body, { status, headers });
  }
}
