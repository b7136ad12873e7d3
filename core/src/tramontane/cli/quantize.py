"""`tramontane quantize`: write a model's matrices in fewer bits."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from tramontane.errors import UsageError

from .options import add_source, hub_options
from .parser import Parser
from .progress import Loading
from .quantizing_options import add_quantizing

SUMMARY = """\
Write a model quantized: a folder of safetensors, or a container such as OUT.gguf. If it is
interrupted, the same command goes on from there. To quantize while loading instead: tramontane run
MODEL --isq KIND."""

EXAMPLES = """\
examples:
  tramontane quantize org/name small --to 4
  tramontane quantize folder model.gguf --to q4_k_m
  tramontane quantize folder model.gguf --to q4_k --imatrix importances.safetensors"""


def run(argv: list[str]) -> int:
    """Quantize, and say what was made."""
    import argparse

    parser = Parser(
        "tramontane quantize",
        description=SUMMARY,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", nargs="?", metavar="OUT", help="a folder, or a file of a container")
    parser.add_argument("--to", metavar="KIND", help="2 to 8 bits, or a kind such as q4_k")
    parser.add_argument("--force", action="store_true", help="replace OUT if it is there")
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")
    add_source(parser.add_argument_group("model"), default=None)
    add_quantizing(parser, loads=False)
    options = parser.parse_args(argv)
    if options.out is None or options.model is None:
        raise UsageError("name a model and what to write: tramontane quantize MODEL OUT --to KIND")
    if options.to is None and options.topology is None:
        raise UsageError("--to is missing: 2 to 8 bits, or a kind such as q4_k")

    from tramontane.checkpoint.build import build_for
    from tramontane.checkpoint.folder import FolderCheckpoint
    from tramontane.checkpoint.load_options import LoadOptions
    from tramontane.checkpoint.open import open_checkpoint
    from tramontane.model.loaded_model import LoadedModel
    from tramontane.model.source import find_model
    from tramontane.quantizing.calibrate import calibrate
    from tramontane.quantizing.choices import Asked
    from tramontane.quantizing.convert import convert, summary
    from tramontane.quantizing.importance import read_importance
    from tramontane.quantizing.topology import read_topology
    from tramontane.registry import Registry

    registry = Registry.from_environment()
    with Loading("quantizing") as progress:
        path = find_model(options.model, registry, hub_options(options))
        topology = None if options.topology is None else read_topology(options.topology)
        asked = Asked(options.to, options.isq_organization, topology)
        importance = {}
        if options.imatrix is not None:
            importance = read_importance(options.imatrix, registry)
        elif options.calibration_file is not None:

            def opened(**more: object) -> LoadedModel:
                return LoadedModel(path, registry=registry, **more)  # type: ignore[arg-type]

            importance = calibrate(opened, LoadOptions(), options.calibration_file, progress)
        checkpoint = open_checkpoint(path, registry)
        try:
            folder = checkpoint.folder if isinstance(checkpoint, FolderCheckpoint) else None
            written = convert(
                build_for(checkpoint, registry), registry, asked, Path(options.out),
                folder=folder, importance=importance, force=options.force, progress=progress,
            )  # fmt: skip
        finally:
            checkpoint.close()
    if options.json:
        print(json.dumps(asdict(written), default=str))
    else:
        print("\n".join(summary(written)))
    return 0
