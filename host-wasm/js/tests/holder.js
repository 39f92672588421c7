// Stores a message in a folder and holds the folder until it is killed.
import process from 'node:process';

import { FileStorage } from '../file.js';
import { Queue } from '../index.js';

const queue = await Queue.open({ clock: 'manual', storage: await FileStorage.open(process.argv[2]) });
await queue.put('a', 'q', { id: 'm', body: 'kept' });
console.log('stored');
process.stdin.resume();
