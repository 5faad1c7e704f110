"""Two network namespaces and a cable between them that loses, delays, reorders, and can be cut.

The cable is this process: it carries Ethernet frames from one TAP device to the other. So it needs root, and nothing
of the kernel but namespaces and TAP: tc's netem, which could do the same, is not in every kernel.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import itertools
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
CLONE_NEWNET = 0x40000000
LONGEST_FRAME = 65_536
LIBC = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network of its own, with one end of the cable as its only device beside `lo`."""

    def __init__(self, name: str, address: str) -> None:
        self.name = f"wsframe-{os.getpid()}-{name}"
        self.address = address
        ip("netns", "add", self.name)
        with self.entered():
            self.tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.tap, TUNSETIFF, struct.pack("16sH", b"cable", IFF_TAP | IFF_NO_PI))
            ip("address", "add", f"{address}/24", "dev", "cable")
            ip("link", "set", "cable", "up")
            ip("link", "set", "lo", "up")

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is there: what it opens and starts belongs there."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.name}") as there:
            enter(there.fileno())
            try:
                yield
            finally:
                enter(home.fileno())

    def connect(self, address: tuple[str, int], seconds: float) -> socket.socket:
        with self.entered():
            return socket.create_connection(address, timeout=seconds)

    def remove(self) -> None:
        os.close(self.tap)
        ip("netns", "delete", self.name)


def enter(namespace: int) -> None:
    # os.setns() is that of Python 3.12.
    if LIBC.setns(namespace, CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "setns")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class Cable:
    """Carries frames between two namespaces, as long as it is not cut."""

    def __init__(self, one: Namespace, other: Namespace) -> None:
        self.is_cut = False
        self.loss = 0.0
        # How long a frame takes, in seconds: between the two, so that one overtakes the other.
        self.delay = (0.0, 0.0)
        self.lost = self.carried = 0
        self._to = {one.tap: other.tap, other.tap: one.tap}
        self._chance = random.Random(1)
        self._ends = False
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def remove(self) -> None:
        self._ends = True
        self._thread.join()

    def _carry(self) -> None:
        on_the_way: list[tuple[float, int, int, bytes]] = []
        order = itertools.count()
        while not self._ends:
            wait = max(0.0, on_the_way[0][0] - time.monotonic()) if on_the_way else 0.05
            for tap in select.select(list(self._to), [], [], min(wait, 0.05))[0]:
                with contextlib.suppress(BlockingIOError):
                    while frame := os.read(tap, LONGEST_FRAME):
                        if self.is_cut or self._chance.random() < self.loss:
                            self.lost += 1
                            continue
                        due = time.monotonic() + self._chance.uniform(*self.delay)
                        heapq.heappush(on_the_way, (due, next(order), self._to[tap], frame))
            while on_the_way and on_the_way[0][0] <= time.monotonic():
                _, _, tap, frame = heapq.heappop(on_the_way)
                self.carried += 1
                # A device whose queue is full loses it.
                with contextlib.suppress(BlockingIOError):
                    os.write(tap, frame)
