"""The client of the bindings' READMEs: it says what it is told, and comes back when it has lost its server."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PHP, PYTHON = ["php"], [sys.executable]
PATIENCE_S = 20


def start(*command):
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def serve(port):
    """The echo server, and where it is."""
    server = start(*PYTHON, "examples/python/hub.py", port)
    return server, re.search(r"ws://\S+", server.stdout.readline())[0]


@pytest.mark.parametrize(
    "follower", [[*PHP, "examples/php/follow.php"], [*PYTHON, "examples/python/follow.py"]], ids=["php", "python"]
)
def test_a_client_that_has_lost_its_server_comes_back(follower):
    server, url = serve("0")
    client = start(*follower, url, "one", "two")
    try:
        assert [client.stdout.readline() for _ in range(2)] == ["one\n", "two\n"]
        server.kill()
        server.communicate()
        # It does not get there for a while, of which it tells.
        assert "nobody listens" in client.stderr.readline()
        server, again = serve(re.search(r":(\d+)/", url)[1])
        assert again == url
        assert [client.stdout.readline() for _ in range(2)] == ["one\n", "two\n"]
        client.send_signal(signal.SIGTERM)
        client.communicate(timeout=PATIENCE_S)
        assert client.returncode == 0
    finally:
        for process in client, server:
            process.kill()
            process.communicate()
