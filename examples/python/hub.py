"""A server that sends each message back: python3 examples/python/hub.py [PORT]"""

import sys

from wsframe import Server

server = Server(deflate=True, max_inflated_len=16 << 20)


@server.on("message")
def echo(peer, message):
    peer.send(message)  # a str is text, bytes are binary


port = server.listen(f"127.0.0.1:{sys.argv[1] if sys.argv[1:] else 8080}")
print(f"ws://127.0.0.1:{port}/", flush=True)
server.run()  # until SIGTERM or Ctrl-C
