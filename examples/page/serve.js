// Serves the page on this machine, together with the package that it uses: node examples/page/serve.js [PORT]
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = new URL('../../', import.meta.url);
const SERVED = ['/examples/page/', '/host-wasm/js/', '/tests/conformance/'];
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm' };

/** A server of this folder and the package's; port 0 is any that is free. */
export function serve(port = 0) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://page');
    if (pathname === '/') return response.writeHead(302, { location: '/examples/page/' }).end();
    try {
      if (!SERVED.some((folder) => pathname.startsWith(folder))) throw new Error('not served');
      const file = new URL(`.${pathname.endsWith('/') ? `${pathname}index.html` : pathname}`, root);
      const type = TYPES[extname(file.pathname)] ?? 'text/plain; charset=utf-8';
      response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(await readFile(file));
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) => {
    server.listen(port, '127.0.0.1', () => resolve({ url: `http://127.0.0.1:${server.address().port}`, server }));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await serve(Number(process.argv[2] ?? 8090));
  console.log(`the page is at ${url}/examples/page/`);
}
