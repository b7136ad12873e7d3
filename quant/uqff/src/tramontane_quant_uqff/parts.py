"""Which tensors a matrix of a UQFF file consists of.

`NAME.weight.format` says how NAME.weight is stored; its other parts are below NAME.weight, too.
A layer's bias is NAME.bias, a plain tensor.

    0  GGML     weight: blocks, flat; dtype: ggml's number of the type; shape
    1  dense    weight
    2  HQQ      weight: packed codes; scales, zeros, shape, bits, group_size, axis, and more
    3  FP8      weight: e4m3 (rows, columns); dequant_w_scale, and what computing in FP8 needs
    4  AFQ      weight: words as MLX packs them; scales, biases, bits, group_size
    5  F8Q8     weight: blocks of 33 bytes, flat; num_blocks, shape
    6  MXFP4    weight: two codes a byte; scales

Source: files of mistral.rs 0.9.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tramontane.errors import CheckpointError

GGML, DENSE, HQQ, FP8, AFQ, F8Q8, MXFP4 = range(7)

PARTS: dict[int, tuple[str, ...]] = {
    GGML: ("dtype", "shape"),
    DENSE: (),
    HQQ: (
        "scales", "zeros", "shape", "bits", "group_size", "axis", "optimization_steps",
        "round_zeros", "channel_wise",
    ),
    FP8: ("dequant_w_scale", "dequant_x_scale", "quant_scale", "dtype"),
    AFQ: ("scales", "biases", "bits", "group_size"),
    F8Q8: ("num_blocks", "shape"),
    MXFP4: ("scales",),
}  # fmt: skip
"""Below `weight`, besides `format`."""

NAMES = {GGML: "ggml", DENSE: "dense", HQQ: "hqq", FP8: "fp8", AFQ: "afq", F8Q8: "f8q8",
         MXFP4: "mxfp4"}  # fmt: skip

VERSION = tuple(f"uqff.version.{part}" for part in ("major", "minor", "patch"))


def grouped(names: Iterable[str]) -> tuple[dict[str, set[str]], set[str]]:
    """The parts of each packed matrix by its name, NAME.weight, and the names of other tensors."""
    rest = set(names) - set(VERSION)
    packed: dict[str, set[str]] = {}
    for name in sorted(rest):
        if name.endswith(".weight.format"):
            stem = name.removesuffix(".format")
            own = {each for each in rest if each.startswith(f"{stem}.")}
            packed[stem] = {each.removeprefix(f"{stem}.") for each in own} | (
                {""} if stem in rest else set()
            )
    used = {f"{stem}.{part}" if part else stem for stem, own in packed.items() for part in own}
    return packed, rest - used


def check_parts(name: str, kind: int, parts: Iterable[str]) -> None:
    """Raises CheckpointError for a part that is missing or left over."""
    if kind not in PARTS:
        raise CheckpointError(f"{name}: format {kind} is none of {_known()}")
    wanted, found = {"", "format", *PARTS[kind]}, set(parts)
    if missing := wanted - found:
        raise CheckpointError(f"{name}: {_named(name, missing)} missing, format {NAMES[kind]}")
    if unknown := found - wanted:
        raise CheckpointError(f"{name}: {_named(name, unknown)} unknown in format {NAMES[kind]}")


def _known() -> str:
    return ", ".join(f"{number} ({name})" for number, name in NAMES.items())


def _named(name: str, parts: set[str]) -> str:
    return " and ".join(f"{name}.{part}".removesuffix(".") for part in sorted(parts))


def label(kind: int, said: Mapping[str, int], ggml: Mapping[int, str]) -> str:
    """What a matrix is called, as mistral.rs has it: "afq4", "q4k". said: `bits`, `dtype`."""
    if kind in (AFQ, HQQ):
        return f"{NAMES[kind]}{said['bits']}"
    if kind == GGML:
        number = said["dtype"]
        name = ggml.get(number, f"ggml{number}").lower()
        return name.replace("_k", "k")
    return NAMES[kind]
