"""Both servers of the documents on libwsframe, in one loop.

    python3 examples/python/server.py [--resolution-port 4000] [--works-port 8002]

Port 0 lets the system choose. The addresses are printed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from chat import Chat, CompressedChat, Visitors
from loop import Loop
from rooms import HowItWorks, ProtocolResolution
from websocket import Room, WebSocket

HOST = "127.0.0.1"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--resolution-port", type=int, default=4000)
    parser.add_argument("--works-port", type=int, default=8002)
    options = parser.parse_args()
    # Step 2: the page has the HTML and JavaScript that the client connects with.
    page = (Path(__file__).parents[1] / "web" / "index.html").read_bytes()
    loop = Loop()
    visitors = Visitors()
    chats = {"/chat": Chat(visitors), "/chat-deflate": CompressedChat(visitors)}

    # Step 1: start the server, listen on the socket.
    def serve(port: int, rooms: dict[str, Room]) -> int:
        return loop.listen(HOST, port, lambda client: WebSocket(client, {**rooms, **chats}, page))

    try:
        resolution = serve(options.resolution_port, {"/": ProtocolResolution()})
        works = serve(options.works_port, {"/xxoo": HowItWorks()})
    except OSError as error:
        sys.exit(f"cannot listen: {error}; choose another with --resolution-port and --works-port")
    print(f"resolution ws://{HOST}:{resolution}")
    print(f"works ws://{HOST}:{works}/xxoo")
    print(f"page http://{HOST}:{resolution}/", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
