// What binds the module, which is all of the Worker, to the runtime. A module that has trapped is of no use
// any more: it begins anew, and with it the objects, which come back from their storage.
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import * as module from "./build/index.js";

const state = module.__worker_init_state();

function renew() {
  if (!state.criticalError) return;
  module.__wbg_reset_state();
  state.criticalError = false;
  state.instanceId += 1;
}

function note(error) {
  if (error instanceof WebAssembly.RuntimeError) state.criticalError = true;
}

// What runs on its own has nobody to throw to.
addEventListener("error", (event) => note(event.error));

async function guarded(act) {
  try {
    return await act();
  } catch (error) {
    note(error);
    throw error;
  }
}

export default class extends WorkerEntrypoint {
  fetch(request) {
    renew();
    return guarded(() => module.fetch.call(this, request, this.env, this.ctx));
  }
}

function durable(Class) {
  return class extends DurableObject {
    #object = null;
    #instanceId = -1;

    get #current() {
      renew();
      if (this.#instanceId !== state.instanceId) {
        this.#object = new Class(this.ctx, this.env);
        this.#instanceId = state.instanceId;
      }
      return this.#object;
    }

    fetch(request) {
      return guarded(() => this.#current.fetch(request));
    }

    alarm() {
      return guarded(() => this.#current.alarm());
    }

    webSocketMessage(socket, message) {
      return guarded(() => this.#current.webSocketMessage(socket, message));
    }

    webSocketClose(socket, ...told) {
      return guarded(() => this.#current.webSocketClose(socket, ...told));
    }

    webSocketError(socket, error) {
      return guarded(() => this.#current.webSocketError(socket, error));
    }
  };
}

export const Account = durable(module.Account);
export const Queue = durable(module.Queue);
export const Root = durable(module.Root);
// Always there, as it is deployed: so a build with the wire protocol can follow one without it, and go again.
export const Gateway = module.Gateway ? durable(module.Gateway) : class extends DurableObject {};
