"""`tramontane verify`: a model's numbers beside those of an independent implementation."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .color import paint
from .device_option import DeviceOption
from .options import add_source, add_threads
from .parser import Parser, at_least
from .progress import Loading

SUMMARY = """\
Compare a model's logits, layers and token ids with those of another implementation, and say what a
difference means. The exit status is 0 if the model is right, 1 if not."""


def run(argv: list[str]) -> int:
    """Print the verdict."""
    parser = Parser("tramontane verify", description=SUMMARY)
    parser.add_argument(
        "--against", metavar="WHAT",
        help="transformers, transformers:CLASS, llama.cpp, gguf:FILE or folder:PATH; without it, "
        "transformers for folders and llama.cpp for GGUF files",
    )  # fmt: skip
    parser.add_argument(
        "--prompt", action="append", metavar="TEXT",
        help="a text to compare on; repeatable; without it, three of its own",
    )  # fmt: skip
    parser.add_argument(
        "--length", type=at_least(2), metavar="N",
        help="tokens of the longest of its own prompts (default: 321, or past a window)",
    )  # fmt: skip
    parser.add_argument(
        "--reference-dtype", default="f32", choices=["f32", "bf16", "f16"],
        help="what transformers computes in; 16 bits take half the memory and show less",
    )  # fmt: skip
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.png",
        help="draw the error of each layer; needs matplotlib",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")
    add_source(parser.add_argument_group("model"))
    parser.add_argument(
        "--device", default="auto", action=DeviceOption,
        help="auto, reference, or a backend's name; list: print those that there are",
    )  # fmt: skip
    parser.add_argument("--dtype", default="auto", choices=["auto", "f32", "bf16", "f16"])
    parser.add_argument(
        "--activations", default="auto", choices=["auto", "f32"],
        help="f32: do not quantize activations",
    )  # fmt: skip
    parser.add_argument(
        "--kv-type", default="auto",
        choices=["auto", "f32", "bf16", "f16", "int8", "int4", "f8e4m3", "f8e5m2"],
        help="type of the KV cache",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="try even if memory seems too small")
    add_threads(parser)
    return _run(parser.parse_args(argv))


def _run(options: argparse.Namespace) -> int:
    from tramontane.verifying.plot import check_plot, plot

    if options.plot is not None:
        check_plot(options.plot)
    from tramontane.verifying.result import lines
    from tramontane.verifying.verify import verify

    with Loading("verifying"):
        found = verify(
            options.model,
            options.against,
            options.prompt or (),
            length=options.length,
            device=options.device,
            dtype=options.dtype,
            activations=options.activations,
            kv_type=options.kv_type,
            threads=options.threads,
            reference_dtype=options.reference_dtype,
            force=options.force,
            revision=options.revision,
            token_source=options.token_source,
            cache_dir=options.hf_cache,
        )
    if options.json:
        json.dump(found.as_dict(), sys.stdout, indent=2)
        print()
    else:
        for line in lines(found, paint):
            print(line)
    if options.plot is not None:
        plot(found, options.plot)
    return 0 if found.right else 1
