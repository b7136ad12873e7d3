from __future__ import annotations

import gc
import subprocess
import sys

import pytest
from tramontane.system.gc_pause import gc_paused


def test_the_collector_is_as_it_was() -> None:
    assert gc.isenabled()
    with gc_paused():
        assert not gc.isenabled()
        with gc_paused():
            assert not gc.isenabled()
        assert not gc.isenabled(), "the outer one still wants it so"
    assert gc.isenabled()


def test_after_an_error_too() -> None:
    with pytest.raises(ZeroDivisionError), gc_paused():
        1 / 0  # noqa: B018
    assert gc.isenabled()


def test_one_that_is_off_stays_off() -> None:
    gc.disable()
    try:
        with gc_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


COMMAND = """\
import gc, sys
from tramontane.cli.main import main
status = main(sys.argv[1:])
looked_at = {id(each) for each in gc.get_objects()}
print(status, id(sys.modules["torch"]) in looked_at, gc.isenabled())
"""


def test_a_command_never_looks_at_its_imports() -> None:
    command = ["run", "--no-template", "-q", "-i", "a", "-n", "1"]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *command], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 False True"
