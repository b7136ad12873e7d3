"""docs/sandbox.md says what the code does: its example, its defaults, the tests it names."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from tramontane_plugin_sandbox import Limits
from tramontane_plugin_sandbox.inside.watch import ENTRIES
from tramontane_plugin_sandbox.plugin import OPTIONS
from tramontane_plugin_sandbox.python_tools import LARGEST, PICTURES

from .conftest import MIB, sandbox_or_skip

HERE = Path(__file__).parent
PAGE = (HERE.parents[2] / "docs/sandbox.md").read_text("utf-8")


def test_the_example_prints_what_it_says() -> None:
    sandbox_or_skip("auto").close()
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    assert printed.getvalue().splitlines() == re.findall(r"print\(.*# (.*)$", code, re.MULTILINE)


def test_defaults_are_those_of_the_code() -> None:
    limits = Limits()
    table = PAGE.partition("## Bounds")[2].partition("Watching looks")[0]
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", table, re.MULTILINE))
    gib = 1024 * MIB
    assert rows["memory of a process"] == f"{limits.memory // gib} GiB"
    assert rows["memory of all processes"] == f"{limits.memory // gib} GiB"
    assert rows["processes and threads"] == str(limits.processes)
    assert rows["open files of a process"] == str(limits.open_files)
    assert rows["size of a file"] == f"{limits.file_size // MIB} MiB"
    files = f"{limits.disk // gib} GiB, {ENTRIES:,} files"
    assert rows["files in the folder, together"] == files
    assert rows["`/tmp`; `/dev/shm`"] == f"{limits.temporary // MIB} MiB each"
    assert rows["time of a call"] == f"{limits.seconds:g} s"
    assert rows["processor time of a process"] == f"{limits.cpu} s"
    kept = f"{limits.output >> 10} KiB of each stream; of tools {OPTIONS['output'] // 1024} KiB"  # type: ignore[operator]
    assert rows["output that is kept"] == kept
    assert rows["output at all"] == f"{limits.flood // MIB} MiB"
    assert rows["pictures for the model"] == f"{PICTURES}, of {LARGEST // MIB} MiB each"


def test_every_option_is_on_the_page_and_as_large_as_the_limit() -> None:
    assert [name for name in OPTIONS if f"`{name}`" not in PAGE] == []
    limits = Limits()
    for name, value in {"memory": limits.memory // MIB, "disk": limits.disk // MIB}.items():
        assert OPTIONS[name] == value
    for name in ("processes", "cpu", "seconds"):
        assert OPTIONS[name] == getattr(limits, name)


def test_the_tests_it_names_are_there() -> None:
    written = "\n".join(path.read_text("utf-8") for path in HERE.glob("*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 12
    assert [name for name in named if f"def {name}(" not in written] == []
    groups = {"FILES", "NETWORK", "PROCESSES", "KERNEL", "MEMORY"}
    assert groups == set(re.findall(r"`([A-Z]+)`", PAGE)) & groups
