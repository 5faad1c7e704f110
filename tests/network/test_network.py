"""A hub and its clients with a bad network between them, and one client that has a good one and notices nothing.

Needs root: `make test-network`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cable import Cable, Namespace
from reference import client_frame, frames, request

ROOT = Path(__file__).parents[2]
# Longer than anything here takes.
PATIENCE = 60
PING_INTERVAL = 1.0
TIMEOUT = -37  # WSFRAME_ERROR_TIMEOUT
GOING_AWAY, ABNORMAL = 1001, 1006


class Network:
    """The two ends, the cable, and a server at one of them."""

    def __init__(self, folder: Path) -> None:
        command = [str(compiled(folder)), "0.0.0.0:0", str(int(PING_INTERVAL * 1000))]
        self.there, self.here = Namespace("server", "10.77.0.1"), Namespace("client", "10.77.0.2")
        self.cable = Cable(self.there, self.here)
        with self.there.entered():
            self.server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.server.stdout.readline().split()[1])
        self._said: list[list[str]] = []
        self._has_said = threading.Condition()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        for line in self.server.stdout:
            with self._has_said:
                self._said.append(line.split())
                self._has_said.notify_all()

    def said(self, word: str) -> list[tuple[int, ...]]:
        """The numbers behind this word, of all lines that begin with it."""
        return [tuple(map(int, numbers)) for first, *numbers in list(self._said) if first == word]

    def wait_for(self, word: str, count: int) -> None:
        with self._has_said:
            assert self._has_said.wait_for(lambda: len(self.said(word)) >= count, PATIENCE), self._said

    def open(self) -> Client:
        """A client at the other end of the cable."""
        return Client(self.here.connect((self.there.address, self.port), PATIENCE))

    def open_beside(self) -> Client:
        """A client that does not need the cable."""
        return Client(self.there.connect(("127.0.0.1", self.port), PATIENCE))

    def remove(self) -> None:
        self.server.kill()
        self.server.wait()
        self._listener.join()
        self.cable.remove()
        self.there.remove()
        self.here.remove()


def compiled(folder: Path) -> Path:
    library = Path(os.environ["WSFRAME_LIBRARY"]).resolve()
    program = folder / "server"
    source = ["-std=c99", "-O2", "-Iinclude", "tests/network/server.c", "-o", str(program)]
    subprocess.run(["cc", *source, str(library), f"-Wl,-rpath,{library.parent}"], cwd=ROOT, check=True)
    return program


class Client:
    """A client that answers pings while it listens."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._received = b""
        connection.sendall(request())
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")

    def _receive(self) -> None:
        chunk = self.connection.recv(65_536)
        assert chunk, "the server hung up"
        self._received += chunk

    def send(self, payload: bytes) -> None:
        self.connection.sendall(client_frame(0x82, payload))

    def hear(self) -> bytes:
        """The next message."""
        while True:
            first, payload = self._frame()
            if first == 0x82:
                return payload
            assert first == 0x89, f"{first:#x} {payload!r}"
            self.connection.sendall(client_frame(0x8A, payload))

    def _frame(self) -> tuple[int, bytes]:
        end = None
        while end is None:
            end = frame_end(self._received)
            if end is None:
                self._receive()
        frame, self._received = self._received[:end], self._received[end:]
        return frame[0], bytes(frames(frame)[0].data)

    def assert_echoes(self, payload: bytes) -> None:
        self.send(payload)
        assert self.hear() == payload


def frame_end(received: bytes) -> int | None:
    """Where the first frame of a server ends, if it is there."""
    if len(received) < 2:
        return None
    wide = {126: 2, 127: 8}.get(received[1], 0)
    length = int.from_bytes(received[2 : 2 + wide]) if wide else received[1]
    end = 2 + wide + length
    return end if len(received) >= max(end, 2 + wide) else None


class Bystander:
    """Sends and hears all the time, beside the cable."""

    def __init__(self, network: Network) -> None:
        self._client = network.open_beside()
        self._is_over = False
        self._slowest = 0.0
        self._echoes = 0
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def _talk(self) -> None:
        while not self._is_over:
            begun = time.monotonic()
            self._client.assert_echoes(b"%d" % self._echoes)
            self._slowest = max(self._slowest, time.monotonic() - begun)
            self._echoes += 1
            time.sleep(0.002)

    def assert_noticed_nothing(self) -> None:
        self._is_over = True
        self._thread.join()
        assert self._echoes > 10
        assert self._slowest < PING_INTERVAL


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    network = Network(tmp_path)
    bystander = Bystander(network)
    try:
        yield network
        bystander.assert_noticed_nothing()
        assert network.server.poll() is None, "it ended by itself"
    finally:
        bystander._is_over = True
        network.remove()


def test_what_is_lost_and_overtaken_on_the_way_comes_back_whole(network: Network) -> None:
    network.cable.loss, network.cable.delay = 0.03, (0.001, 0.02)
    failed = []

    def talk(seed: int) -> None:
        try:
            client = network.open()
            for length in (0, 1, 1000, 70_000, 200_000):
                client.assert_echoes(bytes(i * seed % 251 for i in range(length)))
        except BaseException as error:
            failed.append(error)
            raise

    talkers = [threading.Thread(target=talk, args=[seed]) for seed in range(1, 9)]
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join()
    assert not failed
    assert network.cable.lost > 10


def test_a_cut_that_is_mended_in_time_is_not_noticed(network: Network) -> None:
    client = network.open()
    for _ in range(3):
        client.assert_echoes(b"before")
        network.cable.is_cut = True
        client.send(b"meanwhile")
        time.sleep(PING_INTERVAL / 3)
        network.cable.is_cut = False
        assert client.hear() == b"meanwhile"
    assert network.said("gone") == []


def test_whoever_is_cut_off_is_given_up(network: Network) -> None:
    idle, busy = network.open(), network.open()
    for client in (idle, busy):
        client.assert_echoes(b"before")
    # What comes back waits at the server, as this one does not read.
    busy.connection.settimeout(1)
    with pytest.raises(TimeoutError):
        busy.connection.sendall(client_frame(0x82, bytes(50_000)) * 1000)
    network.cable.is_cut = True
    begun = time.monotonic()
    network.wait_for("gone", 2)
    # A ping after a silence, as long again for an answer, and for the second what was on its way.
    assert time.monotonic() - begun > PING_INTERVAL
    assert {(code, error) for _, code, error in network.said("gone")} == {(ABNORMAL, TIMEOUT)}


def test_a_loose_contact_loses_nothing(network: Network) -> None:
    client = network.open()
    is_over = threading.Event()

    def shake() -> None:
        while not is_over.wait(0.05):
            network.cable.is_cut = not network.cable.is_cut
        network.cable.is_cut = False

    shaker = threading.Thread(target=shake, daemon=True)
    shaker.start()
    try:
        for i in range(30):
            client.assert_echoes(bytes([i]) * 20_000)
    finally:
        is_over.set()
        shaker.join()


def test_a_hub_that_stops_does_not_wait_for_who_is_cut_off(tmp_path: Path) -> None:
    network = Network(tmp_path)
    try:
        client = network.open()
        client.assert_echoes(b"before")
        network.cable.is_cut = True
        begun = time.monotonic()
        network.server.terminate()
        assert network.server.wait(PATIENCE) == 0
        assert 0.9 < time.monotonic() - begun < PATIENCE / 2
        network.wait_for("gone", 1)
        assert network.said("gone")[0][1] == ABNORMAL
    finally:
        network.remove()
