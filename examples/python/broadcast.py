"""What one client says, all hear: python3 examples/python/broadcast.py [PORT]"""

from __future__ import annotations

import asyncio
import sys
from typing import ClassVar

from wsframe import Event, Message

from echo import MESSAGES, Client, serve


class Visitor(Client):
    all: ClassVar[set[Client]] = set()

    def take(self, event: Event) -> None:
        if event.kind in MESSAGES:
            message = Message(event.data, event.kind)  # checked, and compressed, once for all
            for visitor in self.all:
                # Who is not open yet, or does not take what he was sent, does without.
                if visitor.connection.try_send(message) and visitor is not self:
                    visitor.end_turn()


if __name__ == "__main__":
    asyncio.run(serve(Visitor, int(sys.argv[1]) if sys.argv[1:] else 8080))
