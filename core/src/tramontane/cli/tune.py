"""`tramontane tune`: in how many bits a model fits this machine, and how fast it would be."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tramontane.errors import RequestError

from .device_option import DeviceOption
from .options import add_source, hub_options
from .parser import Parser
from .progress import Loading

if TYPE_CHECKING:
    from tramontane.quantizing.tune import Candidate

SUMMARY = """\
Show what a model would take here in each number of bits that --isq makes: bytes, the context that
fits besides, tokens per second at best, by the speed of the memory, and how good it is. Loads no
weights."""


def run(argv: list[str]) -> int:
    """Print the candidates, the recommended one marked."""
    parser = Parser("tramontane tune", description=SUMMARY)
    parser.add_argument(
        "--profile", default="balanced", choices=["quality", "balanced", "fast"],
        help="what to recommend: the most bits that fit, 6 at most, or 4 at most",
    )  # fmt: skip
    parser.add_argument(
        "--device", default="auto", action=DeviceOption,
        help="auto, reference, or a backend's name; list: print those that there are",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")
    parser.add_argument(
        "--emit-config", type=Path, metavar="FILE",
        help="write the recommended one as settings for `tramontane serve --config`",
    )  # fmt: skip
    add_source(parser.add_argument_group("model"))
    options = parser.parse_args(argv)
    with Loading("measuring"):
        found = _candidates(options)
    best = next(each for each in found if each.recommended)
    if options.emit_config is not None:
        _write(options.emit_config, options.model, best)
    if options.json:
        print(json.dumps({"candidates": [asdict(each) for each in found]}, indent=2))
    else:
        _print(found)
    return 0


def _candidates(options: argparse.Namespace) -> list[Candidate]:
    import torch

    from tramontane.checkpoint.build import build_for
    from tramontane.checkpoint.fast_load import place_of
    from tramontane.checkpoint.load import KV_DTYPES, kv_dtype_of
    from tramontane.checkpoint.load_options import LoadOptions
    from tramontane.checkpoint.open import open_checkpoint
    from tramontane.engine.kv_cache import bytes_per_token
    from tramontane.model.source import find_model
    from tramontane.quantizing.choose_kind import kernels_of
    from tramontane.quantizing.tune import Machine, candidates
    from tramontane.registry import Registry
    from tramontane.system.devices import choose_device

    from .memory_speed import bandwidth

    registry = Registry.from_environment()
    checkpoint = open_checkpoint(
        find_model(options.model, registry, hub_options(options)), registry
    )
    try:
        built = build_for(checkpoint, registry)
    finally:
        checkpoint.close()
    device, backend = choose_device(options.device, registry)
    loading = LoadOptions(device=options.device)
    place = place_of(backend, device, loading, torch.float32)
    kept = KV_DTYPES[kv_dtype_of(loading, device, device.dtype)]
    machine = Machine(device.memory_free, bandwidth(0), bytes_per_token(built.model, kept))
    return candidates(built, registry, machine, kernels_of(place.pack), options.profile)


def _print(found: list[Candidate]) -> None:
    from tramontane.memory import readable

    rows = [("", "bits", "bytes", "of free", "context", "tokens/s", "quality")]
    rows += [
        (
            f"{'* ' if each.recommended else '  '}{each.name}",
            f"{each.bits:.2f}",
            readable(each.bytes),
            f"{100 * each.share:.0f}%",
            str(each.context) if each.fits else "too large",
            f"{each.tokens_per_second:.0f}",
            each.quality,
        )
        for each in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells, quality in rows:
        middle = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=False))
        print("  ".join((name.ljust(widths[0]), *middle, quality)).rstrip())
    best = next(each for each in found if each.recommended)
    print(f"* recommended{'' if best.isq is None else f': --isq {best.isq}'}")


def _write(path: Path, model: str, best: Candidate) -> None:
    lines = ["[[models]]", f"model = {json.dumps(model)}"]
    if best.isq is not None:
        lines.append(f"isq = {json.dumps(best.isq)}")
    if best.fits:
        lines.append(f"num_ctx = {best.context}")
    try:
        path.write_text("\n".join(lines) + "\n", "utf-8")
    except OSError as error:
        raise RequestError(f"cannot write {path}: {error.strerror or error}") from error
