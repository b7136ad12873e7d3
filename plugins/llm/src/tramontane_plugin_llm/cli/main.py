"""`llm-rs` and `tramontane llm`: pick a subcommand, and turn errors into one line."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from tramontane.cli.ending import ended, told
from tramontane.cli.parser import Parser
from tramontane.errors import NoTokenizer, TramontaneError
from tramontane.version import __version__

from tramontane_plugin_llm.plugin import SUMMARY

COMMANDS = {
    "infer": "continue a prompt, and exit",
    "perplexity": "measure how well a model predicts a text",
    "info": "show what a model file holds",
    "prompt-tokens": "show the tokens of a prompt",
    "repl": "continue one prompt after the other, each by itself",
    "chat": "talk with a model, message by message",
    "quantize": "write a model in fewer bits",
}
FAMILIES = ("bloom", "falcon", "gpt2", "gptj", "gptneox", "llama", "mpt")
"""What -a takes, and what older command lines have before the subcommand."""


def main() -> int:
    """The script `llm-rs`."""
    return ended(lambda: run(sys.argv[1:], "llm-rs"), "llm-rs", verbose=False)


def run(argv: list[str], program: str = "tramontane llm") -> int:
    """Returns the exit status: 0, 1 for an error, 2 for wrong usage."""
    from .logs import begin

    if argv and plain(argv[0]) in FAMILIES:  # "llm llama infer", as until May 2023
        argv = [*argv[1:2], "--model-architecture", argv[0], *argv[2:]]
    if not argv or argv[0] not in COMMANDS:
        return _without(argv, program)
    name = argv[0]
    try:
        begin(shows=name in ("info", "prompt-tokens", "quantize"))
        module = import_module(f"tramontane_plugin_llm.cli.{name.replace('-', '_')}")
        return int(module.run(argv[1:], f"{program} {name}"))
    except NoTokenizer as error:
        said = f"{error.message}; or give one: -v tokenizer.json, or -r ORG/NAME"
        print(f"error: {' '.join(said.split())}", file=sys.stderr)
        return 1
    except TramontaneError as error:
        return told(error, f"{program} {name}")


def plain(name: str) -> str:
    """A name of a family or a sampler without case, `-` and `_`."""
    return name.lower().replace("-", "").replace("_", "")


def _without(argv: list[str], program: str) -> int:
    """No subcommand: help, the version, or what is wrong."""
    listed = "\n".join(f"  {name:<14} {about}" for name, about in COMMANDS.items())
    parser = Parser(
        program,
        section="llm",
        description=f"{SUMMARY} {program} COMMAND --help shows a command's options.",
        epilog=f"commands:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    parser.add_argument("-V", "--version", action="version", version=f"{program} {__version__}")
    parser.parse_args(argv)
    return 2
