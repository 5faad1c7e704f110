"""A client that prints what it is sent, and comes back: python3 examples/python/follow.py URL [MESSAGE...]"""

import sys

from wsframe import Client

url, *messages = sys.argv[1:]
client = Client(url, reconnect=True, deflate=True)


@client.on("open")
def greet(client):
    for message in messages:
        client.send(message)


client.on("message", lambda client, message: print(message, flush=True))
client.on("error", lambda error, client: print(error, file=sys.stderr, flush=True))
client.run()  # until SIGTERM or Ctrl-C
