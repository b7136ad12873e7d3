"""What `tramontane doctor` is told: driver, build of torch, cards, and what is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tramontane.backend import Reason

from . import triton_here
from .card import OLDEST
from .graphics import nvidia_on_bus
from .nvml import Driver, NvmlError, look
from .torch_build import TorchBuild, torch_build

GET_TORCH = (
    "pip install --force-reinstall torch, from the index for CUDA, see pytorch.org/get-started"
)
GET_DRIVER = "install NVIDIA's driver of this system, and see that nvidia-smi lists the card"


def explain() -> list[Reason]:
    """Of this machine. Implements `plugin.Backend.explain`."""
    return list(reasons(torch_build(), look, nvidia_on_bus()))


def reasons(
    build: TorchBuild | None, drivers: Callable[[], Driver | None], on_bus: int
) -> list[Reason]:
    """build: of torch. drivers: what looks for a driver. on_bus: NVIDIA's cards on the bus."""
    if build is None:
        return [Reason("torch is not installed", "pip install torch")]
    if build.hip or build.xpu:
        name = "AMD's cards (ROCm)" if build.hip else "Intel's cards (XPU)"
        said = f"torch {build.version} is built for {name}: the kernels are the same, and untested"
        return [Reason(said), *_triton()]
    built = f"built for CUDA {build.cuda}" if build.cuda else "built without CUDA"
    said = f"torch {build.version} is {built}"
    try:
        driver = drivers()
    except NvmlError as error:
        return [Reason(f"{said}, and the driver does not answer: {error}", GET_DRIVER)]
    if driver is None:
        if on_bus:
            return [Reason(f"{said}, a card is there, and no driver for it is found", GET_DRIVER)]
        return [Reason(f"{said}, and this machine has no card and no driver of NVIDIA's")]
    names = ", ".join("{} (sm_{}{})".format(c.name, *c.capability) for c in driver.cards)
    said += f", driver {driver.version} runs CUDA up to {driver.cuda}, "
    said += names or "and no card"
    if not driver.cards:
        return [Reason(said)]
    if not build.cuda:
        return [Reason(said, GET_TORCH)]
    if _numbers(build.cuda)[:1] > _numbers(driver.cuda)[:1]:
        remedy = f"update the driver, or install a torch for CUDA {driver.cuda} or older"
        return [Reason(f"{said}: the driver is older than torch needs", remedy)]
    return [Reason(said), *_old(driver), *_triton()]


def _old(driver: Driver) -> list[Reason]:
    return [
        Reason(
            f"{card.name} is older than sm_{OLDEST[0]}{OLDEST[1]}: it runs by torch's own "
            "products, in float16 or float32, and each step decodes the weights that it reads"
        )
        for card in driver.cards
        if card.capability < OLDEST
    ]


def _triton() -> list[Reason]:
    if triton_here.installed():
        return []
    said = "triton is not installed: products are torch's own, and slower"
    if sys.platform == "win32":
        return [Reason(f"{said}; there is none for Windows")]
    return [Reason(said, "pip install triton, in the version that torch asks for")]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
