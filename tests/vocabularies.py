"""Small vocabularies of every kind, each as a model's folder has it."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE, Unigram, WordPiece

SPACE = "\u2581"
ENDS = ["<|end|>", "<|start|>"]
TEMPLATE = (
    "{% for t in tools or [] %}{{ t.function.name }} {% endfor %}"
    "{% for m in messages %}{{ m.content }}<|start|>{% endfor %}"
)
ASCII = [char for char in string.printable if char not in "\x0b\x0c\r \t\n"]
BYTES = [f"<0x{value:02X}>" for value in range(256)]
WORDS = [
    "Os",
    "lo",
    "Ro",
    "me",
    '{"',
    '":',
    f"{SPACE}{{",
    f'{SPACE}"',
    f"{SPACE}Os",
    f"{SPACE}{SPACE}",
]


def byte_level() -> Tokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("{", '"'), ("O", "s"), ("l", "o"), ("\u0120", "{")]
    pieces = [*letters, *("".join(pair) for pair in merges)]
    inner = Tokenizer(BPE(vocab={p: i for i, p in enumerate(pieces)}, merges=merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    return inner


def spaced(inner: Tokenizer, bytes_too: bool) -> Tokenizer:
    """As SentencePiece has it: a space in front, and none where the text begins."""
    inner.normalizer = normalizers.Sequence(
        [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]
    )
    back = [decoders.ByteFallback()] if bytes_too else []
    inner.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), *back, decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return inner


def sentencepiece(bytes_too: bool = True, without: str = "") -> Tokenizer:
    """BPE. without: characters that have no piece."""
    plain = [char for char in [SPACE, "\n", *ASCII] if char not in without]
    words = [word for word in WORDS if not set(word) & set(without)]
    pieces = ["<unk>", *(BYTES if bytes_too else []), *plain, *words]
    merges = [(word[0], word[1:]) for word in words if word[1:] in pieces]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    return spaced(
        Tokenizer(BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", byte_fallback=bytes_too)),
        bytes_too,
    )


def unigram() -> Tokenizer:
    pieces = [("<unk>", 0.0), *((piece, -20.0) for piece in BYTES)]
    pieces += [(piece, -10.0) for piece in (SPACE, *ASCII)] + [(word, -5.0) for word in WORDS]
    inner = Tokenizer(Unigram(pieces, unk_id=0, byte_fallback=True))
    inner.normalizer = normalizers.Replace(Regex(" {2,}"), " ")  # as T5 and others collapse them
    inner.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, prepend_scheme="always", split=False)
    inner.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(SPACE, prepend_scheme="always")]
    )
    return inner


def wordpiece() -> Tokenizer:
    pieces = ["[UNK]", *ASCII, *(f"##{char}" for char in ASCII), "Oslo", "##lo"]
    inner = Tokenizer(WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece(cleanup=False)
    return inner


def added() -> Tokenizer:
    """Text tokens that stand beside the vocabulary, as for code and tool calls."""
    inner = sentencepiece()
    texts = ("<tool_call>", '{"', "    ", '"city"', "Rome")
    inner.add_tokens([AddedToken(text, normalized=False) for text in texts])
    return inner


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "byte-level-bpe": byte_level,
    "sentencepiece-bpe": sentencepiece,
    "sentencepiece-without-bytes": lambda: sentencepiece(bytes_too=False),
    "unigram": unigram,
    "wordpiece": wordpiece,
    "added-tokens": added,
}
"""Those that can write JSON."""
LACKING: dict[str, tuple[Callable[[], Tokenizer], str]] = {
    "no-braces": (lambda: sentencepiece(bytes_too=False, without="{}"), "{"),
    "no-closing-brace": (lambda: sentencepiece(bytes_too=False, without="}"), "}"),
}
"""Those that cannot, and the character that is missing."""


def writer(made: Callable[[], Tokenizer]) -> Callable[[Path], int]:
    """What writes such a tokenizer into a folder, and returns how many tokens there are."""

    def write(folder: Path) -> int:
        inner = made()
        inner.add_special_tokens([AddedToken(text, special=True) for text in ENDS])
        inner.save(str(folder / "tokenizer.json"))
        settings = {"eos_token": ENDS[0], "chat_template": TEMPLATE, "model_max_length": 1024}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        return inner.get_vocab_size()

    return write
