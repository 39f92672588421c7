// The Worker: finds the object that a request belongs to, and passes it on as it came.
import { spent } from "./counters.js";
import { Instance, describe, targetOf } from "./instance.js";
import { ACCOUNT, NOW, QUEUE, accountStub, queueStub, rootStub } from "./places.js";
import { Settings } from "./settings.js";

export { Account, Root } from "./directory.js";
export { Queue } from "./queue.js";

let front = null;
let settings = null;

export default {
  async fetch(request, env) {
    if (front === null) {
      settings = new Settings(env);
      front = new Instance(settings.variables);
    }
    const target = targetOf(request.url);
    if (/^\/healthz(\?|$)/.test(target)) return front.answerHealth(describe(request));
    if (settings.counters && target === "/counters") return Response.json(spent);
    const [account, queue] = front.locate(target);
    let stub;
    if (queue !== undefined) {
      stub = queueStub(env, account, queue);
    } else if (account !== undefined) {
      stub = accountStub(env, account);
    } else {
      const { response } = front.consult(describe(request));
      if (response) return response;
      stub = rootStub(env);
    }
    const headers = new Headers(request.headers);
    headers.set(ACCOUNT, encodeURIComponent(account ?? ""));
    headers.set(QUEUE, encodeURIComponent(queue ?? ""));
    if (settings.manualClock) headers.set(NOW, String(await rootStub(env).now()));
    return stub.fetch(new Request(request, { headers }));
  },
};
