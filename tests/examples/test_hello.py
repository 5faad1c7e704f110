"""The quick starts of README.md print what they should. The one in C is run by tests/c_api.rs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conftest import ROOT


@pytest.mark.parametrize("command", [["php", "examples/php/hello.php"], [sys.executable, "examples/python/hello.py"]])
def test_hello(command: list[str]) -> None:
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    # RFC 6455 sections 1.3 and 5.7.
    assert printed.splitlines() == ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Hello", "8105" + b"Hello".hex()]
