/** Seconds, or a text such as '250ms', '30s', '1.5h' or '7d'. */
export type Span = number | string;
export type Bytes = string | Uint8Array | ArrayBuffer;

/** One commit of the journal: opaque bytes under an ascending number. */
export interface Blob {
  sequence: number;
  blob: Uint8Array;
}

export interface Batch extends Blob {
  /** Blobs that this one makes needless, as pairs of first and last number. */
  drops: [first: number, last: number][];
}

/** Where a queue keeps its journal. It has one user at a time. */
export interface Storage {
  load(): Iterable<Blob> | AsyncIterable<Blob> | Promise<Iterable<Blob>>;
  /** Resolves when the blob is stored; drops may be deleted then. All or nothing. */
  append(batch: Batch): Promise<void>;
  close?(): Promise<void> | void;
}

export interface Options {
  /** Memory unless given. */
  storage?: Storage;
  /** A function gives milliseconds since 1970. */
  clock?: 'system' | 'manual' | (() => number);
  corsOrigin?: string;
  defaultTtl?: Span;
  defaultHide?: Span;
  markerRetention?: Span;
  maxWait?: Span;
  claimDelay?: Span;
  maxBodyBytes?: number;
  maxBatchMessages?: number;
  maxAnswerBytes?: number;
  maxQueueMessages?: number;
  maxQueueBytes?: number;
  maxAccountMessages?: number;
  maxAccountBytes?: number;
  maxAccountQueues?: number;
  maxMessages?: number;
  maxBytes?: number;
  maxQueues?: number;
  maxWaiters?: number;
  maxQueueWaiters?: number;
  maxMarkers?: number;
  checkpointBytes?: number;
  /** Keys the hash tables of a new queue; by default random. */
  seed?: number;
}

export interface NewMessage {
  /** Given by the queue where it is left out, in batches. */
  id?: string;
  body?: Bytes;
  contentType?: string;
  ttl?: Span;
  hide?: Span;
}

export declare class Message {
  private constructor();
  readonly id: string;
  readonly body: Uint8Array;
  readonly contentType?: string;
  /** What remains; 0 never expires. */
  readonly ttlMs: number;
  /** 0 is visible. */
  readonly hideMs: number;
  readonly attempts: number;
  /** The token of the claim that was just made. */
  readonly claim?: string;
  text(): string;
  json(): unknown;
}

/** An array that says of itself whether it ends because the answer is full: then go on behind its last entry. */
export type List<T> = T[] & { readonly hasMore: boolean };

export type Claimed = Pick<Message, 'id' | 'claim'>;

export interface Selection {
  /** Only what comes after the message with this id. */
  marker?: string;
  limit?: number;
  matchHidden?: boolean;
  /** How long to wait for messages where there are none. */
  wait?: Span;
  detail?: 'id' | 'attributes' | 'body' | 'all';
  signal?: AbortSignal;
}

export interface Times {
  ttl?: Span;
  hide?: Span;
}

export interface Page {
  marker?: string;
  limit?: number;
}

export interface Settings {
  defaultTtl?: Span;
  defaultHide?: Span;
  maxAttempts?: number;
  deadLetter?: string;
  maxMessages?: number;
  maxBytes?: number;
  order?: 'fifo' | 'lifo';
  markerRetention?: Span;
}

export interface CurrentSettings {
  defaultTtlMs?: number;
  defaultHideMs?: number;
  maxAttempts?: number;
  deadLetter?: string;
  maxMessages?: number;
  maxBytes?: number;
  order: 'fifo' | 'lifo';
  markerRetentionMs?: number;
}

export type Settlement = { id: string; claim?: string } & (
  | { action?: 'delete' }
  | ({ action: 'update' } & Times)
);

export interface Stats {
  accounts: number;
  queues: number;
  messages: number;
  hidden: number;
  bytes: number;
  waiters: number;
  markers: number;
}

export type RefusalCode =
  | 'account-not-found' | 'queue-not-found' | 'message-not-found' | 'claim-lost'
  | 'invalid' | 'too-large' | 'exhausted';

/** The queue did not carry the call out; nothing changed. */
export declare class Refused extends Error {
  readonly code: RefusalCode;
}

/** The storage failed: the change may be there or not. Afterwards the queue is as the storage has it. */
export declare class OutcomeUnknown extends Error {
  readonly code: 'outcome-unknown';
}

export declare class MemoryStorage implements Storage {
  load(): Promise<Blob[]>;
  append(batch: Batch): Promise<void>;
  close(): Promise<void>;
}

export declare class Queue {
  private constructor();
  static open(options?: Options): Promise<Queue>;

  put(account: string, queue: string, message: NewMessage & { id: string }): Promise<{ created: boolean }>;
  putBatch(account: string, queue: string, messages: NewMessage[]): Promise<string[]>;
  /** Takes messages for a while: 30 seconds and one message unless said otherwise. */
  claim(account: string, queue: string, options?: Selection & Times): Promise<List<Message>>;
  /** Claims one message after the other, and waits for those to come. Ends with its signal; with a `wait` of 0, when there is none. */
  claims(account: string, queue: string, options?: Selection & Times): AsyncGenerator<Message, void>;
  extend(account: string, queue: string, message: Claimed, hide: Span): Promise<Message>;
  release(account: string, queue: string, message: Claimed): Promise<Message>;
  ack(account: string, queue: string, message: Claimed): Promise<void>;
  /** For each null, or why it was refused. */
  settle(account: string, queue: string, settlements: Settlement[]): Promise<({ code: RefusalCode; message: string } | null)[]>;
  pop(account: string, queue: string, options?: Selection): Promise<List<Message>>;
  peek(account: string, queue: string, options?: Selection): Promise<List<Message>>;
  list(account: string, queue: string, options?: Selection): Promise<List<Message>>;
  updateMany(account: string, queue: string, options?: Selection & Times): Promise<List<Message>>;
  deleteMany(account: string, queue: string, options?: Selection): Promise<List<Message>>;
  get(account: string, queue: string, id: string): Promise<Message | undefined>;
  update(account: string, queue: string, id: string, options?: Times & { claim?: string }): Promise<Message>;
  delete(account: string, queue: string, id: string, claim?: string): Promise<void>;

  accounts(page?: Page): Promise<List<string>>;
  deleteAccounts(page?: Page): Promise<List<string>>;
  queues(account: string, page?: Page): Promise<List<string>>;
  deleteQueues(account: string, page?: Page): Promise<List<string>>;
  getSettings(account: string, queue: string): Promise<CurrentSettings>;
  putSettings(account: string, queue: string, settings: Settings): Promise<void>;
  clearSettings(account: string, queue: string): Promise<void>;
  export(account: string, queue: string, options?: { after?: number; maxBytes?: number }): Promise<{ piece: Uint8Array; next?: number }>;
  /** Gives the number of messages. */
  import(account: string, queue: string, piece: Bytes): Promise<number>;

  /** Answers a request as the server does. */
  fetch(request: Request): Promise<Response>;
  /** Moves a manual clock on; what falls due happens at once, in order. */
  advance(span: Span): Promise<void>;
  /** Milliseconds since 1970. */
  now(): number;
  stats(): Stats;
  /** Equal for queues that hold the same. */
  digest(): string;
  close(): Promise<void>;
}
