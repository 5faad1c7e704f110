"""The quick starts of README.md print what they should. Those in C are run by tests/c_api.rs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conftest import ROOT

# RFC 6455 sections 1.3 and 5.7.
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
RESPONSE = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
)


def printed(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()


def test_hello_in_php() -> None:
    found = printed("php", "examples/php/hello.php")
    assert found == f"to send: {RESPONSE}\nreceived: Hello\nto send: \\201\\005Hello\n"


def test_hello_in_python() -> None:
    found = printed(sys.executable, "examples/python/hello.py")
    assert found == f"to send: {RESPONSE.encode()!r}\nreceived: Hello\nto send: b'\\x81\\x05Hello'\n"


@pytest.mark.parametrize("command", [["php", "examples/php/frames.php"], [sys.executable, "examples/python/frames.py"]])
def test_frames(command: list[str]) -> None:
    assert printed(*command).splitlines() == [ACCEPT, "Hello", "8105" + b"Hello".hex()]
