"""The frame() of "Websocket Protocol resolution", as it was printed and as it was meant, in both languages."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import ROOT
from reference import frames, messages
from websockets.frames import Opcode

TEXT = b"0123456789" * 30

PHP = """
require 'bindings/php/autoload.php';
require 'examples/php/loop.php';
require 'examples/php/websocket.php';
require 'examples/php/rooms.php';
"""
CALLS = {
    "php": {
        "printed": ["php", "-r", PHP + "echo Examples\\frame_as_printed(file_get_contents('php://stdin'));"],
        "meant": ["php", "-r", PHP + "echo Examples\\frame_as_meant(1, file_get_contents('php://stdin'));"],
    },
    "python": {
        "printed": [sys.executable, "-c", "import rooms, sys; sys.stdout.buffer.write(rooms.frame_as_printed(sys.stdin.buffer.read()))"],
        "meant": [sys.executable, "-c", "import rooms, sys; sys.stdout.buffer.write(rooms.frame_as_meant(1, sys.stdin.buffer.read()))"],
    },
}


def call(language: str, function: str, text: bytes) -> bytes:
    command = CALLS[language][function]
    environment = {"PYTHONPATH": f"{ROOT}/bindings/python/src:{ROOT}/examples/python"}
    return subprocess.run(
        command, input=text, cwd=ROOT, capture_output=True, check=True, env={**os.environ, **environment}
    ).stdout


@pytest.mark.parametrize("language", CALLS)
def test_what_was_printed_arrives_as_several_messages(language: str) -> None:
    """A FIN bit on every piece: the receiver cannot know that they belong together."""
    assert messages(call(language, "printed", TEXT)) == [TEXT[:125], TEXT[125:250], TEXT[250:]]


@pytest.mark.parametrize("language", CALLS)
def test_what_was_meant_arrives_as_one_message(language: str) -> None:
    sent = call(language, "meant", TEXT)
    assert messages(sent) == [TEXT]
    assert [(frame.opcode, frame.fin) for frame in frames(sent)] == [
        (Opcode.TEXT, False),
        (Opcode.CONT, False),
        (Opcode.CONT, True),
    ]


@pytest.mark.parametrize("language", CALLS)
@pytest.mark.parametrize("length", [0, 1, 125])
def test_up_to_125_bytes_both_are_the_same_frame(language: str, length: int) -> None:
    text = TEXT[:length]
    expected = bytes([0x81, length]) + text
    assert call(language, "printed", text) == call(language, "meant", text) == expected
