// Holds every conversation, and what a folder does as storage, and prints the count: for runtimes without node's
// test runner. The exit code is 1 if one went wrong.
import { readdir, readFile } from 'node:fs/promises';
import process from 'node:process';

import { holdAll } from './conversations.js';
import { folders } from './folders.js';

const folder = new URL('../../../tests/conformance/', import.meta.url);
const files = [];
for (const name of (await readdir(folder)).filter((name) => name.endsWith('.txt')).sort()) {
  files.push([name, await readFile(new URL(name, folder), 'utf8')]);
}
const { passed, skipped, failures } = await holdAll(files);
let stored = 0;
for (const [title, hold] of folders) {
  await hold().then(() => { stored += 1; }, (error) => failures.push(`${title}: ${error.stack}`));
}
for (const failure of failures) console.log(failure);
console.log(`${passed + stored} passed, ${failures.length} failed, ${skipped} skipped`);
process.exit(failures.length > 0 || passed < 130 ? 1 : 0);
