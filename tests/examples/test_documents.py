"""Both servers of the documents on the hub: in C, and on the bindings' Server."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from conftest import ROOT, compiled

# Those of the bindings.
COMMANDS = {"php": ["php", "examples/php/documents.php"], "python": [sys.executable, "examples/python/documents.py"]}
PATIENCE_S = 20
LENGTHS = (0, 1, 124, 125, 126, 250, 251, 65_536, 1 << 20)


@pytest.fixture(scope="module", params=["c", *COMMANDS])
def served(request, tmp_path_factory):
    """The process, and the two addresses."""
    command = COMMANDS.get(request.param) or [compiled("documents", tmp_path_factory.mktemp("c"))]
    command = [*command, "0", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    lines = [process.stdout.readline().split() for _ in range(2)]
    assert [name for name, _ in lines] == ["resolution", "works"]
    yield process, lines[0][1], lines[1][1]
    process.kill()
    process.communicate()


@pytest.mark.parametrize("length", LENGTHS)
def test_messages_come_back(served, length):
    for url in served[1:]:
        with connect(url, max_size=None) as client:
            for message in ("ä" * (length // 2) + "a" * (length % 2), bytes(i % 256 for i in range(length))):
                client.send(message)
                assert client.recv(timeout=PATIENCE_S) == message


def test_the_frame_function_sends_pieces_of_125_bytes(served):
    _, resolution, works = served
    with connect(resolution, compression=None) as client:
        client.send(b"a" * 300)
        assert [len(piece) for piece in client.recv_streaming()] == [125, 125, 50]
    with connect(works, compression=None) as client:
        client.send(b"a" * 300)
        assert [len(piece) for piece in client.recv_streaming()] == [300]


def test_nothing_is_anywhere_else(served):
    _, resolution, _ = served
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{resolution}elsewhere?a=b")
    assert refused.value.response.status_code == 404
    assert refused.value.response.body == b"There is nothing at /elsewhere\n"


def test_the_end_is_told(served):
    process, _, works = served
    with connect(works) as client:
        client.send("Hello")
        assert client.recv(timeout=PATIENCE_S) == "Hello"
        process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=PATIENCE_S)
        assert client.close_code == 1001
    assert process.wait(PATIENCE_S) == 0


def test_with_a_binding_they_are_no_longer_than_a_page():
    for command in COMMANDS.values():
        text = re.sub(r"\n\s*\n", "\n", (ROOT / command[-1]).read_text())
        assert len(text.splitlines()) <= 60
