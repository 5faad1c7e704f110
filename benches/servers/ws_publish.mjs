// Sends each message to all: ws for Node.js, as in its README, for server.py.

import WebSocket, { WebSocketServer } from "../ws/node_modules/ws/wrapper.mjs";

const options = { host: "127.0.0.1", port: 0, perMessageDeflate: true };
const server = new WebSocketServer(options, () => console.log(server.address().port));
server.on("connection", (socket) => {
  socket.on("message", (message, isBinary) => {
    for (const client of server.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(message, { binary: isBinary });
    }
  });
});
