"""`llm-rs chat`: talk with a model, message by message, by a prelude and a prefix."""

from __future__ import annotations

from pathlib import Path

from tramontane.cli.grammar import read_text
from tramontane.errors import UsageError

from tramontane_plugin_llm.opening import loaded

from .infer import chosen
from .interactive import lines, show
from .logs import LOG
from .options import PLACE, add_generation, add_model, parser_of, sampling


def run(argv: list[str], program: str) -> int:
    """Chat until the user leaves, or the context is full."""
    from tramontane.cli.conversation import Conversation

    parser = parser_of(
        program,
        "Talk with a model. The prelude comes first; the prefix is before each message, and ends "
        "an answer in which it occurs.",
    )
    add_model(parser)
    parser.add_argument(
        "-f", "--prelude-prompt-file", type=Path, required=True, metavar="FILE",
        help="what the conversation begins with",
    )  # fmt: skip
    parser.add_argument(
        "-p", "--message-prompt-prefix", metavar="TEXT", help="what is before each message"
    )
    parser.add_argument(
        "-q", "--message-prompt-prefix-file", type=Path, metavar="FILE", help="a file with it"
    )
    add_generation(parser)
    options = parser.parse_args(argv)
    prefix = _prefix(options.message_prompt_prefix, options.message_prompt_prefix_file)
    prelude = read_text(options.prelude_prompt_file)
    sampling(options, frozenset(), stop=prefix)
    with loaded(options) as llm:
        params = sampling(
            options, llm.inner.tokenizer.eos_ids, stop=prefix, adapter=chosen(options)
        )
        conversation = Conversation(llm)
        if prelude:
            first = params.model_copy(update={"max_tokens": 0})
            conversation.continue_text(prelude, first, lambda text: None)
        for line in lines():
            message = f"{prefix}{line}"
            result = conversation.continue_text(
                message if message.endswith("\n") else f"{message}\n", params, show
            )
            if not result.text.endswith("\n"):
                print()
                conversation.messages[-1]["content"] += "\n"
            if result.finish_reason == "context":
                LOG.error("the context window is full: begin again, or with more --num-ctx-tokens")
                return 1
    return 0


def _prefix(text: str | None, file: Path | None) -> str:
    """Raises UsageError, RequestError."""
    names = "--message-prompt-prefix and --message-prompt-prefix-file"
    if text is not None and file is not None:
        raise UsageError(f"{names} exclude each other; give one")
    if file is not None:
        text = read_text(file)
    if text is None:
        raise UsageError("no prefix: give --message-prompt-prefix or --message-prompt-prefix-file")
    if PLACE in text:
        raise UsageError(f"a prefix has no {PLACE}: the message comes behind it by itself")
    if not text.strip():
        raise UsageError("an empty prefix would end every answer at once: give some text")
    return text
