// Reads the conversations of tests/conformance and holds them with a queue. What they may say is told
// there. Nothing in here is of one runtime.

import { Queue } from '../index.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder('latin1');
const latin1 = (text) => decoder.decode(encoder.encode(text));
const SPAN = /^@ \+(\d+(?:ms|s|m|h|d))$/;
const STEP = /^@ (start|pending|answer|cancel) (\S+)$/;

/** The conversations of a file: `{ title, steps }`. */
export function parse(text) {
  const conversations = [];
  let steps;
  let last;
  text.split('\n').forEach((line, at) => {
    const begin = (step) => {
      last = { line: at + 1, lines: [], ...step };
      steps.push(last);
    };
    if (line.startsWith('== ')) {
      steps = [];
      last = undefined;
      conversations.push({ title: line.slice(3), steps });
    } else if (/^[<>]/.test(line)) {
      const kind = line[0];
      if (last?.kind !== kind) begin({ kind });
      last.lines.push(line.slice(1));
    } else if (line.startsWith('@ ')) {
      const [, span] = SPAN.exec(line) ?? [];
      const [, kind, name] = STEP.exec(line) ?? [];
      if (!span && !kind) throw new Error(`line ${at + 1}: ${line}`);
      begin(span ? { kind: 'advance', span } : { kind, name });
    } else if (line === '') {
      last = undefined;
    } else if (!line.startsWith('#') && !line.startsWith('clock: ')) {
      throw new Error(`line ${at + 1}: ${line}`);
    }
  });
  return conversations;
}

/** Holds all conversations of files, given as pairs of name and text, each with a queue of its own. */
export async function holdAll(files) {
  const result = { passed: 0, skipped: 0, failures: [] };
  for (const [name, text] of files) {
    for (const conversation of parse(text)) {
      const queue = await Queue.open({ clock: 'manual' });
      try {
        if (await hold(queue, conversation)) result.passed += 1;
        else result.skipped += 1;
      } catch (error) {
        result.failures.push(`${name}: ${conversation.title}: ${error.message}`);
      }
      await queue.close();
    }
  }
  return result;
}

/** Holds a conversation. False if a `Request` cannot say what is sent in it. */
export async function hold(queue, { steps }) {
  const variables = new Map();
  const open = new Map();
  let start;
  let answer;
  for (const step of steps) {
    if (step.kind === 'advance') await queue.advance(step.span);
    else if (step.kind === 'start') start = step.name;
    else if (step.kind === '>') {
      const leave = new AbortController();
      const request = build(message(step.lines, variables), leave.signal);
      if (!request) return false;
      const sent = { leave, settled: false };
      sent.response = queue.fetch(request).finally(() => { sent.settled = true; });
      sent.response.catch(() => {});
      if (start) {
        open.set(start, sent);
        await settle();
      } else answer = await sent.response;
      start = undefined;
    } else if (step.kind === 'pending') {
      await settle();
      if (open.get(step.name).settled) throw new Error(`line ${step.line}: ${step.name} is answered`);
    } else if (step.kind === 'answer') {
      await settle();
      if (!open.get(step.name).settled) throw new Error(`line ${step.line}: ${step.name} is not answered`);
      answer = await open.get(step.name).response;
    } else if (step.kind === 'cancel') {
      open.get(step.name).leave.abort();
      await settle();
    } else await compare(answer, step, variables);
  }
  return true;
}

/** Whatever needs no time has happened afterwards. */
function settle() {
  return new Promise((resolve) => { setTimeout(resolve, 1); });
}

function message(lines, variables) {
  const said = lines.map((line) => (line.startsWith(' ') ? line.slice(1) : line));
  const empty = said.indexOf('');
  const head = (empty < 0 ? said : said.slice(0, empty)).map((line) => fill(line, variables));
  return { head, body: empty < 0 ? '' : joined(lines.slice(empty + 1), (line) => latin1(fill(line, variables))) };
}

/** Body lines as latin1 text, one character a byte. */
function joined(lines, render) {
  let body = '';
  let feed = '';
  for (const line of lines) {
    if (line.startsWith('x ')) {
      body += line.slice(2).split(/\s+/).filter(Boolean).map((byte) => String.fromCharCode(Number.parseInt(byte, 16))).join('');
      feed = '';
    } else {
      body += feed + render(line.startsWith(' ') ? line.slice(1) : line);
      feed = '\n';
    }
  }
  return body;
}

function fill(line, variables) {
  return line
    .replace(/\{\{(.+?)\*(\d+)\}\}/g, (_, text, times) => text.repeat(Number(times)))
    .replace(/\{\{([^{}]*?)\}\}/g, (whole, name) => variables.get(name) ?? whole);
}

function build({ head: [first, ...headers], body }, signal) {
  const [, method, target] = /^(\S+) (.*)$/.exec(first);
  const bytes = Uint8Array.from(body, (character) => character.charCodeAt(0));
  try {
    const request = new Request(`http://burrow${target}`, {
      method, signal, body: body === '' ? undefined : bytes,
      headers: headers.map((line) => /^([^:]+): ?(.*)$/.exec(line).slice(1)),
    });
    const given = headers.every((line) => request.headers.has(line.slice(0, line.indexOf(':'))));
    const said = request.method === method && request.url === `http://burrow${target}`;
    return given && said ? request : undefined;
  } catch {
    return undefined;
  }
}

async function compare(answer, step, variables) {
  const where = (what, wanted, got) => new Error(`line ${step.line}: ${what} is ${got}, not ${wanted}`);
  const said = step.lines.map((line) => (line.startsWith(' ') ? line.slice(1) : line));
  const empty = said.indexOf('');
  const [status, ...headers] = empty < 0 ? said : said.slice(0, empty);
  if (String(answer.status) !== status) throw where('status', status, `${answer.status} ${await answer.text()}`);
  for (const line of headers) {
    if (line.startsWith('!')) {
      if (answer.headers.has(line.slice(1))) throw where(line.slice(1), 'absent', 'there');
      continue;
    }
    const [, name, value] = /^([^:]+): ?(.*)$/.exec(line);
    const got = answer.headers.get(name);
    if (got === null || !matches(value, got, variables)) throw where(name, value, got);
  }
  const body = decoder.decode(new Uint8Array(await answer.arrayBuffer()));
  const wanted = empty < 0 ? '' : joined(step.lines.slice(empty + 1), latin1);
  if (!matches(wanted, body, variables)) throw where('body', wanted, body);
}

function matches(pattern, got, variables) {
  const names = [];
  const expression = pattern.split(/(\{\{[^{}]*?\}\})/).map((part) => {
    const name = /^\{\{(.*)\}\}$/.exec(part)?.[1];
    if (name === undefined) return literally(part);
    const filled = fill(part, variables);
    if (filled !== part) return literally(filled);
    if (name === '*') return '(?:.+?)';
    if (names.includes(name)) return `\\${names.indexOf(name) + 1}`;
    names.push(name);
    return '(.+?)';
  }).join('');
  const found = new RegExp(`^${expression}$`, 's').exec(got);
  names.forEach((name, at) => found && variables.set(name, found[at + 1]));
  return found !== null;
}

function literally(text) {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}
