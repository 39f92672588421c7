// REST v1.0 for `Request` and `Response`, as a service worker has them.

import { OutcomeUnknown } from './errors.js';
import { HttpRequest, Machine } from './wasm.js';

/** A response with these states has no body, by the rules of `Response`. */
const WITHOUT_BODY = [204, 205, 304];

export async function respond(engine, request) {
  if (!(request instanceof Request)) throw new TypeError('request must be a Request');
  const { pathname, search } = new URL(request.url);
  const body = new Uint8Array(await request.arrayBuffer());
  const header = (name) => request.headers.get(name) ?? undefined;
  return render(await exchange(engine, request.method, pathname + search, header, body, request.signal));
}

/** The answer as the machine gives it: `{ status, headers, body, head }`. */
export async function exchange(engine, method, target, header, body, signal) {
  try {
    return await engine.run((machine, now) => {
      const read = new HttpRequest(
        method, target, header('content-type'), header('origin'), header('access-control-request-method'), body);
      try {
        return machine.handle(now, read);
      } finally {
        read.free();
      }
    }, signal);
  } catch (error) {
    if (error instanceof OutcomeUnknown) return Machine.outcomeUnknown();
    throw error;
  }
}

function render({ status, headers, body, head }) {
  const answered = new Headers(headers);
  if (status !== 204) answered.set('content-length', String(body.length));
  return new Response(head || WITHOUT_BODY.includes(status) ? null : body, { status, headers: answered });
}
