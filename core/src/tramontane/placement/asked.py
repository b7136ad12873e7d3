"""What is asked of a placement: `--gpu-layers`, `--device-map`, `--n-cpu-moe`, as they are written.

A device map is `cuda:0=0-15,cpu=16-31`, with both ends of each range, or mistral.rs's `0:16;1:16`:
the number of an accelerator, and how many of the layers that are left it takes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tramontane.errors import ConfigError

COUNTS = re.compile(r"\d+:\d+(?:;\d+:\d+)*;?")
PIECE = re.compile(r"([a-z][\w-]*(?::\d+)?)=(\d{1,6})(?:-(\d{1,6}))?", re.IGNORECASE)
FORM = "cuda:0=0-15,cpu=16-31"


@dataclass(frozen=True)
class Range:
    """Layers first to last, both included, on a device."""

    device: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.device}={self.first}-{self.last}"


def parse_gpu_layers(asked: int | str | None) -> int | str | None:
    """A number, "auto", "all" or None. Raises ConfigError."""
    return _count_or(asked, ("auto", "all"), "gpu_layers", "auto or all")


def parse_cpu_moe(asked: int | str | None) -> int | str | None:
    """A number of layers, "all" or None. Raises ConfigError."""
    return _count_or(asked, ("all",), "n_cpu_moe", "or all")


def _count_or(
    asked: int | str | None, words: tuple[str, ...], name: str, said: str
) -> int | str | None:
    if asked is None or asked in words:
        return asked
    text = str(asked).strip()
    if isinstance(asked, bool) or not re.fullmatch(r"\d{1,6}", text):
        raise ConfigError(f"{name} {asked!r:.40} is not a number of layers, {said}")
    return int(text)


def parse_map(text: str) -> list[Range] | list[tuple[int, int]]:
    """Ranges, or (accelerator, count) pairs of mistral.rs's form. Spaces do not count. Raises
    ConfigError for what is neither, and for ranges that overlap."""
    plain = "".join(str(text).split())
    if COUNTS.fullmatch(plain):
        pairs = [each.split(":") for each in plain.strip(";").split(";")]
        return [(int(ordinal), int(count)) for ordinal, count in pairs]
    found: list[Range] = []
    for piece in plain.split(","):
        match = PIECE.fullmatch(piece)
        if match is None:
            raise ConfigError(
                f"device map {text!r:.80}: {piece!r:.40} is not a device with its layers, such as "
                f"{FORM}, or 0:16;1:16"
            )
        first = int(match[2])
        last = first if match[3] is None else int(match[3])
        if last < first:
            raise ConfigError(f"device map {text!r:.80}: {piece} ends before it begins")
        one = Range(match[1], first, last)
        for other in found:
            if first <= other.last and other.first <= last:
                raise ConfigError(
                    f"device map {text!r:.80}: {other} and {one} overlap; the last number of a "
                    "range is in it"
                )
        found.append(one)
    return found


def by_layer(text: str, found: list[Range], layers: int) -> list[str]:
    """The device of each layer. Raises ConfigError for holes and for layers that are not there."""
    devices: list[str | None] = [None] * layers
    for one in found:
        if one.last >= layers:
            raise ConfigError(
                f"device map {text!r:.80}: {one}: the model has {layers} layers, 0 to {layers - 1}"
            )
        devices[one.first : one.last + 1] = [one.device] * (one.last - one.first + 1)
    if None in devices:
        first = devices.index(None)
        last = first
        while last + 1 < layers and devices[last + 1] is None:
            last += 1
        raise ConfigError(
            f"device map {text!r:.80}: layers {first} to {last} are nowhere; add "
            f"cpu={first}-{last}, say"
        )
    return [each for each in devices if each is not None]
