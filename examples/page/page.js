// A queue in a browser tab: put, claim, acknowledge, and a clock that moves when it is told.
import { Queue, Refused } from '../../host-wasm/js/index.js';
import { IndexedDbStorage } from '../../host-wasm/js/indexeddb.js';

const [ACCOUNT, NAME] = ['tab', 'jobs'];
const START = 'start';
const by = (id) => document.getElementById(id);
const seconds = (ms) => `${Math.ceil(ms / 1000)} s`;

/** What this tab has claimed: tokens by message, kept over a reload. */
const claims = new Map(JSON.parse(sessionStorage.getItem('claims') ?? '[]'));
/** One thing after the other, in the order of the clicks. */
let last = Promise.resolve();
let queue;
let start;

async function open() {
  const storage = await IndexedDbStorage.open('burrow-page');
  queue = await Queue.open({ storage, clock: 'manual' });
  // The clock goes on from what was stored last; the page counts from where it was at first.
  start = Number(localStorage.getItem(START) ?? queue.now());
  localStorage.setItem(START, start);
  await draw();
}

function act(what) {
  last = last.then(what).then(draw).catch((error) => {
    tell(error instanceof Refused ? `${error.message}.` : `It did not work: ${error.message}`);
    return draw().catch(() => {});
  });
}

function tell(text) {
  by('told').textContent = text;
}

async function draw() {
  const all = await queue.list(ACCOUNT, NAME, { matchHidden: true });
  const lists = { visible: [], claimed: [], delayed: [] };
  for (const message of all) {
    const list = message.hideMs === 0 ? 'visible' : message.attempts > 0 ? 'claimed' : 'delayed';
    lists[list].push(card(message, list));
  }
  for (const [name, cards] of Object.entries(lists)) {
    by(name).replaceChildren(...cards);
    by(`${name}-count`).textContent = cards.length;
  }
  const passed = Math.round((queue.now() - start) / 1000);
  by('now').textContent = `+${passed} s`;
  const slider = by('time');
  slider.max = Math.max(120, Math.ceil((passed + 60) / 120) * 120);
  slider.value = passed;
  sessionStorage.setItem('claims', JSON.stringify([...claims]));
}

function card(message, list) {
  const made = by('card').content.cloneNode(true).firstElementChild;
  made.dataset.id = message.id;
  made.querySelector('.body').textContent = message.text();
  const facts = [];
  if (list === 'claimed') facts.push(`claim ${message.attempts}, back in ${seconds(message.hideMs)}`);
  if (list === 'delayed') facts.push(`visible in ${seconds(message.hideMs)}`);
  facts.push(message.ttlMs > 0 ? `gone in ${seconds(message.ttlMs)}` : 'never expires');
  made.querySelector('.facts').textContent = facts.join(' · ');
  const claim = claims.get(message.id);
  const claimed = { id: message.id, claim };
  if (list !== 'claimed' || claim === undefined) {
    made.querySelector('.acts').remove();
    return made;
  }
  const on = (name, what) => made.querySelector(name).addEventListener('click', () => act(what));
  on('.ack', async () => {
    await queue.ack(ACCOUNT, NAME, claimed);
    claims.delete(message.id);
    tell('Acknowledged: it is gone.');
  });
  on('.extend', async () => {
    await queue.extend(ACCOUNT, NAME, claimed, message.hideMs / 1000 + 30);
    tell('Claimed for 30 seconds more.');
  });
  on('.release', async () => {
    await queue.release(ACCOUNT, NAME, claimed);
    claims.delete(message.id);
    tell('Given back: it is visible again.');
  });
  return made;
}

by('put').addEventListener('submit', (event) => {
  event.preventDefault();
  const message = { body: by('body').value, hide: Number(by('delay').value), ttl: Number(by('ttl').value) };
  act(async () => {
    await queue.putBatch(ACCOUNT, NAME, [message]);
    tell('Stored.');
  });
});

by('claim').addEventListener('submit', (event) => {
  event.preventDefault();
  const hide = Number(by('hide').value);
  act(async () => {
    const [message] = await queue.claim(ACCOUNT, NAME, { hide });
    if (message) claims.set(message.id, message.claim);
    tell(message ? `Claimed: ${message.text()}` : 'Nothing is visible.');
  });
});

by('time').addEventListener('input', () => {
  const wanted = Number(by('time').value) * 1000;
  act(async () => {
    const span = start + wanted - queue.now();
    if (span > 0) await queue.advance(`${span}ms`);
    else if (span < 0) tell('Time does not go back.');
  });
});

setInterval(() => {
  if (by('runs').checked) act(() => queue.advance('1s'));
}, 1000);

open().catch((error) => tell(`The queue cannot be opened: ${error.message}`));
