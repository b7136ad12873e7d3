"""Options of the commands of tasks beside text, and opening what they name."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tramontane.errors import RequestError
from tramontane.system.gc_pause import gc_paused, keep_imports

from .options import add_source, add_threads
from .parser import Parser, at_least
from .progress import Loading


def add_task_model(parser: argparse.ArgumentParser) -> None:
    """-m and how to load what it names."""
    group = parser.add_argument_group("model")
    add_source(group)
    group.add_argument(
        "--device", default="auto",
        help="auto, reference, or a backend's name, with a number where it has several: cuda:0",
    )  # fmt: skip
    group.add_argument("--dtype", default="auto", choices=["auto", "f32", "bf16", "f16"])
    group.add_argument(
        "--activations", default="auto", choices=["auto", "f32"],
        help="f32: do not quantize activations (slower, exact)",
    )  # fmt: skip
    group.add_argument(
        "--num-ctx", type=at_least(1), metavar="N",
        help="context length in tokens, of a model that runs in the engine",
    )  # fmt: skip
    group.add_argument(
        "--isq", metavar="KIND",
        help="quantize every matrix while it is read: 2 to 8 bits, or a kind such as q4_k",
    )  # fmt: skip
    group.add_argument(
        "--topology", type=Path, metavar="FILE",
        help="YAML with kinds and devices of single layers or weights",
    )  # fmt: skip
    group.add_argument(
        "--no-mmap", action="store_true", help="read weights into memory instead of mapping files"
    )
    group.add_argument("--force", action="store_true", help="load even if memory seems too small")
    add_threads(parser)


@gc_paused()
def open_face(face: Any, options: argparse.Namespace) -> Any:
    """Load what the options name as a Python class of a task, with a progress line on a terminal;
    with -v, say how it was loaded."""
    from .options import print_report

    keep_imports()
    with Loading() as loading:
        found = face(
            options.model, revision=options.revision, token_source=options.token_source,
            cache_dir=options.hf_cache, device=options.device, dtype=options.dtype,
            activations=options.activations, num_ctx=options.num_ctx, isq=options.isq,
            topology=options.topology, mmap=not options.no_mmap, force=options.force,
            threads=options.threads, progress=loading,
        )  # fmt: skip
    if options.verbose:
        print_report(found)
    return found


def take_model(parser: Parser, options: argparse.Namespace, texts: list[str]) -> None:
    """Where no model is named, take the first of some texts as one if it is a path that exists."""
    from tramontane.model.source import DEFAULT, local_path

    if options.model == DEFAULT and len(texts) > 1 and local_path(texts[0]) is not None:
        parser.set_model(options, texts.pop(0))


def lines_of(texts: list[str], file: Path | None) -> list[str]:
    """Arguments, or the lines of a file, or of standard input. Raises RequestError."""
    if texts and file is None:
        return texts
    try:
        text = sys.stdin.read() if file is None else file.read_text("utf-8")
    except OSError as error:
        raise RequestError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        name = "standard input" if file is None else file
        raise RequestError(f"{name} is not UTF-8 at byte {error.start}") from error
    return [*texts, *filter(str.strip, text.splitlines())]


def write_file(path: str, data: bytes) -> None:
    """Raises RequestError."""
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise RequestError(f"cannot write {path}: {error.strerror}") from error
