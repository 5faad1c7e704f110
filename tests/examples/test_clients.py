"""The example clients, against Node's `ws` and against the example servers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conftest import ROOT, Server

CLIENTS = {
    "php": ["php", "examples/php/client.php"],
    "python": [sys.executable, "examples/python/client.py"],
}


@pytest.fixture(scope="module")
def node_ws() -> str:
    """The address of an echo server of Node's ws."""
    command = ["node", "tests/browser/ws_echo.mjs"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.terminate()


def talk(client: str, url: str, words: list[str]) -> None:
    command = [*CLIENTS[client], url, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, ""), "the connection was closed in order"
    assert done.stdout.splitlines() == words


WORDS = ["Hello", "κόσμε", "", "x" * 70_000]


@pytest.mark.parametrize("client", CLIENTS)
def test_clients_talk_to_node_ws(node_ws: str, client: str) -> None:
    talk(client, node_ws, WORDS)


@pytest.mark.parametrize("client", CLIENTS)
def test_clients_talk_to_the_example_servers(server: Server, client: str) -> None:
    talk(client, server.works, WORDS)
    talk(client, server.resolution, WORDS)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_says_why_it_was_refused(server: Server, client: str) -> None:
    command = [*CLIENTS[client], server.works.replace("/xxoo", "/nowhere"), "word"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "the status of the response is not 101" in done.stderr
