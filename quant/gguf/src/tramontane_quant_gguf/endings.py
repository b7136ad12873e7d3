"""Which tokens end an answer, and which are control although their file does not say so.

GGUF files name one or two such tokens; chat models have more, found by their spelling.
Source: llama.cpp, which does the same after loading a vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tramontane.tokenizer.spm import CONTROL, NORMAL, USER_DEFINED

ENDS = frozenset({
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>",
    "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]",
    "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>", "[e~[",
})  # fmt: skip
"""Spellings that end an answer in every vocabulary that has them."""

FILL_ENDS = frozenset({
    "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]",
    "<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>",
})  # fmt: skip
"""Tokens of code models after which another file begins."""

FILL = frozenset({
    "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<\uff5cfim\u2581begin\uff5c>", "<PRE>",
    "\u2581<PRE>", "<|code_prefix|>", "<|prefix|>",
    "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<\uff5cfim\u2581hole\uff5c>", "<SUF>",
    "\u2581<SUF>", "<|code_suffix|>", "<|suffix|>",
    "<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<\uff5cfim\u2581end\uff5c>", "<MID>",
    "\u2581<MID>", "<|code_middle|>", "<|middle|>",
})  # fmt: skip
"""Control, whatever their type says."""

SHOWN = frozenset({"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"})
"""Control by their type, but what parses the answer has to see them."""


def find_endings(
    tokens: Sequence[str], types: Sequence[int], given: Iterable[int | None]
) -> tuple[list[int], list[int]]:
    """The ids that end an answer, ascending, and the types corrected. given: ids of the metadata
    for the end of the text, of a turn and of a message."""
    corrected = list(types)
    ends = {index for index in given if index is not None}
    named: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if token in ENDS or token in FILL_ENDS or token in FILL:
            corrected[index] = CONTROL
            named.setdefault(token, index)
        elif token in SHOWN:
            corrected[index] = USER_DEFINED
    ends.update(index for token, index in named.items() if token not in FILL)
    # in harmony's format <|end|> ends a message, and the answer goes on with the next
    calls = {"<|call|>", "<|calls|>"} & named.keys()
    if "<|end|>" in named and calls and {"<|return|>", "<|flush|>"} & named.keys():
        ends.discard(named["<|end|>"])
        corrected[named["<|end|>"]] = USER_DEFINED
    if "<|tool_response>" in named and "</s>" in named:
        ends.discard(named["</s>"])
        corrected[named["</s>"]] = NORMAL
    return sorted(ends), corrected
