import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';

import { Queue } from '../index.js';
import { hold, parse } from './conversations.js';

const folder = new URL('../../../tests/conformance/', import.meta.url);
let held = 0;

for (const file of (await readdir(folder)).filter((name) => name.endsWith('.txt')).sort()) {
  for (const conversation of parse(await readFile(new URL(file, folder), 'utf8'))) {
    test(`${file}: ${conversation.title}`, async (context) => {
      const queue = await Queue.open({ clock: 'manual' });
      if (await hold(queue, conversation)) held += 1;
      else context.skip('a Request cannot say this');
      await queue.close();
    });
  }
}

test('nearly all conversations were held', () => assert.ok(held >= 130, `only ${held}`));
