"""Runs the cases of the Autobahn test suite, by kosoku, against the example servers and clients.

    python tests/autobahn/run.py [--subject NAME]... [--case PATTERN]... [--quick] [--report FOLDER]

Prints how many cases have which verdict, leaves the HTML report in target/autobahn/index.html, and ends with 1 if a
case is worse than not-ok.txt says, a line of it is not needed, or a program crashes. README.md has more. The library is
the one at WSFRAME_LIBRARY, or else the one that `make build` makes; kosoku is where this Python is, from 3.10 on.
"""

from __future__ import annotations

import argparse
import html
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from kosoku.cases import CASES

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "target" / "autobahn"
LIBRARY = Path(os.environ.get("WSFRAME_LIBRARY") or ROOT / "target" / "release" / "libwsframe.so").resolve()

# {c} is the folder of the C programs. What a server and a client have to do is in README.md.
SERVERS = {
    "c-server": ["{c}/echo"],
    "c-hub": ["{c}/hub"],
    "php-server": ["php", "examples/php/server.php", "--resolution-port", "0", "--works-port", "0"],
    "php-hub": ["php", "examples/php/hub.php", "0"],
    "python-server": [sys.executable, "examples/python/server.py", "--resolution-port", "0", "--works-port", "0"],
    "python-hub": [sys.executable, "examples/python/hub.py", "0"],
}
CLIENTS = {
    "c-client": ["{c}/client"],
    "c-hub-client": ["{c}/hub_client"],
    "php-client": ["php", "examples/php/client.php"],
    "python-client": [sys.executable, "examples/python/client.py"],
}

# Where the suite's server asks for it, but not a client that has not said that it may: UNIMPLEMENTED, then, although
# RFC 7692 section 7.1.1.2 would let it.
CLIENT_OPTIONS = {"--no-context-takeover": ("13.2.*", "13.5.*", "13.6.*")}

# With --quick, of the compressed cases only those that end so, but all of them on one server and one client: each sends
# a thousand messages, and what compresses them is the same library.
WHOLE = ("c-hub", "c-client")
COMPRESSED = ("12.*", "13.*")
QUICK = ("*.1", "*.2", "*.3")

SUBJECTS_AT_A_TIME = 2
# Cases of one subject. Some wait for a second to see that nothing comes; few need the processor for long.
CASES_AT_A_TIME = 4
# In seconds, for what hangs: a program that is to print its address, a client in one case, a server in all of them.
START_PATIENCE = 20
CLIENT_PATIENCE = 120
SERVER_PATIENCE = 900

# So many complaints about one subject are printed.
MAX_COMPLAINTS = 15

# From good to bad. A result has one for the messages and one for the closing; the worse of them counts.
VERDICTS = [
    "OK",
    "INFORMATIONAL",
    "NON-STRICT",
    "UNIMPLEMENTED",
    "FAILED BY CLIENT",
    "WRONG CODE",
    "UNCLEAN",
    "FAILED",
    "ERROR",
    "MISSING",
]

COMPILE = ["cc", "-std=c99", "-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Iinclude"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# How a program ends in which a sanitizer has found something.
SANITIZER_STATUS = 99
# What a program writes to stderr that did not mean to end, or that a sanitizer ended.
CRASH = re.compile(rb"^(Traceback|PHP (Fatal error|Warning)|==\d+==ERROR|\S+ runtime error).*", re.MULTILINE)

ENVIRONMENT = {
    **os.environ,
    "WSFRAME_LIBRARY": str(LIBRARY),
    "PYTHONPATH": str(ROOT / "bindings" / "python" / "src"),
    "ASAN_OPTIONS": f"exitcode={SANITIZER_STATUS}",
    "UBSAN_OPTIONS": f"exitcode={SANITIZER_STATUS}",
}


class Outcome(NamedTuple):
    """What came of one subject."""

    verdicts: dict[str, str]
    # A sentence for each case that is not OK.
    details: dict[str, str]
    # What went wrong beside the cases.
    problems: list[str]
    seconds: float


def main() -> int:
    options = parse_arguments()
    cases = [case for case in CASES if any(fnmatchcase(case, pattern) for pattern in options.case or ["*"])]
    names = options.subject or [*CLIENTS, *SERVERS]
    options.report.mkdir(parents=True, exist_ok=True)
    programs = compile_programs(options.report / "bin")

    def run(name: str) -> Outcome:
        chosen = quick(cases, name) if options.quick else cases
        say(f"{name}: {len(chosen)} of Autobahn's cases")
        outcome = run_subject(name, chosen, programs, options.report)
        say(f"{name}: done in {outcome.seconds:.0f} s")
        return outcome

    say(f"Autobahn against {', '.join(names)}, {SUBJECTS_AT_A_TIME} at a time: a minute or two each.")
    with ThreadPoolExecutor(SUBJECTS_AT_A_TIME) as pool:
        outcomes = dict(zip(names, pool.map(run, names)))

    (options.report / "index.html").write_text(as_html(outcomes), encoding="utf-8")
    for row in as_table(outcomes):
        print(*(f"{cell:<15}" if i == 0 else f"{cell:>13}" for i, cell in enumerate(row)))
    print("report:", options.report / "index.html")
    complaints = compare(outcomes, read_not_ok(), is_complete=not options.subject)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


def say(sentence: str) -> None:
    print(time.strftime("%H:%M:%S"), sentence, flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--subject", action="append", choices=[*SERVERS, *CLIENTS], help="default: all")
    parser.add_argument("--case", action="append", metavar="PATTERN", help="for instance 9.*; default: all")
    parser.add_argument("--quick", action="store_true", help="all of 12 and 13 on one server and one client only")
    parser.add_argument("--report", type=lambda path: Path(path).resolve(), default=REPORT, metavar="FOLDER")
    return parser.parse_args()


def quick(cases: list[str], subject: str) -> list[str]:
    """The cases that are run with --quick."""

    def is_one_of(case: str, patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(case, pattern) for pattern in patterns)

    is_whole = subject in WHOLE
    return [case for case in cases if is_whole or not is_one_of(case, COMPRESSED) or is_one_of(case, QUICK)]


def compile_programs(folder: Path) -> Path:
    """Compiles the C examples, with the sanitizers if the compiler has them."""
    folder.mkdir(exist_ok=True)
    for name in ("echo", "hub", "client", "hub_client"):
        source = f"examples/c/{name}.c"
        command = [*COMPILE, source, "-o", str(folder / name), str(LIBRARY), f"-Wl,-rpath,{LIBRARY.parent}"]
        if subprocess.run([*command, *SANITIZE], cwd=ROOT, capture_output=True).returncode:
            subprocess.run(command, cwd=ROOT, check=True)
            print(f"{source} runs WITHOUT AddressSanitizer: the compiler has none", file=sys.stderr)
    return folder


def run_subject(name: str, cases: list[str], programs: Path, report: Path) -> Outcome:
    folder = report / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    drive, command = (drive_server, SERVERS[name]) if name in SERVERS else (drive_client, CLIENTS[name])
    command = [part.format(c=programs) for part in command]
    start = time.monotonic()
    with open(folder / "stderr.txt", "wb") as log, open(folder / "kosoku.txt", "wb") as kosoku_log:
        problems = drive(name, command, cases, folder, log, kosoku_log)
    crashes = len(CRASH.findall((folder / "stderr.txt").read_bytes()))
    if crashes:
        problems.append(f"it crashed {crashes} times, see {folder / 'stderr.txt'}")
    verdicts, details = read_results(folder, cases)
    return Outcome(verdicts, details, problems, time.monotonic() - start)


def kosoku(*arguments: str) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("runner.py")), *arguments]


def selection(cases: list[str]) -> list[str]:
    return [argument for case in cases for argument in ("--include", case)]


def drive_server(name, command, cases, folder, log, kosoku_log) -> list[str]:
    """Starts a server and lets kosoku, the client, run the cases. Returns what went wrong beside them."""
    server = start(command, log)
    try:
        # PHP and Python print the addresses of several servers; the one that echoes has a path.
        url = read_url(server, rb"ws://[^/\s]+/\S*")
        if url is None:
            return [f"it did not print an address, see {folder / 'stderr.txt'}"]
        arguments = ["--parallelism", str(CASES_AT_A_TIME), "--outdir", str(folder), *selection(cases), url]
        try:
            subprocess.run(kosoku(*arguments), stdout=kosoku_log, stderr=kosoku_log, timeout=SERVER_PATIENCE)
        except subprocess.TimeoutExpired:
            return [f"kosoku was not done after {SERVER_PATIENCE} s"]
        if server.poll() is not None:
            return [f"it ended with status {server.returncode} before it was told to"]
        server.terminate()
        status = server.wait(timeout=20)
        return [] if status in (0, -15) else [f"it ended with status {status}, see {folder / 'stderr.txt'}"]
    except subprocess.TimeoutExpired:
        return ["SIGTERM did not end it"]
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def drive_client(name, command, cases, folder, log, kosoku_log) -> list[str]:
    """Starts kosoku as the server and the client once for each case. Returns what went wrong beside them."""
    arguments = ["--mode", "fuzzingserver", "--outdir", str(folder), *selection(cases), "127.0.0.1:0"]
    server = subprocess.Popen(kosoku(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        url = read_url(server, rb"ws://\S+")
        if url is None:
            return ["kosoku did not start"]

        def run(number: int) -> str | None:
            target = f"{url}/runCase?case={number}&agent={name}"
            try:
                client = start([*command, *client_options(cases[number - 1]), target], log, stdout=subprocess.DEVNULL)
                status = client.wait(timeout=CLIENT_PATIENCE)
            except subprocess.TimeoutExpired:
                client.kill()
                client.wait()
                return f"it was not done with case {cases[number - 1]} after {CLIENT_PATIENCE} s"
            # 1 says that the connection did not end well: most cases are made for that.
            return None if status in (0, 1) else f"it ended with status {status} in case {cases[number - 1]}"

        with ThreadPoolExecutor(CASES_AT_A_TIME) as pool:
            problems = [problem for problem in pool.map(run, range(1, len(cases) + 1)) if problem]
        end_kosoku(url)
        kosoku_log.write(server.communicate(timeout=60)[0])
        return problems
    finally:
        server.kill()
        server.wait()


def client_options(case: str) -> list[str]:
    """What a client is told in a case, before the address."""
    return [option for option, patterns in CLIENT_OPTIONS.items() if any(fnmatchcase(case, part) for part in patterns)]


def start(command: list[str], log, stdout=subprocess.PIPE) -> subprocess.Popen:
    return subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=stdout, stderr=log)


def read_url(server: subprocess.Popen, pattern: bytes) -> str | None:
    """Waits for a line with an address of this form."""
    timer = threading.Timer(START_PATIENCE, server.kill)
    timer.start()
    try:
        found = (re.search(pattern, line) for line in server.stdout)
        return next((match[0].decode() for match in found if match), None)
    finally:
        timer.cancel()


def end_kosoku(url: str) -> None:
    """Lets the fuzzing server write its report. A request is enough, so it does not take a client that works."""
    host = url.replace("ws://", "")
    fields = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request("GET", "/updateReports?agent=runner", headers=fields)
    connection.getresponse()
    connection.close()


def read_results(folder: Path, cases: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Reads kosoku's report: the verdict on each case, and a sentence for those that are not OK."""
    verdicts, details = dict.fromkeys(cases, "MISSING"), dict.fromkeys(cases, "it was not run")
    index = folder / "index.json"
    agents = json.loads(index.read_text(encoding="utf-8")) if index.exists() else {}
    for results in agents.values():
        for case, entry in results.items():
            result = json.loads((folder / entry["reportfile"]).read_text(encoding="utf-8"))
            verdicts[case] = max(result["behavior"], result["behaviorClose"], key=VERDICTS.index)
            page = folder / entry["reportfile"].replace(".json", ".html")
            details[case] = f"{result['result']} {result['resultClose']}. See {page}"
    return verdicts, details


def read_not_ok() -> dict[str, str]:
    listed = {}
    lines = Path(__file__).with_name("not-ok.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            case, verdict, reason = (part.strip() for part in line.split("|", 2))
            assert case in CASES, f"not-ok.txt: there is no case {case}"
            assert verdict in VERDICTS[1:], f"not-ok.txt: there is no verdict {verdict}"
            assert reason, f"not-ok.txt: {case} has no reason"
            listed[case] = verdict
    return listed


def compare(outcomes: dict[str, Outcome], listed: dict[str, str], is_complete: bool) -> list[str]:
    """Returns what is worse than the list, and which of its lines nothing needs if all subjects were run."""
    complaints = []
    needed = set()
    for name, outcome in outcomes.items():
        worse = []
        for case, verdict in outcome.verdicts.items():
            allowed = listed.get(case, "OK")
            if VERDICTS.index(verdict) > VERDICTS.index(allowed):
                worse.append(f"{case} is {verdict}, not {allowed}: {outcome.details[case]}")
            elif verdict == allowed:
                needed.add(case)
        more = len(worse) - MAX_COMPLAINTS
        worse[MAX_COMPLAINTS:] = [f"{more} more"] if more > 0 else []
        complaints += [f"{name}: {complaint}" for complaint in outcome.problems[:MAX_COMPLAINTS] + worse]
    for case in listed:
        was_run = all(case in outcome.verdicts for outcome in outcomes.values())
        if is_complete and was_run and case not in needed:
            complaints.append(f"not-ok.txt: {case} is better than {listed[case]} now; mend or remove its line")
    return complaints


def as_table(outcomes: dict[str, Outcome]) -> list[list[str]]:
    seen = {verdict for outcome in outcomes.values() for verdict in outcome.verdicts.values()}
    columns = [verdict for verdict in VERDICTS if verdict in seen | {"OK", "NON-STRICT", "FAILED"}]
    rows = [["", *columns, "seconds"]]
    for name, outcome in outcomes.items():
        verdicts = list(outcome.verdicts.values())
        rows.append([name, *(str(verdicts.count(column) or "-") for column in columns), f"{outcome.seconds:.1f}"])
    return rows


def as_html(outcomes: dict[str, Outcome]) -> str:
    head, *rows = as_table(outcomes)
    lines = ["<!DOCTYPE html>", '<meta charset="utf-8">', "<title>libwsframe and Autobahn</title>", "<table>"]
    lines.append("<tr>" + "".join(f"<th>{html.escape(cell)}" for cell in head))
    for name, *cells in rows:
        lines.append(f'<tr><td><a href="{name}/index.html">{name}</a>' + "".join(f"<td>{cell}" for cell in cells))
    return "\n".join([*lines, "</table>", ""])


if __name__ == "__main__":
    sys.exit(main())
