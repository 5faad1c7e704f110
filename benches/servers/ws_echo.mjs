// An echo server: ws for Node.js, for turn.py.

import { WebSocketServer } from "../ws/node_modules/ws/wrapper.mjs";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 }, () => console.log(server.address().port));
server.on("connection", (socket) => {
  socket.on("message", (message, isBinary) => socket.send(message, { binary: isBinary }));
});
