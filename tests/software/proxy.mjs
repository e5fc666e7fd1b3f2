// A forward proxy in two halves: one outside, which reaches the package mirror and nothing else, and one in the
// lab's network, which only passes bytes on to it.
//
// usage: node proxy.mjs out SOCKET HOST,HOST...     node proxy.mjs in SOCKET ADDRESS PORT
import http from 'node:http';
import net from 'node:net';

const [half, socket, ...rest] = process.argv.slice(2);

if (half === 'in') {
  const [address, port] = rest;
  net
    .createServer((client) => {
      const server = net.connect(socket);
      client.pipe(server).pipe(client);
      client.on('error', () => server.destroy());
      server.on('error', () => client.destroy());
    })
    .listen(Number(port), address);
} else {
  const allowed = rest[0].split(',');
  http
    .createServer((ask, answer) => {
      let url;
      try {
        url = new URL(ask.url);
      } catch {
        answer.writeHead(400).end();
        return;
      }
      if (!allowed.includes(url.hostname) || url.protocol !== 'http:') {
        console.error(`refused: ${ask.url}`);
        answer.writeHead(403).end();
        return;
      }
      const { 'proxy-connection': _, ...headers } = ask.headers;
      const on = http.request(url, { method: ask.method, headers }, (got) => {
        answer.writeHead(got.statusCode, got.headers);
        got.pipe(answer);
      });
      on.on('error', (e) => {
        console.error(`${ask.url}: ${e.message}`);
        answer.headersSent ? answer.destroy() : answer.writeHead(502).end();
      });
      ask.pipe(on);
    })
    .listen(socket);
}
