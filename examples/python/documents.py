"""Both servers of the documents on Server: what server.py does with a loop of its own, but for the page and its chat.

    python3 examples/python/documents.py [RESOLUTION-PORT [WORKS-PORT]]

The ports are 4000 and 8002; 0 lets the system choose. The addresses are printed.
"""

import sys

from wsframe import EventKind, Server


def in_pieces(peer, message):
    # "Websocket Protocol resolution": its frame() sends pieces of 125 bytes. Long messages would have too many of them.
    kind, data = (EventKind.TEXT, message.encode()) if isinstance(message, str) else (EventKind.BINARY, message)
    size = max(125, len(data) // 1000)
    last = max(0, len(data) - 1) // size * size
    for at in range(0, last, size):
        peer.send(data[at : at + size], kind, more=True)
    peer.send(data[last:], kind)


def as_it_was(peer, message):
    # "WebSocket--How it works": each message comes back as it was.
    peer.send(message)


ANSWERS = {"/": in_pieces, "/xxoo": as_it_was}
server = Server(deflate=True, max_inflated_len=16 << 20, high_water_len=32 << 20)


@server.on("request")
def choose(peer):
    path = peer.target.partition("?")[0]
    peer.data = ANSWERS.get(path)
    if peer.data is None:
        peer.respond(404, f"There is nothing at {path}\n".encode())


server.on("message", lambda peer, message: peer.data(peer, message))
ports = sys.argv[1:3] + ["4000", "8002"][len(sys.argv) - 1 :]
resolution, works = (server.listen(f"127.0.0.1:{port}") for port in ports)
print(f"resolution ws://127.0.0.1:{resolution}/\nworks ws://127.0.0.1:{works}/xxoo", flush=True)
server.run()  # until SIGTERM or Ctrl-C
