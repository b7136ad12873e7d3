"""`llm-rs quantize`: write a model in fewer bits, as GGJT, GGML or, by the name, GGUF."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from tramontane.errors import UsageError
from tramontane.memory import readable
from tramontane.registry import Registry
from tramontane_quant_ggml.plugin import MAGIC

from tramontane_plugin_llm.opening import located, opened, texts_of

from .logs import LOG
from .options import add_family_and_tokenizer, parser_of

KINDS = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0")
CONTAINERS = ("ggjt-v3", "ggml")


def run(argv: list[str], program: str) -> int:
    """Quantize, and say what became of each tensor."""
    options = _parse(argv, program)
    out = Path(options.destination)
    if out.suffix == ".gguf":
        return _as_gguf(options)
    from tramontane_quant_ggml.rewrite import rewrite

    registry = Registry.from_environment()
    with (
        located(options, registry) as path,
        closing(opened(path, options, registry)) as checkpoint,
    ):
        if checkpoint.header.container not in MAGIC:
            raise UsageError(
                f"{options.source} is no file from before GGUF, and such files are made of others "
                "only; name the result .gguf, or use tramontane quantize"
            )
        texts = None
        if options.tokenizer_path or options.tokenizer_repository:
            texts = texts_of(checkpoint.tokenizer(), checkpoint.header.config["vocab_size"])
        before, after = rewrite(
            checkpoint,  # type: ignore[arg-type]
            out, options.target, scored=options.container_type == "ggjt-v3",
            texts=texts, tell=lambda said: LOG.info("%s", said),
        )  # fmt: skip
    LOG.info("Finished quantization from %d to %d bytes", before, after)
    print(f"{out}: {readable(after)}")
    return 0


def _parse(argv: list[str], program: str) -> argparse.Namespace:
    parser = parser_of(program, "Write a model of F32 or F16 in fewer bits.")
    parser.add_argument("source", metavar="SOURCE", help="a file from before GGUF")
    parser.add_argument("destination", metavar="DESTINATION", help="what to write")
    parser.add_argument("target", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    add_family_and_tokenizer(parser)
    parser.add_argument(
        "-c", "--container-type", choices=CONTAINERS, default=CONTAINERS[0],
        help="of what is written; a DESTINATION of the name NAME.gguf is GGUF "
        "(default: ggjt-v3)",
    )  # fmt: skip
    options = parser.parse_args(argv)
    options.model_path = options.source
    return options


def _as_gguf(options: argparse.Namespace) -> int:
    """By `tramontane quantize`, from the same place."""
    from tramontane.cli import quantize

    registry = Registry.from_environment()
    with located(options, registry) as path:
        opened(path, options, registry).close()
        return quantize.run([str(path), options.destination, "--to", options.target])
