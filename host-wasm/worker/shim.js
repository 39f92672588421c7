// What binds the module, which is all of the Worker, to the runtime.
import { DurableObject } from "cloudflare:workers";
import * as module from "./build/index.js";
import { describe } from "./runtime.js";

// What objects ask each other has this header. Clients' requests do not get as far as an object with it.
const ASK = "Burrow-Ask";
const NOTHING = new Uint8Array();
const SMALL_BYTES = 16 << 10;
// On the way to an object the runtime takes these out of a path, which names something else then. Encoded they
// get there.
const DOTS = /^[^?]*\/\.\.?(?=[/?#]|$)/;

// A module that has trapped begins anew at the next call, and with it the objects, which come back from their
// storage. Here it is called with nothing that would have been given to the old one.
const renewed = () => module.__worker_init_state().instanceId;

export default {
  async fetch(request, env) {
    try {
      renewed();
      if (DOTS.test(request.url)) return new Response("Not found", { status: 404 });
      return await module.fetch(request, request.url, request.headers.has(ASK), env);
    } catch (error) {
      console.error(String(error));
      return new Response("INTERNAL SERVER ERROR", { status: 500 });
    }
  },
};

function durable(Class, take = (object, request) => object().fetch(request)) {
  return class extends DurableObject {
    #object = null;
    #instanceId = -1;

    #current = () => {
      const instanceId = renewed();
      if (this.#instanceId !== instanceId) {
        this.#object = new Class(this.ctx, this.env);
        this.#instanceId = instanceId;
      }
      return this.#object;
    };

    fetch(request) {
      return take(this.#current, request);
    }

    alarm() {
      return this.#current().alarm();
    }

    webSocketMessage(socket, message) {
      return this.#current().webSocketMessage(socket, message);
    }

    webSocketClose(socket, ...told) {
      return this.#current().webSocketClose(socket, ...told);
    }

    webSocketError(socket, error) {
      return this.#current().webSocketError(socket, error);
    }
  };
}

// Most requests come with a small body or none. It is read here, as a task of the module costs more than all
// else of a request. Until the module has it, it does not count as memory in use: hence small.
async function take(object, request) {
  const { headers } = request;
  if (headers.has(ASK)) return object().fetch(request);
  const bytes = headers.get("Content-Length") ?? (request.body ? Infinity : 0);
  let body = bytes <= SMALL_BYTES ? NOTHING : undefined;
  if (body && bytes > 0) body = new Uint8Array(await request.arrayBuffer());
  return new Promise((answer) => object().take(request, describe(request), body, answer));
}

export const Account = durable(module.Account);
export const Queue = durable(module.Queue, take);
export const Root = durable(module.Root);
// Always there, as it is deployed: so a build with the wire protocol can follow one without it, and go again.
export const Gateway = module.Gateway ? durable(module.Gateway) : class extends DurableObject {};
