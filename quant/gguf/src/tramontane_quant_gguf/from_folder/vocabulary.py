"""A tokenizer as the metadata below `tokenizer.ggml`: `vocabulary.py` of reading, backwards.

Byte-level BPE is "gpt2": tokens, merges, and the name of how text is cut, which is found by cutting
a text that every way in llama.cpp cuts otherwise. BPE on characters with bytes for the rest is
"llama", SentencePiece's: llama.cpp joins by the score of what comes out, so that each token's
score is how late it comes out first. A vocabulary of unigrams is "t5".
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

from tramontane.errors import CheckpointError
from tramontane.tokenizer.spm import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
)
from tramontane.tokenizer.tokenizer import Tokenizer

from tramontane_quant_gguf.pretokenizers import PRE
from tramontane_quant_gguf.writer import Value

log = logging.getLogger(__name__)

PROBE = (
    "Hello World's I'll we'VE x.y 'tis camelCaseWORDsHere iOS\u00c9t\u00e9 12 123 1234567 v1.23a "
    "a1b22c333 \u0661\u0662\u0663\u0664  two   three    four     five\ttab\t\ttabs\n\nnew\r\nlines "
    "\n \n  x\n   \n\t\n !? ... (a){b}[c] <=> a+b=c $5 ^|~ `q` #!/bin/x \u4f60\u597d\uff0c\u4e16"
    "\u754c\u3002\u3053\u3093\u306b\u3061\u306f \uc548\ub155 \u0e2a\u0e27\u0e31\u0e2a "
    "\u041f\u0440\u0438\u0432\u0435\u0442 e\u0301a\u0308 \u0928\u092e\u0938\u094d\u0924\u0947 "
    "\u20ac100,000.50 \u2014\u201cq\u201d \U0001f600\U0001f680 http://a.b/c?d=e&f 's 'S /\n/\n "
    "x   12 'sxyz 'lling word/\r\n ?/!\n\n\u3000x\u00a0y<sentinel:1>     eight        z   "
)
"""Where ways of cutting differ, which is checked by a test."""


def keys_of(tokenizer: Tokenizer, size: int, what: str) -> dict[str, Value]:
    """The keys below `tokenizer.ggml`, whole. size: rows of the embedding. what: the model, for
    messages.

    Raises CheckpointError for a tokenizer that GGUF has no words for, and for more tokens than
    rows.
    """
    told = json.loads(tokenizer.inner.to_str())
    model, kind = told["model"], told["model"].get("type")
    tokens, types = _tokens(tokenizer, size, what)
    keys: dict[str, Value] = {}
    if kind == "BPE" and _byte_level(told):
        keys["model"], keys["pre"] = "gpt2", _pre(tokenizer, model, told, what)
        keys["merges"] = [" ".join(_pair(merge)) for merge in model["merges"]]
    elif kind == "BPE" and model.get("byte_fallback"):
        keys["model"] = "llama"
        keys["scores"] = _scores(tokens, model["merges"])
        keys["add_space_prefix"] = _prefixed(told)
        types = _with_bytes(tokens, types, model.get("unk_token"))
        if types.count(BYTE) < 256:
            log.warning(
                "%s: its tokenizer has no tokens for single bytes, and llama.cpp ends at "
                "a character that is in no token", what
            )  # fmt: skip
    elif kind == "Unigram":
        keys["model"] = "t5"
        listed = [float(score) for _, score in model["vocab"]]
        keys["scores"] = [*listed, *([0.0] * (size - len(listed)))][:size]
        keys["add_space_prefix"] = _prefixed(told)
        types = _with_bytes(tokens, types, tokens[model["unk_id"]] if model.get("unk_id") else None)
    else:
        raise CheckpointError(
            f"{what}: GGUF files of language models have no tokenizers of the kind {kind} that it "
            "has; write a folder instead (--to afq4)"
        )
    keys |= {"tokens": tokens, "token_type": types}
    keys |= _roles(tokenizer)
    return {f"tokenizer.ggml.{key}": value for key, value in keys.items()}


def _tokens(tokenizer: Tokenizer, size: int, what: str) -> tuple[list[str], list[int]]:
    """Texts and types of all ids, with names for those that nothing has."""
    texts = {index: text for text, index in tokenizer.inner.get_vocab(True).items()}
    if texts and max(texts) >= size:
        raise CheckpointError(
            f"{what}: its tokenizer has {max(texts) + 1} tokens, and its embedding {size} rows; "
            "one of them belongs to another model"
        )
    added = tokenizer.inner.get_added_tokens_decoder()
    tokens, types = [], []
    for index in range(size):
        token = added.get(index)
        tokens.append(token.content if token else texts.get(index, f"[PAD{index}]"))
        if token is not None:
            types.append(CONTROL if token.special else USER_DEFINED)
        else:
            types.append(NORMAL if index in texts else UNUSED)
    return tokens, types


def _with_bytes(tokens: list[str], types: list[int], unknown: str | None) -> list[int]:
    found = list(types)
    for index, token in enumerate(tokens):
        if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            found[index] = BYTE
        elif token == unknown:
            found[index] = UNKNOWN
    return found


def _steps(part: Any) -> Iterable[dict[str, Any]]:
    """All parts of a normalizer, pre-tokenizer or decoder, flat."""
    if not part:
        return
    yield part
    for inner in part.get("normalizers") or part.get("pretokenizers") or part.get("decoders") or ():
        yield from _steps(inner)


def _byte_level(told: dict[str, Any]) -> bool:
    return any(
        step["type"] == "ByteLevel"
        for part in ("normalizer", "pre_tokenizer")
        for step in _steps(told.get(part))
    )


def _prefixed(told: dict[str, Any]) -> bool:
    """Whether a space is put before a text."""
    for step in (*_steps(told.get("normalizer")), *_steps(told.get("pre_tokenizer"))):
        if step["type"] == "Prepend":
            return True
        if step["type"] == "Metaspace":
            return bool(step.get("prepend_scheme", "always") != "never")
    return False


def _pair(merge: Any) -> tuple[str, str]:
    left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
    return left, right


def _scores(tokens: list[str], merges: list[Any]) -> list[float]:
    """Less for what comes out later; least for what never does."""
    first: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        first.setdefault("".join(_pair(merge)), rank)
    never = len(merges) + 1
    return [-float(first.get(token, never)) for token in tokens]


def _pre(tokenizer: Tokenizer, model: dict[str, Any], told: dict[str, Any], what: str) -> str:
    """llama.cpp's name for how a text is cut."""
    if any(step.get("add_prefix_space") for step in _steps(told.get("pre_tokenizer"))):
        raise CheckpointError(
            f"{what}: its tokenizer puts a space before texts (add_prefix_space), which byte-level "
            "tokenizers of GGUF files do not; write a folder instead (--to afq4)"
        )
    if not model["merges"]:
        return "gpt-2"  # nothing is joined, so that it does not matter where text is cut
    cuts = cut(tokenizer.inner.pre_tokenizer)
    whole = bool(model.get("ignore_merges"))
    for name, pre in PRE.items():
        if not pre.raw and pre.whole_words == whole and cut(pre.pre_tokenizer()) == cuts:
            return name
    raise CheckpointError(
        f"{what}: its tokenizer cuts text in a way that llama.cpp has no name for "
        "(tokenizer.ggml.pre); write a folder instead (--to afq4)"
    )


def cut(pre_tokenizer: Any) -> list[tuple[int, int]]:
    """Where a way of cutting cuts `PROBE`."""
    return [offsets for _, offsets in pre_tokenizer.pre_tokenize_str(PROBE)]


def _roles(tokenizer: Tokenizer) -> dict[str, Value]:
    """Ids of special tokens, and what is put around a text."""
    inner, named = tokenizer.inner, tokenizer.named
    found = {role: inner.token_to_id(text) for role, text in named.items()}
    ends = sorted(tokenizer.eos_ids)
    eos = found.get("eos_token")
    plain, whole = tokenizer.encode("a", add_special=False), tokenizer.encode("a")
    first = whole.index(plain[0]) if plain and plain[0] in whole else 0
    before, after = whole[:first], whole[first + len(plain) :]
    # what is put around a text is said by a post-processor alone in some folders
    bos = tokenizer.bos_id if tokenizer.bos_id is not None or len(before) != 1 else before[0]
    if eos is None:
        eos = next(iter([*ends, *after]), None)
    others = [index for index in ends if index != eos]
    ids = {
        "bos_token_id": bos,
        "eos_token_id": eos,
        "eot_token_id": others[0] if others else None,
        "eom_token_id": others[1] if len(others) > 1 else None,
        "unknown_token_id": found.get("unk_token"),
        "padding_token_id": found.get("pad_token"),
        "mask_token_id": found.get("mask_token"),
    }
    keys: dict[str, Value] = {key: index for key, index in ids.items() if index is not None}
    keys["add_bos_token"] = bos is not None and before == [bos]
    keys["add_eos_token"] = eos is not None and after == [eos]
    return keys
