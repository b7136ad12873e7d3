"""`tramontane tokenize`: the tokens of a text."""

from __future__ import annotations

import json
import sys

from .options import add_model, hub_options
from .parser import Parser
from .quantizing_options import fitted_name

SUMMARY = "Show the tokens of a text: their ids and their text."


def run(argv: list[str]) -> int:
    """Print ids and pieces."""
    parser = Parser("tramontane tokenize", description=SUMMARY)
    parser.add_argument("text", nargs="?", metavar="TEXT", help="without it, standard input")
    parser.add_argument(
        "--input", metavar="TEXT", help="the text as an option; the argument is then MODEL"
    )
    parser.add_argument("--no-special", action="store_true", help="no BOS or EOS around the text")
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")
    add_model(parser)
    options = parser.parse_args(argv)
    text = options.text
    if options.input is not None:
        if text is not None:
            parser.set_model(options, text)
        text = options.input
    elif text is None:
        text = sys.stdin.read()
    from tramontane.checkpoint.open import open_checkpoint
    from tramontane.model.source import find_model
    from tramontane.registry import Registry

    registry = Registry.from_environment()
    hub = hub_options(options)
    name = fitted_name(options, hub, registry)
    checkpoint = open_checkpoint(find_model(name, registry, hub), registry)
    tokenizer = checkpoint.tokenizer()
    checkpoint.close()
    ids = tokenizer.encode(text, add_special=not options.no_special)
    pieces = [tokenizer.piece(index) for index in ids]
    if options.json:
        print(json.dumps({"ids": ids, "pieces": pieces, "count": len(ids)}, ensure_ascii=False))
        return 0
    for index in ids:
        print(f"{index:>8}  {_shown(tokenizer.token_bytes(index))}")
    print(f"{len(ids)} token{'' if len(ids) == 1 else 's'}", file=sys.stderr)
    return 0


def _shown(data: bytes) -> str:
    """Text as Python writes it; bytes that are a part of a character as bytes."""
    try:
        return repr(data.decode())
    except UnicodeDecodeError:
        return repr(data)
