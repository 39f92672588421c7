// Loads the machine, once for all queues.

import init, { Batch, Choice, HttpRequest, Machine, Settlements } from './wasm/burrow.js';

export { Batch, Choice, HttpRequest, Machine, Settlements };

let loading;

export function load() {
  loading ??= start().catch((error) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function start() {
  const url = new URL('./wasm/burrow_bg.wasm', import.meta.url);
  if (url.protocol !== 'file:') return init({ module_or_path: url });
  // Node, Deno and Bun. The name is not written out, so that bundlers for browsers leave it alone.
  const files = 'node:fs/promises';
  const { readFile } = await import(/* @vite-ignore */ /* webpackIgnore: true */ files);
  return init({ module_or_path: await readFile(url) });
}
