"""`tramontane rank`: documents in the order of how well they answer a query."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tramontane.errors import UsageError

from .parser import Parser, at_least
from .progress import Loading
from .task_options import add_task_model, lines_of, open_face

if TYPE_CHECKING:
    from tramontane.tasks.queue import Progress

SUMMARY = """\
Score documents for a query and print them, the best first: those given, or the lines of a file or
of standard input."""


def run(argv: list[str]) -> int:
    """Print scores and documents."""
    parser = Parser("tramontane rank", description=SUMMARY)
    parser.add_argument("query", metavar="QUERY", help="what is looked for")
    parser.add_argument("document", nargs="*", metavar="DOCUMENT", help="a text; several")
    parser.add_argument("-f", "--file", type=Path, metavar="FILE", help="a document on each line")
    parser.add_argument("--top-n", type=at_least(1), metavar="N", help="the best N only")
    parser.add_argument(
        "--instruction", metavar="TEXT",
        help="what makes a document relevant, for models that read it",
    )  # fmt: skip
    parser.add_argument("--raw", action="store_true", help="show logits, not probabilities")
    parser.add_argument("--truncate", action="store_true", help="cut pairs that are too long")
    parser.add_argument("--json", action="store_true", help="print a JSON object for each instead")
    add_task_model(parser)
    options = parser.parse_args(argv)
    documents = lines_of(options.document, options.file)
    if not documents:
        raise UsageError('there is no document: tramontane rank "query" "document" -m MODEL')
    from tramontane.tasks.rank import Reranker

    with open_face(Reranker, options) as model, Loading("scoring") as line:

        def show(progress: Progress) -> None:
            line(progress.done, progress.total)

        found = model.rank(
            options.query, documents, progress=show, top_n=options.top_n,
            instruction=options.instruction, raw=options.raw, truncate=options.truncate,
        )  # fmt: skip
    for each in found:
        if options.json:
            told = {"index": each.index, "score": each.score, "document": each.document}
            print(json.dumps(told, ensure_ascii=False))
        else:
            print(f"{each.score:8.4f}  {each.document}")
    return 0
