"""What one client says, all others with the same path hear: python3 examples/python/topics.py [PORT]"""

import sys

from wsframe import Server

server = Server(deflate=True, max_message_len=64 << 10)


@server.on("open")
def come(peer):
    peer.subscribe(peer.target)
    peer.publish(peer.target, f"{peer.id} has come")


@server.on("message")
def say(peer, message):
    peer.publish(peer.target, message)


@server.on("close")
def leave(peer, code, reason):
    server.publish(peer.target, f"{peer.id} has left")


port = server.listen(f"127.0.0.1:{sys.argv[1] if sys.argv[1:] else 8080}")
print(f"ws://127.0.0.1:{port}/", flush=True)
server.run()  # until SIGTERM or Ctrl-C
