// The example of the README, as a service worker of the tests.
import { Queue } from '../index.js';
import { IndexedDbStorage } from '../indexeddb.js';

// At the first request: a worker that is still to take over must not take the storage from the one before.
let opened;
const open = () => (opened ??= IndexedDbStorage.open('service-worker').then((storage) => Queue.open({ storage })));

addEventListener('activate', (event) => event.waitUntil(clients.claim()));
addEventListener('fetch', (event) => {
  if (!new URL(event.request.url).pathname.startsWith('/v1.0/')) return;
  event.respondWith(open().then((queue) => queue.fetch(event.request)));
});
