"""Describe graphics cards as devices, without importing torch and without touching a card."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tramontane import memory
from tramontane.backend import Device

from . import triton_here
from .graphics import Graphics, amd_cards, intel_cards
from .nvml import Driver, Found, NvmlError, look
from .torch_build import TorchBuild, torch_build

BFLOAT16, FLOAT16 = (8, 0), (5, 3)
"""Compute capabilities from which products in these types are fast, or there at all."""
RANK = 10
UNTESTED = "untested"


def probe() -> list[Device]:
    """Cards that the installed torch was built for; with TRITON_INTERPRET=1, the interpreter."""
    if triton_here.interpreted():
        return [_interpreter()]
    build = torch_build()
    if build is None:
        return []
    if build.cuda:
        try:
            driver = look()
        except NvmlError:  # `explain` says so
            return []
        return [] if driver is None else nvidia(driver, build, os.environ)
    if build.hip:
        return _others("rocm", "cuda", amd_cards(), build.hip)
    return _others("xpu", "xpu", intel_cards(), build.xpu) if build.xpu else []


def nvidia(driver: Driver, build: TorchBuild, environment: Mapping[str, str]) -> list[Device]:
    """Cards as torch will number them."""
    cards = visible(driver.cards, environment.get("CUDA_VISIBLE_DEVICES"))
    if len(cards) > 1:  # torch's own order is another one, where cards differ
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    return [
        Device(
            name="cuda" if len(cards) == 1 else f"cuda:{index}",
            torch_device=f"cuda:{index}",
            label=card.name,
            memory_total=card.memory_total,
            memory_free=card.memory_free,
            rank=RANK,
            dtype=dtype_for(card.capability),
            features=("sm_{}{}".format(*card.capability),),
            details={"driver": driver.version, "torch for CUDA": build.cuda},
        )
        for index, card in enumerate(cards)
    ]


def visible(cards: tuple[Found, ...], wanted: str | None) -> list[Found]:
    """What CUDA_VISIBLE_DEVICES leaves: numbers, or beginnings of names such as GPU-1a2b; what
    follows one that there is not is hidden too, as CUDA has it."""
    if wanted is None:
        return list(cards)
    kept: list[Found] = []
    for word in (each.strip() for each in wanted.split(",")):
        match = [
            card for card in cards
            if word == str(card.index) or (word.startswith("GPU-") and card.uuid.startswith(word))
        ]  # fmt: skip
        if len(match) != 1:
            break
        kept += match
    return kept


def dtype_for(capability: tuple[int, int]) -> str:
    """What `--dtype auto` computes in."""
    if capability >= BFLOAT16:
        return "bfloat16"
    return "float16" if capability >= FLOAT16 else "float32"


def _others(name: str, torch_name: str, cards: list[Graphics], version: str) -> list[Device]:
    return [
        Device(
            name=name if len(cards) == 1 else f"{name}:{index}",
            torch_device=f"{torch_name}:{index}",
            label=card.label,
            memory_total=card.memory_total,
            memory_free=card.memory_free,
            rank=RANK - 1,
            dtype="float16",
            features=(UNTESTED,),
            details={f"torch for {name}": version},
        )
        for index, card in enumerate(cards)
    ]


def _interpreter() -> Device:
    return Device(
        name="cuda",
        torch_device="cpu",
        label="Triton's interpreter on the CPU",
        memory_total=memory.total(),
        memory_free=memory.free(),
        rank=-10,  # only when asked for: it is far slower than the reference
    )
