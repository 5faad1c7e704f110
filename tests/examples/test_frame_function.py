"""The frame() of "Websocket Protocol resolution", as it was printed and as it was meant, in both languages."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from websockets.frames import Opcode

from conftest import ROOT
from reference import frames, messages

TEXT = b"0123456789" * 30

PHP = """
require 'bindings/php/autoload.php';
require 'examples/php/loop.php';
require 'examples/php/websocket.php';
require 'examples/php/rooms.php';
echo Examples\\frame_as_%s(file_get_contents('php://stdin'));
"""
PYTHON = """
import rooms, sys
sys.stdout.buffer.write(rooms.frame_as_%s(sys.stdin.buffer.read()))
"""
LANGUAGES = {"php": ["php", "-r", PHP], "python": [sys.executable, "-c", PYTHON]}
FUNCTIONS = {"printed": "printed(", "meant": "meant(1, "}


def call(language: str, function: str, text: bytes) -> bytes:
    *command, program = LANGUAGES[language]
    command.append(program.replace("%s(", FUNCTIONS[function]))
    environment = {"PYTHONPATH": f"{ROOT}/bindings/python/src:{ROOT}/examples/python"}
    return subprocess.run(
        command, input=text, cwd=ROOT, capture_output=True, check=True, env={**os.environ, **environment}
    ).stdout


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_was_printed_arrives_as_several_messages(language: str) -> None:
    """A FIN bit on every piece: the receiver cannot know that they belong together."""
    assert messages(call(language, "printed", TEXT)) == [TEXT[:125], TEXT[125:250], TEXT[250:]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_was_meant_arrives_as_one_message(language: str) -> None:
    sent = call(language, "meant", TEXT)
    assert messages(sent) == [TEXT]
    assert [(frame.opcode, frame.fin) for frame in frames(sent)] == [
        (Opcode.TEXT, False),
        (Opcode.CONT, False),
        (Opcode.CONT, True),
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("length", [0, 1, 125])
def test_up_to_125_bytes_both_are_the_same_frame(language: str, length: int) -> None:
    text = TEXT[:length]
    expected = bytes([0x81, length]) + text
    assert call(language, "printed", text) == call(language, "meant", text) == expected
