// What the Worker is measured beside: an object that does nothing, one that writes a row
// for each request, and the queues that workerd brings along.
import { DurableObject } from "cloudflare:workers";

let consumed = 0;

export class Empty extends DurableObject {
  async fetch(request) {
    await request.arrayBuffer();
    return new Response(null, { status: 201 });
  }
}

export class Inserting extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS messages (number INTEGER PRIMARY KEY, body BLOB)");
  }

  async fetch(request) {
    this.ctx.storage.sql.exec("INSERT INTO messages (body) VALUES (?)", await request.arrayBuffer());
    return new Response(null, { status: 201 });
  }
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/consumed") return Response.json({ consumed });
    if (pathname === "/send") {
      await env.QUEUE.sendBatch(await request.json());
      return new Response(null, { status: 201 });
    }
    const kind = pathname.startsWith("/v1.0/bench/inserting") ? env.INSERTING : env.EMPTY;
    return kind.get(kind.idFromName("one")).fetch(request);
  },

  queue(batch) {
    consumed += batch.messages.length;
    batch.ackAll();
  },
};
