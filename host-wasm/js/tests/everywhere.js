// Holds every conversation and prints the count: for runtimes without node's test runner. The exit code is 1
// if one went wrong.
import { readdir, readFile } from 'node:fs/promises';
import process from 'node:process';

import { holdAll } from './conversations.js';

const folder = new URL('../../../tests/conformance/', import.meta.url);
const files = [];
for (const name of (await readdir(folder)).filter((name) => name.endsWith('.txt')).sort()) {
  files.push([name, await readFile(new URL(name, folder), 'utf8')]);
}
const { passed, skipped, failures } = await holdAll(files);
for (const failure of failures) console.log(failure);
console.log(`${passed} passed, ${failures.length} failed, ${skipped} skipped`);
process.exit(failures.length > 0 || passed < 130 ? 1 : 0);
