// Node's `ws` against an example, with permessage-deflate:
//   node ws_peer.mjs client OPTIONS URL   talks to a server that sends back what it gets
//   node ws_peer.mjs server OPTIONS       prints its address and does the same with the first client that comes
// OPTIONS are those of ws for perMessageDeflate, in JSON. Ends with 0, and prints which extensions were agreed on, if every
// message came back as it was.

import assert from "node:assert/strict";
import { once } from "node:events";
import { WebSocket, WebSocketServer } from "ws";

const [mode, options, url] = process.argv.slice(2);
// Everything is compressed, however short it is.
const perMessageDeflate = { threshold: 0, ...JSON.parse(options) };
const maxPayload = 32 << 20;

const noise = Buffer.from(Array.from({ length: 3000 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 1e6) % 256));
const text = Array.from({ length: 20_000 }, (_, i) => `κόσμε ${i % 700}, `).join("");
// Each an array of its pieces.
const messages = [
  [""], ["Hello"], [text], [text], [text.slice(0, 300)], ["Hello"],
  [Buffer.alloc(0)], [noise], [Buffer.alloc(2_000_000, "abc")], [Buffer.concat([noise, noise])],
  ["in ", "three ", text], ["", text, ""], [noise.subarray(0, 100), Buffer.alloc(70_000), noise], [text],
];

async function talk(socket) {
  const extensions = socket.extensions;
  for (const pieces of messages) {
    const isText = typeof pieces[0] === "string";
    const returned = once(socket, "message");
    pieces.forEach((piece, i) => socket.send(piece, { binary: !isText, fin: i + 1 === pieces.length }));
    const [data, isBinary] = await returned;
    assert.equal(isBinary, !isText);
    const expected = Buffer.concat(pieces.map((piece) => Buffer.from(piece)));
    assert.ok(expected.equals(data), `${expected.length} bytes did not come back as they were`);
  }
  const closed = once(socket, "close");
  socket.close(1000);
  const [code] = await closed;
  assert.equal(code, 1000);
  console.log(extensions);
}

if (mode === "client") {
  const socket = new WebSocket(url, { perMessageDeflate, maxPayload });
  await once(socket, "open");
  await talk(socket);
} else {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate, maxPayload });
  await once(server, "listening");
  console.log(`ws://127.0.0.1:${server.address().port}/`);
  const [socket] = await once(server, "connection");
  await talk(socket);
  server.close();
}
