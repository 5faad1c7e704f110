"""The unit and the Dockerfile of examples/php/deploy, as far as there is no systemd that runs, and no Docker."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from conftest import ROOT

DEPLOY = ROOT / "examples/php/deploy"
UNIT = (DEPLOY / "wsframe.service").read_text().replace("/opt/wsframe", str(ROOT))


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",))
    parser.optionxform = str
    parser.read_string(UNIT)
    return parser


def instructions() -> list[tuple[str, str]]:
    """Those of the Dockerfile: (name, the rest)."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(name, rest) for name, rest in (line.split(" ", 1) for line in text.splitlines() if line)]


def last_stage() -> list[tuple[str, str]]:
    all_of_them = instructions()
    begin = max(i for i, (name, _) in enumerate(all_of_them) if name == "FROM")
    return all_of_them[begin:]


@contextmanager
def running(command: list[str]) -> Iterator[tuple[subprocess.Popen, str]]:
    """The parent, at a port that the system chooses."""
    command = [re.sub(r"^[\d.]+:8000$", "127.0.0.1:0", word) for word in command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0, "it ends in good order"


def connected(url: str) -> ClientConnection:
    """A client; the workers may just be starting, or ending."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return connect(url)
        except (OSError, WebSocketException):
            assert time.monotonic() < deadline


def closed_with(client: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=20)
    return closed.value.rcvd.code


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    file = tmp_path / "wsframe.service"
    file.write_text(UNIT)
    command = ["systemd-analyze", "verify", "--man=no", str(file)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in verified.stderr.splitlines() if "wsframe" in line]
    assert (verified.returncode, complaints) == (0, []), verified.stderr


def test_what_the_unit_starts_is_reloaded_and_stopped() -> None:
    service = unit()["Service"]
    assert service["KillMode"] == "mixed", "the parent alone gets SIGTERM"
    with running(shlex.split(service["ExecStart"])) as (process, url):
        with connected(url) as one, connected(url) as two:
            one.send("Hello")
            assert two.recv(timeout=20) == "Hello"
            reload = service["ExecReload"].replace("$MAINPID", str(process.pid))
            subprocess.run(shlex.split(reload), check=True)
            assert [closed_with(one), closed_with(two)] == [1001, 1001]
        with connected(url) as one:
            process.send_signal(signal.SIGTERM)
            assert closed_with(one) == 1001


def test_what_the_image_has_is_all_that_its_command_needs(tmp_path: Path) -> None:
    command: list[str] = []
    for name, rest in last_stage():
        if name == "COPY" and not rest.startswith("--from"):
            source, destination = rest.split()
            target = tmp_path / destination.lstrip("/")
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, target)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, target)
        elif name == "CMD":
            command = json.loads(rest)
    command = [str(tmp_path) + word if word.startswith("/") else word for word in command]
    with running(command) as (_, url), connected(url) as one, connected(url) as two:
        one.send("Hello")
        assert two.recv(timeout=20) == "Hello"


def test_the_steps_of_the_image_are_there() -> None:
    steps = [rest for name, rest in instructions() if name == "RUN"]
    for step in steps:
        subprocess.run(["sh", "-n", "-c", step], check=True)
        if step.startswith("make "):
            subprocess.run([*shlex.split(step), "--dry-run"], cwd=ROOT, check=True, capture_output=True)
    extensions = re.search(r"docker-php-ext-install ([\w ]+?) +&&", " ".join(steps))[1].split()
    loaded = subprocess.run(["php", "-m"], capture_output=True, text=True, check=True).stdout.lower().split()
    assert set(extensions) == {"ffi", "pcntl"}
    assert {*extensions, "posix"} <= set(loaded), "posix is in the image of PHP already"
    assert {name for name, _ in instructions()} <= {"FROM", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "CMD"}
