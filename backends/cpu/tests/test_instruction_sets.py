"""The same tests on machines that this one is not, as far as its processor can play them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from tramontane.errors import ConfigError
from tramontane_backend_cpu.vector import target
from tramontane_backend_cpu.vector.instruction_set import Portable
from tramontane_backend_cpu.vector.target import SETS, choose, fitting

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
FIRST = ("test_matmul.py", "test_attention.py", "test_record.py")
FURTHER = ("test_codebook_products.py", "test_attention_options.py", "test_coded_attention.py")
HASWELL = "+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi,+bmi2"
MACHINES = {
    "without AVX-512": ("avx2", {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": HASWELL}),
    "with nothing": ("portable", {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}),
    "told so": ("portable", {target.VARIABLE: "portable"}),
}


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="plays x86-64 machines")
@pytest.mark.parametrize("machine", MACHINES if FULL else list(MACHINES)[:2])
def test_on_a_machine(machine: str) -> None:
    expected, settings = MACHINES[machine]
    # these tests may themselves have been told a set
    environment = {name: value for name, value in os.environ.items() if name != target.VARIABLE}
    environment |= settings
    told = "from tramontane_backend_cpu.vector.target import SET; print(SET.name)"
    command = [sys.executable, "-c", told]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == expected
    here = Path(__file__).parent
    files = FIRST + FURTHER if FULL else FIRST[:1] if expected == "avx2" else FIRST[1:2]
    command = [sys.executable, "-m", "pytest", "-q", *(str(here / file) for file in files)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_the_portable_set_fits_everywhere() -> None:
    assert fitting()[-1] is Portable
    assert len({kind.name for kind in SETS}) == len(SETS)


def test_one_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(target.VARIABLE, "mmx")
    with pytest.raises(ConfigError, match=r"mmx: this machine can run auto, .*portable"):
        choose()
