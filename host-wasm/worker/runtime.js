// What the module asks of the runtime, where it would take several calls, or the runtime does otherwise.

// The lines of a request; a header that is not there is what none can be.
export function describe({ method, url, headers }) {
  const header = (name) => headers.get(name) ?? "\0";
  return [method, url, header("Content-Type"), header("Origin"), header("Access-Control-Request-Method")].join("\n");
}

// Names and values of headers are lines in turn.
export function respond(status, lines, body) {
  if (!lines) return new Response(body, { status });
  const headers = new Headers();
  const told = lines.split("\n");
  for (let at = 1; at < told.length; at += 2) headers.append(told[at - 1], told[at]);
  return new Response(body, { status, headers });
}

export function complain(what, error) {
  console.error(`burrow: ${what} ${error}`);
}

// A stream of the bytes. `done` is called when they were read, or whoever reads has left.
export function streamed(bytes, done) {
  const { readable, writable } = new FixedLengthStream(bytes.length);
  const writer = writable.getWriter();
  writer
    .write(bytes)
    .then(() => writer.close())
    .then(done, done);
  return readable;
}

// What a timer throws the runtime shows nobody.
export function later(act, afterMs) {
  return setTimeout(() => {
    try {
      act();
    } catch (error) {
      complain("a timer fails with", error);
    }
  }, afterMs);
}
