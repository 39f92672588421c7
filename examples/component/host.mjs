// Burrow inside a JavaScript program: the component, made into JavaScript by jco, with
// storage in memory and a clock that is moved by hand.
//
// node host.mjs burrow.wasm

import { transpile } from '@bytecodealliance/jco-transpile';

const { files } = await transpile(process.argv[2], {
  name: 'burrow',
  instantiation: 'async',
  noTypescript: true,
});
const text = Buffer.from(files['burrow.js']).toString('base64');
const { instantiate } = await import(`data:text/javascript;base64,${text}`);

// The import `storage`: throw { tag: 'not-stored', val: 'why' } to refuse.
const blobs = new Map();
const storage = {
  append(sequence, blob, drops) {
    blobs.set(sequence, blob.slice());
    for (const { first, last } of drops) {
      for (let needless = first; needless <= last; needless++) blobs.delete(needless);
    }
  },
  sequences: () => BigUint64Array.from(blobs.keys()),
  read: (sequence) => blobs.get(sequence),
};
const clock = { now: () => BigInt(Date.now()) };

async function open() {
  const burrow = await instantiate((name) => WebAssembly.compile(files[name]), {
    'burrow:queue/storage': storage,
    'burrow:queue/clock': clock,
  });
  const found = burrow.node.open({ clock: 'manual', seed: 7n, limits: {} });
  console.log(`restored ${found.messages} messages`);
  return burrow;
}

const jobs = { account: 'shop', queue: 'jobs' };
const first = { limit: 1n, matchHidden: false };
const bytes = (string) => new TextEncoder().encode(string);
const string = (bytes) => new TextDecoder().decode(bytes);

let { node, queues, requests } = await open();
queues.put(jobs, { id: '1', body: bytes('pack the parcel') });
const claimed = queues.claim(jobs, first, 30_000n, 0n, 'all').val.entries[0];
console.log(`claimed ${claimed.id}: ${string(claimed.body)}`);

// Another worker waits. The first one does not come back: after 30 s the other has the message.
const waiting = queues.claim(jobs, first, 30_000n, 60_000n, 'all').val;
node.advance(29_999n);
console.log(`completed: ${node.completed().length}`);
node.advance(1n);
console.log(`completed: ${node.completed().length}`);
const late = node.take(waiting).val.val.entries[0];
console.log(`claimed ${late.id}, attempt ${late.attempts}`);

const { names, hasMore } = queues.listQueues('shop', {});
console.log(`queues: ${names}${hasMore ? ' and more' : ''}`);

try {
  queues.ack(jobs, '1', claimed.claim);
} catch (error) {
  console.log(error.tag);
}

// Another instance on the same storage has the same.
({ node, queues, requests } = await open());
queues.ack(jobs, '1', late.claim);
const { val } = requests.handle({ method: 'GET', target: '/v1.0', headers: [], body: bytes('') });
console.log(`${val.status} ${string(val.body)}`);
