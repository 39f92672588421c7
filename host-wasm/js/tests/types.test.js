// The types, as somebody's program uses them, and the package, as npm installs it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

import * as file from '../file.js';
import * as main from '../index.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
/** Where the tools of the tests are installed. */
const tools = process.env.BURROW_JS_TOOLS;
/** What a module is allowed to weigh when it is sent, in bytes. */
const MAX_MODULE = 175_000;

const program = `
import { OutcomeUnknown, Queue, Refused, type List, type Message, type Storage } from 'burrow-mq';
import { FileStorage } from 'burrow-mq/file';
import { IndexedDbStorage } from 'burrow-mq/indexeddb';

const own: Storage = { load: async () => [], append: async ({ sequence, blob, drops }) => void [sequence, blob, drops] };
export async function use(): Promise<string[]> {
  const queue = await Queue.open({ storage: own, clock: 'manual', defaultTtl: '10m' });
  const { created }: { created: boolean } = await queue.put('a', 'q', { id: '1', body: new Uint8Array(1) });
  const accounts: List<string> = await queue.accounts();
  if (accounts.hasMore) return await queue.accounts({ marker: accounts.at(-1) });
  const claimed: Message[] = await queue.claim('a', 'q', { hide: 30, wait: '20s' });
  for await (const message of queue.claims('a', 'q', { wait: 0 })) await queue.ack('a', 'q', message);
  await queue.settle('a', 'q', [{ id: '1' }, { id: '2', action: 'update', hide: 0 }]);
  const response: Response = await queue.fetch(new Request('http://x/v1.0'));
  try { await queue.advance('30s'); } catch (error) {
    if (error instanceof Refused && error.code === 'claim-lost') return [error.message];
    if (error instanceof OutcomeUnknown) return [];
  }
  // @ts-expect-error a put needs an id
  await queue.put('a', 'q', { body: '' });
  // @ts-expect-error there is no such option
  await queue.claim('a', 'q', { hidden: 3 });
  void [FileStorage, IndexedDbStorage, created, response];
  return claimed.map((message) => message.text());
}
`;

test('the package can be installed and used, and its types say what it takes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'burrow-pack-'));
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: root });
  const [{ filename, files }] = JSON.parse(stdout);
  const packed = files.map(({ path }) => path);
  for (const path of ['LICENSE', 'README.md', 'index.js', 'index.d.ts', 'wasm/burrow_bg.wasm']) assert.ok(packed.includes(path), path);
  assert.ok(!packed.some((path) => path.startsWith('tests/') || path.startsWith('src/')), packed.join());
  await run('npm', ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', join(folder, filename)], { cwd: folder });

  await writeFile(join(folder, 'use.mjs'), `
    import { Queue } from 'burrow-mq';
    import { FileStorage } from 'burrow-mq/file';
    const queue = await Queue.open({ storage: await FileStorage.open('data') });
    await queue.put('a', 'q', { id: '1', body: 'packed' });
    console.log((await queue.pop('a', 'q'))[0].text());
    await queue.close();
  `);
  assert.equal((await run('node', ['use.mjs'], { cwd: folder })).stdout, 'packed\n');

  await mkdir(join(folder, 'typed'));
  await writeFile(join(folder, 'typed', 'use.ts'), program);
  const options = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'es2022', '--lib', 'es2022,dom,dom.iterable'];
  const typescript = [join(tools, 'node_modules/typescript/bin/tsc'), ...options, '--module', 'nodenext', 'typed/use.ts'];
  const checked = await run('node', typescript, { cwd: folder }).catch((error) => error);
  assert.equal(checked.stdout, '');
});

test('what is exported is what the types say', async () => {
  const declared = await readFile(join(root, 'index.d.ts'), 'utf8');
  const classes = [...declared.matchAll(/^export declare class (\w+)/gm)].map(([, name]) => name);
  const exported = Object.keys(main).filter((name) => name !== 'default');
  assert.deepEqual(classes.sort(), exported.sort());
  const methods = [...declared.slice(declared.indexOf('class Queue')).matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name);
  const own = Object.getOwnPropertyNames(main.Queue.prototype).filter((name) => name !== 'constructor');
  assert.deepEqual(new Set(methods), new Set(own));
  assert.deepEqual(Object.keys(file), ['FileStorage']);
});

test('the module is small', async () => {
  const [module] = (await readdir(join(root, 'wasm'))).filter((name) => name.endsWith('.wasm'));
  const bytes = gzipSync(await readFile(join(root, 'wasm', module)), { level: 9 }).length;
  console.log(`module: ${bytes} bytes, gzipped`);
  assert.ok(bytes <= MAX_MODULE, `${bytes} bytes`);
});
