// What the Worker is measured beside: an object that does nothing, one that writes a row
// for each request, one that writes a row for all who wait, and the queues that workerd brings along.
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

// What is the least that a queue can do in plain JavaScript: one row for all who wait, then the answers.
export class Gathering extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS commits (number INTEGER PRIMARY KEY, bodies BLOB)");
    this.waiting = [];
  }

  async fetch(request) {
    const body = await request.arrayBuffer();
    return new Promise((answer) => {
      if (this.waiting.length === 0) setTimeout(() => this.store(), 0);
      this.waiting.push({ body, answer });
    });
  }

  store() {
    const { waiting } = this;
    this.waiting = [];
    const bodies = new Uint8Array(waiting.reduce((bytes, { body }) => bytes + body.byteLength, 0));
    let at = 0;
    for (const { body } of waiting) {
      bodies.set(new Uint8Array(body), at);
      at += body.byteLength;
    }
    this.ctx.storage.sql.exec("INSERT INTO commits (bodies) VALUES (?)", bodies);
    for (const { answer } of waiting) answer(new Response(null, { status: 201 }));
  }
}

const kinds = { inserting: "INSERTING", gathering: "GATHERING" };

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/consumed") return Response.json({ consumed });
    if (pathname === "/send") {
      await env.QUEUE.sendBatch(await request.json());
      return new Response(null, { status: 201 });
    }
    const kind = env[kinds[pathname.split("/")[3]] ?? "EMPTY"];
    return kind.get(kind.idFromName("one")).fetch(request);
  },

  queue(batch) {
    consumed += batch.messages.length;
    batch.ackAll();
  },
};
