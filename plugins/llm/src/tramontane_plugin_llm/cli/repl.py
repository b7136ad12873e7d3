"""`llm-rs repl`: continue one prompt after the other, each by itself."""

from __future__ import annotations

from tramontane.cli.grammar import read_text
from tramontane.errors import RequestError

from tramontane_plugin_llm.opening import loaded

from .infer import chosen
from .interactive import lines, show
from .logs import LOG
from .options import PLACE, add_generation, add_model, add_prompt, parser_of, sampling


def run(argv: list[str], program: str) -> int:
    """Ask until the user leaves."""
    from tramontane.cli.conversation import Conversation

    parser = parser_of(
        program,
        "Continue one prompt after the other, each by itself. With -f, what is entered takes the "
        f"place of {PLACE} in that file.",
    )
    add_model(parser)
    add_prompt(parser, file_only=True)
    add_generation(parser)
    options = parser.parse_args(argv)
    template = None if options.prompt_file is None else read_text(options.prompt_file)
    sampling(options, frozenset())
    with loaded(options) as llm:
        params = sampling(options, llm.inner.tokenizer.eos_ids, adapter=chosen(options))
        for line in lines():
            prompt = line if template is None else template.replace(PLACE, line)
            if not prompt:
                continue
            try:
                result = Conversation(llm).continue_text(prompt, params, show)
            except RequestError as error:  # the next one may do
                LOG.error("%s", error)
                continue
            if not result.text.endswith("\n"):
                print()
            if result.finish_reason == "context":
                LOG.warning("Context window full, stopping inference.")
    return 0
