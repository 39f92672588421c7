// What a folder does as storage, in Node, Deno and Bun: titles, and functions that throw where it does not.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { FileStorage } from '../file.js';
import { Queue } from '../index.js';

const holder = fileURLToPath(new URL('./holder.js', import.meta.url));
/** Deno tells nobody of other processes who may not run any. */
const runs = globalThis.Deno ? ['run', '--allow-read', '--allow-write', '--no-prompt', '--no-lock', holder] : [holder];

export const folders = [
  ['a folder has one owner, and leaves out what was half written', inFolder(async (folder) => {
    const queue = await open(folder);
    await queue.put('a', 'q', { id: 'm', body: 'kept' });
    await assert.rejects(FileStorage.open(folder), /held by process/);
    await queue.close();
    await writeFile(join(folder, 'partial'), 'half');
    const again = await open(folder);
    assert.equal((await again.get('a', 'q', 'm')).text(), 'kept');
    await again.close();
  })],
  ['a folder whose blobs are damaged is told of', inFolder(async (folder) => {
    const queue = await open(folder);
    await queue.put('a', 'q', { id: 'm', body: 'kept' });
    await queue.close();
    const blob = (await readdir(folder)).find((name) => name.endsWith('.blob'));
    await writeFile(join(folder, blob), 'damaged');
    await assert.rejects(open(folder), /journal blob 1 is damaged/);
  })],
  ['a folder gives back what a checkpoint has made needless', inFolder(async (folder) => {
    const queue = await open(folder, { checkpointBytes: 4096 });
    for (let at = 0; at < 100; at += 1) {
      await queue.put('a', 'q', { id: String(at), body: 'x'.repeat(200) });
      if (at >= 10) await queue.pop('a', 'q');
    }
    const digest = queue.digest();
    await queue.close();
    assert.ok((await readdir(folder)).length < 80);
    const again = await open(folder);
    assert.equal(again.digest(), digest);
    await again.close();
  })],
  ['a folder that is in use is refused to another process', inFolder(async (folder) => {
    const queue = await open(folder);
    const other = spawn(process.execPath, [...runs, folder], { stdio: ['pipe', 'inherit', 'pipe'] });
    // With its input it would end, if it had the folder.
    other.stdin.end();
    let told = '';
    other.stderr.on('data', (said) => { told += said; });
    const [code] = await once(other, 'close');
    assert.notEqual(code, 0);
    assert.match(told, new RegExp(`held by process ${process.pid}`));
    await queue.close();
  })],
  ['a folder outlives a process that is killed, and while that lives it is refused', inFolder(async (folder) => {
    const other = spawn(process.execPath, [...runs, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [told] = await once(other.stdout, 'data');
    assert.equal(String(told), 'stored\n');
    await assert.rejects(FileStorage.open(folder), new RegExp(`held by process ${other.pid}`));
    other.kill('SIGKILL');
    await once(other, 'exit');
    const queue = await open(folder);
    assert.equal((await queue.get('a', 'q', 'm')).text(), 'kept');
    await queue.close();
  })],
  ['a folder stays held by its process when the clock is set', inFolder(async (folder) => {
    const queue = await open(folder);
    const { now } = Date;
    Date.now = () => now() + 3_600_000;
    try {
      await assert.rejects(FileStorage.open(folder), new RegExp(`held by process ${process.pid}`));
    } finally {
      Date.now = now;
      await queue.close();
    }
  })],
  ['a folder is free if its lock says nothing, or names a process of the same number that began long ago', inFolder(async (folder) => {
    for (const left of ['', `${process.pid} 1000`]) {
      await writeFile(join(folder, 'lock'), left);
      const queue = await open(folder);
      await assert.rejects(FileStorage.open(folder), new RegExp(`held by process ${process.pid}`));
      await queue.close();
    }
  })],
];

async function open(folder, options) {
  return Queue.open({ clock: 'manual', storage: await FileStorage.open(folder), ...options });
}

function inFolder(hold) {
  return async () => {
    const folder = await mkdtemp(join(tmpdir(), 'burrow-'));
    try {
      await hold(folder);
    } finally {
      await rm(folder, { recursive: true });
    }
  };
}
