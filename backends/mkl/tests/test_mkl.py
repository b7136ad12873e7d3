"""Where MKL is looked for, what is said of it, and that it starts no threads of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tramontane_backend_mkl import device, find, products
from tramontane_backend_mkl.explain import reasons
from tramontane_backend_mkl.find import Found, can_run

LINUX = ("linux", "x86_64", 64)


@pytest.mark.parametrize(
    ("machine", "runs"),
    [
        (LINUX, True), (("win32", "AMD64", 64), True), (("linux", "x86_64", 32), False),
        (("linux", "aarch64", 64), False), (("darwin", "arm64", 64), False),
        (("darwin", "x86_64", 64), False),
    ],
)  # fmt: skip
def test_which_machines_have_one(machine: tuple[str, str, int], runs: bool) -> None:
    assert can_run(*machine) == runs
    (reason,) = reasons(machine, None)
    assert ("not in this environment" in reason.message) == runs
    assert reason.remedy == ('pip install "tramontane-backend-mkl[wheel]"' if runs else "")


def test_what_doctor_is_told_of_one() -> None:
    (reason,) = reasons(LINUX, Found(Path("/lib/libmkl_rt.so.3"), "2026.2.0"))
    assert "MKL 2026.2.0 at /lib/libmkl_rt.so.3" in reason.message
    assert not reason.remedy


def test_the_newest_of_an_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    (tmp_path / "lib").mkdir()
    assert find.look(tmp_path) is None
    for name in ("libmkl_rt.so.2", "libmkl_rt.so.3", "libmkl_core.so.3"):
        (tmp_path / "lib" / name).touch()
    assert find.look(tmp_path) == Found(tmp_path / "lib" / "libmkl_rt.so.3", "")


def test_two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "find", lambda: None)
    assert device.probe() == []
    monkeypatch.setattr(device, "find", lambda: Found(Path("libmkl_rt.so.3"), "2026.2.0"))
    equal, prompts = device.probe()
    assert (equal.name, prompts.name) == ("mkl", "mkl:prompts")
    assert equal.rank < 0, "auto would choose it"
    assert "bits" in prompts.label


class Loaded:
    """Stands for MKL; layers: what it has in the end."""

    def __init__(self, *layers: int) -> None:
        self.layers = layers

    def MKL_Set_Threading_Layer(self, wanted: int) -> int:
        assert wanted == 1, "it would start threads"
        return self.layers[0]

    def MKL_Set_Interface_Layer(self, wanted: int) -> int:
        assert wanted == 0
        return self.layers[1]


@pytest.mark.parametrize("handle", [Loaded(1, 0), Loaded(0, 0), Loaded(1, 1), object(), OSError])
def test_an_mkl_that_others_set_up_is_not_used(
    handle: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def load(_: object) -> Any:
        if handle is OSError:
            raise OSError("no such file")
        return handle

    monkeypatch.setattr(products, "find", lambda: Found(Path("libmkl_rt.so.3"), "2026.2.0"))
    monkeypatch.setattr(products.Library, "open", load)
    library = products.opened.__wrapped__()
    used = isinstance(handle, Loaded) and handle.layers == (1, 0)
    assert (library is not None) == used
    assert ("MKL is not used" in caplog.text) != used


PROBE = """
import ctypes
import numpy as np
from tramontane_backend_mkl.products import opened

library = opened()
a, c = np.ones((4, 8), np.float32), np.zeros((4, 4), np.float32)
i, p, f = ctypes.c_int, ctypes.c_void_p, ctypes.c_float
library.open().cblas_sgemm(
    i(101), i(111), i(112), i(4), i(4), i(8), f(1), p(a.ctypes.data), i(8), p(a.ctypes.data), i(8),
    f(0), p(c.ctypes.data), i(4),
)
assert (c == 8).all(), c
assert library.open().MKL_Get_Max_Threads() == 1
"""


def test_environment_variables_choose_no_layer() -> None:
    """With these MKL would end the process, or read integers of another width."""
    if find.find() is None:
        pytest.skip('MKL is not installed: pip install "tramontane-backend-mkl[wheel]"')
    told = {"MKL_THREADING_LAYER": "TBB", "MKL_INTERFACE_LAYER": "ILP64"}
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env=os.environ | told, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
