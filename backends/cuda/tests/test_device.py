"""What is found, and what `doctor` is told, with drivers and builds of torch that stand in."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tramontane_backend_cuda import device, explain, graphics, nvml
from tramontane_backend_cuda.nvml import Driver, Found, NvmlError, look
from tramontane_backend_cuda.torch_build import TorchBuild, read_build

CARDS = (
    Found(0, "H100", "GPU-aa11", (9, 0), 80 << 30, 70 << 30),
    Found(1, "RTX 2080", "GPU-bb22", (7, 5), 8 << 30, 7 << 30),
    Found(2, "GTX 680", "GPU-bc33", (3, 0), 2 << 30, 1 << 30),
)
DRIVER = Driver("580.65", "13.0", CARDS)
CUDA, PLAIN = TorchBuild("2.13.0+cu130", cuda="13.0"), TorchBuild("2.13.0+cpu")


class Library:
    """Answers as NVIDIA's management library does, for CARDS. refuses: the call that fails."""

    def __init__(self, refuses: str = "") -> None:
        self.refuses, self.open = refuses, 0

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: 9 if name == self.refuses else self.answer(name, arguments)

    def answer(self, name: str, arguments: Any) -> int:
        if name == "nvmlInit_v2":
            self.open += 1
        elif name == "nvmlShutdown":
            self.open -= 1
        elif name == "nvmlDeviceGetCount_v2":
            arguments[0]._obj.value = len(CARDS)
        elif name == "nvmlSystemGetCudaDriverVersion_v2":
            arguments[0]._obj.value = 13000
        elif name == "nvmlSystemGetDriverVersion":
            arguments[0].value = b"580.65"
        elif name == "nvmlDeviceGetHandleByIndex_v2":
            arguments[1]._obj.value = arguments[0].value + 1
        else:
            self.about(CARDS[arguments[0].value - 1], name, arguments[1:])
        return 0

    def about(self, card: Found, name: str, arguments: Any) -> None:
        if name == "nvmlDeviceGetCudaComputeCapability":
            arguments[0]._obj.value, arguments[1]._obj.value = card.capability
        elif name == "nvmlDeviceGetMemoryInfo":
            arguments[0]._obj.total, arguments[0]._obj.free = card.memory_total, card.memory_free
        else:
            text = card.name if name == "nvmlDeviceGetName" else card.uuid
            arguments[0].value = text.encode()


def missing() -> Any:
    raise OSError("libnvidia-ml.so.1: cannot open shared object file")


def test_what_the_driver_says() -> None:
    library = Library()
    assert look(lambda: library) == DRIVER
    assert library.open == 0, "it was not shut down"


def test_no_driver() -> None:
    assert look(missing) is None


@pytest.mark.parametrize("name", ["nvmlInit_v2", "nvmlDeviceGetMemoryInfo"])
def test_a_driver_that_does_not_answer(name: str) -> None:
    library = Library(name)
    with pytest.raises(NvmlError, match=f"{name} returned 9"):
        look(lambda: library)
    assert library.open == 0


def test_memory_is_as_the_library_writes_it() -> None:
    assert ctypes.sizeof(nvml._Memory) == 24


def test_cards_as_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    found = device.nvidia(DRIVER, CUDA, {})
    assert [each.name for each in found] == ["cuda:0", "cuda:1", "cuda:2"]
    assert [each.dtype for each in found] == ["bfloat16", "float16", "float32"]
    assert found[0].features == ("sm_90",)
    assert found[0].rank > 0
    assert device.os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        (None, [0, 1, 2]), ("", []), ("1", [1]), ("2,0", [2, 0]), ("GPU-aa", [0]), ("GPU-b", []),
        ("0,7,1", [0]), ("-1", []),
    ],
)  # fmt: skip
def test_cards_that_the_environment_hides(wanted: str | None, kept: list[int]) -> None:
    assert [card.index for card in device.visible(CARDS, wanted)] == kept


def test_one_card_is_called_by_the_backends_name() -> None:
    (found,) = device.nvidia(DRIVER, CUDA, {"CUDA_VISIBLE_DEVICES": "1"})
    assert (found.name, found.torch_device) == ("cuda", "cuda:0")


@pytest.mark.parametrize(
    ("text", "build"),
    [
        ("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\nhip: Optional[str] = None\n",
         PLAIN),
        ("__version__ = '2.13.0+cu130'\ncuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n",
         CUDA),
        ("__version__ = '2.13.0+rocm7'\ncuda = None\nhip: Optional[str] = '7.0'\nxpu = None\n",
         TorchBuild("2.13.0+rocm7", hip="7.0")),
        ("debug = False\n", None),
    ],
)  # fmt: skip
def test_builds_of_torch(text: str, build: TorchBuild | None) -> None:
    assert read_build(text) == build


def told(build: TorchBuild | None, driver: Any, on_bus: int = 0) -> list[tuple[str, str]]:
    def drivers() -> Driver | None:
        if isinstance(driver, NvmlError):
            raise driver
        return driver  # type: ignore[no-any-return]

    return [(each.message, each.remedy) for each in explain.reasons(build, drivers, on_bus)]


def test_a_machine_without_a_card_needs_nothing() -> None:
    ((said, remedy),) = told(PLAIN, None)
    assert "built without CUDA" in said
    assert "no card" in said
    assert not remedy


@pytest.mark.parametrize(
    ("build", "driver", "on_bus", "words", "remedy"),
    [
        (None, None, 0, "torch is not installed", "pip install torch"),
        (CUDA, None, 1, "a card is there, and no driver", "nvidia-smi"),
        (CUDA, NvmlError("nvmlInit_v2 returned 9"), 1, "does not answer: nvmlInit_v2", "driver"),
        (PLAIN, DRIVER, 3, "H100 (sm_90)", "from the index for CUDA"),
        (TorchBuild("2.13", cuda="14.1"), DRIVER, 3, "driver is older", "for CUDA 13.0 or older"),
    ],
)
def test_what_is_missing(
    build: TorchBuild | None, driver: Any, on_bus: int, words: str, remedy: str
) -> None:
    said = told(build, driver, on_bus)[0]
    assert words in said[0]
    assert remedy in said[1]


def test_old_cards_are_named() -> None:
    said = [message for message, _ in told(CUDA, DRIVER)]
    assert "sm_75" in said[0]
    assert [line.split(" is older")[0] for line in said[1:3]] == ["RTX 2080", "GTX 680"]


def test_other_makers_are_said_to_be_untested() -> None:
    said, remedy = told(TorchBuild("2.13", hip="7.0"), None)[0]
    assert "untested" in said
    assert not remedy


def card(folder: Path, **files: str) -> None:
    """A card as Linux shows it."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")


def test_amd_and_intel(tmp_path: Path) -> None:
    sizes = {"mem_info_vram_total": str(16 << 30), "mem_info_vram_used": str(1 << 30)}
    card(tmp_path / "card0" / "device", vendor=graphics.AMD, product_name="MI210", **sizes)
    card(tmp_path / "card1" / "device", vendor=graphics.AMD, device="0x1")
    window = f"0x1000 {0x1000 + (8 << 30) - 1:#x} 0x2\n0x0 0x0 0x0"
    card(tmp_path / "card2" / "device", vendor=graphics.INTEL, device="0x56a0", resource=window)
    (amd,) = graphics.amd_cards(tmp_path)
    assert amd == graphics.Graphics("MI210", 16 << 30, 15 << 30)
    (intel,) = graphics.intel_cards(tmp_path)
    assert intel == graphics.Graphics("Intel 0x56a0", 8 << 30, 8 << 30)


def test_cards_on_the_bus(tmp_path: Path) -> None:
    card(tmp_path / "0000:01:00.0", vendor=graphics.NVIDIA, **{"class": "0x030000"})
    card(tmp_path / "0000:01:00.1", vendor=graphics.NVIDIA, **{"class": "0x040300"})
    assert graphics.nvidia_on_bus(tmp_path) == 1


def test_probing_is_light() -> None:
    code = (
        "import sys, tramontane_backend_cuda.device as d, tramontane_backend_cuda.explain as e\n"
        "d.probe(); e.explain(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "triton", "numpy"} & set(done.stdout.split())
