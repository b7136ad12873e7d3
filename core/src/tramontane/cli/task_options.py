"""Options of commands that open a model of one task, and what they become."""

from __future__ import annotations

import argparse
from typing import Any

from tramontane.errors import UsageError

from .options import add_source, add_threads, hub_options
from .progress import Loading
from .quantizing_options import add_quantizing, quantizing


def add_task_model(parser: argparse.ArgumentParser) -> None:
    """-m and how to load what it names."""
    group = parser.add_argument_group("model")
    add_source(group, None)
    group.add_argument(
        "--device", default="auto",
        help="auto, reference, or a backend's name, with a number where it has several: cuda:0",
    )  # fmt: skip
    group.add_argument("--dtype", default="auto", choices=["auto", "f32", "bf16", "f16"])
    group.add_argument(
        "--activations",
        default="auto",
        choices=["auto", "f32"],
        help="f32: do not quantize activations (slower, exact)",
    )
    group.add_argument(
        "--no-mmap",
        action="store_true",
        help="read weights into memory instead of mapping the file",
    )
    group.add_argument("--force", action="store_true", help="load even if memory seems too small")
    add_threads(parser)
    add_quantizing(parser)


def open_face(face: Any, options: argparse.Namespace, what: str) -> Any:
    """A model of a face's task, with a progress line on a terminal. what: which, for the error
    where none is named. Raises UsageError, and as the face does."""
    if options.model is None:
        raise UsageError(f"name a model that {what}: -m MODEL")
    hub = hub_options(options)
    given = quantizing(options)
    if given.pop("calibration_file") is not None:
        raise UsageError("--calibration-file measures on text, for models that write it")
    with Loading() as loading:
        return face(
            options.model,
            revision=hub.revision,
            token_source=hub.token_source,
            cache_dir=hub.cache_dir,
            device=options.device,
            dtype=options.dtype,
            activations=options.activations,
            threads=options.threads,
            mmap=not options.no_mmap,
            force=options.force,
            progress=loading,
            **given,
        )
