// A queue in a folder behind node's HTTP server, on a manual clock: for whoever holds the package to what other
// hosts answer. Requests go to the machine as they came, without passing through a `Request`, which rewrites some.
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';

import { Engine } from '../engine.js';
import { FileStorage } from '../file.js';
import { exchange } from '../respond.js';

const engine = await Engine.open(await FileStorage.open(process.argv[2]), { manualClock: true }, undefined);

const server = createServer({ joinDuplicateHeaders: true }, async (request, response) => {
  const body = new Uint8Array(await buffer(request));
  const header = (name) => request.headers[name];
  const leaving = new AbortController();
  response.on('close', () => leaving.abort());
  const answer = await exchange(engine, request.method, request.url, header, body, leaving.signal).catch((error) => {
    if (!leaving.signal.aborted) throw error;
  });
  if (!answer) return;
  const { status, headers, body: said, head } = answer;
  response.writeHead(status, [...headers, ['content-length', String(said.length)]].flat());
  response.end(head ? undefined : said);
});
server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
