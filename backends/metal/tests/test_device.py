"""What is found and what `doctor` is told, of machines that stand in."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from tramontane.backend import HOST
from tramontane.errors import ConfigError
from tramontane.testing.tiny_model import tiny_model
from tramontane_backend_metal.device import described
from tramontane_backend_metal.explain import reasons
from tramontane_backend_metal.machine import Machine
from tramontane_backend_metal.prepare import prepare

MAC = Machine("darwin", "arm64", (15, 1), "Apple M3", True)


def test_a_mac() -> None:
    (device,) = described(MAC)
    assert (device.name, device.torch_device, device.memory) == ("metal", "mps:0", HOST)
    assert "Apple M3" in device.label
    assert device.rank > 0
    assert "not on a Mac yet" in reasons(MAC)[0].message


@pytest.mark.parametrize(
    ("machine", "words", "remedy"),
    [
        (Machine("linux", "x86_64", (), "", True), "not macOS", ""),
        (Machine("darwin", "x86_64", (14, 0), "Intel", True), "no Apple silicon", ""),
        (Machine("darwin", "arm64", (13, 6), "Apple M1", True), "macOS is 13.6", "update macOS"),
        (Machine("darwin", "arm64", (15, 0), "Apple M1", False), "torch is not", "pip install"),
    ],
)
def test_why_not(machine: Machine, words: str, remedy: str) -> None:
    assert described(machine) == []
    (reason,) = reasons(machine)
    assert words in reason.message
    assert remedy in reason.remedy


def test_a_torch_without_metal_says_the_way_out() -> None:
    if torch.backends.mps.is_available():
        pytest.skip("this is a Mac")
    with pytest.raises(ConfigError, match="--device cpu"):
        prepare(tiny_model("float32"), described(MAC)[0], None)


def test_probing_is_light() -> None:
    code = (
        "import sys\n"
        "from tramontane_backend_metal import device, explain\n"
        "device.probe(); explain.explain(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy"} & set(done.stdout.split())
