// An echo server: ws for Node.js, for servers.py.

import { WebSocketServer } from "../ws/node_modules/ws/wrapper.mjs";

const options = { host: "127.0.0.1", port: 0, perMessageDeflate: true };
const server = new WebSocketServer(options, () => console.log(server.address().port));
server.on("connection", (socket) => {
  socket.on("message", (message, isBinary) => socket.send(message, { binary: isBinary }));
});
