"""A session keeps its variables, says what became of it, and is never taken at its word."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tramontane.errors import UsageError
from tramontane_plugin_sandbox import PythonSession, Sandbox
from tramontane_plugin_sandbox.changes import changed, marks, pictures, read
from tramontane_plugin_sandbox.python_session import LONGEST_CODE, Outcome
from tramontane_plugin_sandbox.running import Stop

from .conftest import LIMITS, sandbox_or_skip

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with sandbox_or_skip("auto") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def session(box: Sandbox) -> Iterator[PythonSession]:
    with PythonSession(box) as session:
        yield session


def test_state_is_kept_and_the_last_value_returned(session: PythonSession) -> None:
    assert session.run("a = 40\ndef add(b): return a + b") == Outcome()
    assert session.run("add(2)").value == "42"
    assert session.run("_ + 1").value == "43"
    assert session.run("a; None") == Outcome()


def test_output_is_told_apart(session: PythonSession) -> None:
    outcome = session.run(
        "import os, sys; print('out'); print('err', file=sys.stderr); os.system('echo sub')"
    )
    assert (outcome.stdout, outcome.stderr, outcome.value) == ("out\nsub\n", "err\n", "0")


def test_an_exception_is_text_with_the_lines_of_the_code(session: PythonSession) -> None:
    error = session.run("def f():\n    raise ValueError('why')\nf()").error or ""
    assert error.startswith('Traceback (most recent call last):\n  File "<code ')
    assert "line 3, in <module>\n    f()" in error
    assert error.endswith("ValueError: why")
    assert "worker.py" not in error


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("1 +", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("input()", "EOFError"),
        ("class Bad:\n    def __repr__(self): 1 / 0\nBad()", "ZeroDivisionError"),
        ("'\\ud800'.encode()", "UnicodeEncodeError"),
        ("def down(n): down(n + 1)\ndown(0)", "RecursionError"),
        ("\0", "SyntaxError"),
        ("x = '\ud800'", "UnicodeEncodeError"),
    ],
)
def test_whatever_is_raised_leaves_a_session(session: PythonSession, code: str, said: str) -> None:
    outcome = session.run(code)
    assert said in (outcome.error or ""), outcome
    assert session.run("1 + 1").value == "2"


def test_code_may_await(session: PythonSession) -> None:
    assert session.run("import asyncio\nawait asyncio.sleep(0, 'slept')").value == "'slept'"


def test_a_process_that_forks_answers_once(session: PythonSession) -> None:
    assert session.run("import os\nif os.fork(): os.wait()\n5").value == "5"
    assert session.run("6").value == "6"


def test_installed_packages_are_there(session: PythonSession) -> None:
    assert session.run("import numpy; int(numpy.arange(4).sum())").value == "6"


def test_late_code_is_interrupted_and_keeps_its_variables(session: PythonSession) -> None:
    session.run("kept = 1")
    outcome = session.run("import time; time.sleep(60)", seconds=0.3)
    assert outcome.note == "stopped after 0.3 seconds; variables are kept"
    assert "KeyboardInterrupt" in (outcome.error or "")
    assert session.run("kept").value == "1"


def lost(outcome: Outcome, why: str) -> bool:
    return outcome.lost and outcome.note == (
        f"{why}; variables are lost, the next code begins with none"
    )


DEAF = """
import time
while True:
    try: time.sleep(60)
    except BaseException: pass
"""


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (DEAF, "killed after 0.3 seconds"),
        ("import os; os._exit(7)", "the process ended with status 7"),
        ("import os; os.kill(os.getpid(), 11)", "the process was killed by signal 11"),
        ("print('x' * 5_000_000)", "killed: too much output"),
        ("import os; os.write(3, b'nothing\\n')", "killed: what it answered is no answer"),
        ("import os; os.write(3, b'[' * 99_999 + b'\\n')", "killed: what it answered is no answer"),
        ("import os; os.write(3, b'{\"value\": 1, \"error\": []}\\n')",
         "killed: what it answered is no answer"),
        ("import os\nwhile True: os.write(3, bytes(65536))", "killed: too much output"),
    ],
    ids=["late", "exit", "signal", "flood", "no json", "deep", "types", "long"],
)  # fmt: skip
def test_a_lost_session_says_so_and_begins_with_nothing(
    session: PythonSession, code: str, why: str
) -> None:
    session.run("kept = 1")
    outcome = session.run(code, seconds=0.3 if code == DEAF else 5)
    assert lost(outcome, why), outcome
    assert "NameError" in (session.run("kept").error or "")


def test_code_is_stopped_by_another_thread(session: PythonSession) -> None:
    stop = Stop()
    threading.Timer(0.2, stop.now).start()
    assert lost(
        session.run("import time; time.sleep(60)", seconds=50, stop=stop), "killed: stopped"
    )


def test_code_that_is_too_long_is_refused(session: PythonSession) -> None:
    with pytest.raises(UsageError, match="at most 1048576"):
        session.run("#" * (LONGEST_CODE + 1))


def test_pictures_are_files(box: Sandbox, session: PythonSession) -> None:
    pytest.importorskip("PIL", reason="pillow draws the picture")
    before = marks(box.folder)
    assert session.run("from PIL import Image; Image.new('RGB', (4, 4), 'red')").value is None
    names = changed(before, marks(box.folder))
    assert names == ["picture-1.png"]
    (data,) = pictures(box.folder, names, most=3, largest=1 << 20)
    assert data.startswith(PNG[:8])


def test_figures_of_matplotlib_are_files(box: Sandbox, session: PythonSession) -> None:
    """With a stand-in for matplotlib: every open figure is written, and all are closed."""
    stand_in = (
        "import sys, types\n"
        "plt = types.SimpleNamespace(open=[1, 2], closed=[])\n"
        "plt.get_fignums = lambda: plt.open\n"
        f"write = lambda name, **k: open(name, 'wb').write({PNG!r})\n"
        "plt.figure = lambda n: types.SimpleNamespace(savefig=write)\n"
        "plt.close = lambda what: plt.closed.append(what) or plt.open.clear()\n"
        "sys.modules['matplotlib.pyplot'] = plt"
    )
    before = marks(box.folder)
    assert session.run(stand_in).error is None
    assert len(changed(before, marks(box.folder))) == 2
    assert (
        session.run("plt.open, plt.closed; del sys.modules['matplotlib.pyplot']; plt.closed").value
        == "['all']"
    )


def test_what_leads_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(PNG)
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "real.png").write_bytes(PNG)
    (folder / "link.png").symlink_to(outside / "secret.png")
    (folder / "way").symlink_to(outside)
    os.mkfifo(folder / "pipe.png")
    (folder / "large.png").write_bytes(PNG + bytes(2000))
    (folder / "text.png").write_text("no picture")
    (folder / ".hidden.png").write_bytes(PNG)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "kept").write_text("x")
    names = list(marks(folder))
    assert names == ["large.png", "real.png", "text.png"]
    asked = [*names, "link.png", "way/secret.png", "pipe.png", "deep", "missing.png"]
    assert pictures(folder, asked, most=9, largest=1000) == [PNG]
    assert read(folder, "way/secret.png", 1000) == b""
    assert LIMITS.output
