// Which object has what.

/** The instant that a request is made at, where the clock is manual. */
export const NOW = "Burrow-Now";
/** The names that a request's target has, percent-encoded. */
export const ACCOUNT = "Burrow-Account";
export const QUEUE = "Burrow-Queue";

export function rootStub(env) {
  return stub(env.ROOT, "root");
}

export function accountStub(env, account) {
  return stub(env.ACCOUNTS, encodeURIComponent(account));
}

export function queueStub(env, account, queue) {
  return stub(env.QUEUES, `${encodeURIComponent(account)}/${encodeURIComponent(queue)}`);
}

function stub(namespace, name) {
  return namespace.get(namespace.idFromName(name));
}
