"""Clients of all kinds, many at a time, at the example servers: every echo is right, and no memory stays.

Ten seconds for each server, or as many as the variable SOAK_SECONDS says: `make soak SECONDS=600`.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect

from conftest import ROOT, compiled
from reference import client_frame, close_code, frames, request, split_head

SECONDS = float(os.environ.get("SOAK_SECONDS") or 10)
AT_A_TIME = 60
PATIENCE = 30
# A server may have that much more than after the first third of the time: what an allocator does not give back. There
# are thousands of clients, and hundreds that leave half a message of up to 256 KiB.
GROWTH = 8 << 20
# Without this glibc takes what is large from its heap, too, once it has seen something large, and seldom gives it back.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(128 << 10)}

HALF = client_frame(0x02, bytes(1 << 17)) + client_frame(0x00, bytes(1 << 17))
FLOOD = client_frame(0x89, b"a ping") * 2000
ECHOES = client_frame(0x82, bytes(50_000)) * 20
PORTS = ["--resolution-port", "0", "--works-port", "0"]
SERVERS = {
    "c": [],
    "php": ["php", "examples/php/server.php", *PORTS],
    "php-hub": ["php", "examples/php/hub.php", "0"],
    "python": [sys.executable, "examples/python/server.py", *PORTS],
    "python-hub": [sys.executable, "examples/python/hub.py", "0"],
}


class Server(NamedTuple):
    process: subprocess.Popen
    url: str

    def resident(self) -> int:
        """How many bytes of memory it has."""
        statm = Path(f"/proc/{self.process.pid}/statm").read_text()
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    command = SERVERS[request.param] or [str(compiled("echo", tmp_path))]
    environment = {**os.environ, **ALLOCATOR}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as process:
        try:
            lines = [process.stdout.readline() for _ in range(3 if "--works-port" in command else 1)]
            yield Server(process, lines[1 if len(lines) > 1 else 0].split()[-1])
            assert process.poll() is None, "it ended by itself"
        finally:
            process.terminate()


def test_clients_of_all_kinds_leave_nothing(server: Server) -> None:
    served = asyncio.run(soak(server, SECONDS / 3))
    before = server.resident()
    served += asyncio.run(soak(server, SECONDS * 2 / 3))
    grown = server.resident() - before
    print(f"{sum(served.values())} clients: {dict(served)}, {before >> 10} KiB and then {grown >> 10} KiB more")
    assert len(served) == len(KINDS)
    assert min(served.values()) > 3, served
    assert grown < GROWTH, f"{grown} bytes more than {before}"


async def soak(server: Server, seconds: float) -> Counter[str]:
    """Clients come and go for so long, and have all gone then. Returns how many there were of each kind."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    served: Counter[str] = Counter()

    async def come_and_go(seed: int) -> None:
        chance = random.Random(seed)
        while loop.time() < end:
            kind = chance.choice(KINDS)
            async with asyncio.timeout(PATIENCE):
                await kind(server.url, chance)
            served[kind.__name__] += 1

    await asyncio.gather(*(come_and_go(seed) for seed in range(AT_A_TIME)))
    # Longer than a large buffer is kept for the next message, and a connection lingers.
    await asyncio.sleep(3)
    return served


# --- The kinds


async def talk(url: str, chance: random.Random) -> None:
    """Sends messages of all lengths, some of them before the echoes of others, and compares every byte."""
    compression = chance.choice([None, "deflate"])
    async with connect(url, compression=compression, max_size=None, max_queue=None) as client:
        for _ in range(chance.randint(1, 8)):
            lengths = [chance.choice([0, 1, 20, 125, 126, 1000, 65_535, 65_536]) for _ in range(chance.randint(1, 4))]
            if chance.random() < 0.02:
                lengths.append(1 << 20)
            sent = [message(length, chance) for length in lengths]
            for each in sent:
                await client.send(each)
            for each in sent:
                assert await client.recv() == each
    assert client.close_code == 1000


def message(length: int, chance: random.Random) -> str | bytes:
    if chance.random() < 0.5:
        return chance.randbytes(length)
    return ("".join(chance.choices("abc äß 日本 😀", k=50)) * (length // 50 + 1))[:length]


async def leave_half_a_message(url: str, chance: random.Random) -> None:
    _, writer = await opened(url)
    writer.write(HALF[: chance.randint(1, len(HALF))])
    await writer.drain()
    reset(writer)


async def flood_with_pings(url: str, chance: random.Random) -> None:
    """Every ping is answered, or the last one is if there were too many."""
    reader, writer = await opened(url)
    writer.write(FLOOD + client_frame(0x88, struct.pack(">H", 1000)))
    answers = frames(await reader.read(-1))
    assert {bytes(frame.data) for frame in answers[:-1]} == {b"a ping"}
    assert answers[-1].data == struct.pack(">H", 1000)
    await closed(writer)


async def never_read(url: str, chance: random.Random) -> None:
    _, writer = await opened(url)
    writer.write(ECHOES)
    await asyncio.sleep(chance.random())
    reset(writer)


async def say_nothing(url: str, chance: random.Random) -> None:
    _, writer = await reached(url)
    await asyncio.sleep(chance.random())
    await closed(writer)


async def begin_slowly(url: str, chance: random.Random) -> None:
    _, writer = await reached(url)
    head = request(urlsplit(url).path)
    for at in range(chance.randint(1, 10)):
        writer.write(head[at : at + 1])
        await asyncio.sleep(0.02)
    reset(writer)


async def break_a_rule(url: str, chance: random.Random) -> None:
    reader, writer = await opened(url)
    wrong, code = chance.choice([(b"\x81\x01a", 1002), (client_frame(0x81, b"\xff"), 1007), (b"\x83", 1002)])
    writer.write(client_frame(0x81, b"valid") + wrong)
    answers = await reader.read(-1)
    assert frames(answers)[0].data == b"valid"
    assert close_code(answers) == code
    await closed(writer)


async def ask_wrongly(url: str, chance: random.Random) -> None:
    reader, writer = await reached(url)
    writer.write(request(urlsplit(url).path, Sec_WebSocket_Key=None))
    assert (await reader.read(-1)).startswith(b"HTTP/1.1 400 ")
    await closed(writer)


async def vanish(url: str, chance: random.Random) -> None:
    _, writer = await opened(url)
    reset(writer)


KINDS: list[Callable[[str, random.Random], Awaitable[None]]] = [
    *(talk, leave_half_a_message, flood_with_pings, never_read, say_nothing),
    *(begin_slowly, break_a_rule, ask_wrongly, vanish),
]


async def reached(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    return await asyncio.open_connection(parts.hostname, parts.port)


async def opened(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection whose opening handshake is done."""
    reader, writer = await reached(url)
    writer.write(request(urlsplit(url).path))
    head, _ = split_head(await reader.readuntil(b"\r\n\r\n"))
    assert head.startswith(b"HTTP/1.1 101 ")
    return reader, writer


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends TCP without a word."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()
