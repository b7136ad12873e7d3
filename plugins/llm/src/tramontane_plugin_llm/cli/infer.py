"""`llm-rs infer`: continue a prompt, and exit."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tramontane.errors import SessionError, UsageError

from tramontane_plugin_llm.opening import adapters_of, loaded

from .logs import LOG
from .options import add_generation, add_model, add_prompt, parser_of, prompt_of, sampling

if TYPE_CHECKING:
    from tramontane.cli.conversation import Conversation
    from tramontane.engine.request import RequestResult

ZSTD = b"\x28\xb5\x2f\xfd"


def run(argv: list[str], program: str) -> int:
    """Print the prompt and what follows it."""
    from tramontane.cli.conversation import Conversation

    options = _parse(argv, program)
    prompt = prompt_of(options)
    sampling(options, frozenset())  # what is wrong with it is said before a model is loaded
    with loaded(options) as llm:
        params = sampling(options, llm.inner.tokenizer.eos_ids, adapter=chosen(options))
        conversation = Conversation(llm)
        _load(conversation, options)
        result = conversation.continue_text(
            prompt, params, lambda text: print(text, end="", flush=True),
            echo=not options.hide_prompt,
        )  # fmt: skip
        print()
        if options.stats:
            print(f"\n{stats(result)}\n")
        if result.finish_reason == "context":
            LOG.warning("Context window full, stopping inference.")
        if target := options.save_session or options.persist_session:
            conversation.save(target)
            LOG.info("Successfully wrote session to %s", target)
    return 130 if result.finish_reason == "cancelled" else 0


def _parse(argv: list[str], program: str) -> argparse.Namespace:
    parser = parser_of(program, "Continue a prompt, and exit.")
    add_model(parser)
    add_prompt(parser)
    add_generation(parser)
    parser.add_argument("--hide-prompt", action="store_true", help="print only what follows it")
    parser.add_argument(
        "--stats", action="store_true", help="print how long it took, after the text"
    )
    group = parser.add_argument_group("sessions")
    group.add_argument(
        "--save-session", type=Path, metavar="FILE",
        help="save the session at the end; with -n 0, of the prompt",
    )  # fmt: skip
    group.add_argument("--load-session", type=Path, metavar="FILE", help="go on from a saved one")
    group.add_argument(
        "--persist-session", type=Path, metavar="FILE", help="load if it exists, save at the end"
    )
    options = parser.parse_args(argv)
    if options.persist_session and (options.load_session or options.save_session):
        raise UsageError("--persist-session loads and saves: leave the other out")
    return options


def chosen(options: argparse.Namespace) -> str | None:
    """The adapters that answer: all."""
    return ",".join(adapters_of(options)) or None


def _load(conversation: Conversation, options: argparse.Namespace) -> None:
    """Raises SessionError."""
    path: Path | None = options.load_session or options.persist_session
    if path is None or (path == options.persist_session and not path.exists()):
        return
    if path.is_file():
        with path.open("rb") as file:
            if file.read(4) == ZSTD:
                raise SessionError(
                    f"{path} is a session of rustformers' llm, whose keys and values only it "
                    "reads; make it again: --save-session FILE, with the same prompt and -n 0"
                )
    conversation.load(path)
    LOG.info("Loaded inference session from %s", path)


def stats(result: RequestResult) -> str:
    """The lines of --stats. As in llm, tokens are of the whole session so far, and the time of
    prediction is from the beginning."""
    times, usage = result.timings, result.usage
    whole = round(1000 * (times.queued + times.prompt + times.decode))
    tokens = usage.prompt_tokens + usage.completion_tokens
    return "\n".join(
        (
            f"feed_prompt_duration: {round(1000 * (times.queued + times.prompt))}ms",
            f"prompt_tokens: {usage.prompt_tokens}",
            f"predict_duration: {whole}ms",
            f"predict_tokens: {tokens}",
            f"per_token_duration: {whole / tokens if tokens else 0.0:.3f}ms",
        )
    )
