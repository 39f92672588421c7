import assert from 'node:assert/strict';
import { test } from 'node:test';

import { MemoryStorage, OutcomeUnknown, Queue, Refused } from '../index.js';
import { folders } from './folders.js';

const manual = (options) => Queue.open({ clock: 'manual', ...options });

test('a message is put, claimed, extended and acknowledged', async () => {
  const queue = await manual();
  assert.deepEqual(await queue.put('a', 'q', { id: 'm', body: 'hello' }), { created: true });
  const [message] = await queue.claim('a', 'q', { hide: '10s' });
  assert.equal(message.text(), 'hello');
  assert.equal(message.attempts, 1);
  assert.deepEqual(await queue.claim('a', 'q'), []);
  await queue.extend('a', 'q', message, '20s');
  await queue.advance('15s');
  assert.deepEqual(await queue.claim('a', 'q'), []);
  await queue.ack('a', 'q', message);
  assert.equal(queue.stats().messages, 0);
  await queue.close();
});

test('a claim that was lost is refused', async () => {
  const queue = await manual();
  await queue.put('a', 'q', { id: 'm', body: 'x' });
  const [first] = await queue.claim('a', 'q', { hide: '1s' });
  await queue.advance('1s');
  const [second] = await queue.claim('a', 'q', { hide: '1s' });
  await assert.rejects(queue.ack('a', 'q', first), (error) => error instanceof Refused && error.code === 'claim-lost');
  await queue.ack('a', 'q', second);
});

test('who waits is answered when something comes', async () => {
  const queue = await manual();
  const waiting = queue.claim('a', 'q', { wait: '60s' });
  await queue.putBatch('a', 'q', [{ id: 'm', body: new Uint8Array([0, 255]) }]);
  const [message] = await waiting;
  assert.deepEqual([...message.body], [0, 255]);
});

test('a wait that is aborted takes nothing', async () => {
  const queue = await manual();
  const leaving = new AbortController();
  const waiting = queue.claim('a', 'q', { wait: '60s', signal: leaving.signal });
  await Promise.resolve();
  leaving.abort();
  await assert.rejects(waiting, { name: 'AbortError' });
  await queue.put('a', 'q', { id: 'm', body: '' });
  assert.equal((await queue.claim('a', 'q')).length, 1);
});

test('waits and expiries happen in order when the clock is moved', async () => {
  const queue = await manual();
  const order = [];
  const wait = (name, span) => queue.claim('a', name, { wait: span }).then(() => order.push(name));
  const waiting = [wait('late', '20s'), wait('early', '10s')];
  await queue.put('a', 'q', { id: 'm', body: '', ttl: '15s' });
  await queue.advance('30s');
  await Promise.all(waiting);
  assert.deepEqual(order, ['early', 'late']);
  assert.equal(await queue.get('a', 'q', 'm'), undefined);
});

test('a system clock ends waits by itself', async () => {
  const queue = await Queue.open();
  assert.deepEqual(await queue.claim('a', 'q', { wait: '20ms' }), []);
  await queue.close();
});

test('what is stored is there again', async () => {
  const storage = new MemoryStorage();
  const before = await manual({ storage });
  await before.putBatch('a', 'q', [{ body: '1' }, { body: '2' }]);
  const digest = before.digest();
  await before.close();
  const after = await manual({ storage });
  assert.equal(after.digest(), digest);
  assert.deepEqual((await after.list('a', 'q')).map((message) => message.text()), ['1', '2']);
});

test('a write that fails is told, and the queue is as the storage has it', async () => {
  const storage = new MemoryStorage();
  const queue = await manual({ storage });
  await queue.put('a', 'q', { id: 'kept', body: '' });
  const append = storage.append;
  storage.append = () => Promise.reject(new Error('disk full'));
  await assert.rejects(queue.put('a', 'q', { id: 'lost', body: '' }), OutcomeUnknown);
  storage.append = append;
  assert.equal(await queue.get('a', 'q', 'lost'), undefined);
  assert.equal((await queue.get('a', 'q', 'kept')).id, 'kept');
  await queue.put('a', 'q', { id: 'again', body: '' });
});

test('a move of the clock that cannot be stored is told', async () => {
  const storage = new MemoryStorage();
  const queue = await manual({ storage });
  await queue.put('a', 'q', { id: 'm', body: '', ttl: '5s' });
  const append = storage.append;
  const waiting = queue.claim('a', 'other', { wait: '60s' });
  storage.append = () => Promise.reject(new Error('disk full'));
  const putting = assert.rejects(queue.put('a', 'q', { id: 'n', body: '' }), OutcomeUnknown);
  const moving = assert.rejects(queue.advance('10s'), OutcomeUnknown);
  await assert.rejects(waiting, OutcomeUnknown);
  await Promise.all([putting, moving]);
  storage.append = append;
  assert.equal((await queue.get('a', 'q', 'm')).id, 'm');
});

test('claims end with their signal, or where nothing is left', async () => {
  const queue = await manual();
  await queue.putBatch('a', 'q', [{ body: '1' }, { body: '2' }]);
  const texts = [];
  for await (const message of queue.claims('a', 'q', { wait: 0 })) texts.push(message.text());
  assert.deepEqual(texts, ['1', '2']);
  const leaving = new AbortController();
  const claims = queue.claims('a', 'q', { signal: leaving.signal });
  const next = claims.next();
  leaving.abort();
  assert.equal((await next).done, true);
});

test('a queue that is closed tells who waits, and those who come later', async () => {
  const queue = await manual();
  const waiting = assert.rejects(queue.claim('a', 'q', { wait: '60s' }), /was closed/);
  await Promise.all([queue.close(), queue.close(), waiting]);
  await assert.rejects(queue.put('a', 'q', { id: 'm' }), /is closed/);
});

for (const [title, hold] of folders) test(title, hold);

test('a request is answered as by the server', async () => {
  const queue = await manual();
  const send = (method, target, body) => queue.fetch(new Request(`http://x${target}`, { method, body }));
  assert.equal((await send('PUT', '/v1.0/a/q/m', 'hi')).status, 201);
  const listed = await send('GET', '/v1.0/a/q?detail=body');
  assert.deepEqual([listed.status, await listed.text()], [200, '["hi"]']);
  const clock = await send('POST', '/clock?advance=30s');
  assert.equal((await clock.json()).now_ms, 1_000_000_030_000);
});

test('a list that is full says that there is more', async () => {
  const queue = await Queue.open({ clock: 'manual', maxAnswerBytes: 1 });
  await queue.putBatch('a', 'q', [{ id: '1', body: '' }, { id: '2', body: '' }]);
  await queue.put('b', 'q', { id: '1', body: '' });

  const accounts = await queue.accounts();
  assert.deepEqual([...accounts, accounts.hasMore], ['a', true]);
  const others = await queue.accounts({ marker: accounts.at(-1) });
  assert.deepEqual([...others, others.hasMore], ['b', false]);

  const first = await queue.pop('a', 'q', { limit: 5 });
  assert.deepEqual([first.map(({ id }) => id), first.hasMore], [['1'], true]);
  const second = await queue.pop('a', 'q', { limit: 5 });
  assert.deepEqual([second.map(({ id }) => id), second.hasMore], [['2'], false]);
  assert.equal((await queue.pop('a', 'q')).hasMore, false);
});

test('what is of the wrong type is named', async () => {
  const queue = await manual();
  for (const [call, field] of [
    [() => queue.put('a', 7, { id: 'm' }), /^queue must be a string/],
    [() => queue.put('a', 'q', { body: '' }), /^message.id must be a string/],
    [() => queue.put('a', 'q', { id: 'm', body: 7 }), /^message.body must be/],
    [() => queue.put('a', 'q', { id: '\ud800', body: '' }), /^message.id holds half/],
    [() => queue.putBatch('a', 'q', [{ ttl: -1 }]), /^messages\[0\].ttl must be/],
    [() => queue.claim('a', 'q', { hide: '3 weeks' }), /^hide is not a span/],
    [() => queue.claim('a', 'q', { hidden: 1 }), /^options has no field hidden/],
    [() => queue.list('a', 'q', { limit: 1.5 }), /^limit must be a whole number/],
    [() => Queue.open({ clock: 'sundial' }), /^clock must be/],
    [() => Queue.open({ storage: {} }), /^storage.load must be/],
  ]) {
    await assert.rejects(async () => call(), (error) => error instanceof TypeError && field.test(error.message));
  }
});
