"""`llm-rs prompt-tokens`: the tokens of a prompt."""

from __future__ import annotations

from contextlib import closing

from tramontane.registry import Registry

from tramontane_plugin_llm.opening import adapters_of, located, opened

from .logs import LOG
from .options import add_model, add_prompt, parser_of, prompt_of


def run(argv: list[str], program: str) -> int:
    """Say the ids, and then each with its bytes, as log lines of llm."""
    parser = parser_of(program, "Show the tokens of a prompt: their ids, and their bytes.")
    add_model(parser)
    add_prompt(parser)
    options = parser.parse_args(argv)
    prompt = prompt_of(options)
    adapters_of(options)
    registry = Registry.from_environment()
    with (
        located(options, registry) as path,
        closing(opened(path, options, registry)) as checkpoint,
    ):
        tokenizer = checkpoint.tokenizer()
    ids = tokenizer.encode(prompt, add_special=False)
    LOG.info("=== Dumping prompt tokens:")
    LOG.info("%s", ", ".join(map(str, ids)))
    LOG.info("%s", ", ".join(f"{list(tokenizer.token_bytes(index))}:{index}" for index in ids))
    return 0
