"""Starts the example servers that the tests talk to."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
SERVERS = {
    "php": ["php", "examples/php/server.php"],
    "python": [sys.executable, "examples/python/server.py"],
}


def compiled(name: str, folder: Path) -> Path:
    """The program of a C example."""
    library = Path(os.environ["WSFRAME_LIBRARY"]).resolve()
    source = ["-std=c99", "-O2", "-Iinclude", f"examples/c/{name}.c", "-o", str(folder / name)]
    subprocess.run(["cc", *source, str(library), f"-Wl,-rpath,{library.parent}"], cwd=ROOT, check=True)
    return folder / name


class Server:
    """A running example server."""

    def __init__(self, command: list[str]) -> None:
        command = [*command, "--resolution-port", "0", "--works-port", "0"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        self._log: list[str] = []
        threading.Thread(target=self._read_log, daemon=True).start()
        lines = [self._process.stdout.readline().split() for _ in range(3)]
        assert [words[:1] for words in lines] == [["resolution"], ["works"], ["page"]], self._complain(command)
        addresses = dict(lines)
        self.resolution = addresses["resolution"]
        self.works = addresses["works"]
        self.page = addresses["page"]
        self.chat = self.resolution + "/chat"

    def _complain(self, command: list[str]) -> str:
        self._process.kill()
        self._process.wait()
        return f"{shlex.join(command)} did not print its addresses:\n{self.log()}"

    def _read_log(self) -> None:
        for line in self._process.stderr:
            self._log.append(line)

    def log(self) -> str:
        return "".join(self._log)

    def wait_for_log(self, *words: str) -> str:
        """The first line of the log with all the words."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for line in list(self._log):
                if all(word in line for word in words):
                    return line
            time.sleep(0.01)
        raise AssertionError(f"no line with {words} in the log:\n{self.log()}")

    def connect(self, url: str) -> socket.socket:
        """A TCP connection to the host and port of an address."""
        parts = urlsplit(url)
        return socket.create_connection((parts.hostname, parts.port), timeout=10)

    def stop(self) -> None:
        assert self._process.poll() is None, f"the server ended by itself:\n{self.log()}"
        self._process.terminate()
        self._process.wait(timeout=10)
        self._process.stdout.close()
        self._process.stderr.close()


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    server = Server(SERVERS[request.param])
    yield server
    server.stop()
