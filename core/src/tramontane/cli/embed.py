"""`tramontane embed`: vectors of texts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tramontane.errors import RequestError, UsageError

from .parser import Parser, at_least
from .progress import Loading
from .task_options import add_task_model, lines_of, open_face, take_model

if TYPE_CHECKING:
    from tramontane.tasks.queue import Progress

SUMMARY = """\
Make vectors of texts: those given, or the lines of a file or of standard input. Prints a JSON array
for each, or writes them all to a .npy file."""
SHOWN = 4
"""Numbers that a person is shown of the beginning and the end of a vector."""


def run(argv: list[str]) -> int:
    """Print vectors, or write them."""
    from tramontane.tasks.pooling import POOLING

    parser = Parser("tramontane embed", description=SUMMARY)
    parser.add_argument("text", nargs="*", metavar="TEXT", help="a text; several make several")
    parser.add_argument("-f", "--file", type=Path, metavar="FILE", help="a text on each line")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write a NumPy array (.npy) instead"
    )
    parser.add_argument("--json", action="store_true", help="print whole vectors on a terminal too")
    parser.add_argument(
        "--prompt-name", metavar="NAME", help="a prompt of the model put before each text: query"
    )
    parser.add_argument("--prefix", metavar="TEXT", help="a text put before each instead")
    parser.add_argument(
        "--dimensions", type=at_least(1), metavar="N", help="the first N numbers of each vector"
    )
    parser.add_argument(
        "--normalize", action="store_true", help="make vectors of length 1 where the model does not"
    )
    parser.add_argument(
        "--pooling", default="auto", choices=POOLING,
        help="how the vectors of tokens become one; auto: as the model says, or mean",
    )  # fmt: skip
    parser.add_argument("--truncate", action="store_true", help="cut texts that are too long")
    add_task_model(parser)
    options = parser.parse_args(argv)
    take_model(parser, options, options.text)
    texts = lines_of(options.text, options.file)
    if not texts:
        raise UsageError('there is no text: tramontane embed "a text" -m MODEL')
    if options.output is not None and options.output.suffix != ".npy":
        raise UsageError(f"-o {options.output}: the name must end in .npy")
    from tramontane.tasks.embed import Embedder

    with open_face(Embedder, options) as model, Loading("embedding") as line:

        def show(progress: Progress) -> None:
            line(progress.done, progress.total)

        found = model.embeddings(
            texts, progress=show, prompt_name=options.prompt_name, prompt=options.prefix,
            dimensions=options.dimensions, normalize=options.normalize, truncate=options.truncate,
            pooling=options.pooling,
        )  # fmt: skip
    vectors = found.vectors
    if options.output is not None:
        import numpy as np

        try:
            np.save(options.output, vectors)
        except OSError as error:
            raise RequestError(f"cannot write {options.output}: {error.strerror}") from error
    else:
        for vector in vectors.tolist():
            print(json.dumps(vector) if options.json or not sys.stdout.isatty() else _short(vector))
    count, width = vectors.shape
    counted = f"{count} vector{'' if count == 1 else 's'} of {width} numbers"
    print(f"{counted}, {found.total_tokens} tokens", file=sys.stderr)
    return 0


def _short(vector: list[float]) -> str:
    """A vector for people; whole ones are for programs."""
    shown = [f"{number:.4f}" for number in vector]
    if len(shown) > 2 * SHOWN:
        shown = [*shown[:SHOWN], "...", *shown[-SHOWN:]]
    return f"[{', '.join(shown)}]"
