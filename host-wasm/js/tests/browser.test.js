// The package and its page in headless Chromium.
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { serve } from '../../../examples/page/serve.js';

const tools = process.env.BURROW_JS_TOOLS;
const conformance = new URL('../../../tests/conformance/', import.meta.url);
/** Where pictures of the page go. */
const pictures = process.env.BURROW_JS_PICTURES;

let chromium;
let host;

before(async () => {
  const module = join(tools, 'node_modules/puppeteer-core/lib/esm/puppeteer/puppeteer-core.js');
  const { default: puppeteer } = await import(pathToFileURL(module).href);
  // Without its sandbox, as that cannot be had by root in a container.
  chromium = await puppeteer.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  host = await serve();
});

after(async () => {
  await chromium?.close();
  host?.server.close();
});

/** A page whose errors fail the test. */
async function open(path) {
  const page = await chromium.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    // The first page of a site is asked for a picture, which there is not.
    const isOfPage = !message.location().url?.endsWith('/favicon.ico');
    if (message.type() === 'error' && isOfPage) errors.push(message.text());
  });
  await page.setViewport({ width: 1200, height: 760 });
  await page.goto(host.url + path);
  return { page, errors };
}

test('all conversations are held in Chromium', async () => {
  const names = (await readdir(conformance)).filter((name) => name.endsWith('.txt'));
  const files = await Promise.all(names.map(async (name) => [name, await readFile(new URL(name, conformance), 'utf8')]));
  const { page } = await open('/tests/conformance/README.md');
  const result = await page.evaluate(async (all) => {
    const { holdAll } = await import('/host-wasm/js/tests/conversations.js');
    return holdAll(all);
  }, files);
  console.log(`Chromium: ${result.passed} held, ${result.skipped} that a Request cannot say`);
  assert.deepEqual(result.failures, []);
  assert.ok(result.passed >= 130);
  await page.close();
});

test('a queue in IndexedDB is there after a reload, and only one tab has it', async () => {
  const { page, errors } = await open('/tests/conformance/README.md');
  const script = async () => {
    const { Queue } = await import('/host-wasm/js/index.js');
    const { IndexedDbStorage } = await import('/host-wasm/js/indexeddb.js');
    const storage = await IndexedDbStorage.open('tests');
    return { queue: await Queue.open({ storage, clock: 'manual' }), IndexedDbStorage };
  };
  const digest = await page.evaluate(`(${script})().then(async ({ queue, IndexedDbStorage }) => {
    for (let at = 0; at < 300; at += 1) await queue.put('a', 'q', { id: String(at), body: 'x'.repeat(at) });
    await queue.claim('a', 'q', { limit: 100, hide: '60s' });
    const second = await IndexedDbStorage.open('tests').catch((error) => error.message);
    return [queue.digest(), second];
  })`);
  assert.match(digest[1], /open elsewhere/);
  await page.reload();
  const again = await page.evaluate(`(${script})().then(async ({ queue }) => {
    const digest = queue.digest();
    await queue.advance('60s');
    return [digest, (await queue.list('a', 'q')).length];
  })`);
  assert.deepEqual(again, [digest[0], 300]);
  assert.deepEqual(errors, []);
  await page.close();
});

test('a service worker answers REST from inside the page, also when it was stopped in between', async () => {
  const { page, errors } = await open('/host-wasm/js/tests/package.json');
  await page.evaluate(async () => {
    const controlled = new Promise((resolve) => {
      navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true });
    });
    await navigator.serviceWorker.register('./service-worker.js', { type: 'module' });
    await controlled;
  });
  const send = (method, target, body) => page.evaluate(async (init, url) => {
    const answer = await fetch(url, init);
    return [answer.status, await answer.text()];
  }, { method, body }, target);
  assert.deepEqual(await send('PUT', '/v1.0/a/q/m', 'hi'), [201, '']);
  const waiting = send('POST', '/v1.0/a/other?wait=60&hide=60&detail=body');
  assert.deepEqual(await send('GET', '/v1.0/a/q?detail=body'), [200, '["hi"]']);
  assert.deepEqual(await send('PUT', '/v1.0/a/other/n', 'there'), [201, '']);
  assert.deepEqual(await waiting, [200, '["there"]']);

  const browser = await page.createCDPSession();
  await browser.send('ServiceWorker.enable');
  await browser.send('ServiceWorker.stopAllWorkers');
  assert.deepEqual(await send('GET', '/v1.0/a/q?detail=body'), [200, '["hi"]']);
  assert.deepEqual(await send('GET', '/v1.0/a'), [200, '["other","q"]']);
  assert.deepEqual(errors, []);
  await page.close();
});

test('the page puts, claims, acknowledges, moves its clock and survives a reload', async () => {
  const { page, errors } = await open('/examples/page/');
  const shows = (visible, claimed, delayed) => page.waitForFunction(
    (wanted) => wanted === ['visible', 'claimed', 'delayed'].map((name) => document.getElementById(name).children.length).join(),
    { timeout: 20_000 }, [visible, claimed, delayed].join());
  const put = async (body, delay) => {
    await page.$eval('#body', (input, value) => { input.value = value; }, body);
    await page.$eval('#delay', (input, value) => { input.value = value; }, String(delay));
    await page.click('#put button');
  };
  const move = (value) => page.$eval('#time', (slider, to) => {
    slider.value = to;
    slider.dispatchEvent(new Event('input'));
  }, String(value));

  await put('pack the parcel', 0);
  await put('print the label', 0);
  await put('call the courier', 45);
  await shows(2, 0, 1);
  await page.click('#claim button');
  await shows(1, 1, 1);
  if (pictures) {
    await mkdir(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, 'page.png') });
  }
  await page.reload();
  await shows(1, 1, 1);

  // The claim ends after 30 seconds, the delay after 45.
  await move(31);
  await shows(2, 0, 1);
  await move(46);
  await shows(3, 0, 0);
  await move(5);
  await page.waitForFunction(() => document.getElementById('told').textContent === 'Time does not go back.');
  assert.equal(await page.$eval('#now', (now) => now.textContent), '+46 s');

  await page.click('#claim button');
  await shows(2, 1, 0);
  await page.click('.card .ack');
  await shows(2, 0, 0);
  await page.click('#claim button');
  await shows(1, 1, 0);
  await page.click('.card .release');
  await shows(2, 0, 0);
  // All else is forgotten 600 seconds after it was put.
  for (let to = 120; to <= 660; to += 60) await move(to);
  await shows(0, 0, 0);
  assert.deepEqual(errors, []);
  await page.close();
});
