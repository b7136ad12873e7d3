"""The processor as devices of a backend that multiplies by a library in this one's steps."""

from __future__ import annotations

from collections.abc import Mapping

from tramontane import memory
from tramontane.backend import Device
from tramontane.doctor.processor import model

RESERVE = 128 << 20
"""For matrices of 16 bits that are widened panel by panel, and for sums."""


def devices(name: str, maker: str, details: Mapping[str, str]) -> list[Device]:
    """Two: `name`, with equal bits, and NAME:prompts, without. maker: what the library is called in
    lists of devices. Nothing is loaded."""
    said = {
        name: "where it adds in the order of the other kernels",
        prompts_of(name): "for prompts, whose bits then depend on how they are cut",
    }
    return [
        Device(
            name=each,
            torch_device="cpu",
            label=f"{model()}, {maker} {about}",
            memory_total=memory.total(),
            memory_free=memory.free(),
            rank=-1,
            reserve=RESERVE,
            kv_dtype="float16",
            details=dict(details),
        )
        for each, about in said.items()
    ]


def prompts_of(name: str) -> str:
    """The device that gives up equal bits: the library multiplies prompts in its own order of
    sums."""
    return f"{name}:prompts"
