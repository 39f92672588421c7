// What callers give, looked at once: whoever gets past these functions has the right type. What the
// queue then says about values is said by the queue.

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const encoder = new TextEncoder();

/** The order is that of the machine. */
export const DETAIL = { none: 0, id: 1, attributes: 2, body: 3, all: 4 };

function wrong(field, wanted, value) {
  const shown = value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
  return new TypeError(`${field} must be ${wanted}, not ${shown}`);
}

export function text(field, value) {
  if (typeof value !== 'string') throw wrong(field, 'a string', value);
  if (!value.isWellFormed()) throw new TypeError(`${field} holds half a character`);
  return value;
}

export function optionalText(field, value) {
  return value === undefined || value === null ? undefined : text(field, value);
}

export function whole(field, value) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number') throw wrong(field, 'a number', value);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new TypeError(`${field} must be a whole number from 0 to 2^53 - 1, not ${value}`);
  }
  return value;
}

/** Milliseconds of a span: a number of seconds, or a text such as '250ms', '30s', '1.5h', '7d'. */
export function span(field, value) {
  if (value === undefined || value === null) return undefined;
  let number = value;
  let scale = UNITS.s;
  if (typeof value === 'string') {
    const parts = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value);
    if (!parts) throw new TypeError(`${field} is not a span such as '250ms', '30s', '10m', '2h' or '7d': '${value}'`);
    number = Number(parts[1]);
    scale = UNITS[parts[2]];
  } else if (typeof value !== 'number') {
    throw wrong(field, "a number of seconds or a span such as '30s'", value);
  }
  const milliseconds = Math.round(number * scale);
  if (!Number.isSafeInteger(milliseconds) || milliseconds < 0) {
    throw new TypeError(`${field} must be a span from 0 on, not ${value}`);
  }
  return milliseconds;
}

export function bytes(field, value) {
  if (value === undefined) return new Uint8Array();
  if (typeof value === 'string') return encoder.encode(text(field, value));
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  throw wrong(field, 'a string or a Uint8Array', value);
}

export function list(field, value) {
  if (!Array.isArray(value)) throw wrong(field, 'an array', value);
  return value;
}

/** An object all of whose fields are known: a name that is misspelt shall not be passed over. */
export function fields(what, value, known) {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(what, 'an object', value);
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) throw new TypeError(`${what} has no field ${name}; it has ${known.join(', ')}`);
  }
  return value;
}

export function detail(value, byDefault) {
  const chosen = value ?? byDefault;
  if (typeof chosen !== 'string' || !Object.hasOwn(DETAIL, chosen)) {
    throw new TypeError(`detail must be one of ${Object.keys(DETAIL).join(', ')}`);
  }
  return DETAIL[chosen];
}
