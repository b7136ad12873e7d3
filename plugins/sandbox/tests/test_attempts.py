"""Nothing gets out of a sandbox: each attempt of the table fails inside, for every kind."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tramontane_plugin_sandbox import PythonSession, Sandbox
from tramontane_plugin_sandbox.inside.syscall_numbers import ABSENT, CLONE, REFUSED
from tramontane_plugin_sandbox.python_session import Outcome

from .attempts import ATTEMPTS, PRELUDE, Attempt
from .conftest import sandbox_or_skip

COLUMN = 0 if platform.machine() == "x86_64" else 1
NUMBERS = {name: each[COLUMN] for name, each in {**REFUSED, **ABSENT}.items()}
SECRET = "what nobody inside may read"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """What the host has: a file, an open one, a variable, and servers that listen."""
    folder = tmp_path_factory.mktemp("host")
    secret = folder / "secret"
    secret.write_text(SECRET)
    opened = os.open(secret, os.O_RDONLY)
    os.set_inheritable(opened, True)
    abstract = f"tramontane-attempt-{os.getpid()}"
    with (
        pytest.MonkeyPatch.context() as patch,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as nameless,
        socket.socket(socket.AF_UNIX) as named,
    ):
        patch.setenv("TRAMONTANE_ATTEMPT", SECRET)
        nameless.bind("\0" + abstract)
        nameless.listen()
        path = f"/tmp/{abstract}"  # a socket's path has few characters
        named.bind(path)
        named.listen()
        yield {
            "secret": str(secret), "pid": os.getpid(), "home": str(Path.home()),
            "port": server.getsockname()[1], "abstract": abstract, "socket": path,
        }  # fmt: skip
    os.close(opened)
    Path(path).unlink()


def begun(session: PythonSession, host: dict[str, object]) -> PythonSession:
    numbers = {"NR": NUMBERS, "CLONE": CLONE[COLUMN], "MEMFD": NUMBERS["memfd_create"]}
    names = "\n".join(f"{name} = {value!r}" for name, value in {**numbers, "host": host}.items())
    outcome = session.run(PRELUDE + names)
    assert outcome == Outcome()
    return session


@pytest.fixture(scope="module")
def inside(kind: str, host: dict[str, object]) -> Iterator[PythonSession]:
    with sandbox_or_skip(kind) as sandbox, PythonSession(sandbox) as session:
        yield begun(session, host)


@pytest.fixture(scope="module")
def outside(host: dict[str, object]) -> Iterator[PythonSession]:
    with Sandbox(kind="off") as sandbox, PythonSession(sandbox) as session:
        yield begun(session, host)


def got_through(outcome: Outcome, attempt: Attempt) -> bool:
    said = f"{outcome.value} {(outcome.error or '').splitlines()[-1:]}"
    return outcome.lost or not any(held in said for held in attempt.held)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=[attempt.name for attempt in ATTEMPTS])
def test_an_attempt_fails(inside: PythonSession, attempt: Attempt) -> None:
    outcome = inside.run(attempt.code)
    assert not got_through(outcome, attempt), outcome
    assert SECRET not in f"{outcome.stdout} {outcome.stderr} {outcome.value}"


REAL = [attempt for attempt in ATTEMPTS if attempt.outside]


@pytest.mark.parametrize("attempt", REAL, ids=[attempt.name for attempt in REAL])
def test_the_same_attempt_gets_through_without_a_sandbox(
    outside: PythonSession, attempt: Attempt
) -> None:
    outcome = outside.run(attempt.code)
    assert got_through(outcome, attempt), outcome


def test_every_system_call_of_the_list_is_refused(inside: PythonSession) -> None:
    outcome = inside.run(
        "def answer(number):\n"
        "    try: return call(number, -1, -1, -1, -1, -1, -1)\n"
        "    except OSError as error: return error.errno\n"
        "{name: answer(number) for name, number in NR.items() if number is not None}"
    )
    wanted = {name: 38 if name in ABSENT else 1 for name, nr in NUMBERS.items() if nr is not None}
    assert outcome.value == repr(wanted)
