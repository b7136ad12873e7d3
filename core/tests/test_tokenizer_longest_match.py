"""Vocabularies of the longest match: RWKV's "World"."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tramontane.errors import CheckpointError
from tramontane.tokenizer.files import from_folder
from tramontane.tokenizer.longest_match import LongestMatch, read_world, unescaped

WORDS = [b" th", b" the", b"the", b"then", b"\n\n", b" ", "\u4e2d".encode(), b"\xe4\xb8", b"\\'"]
TOKENS = {1 + byte: bytes([byte]) for byte in range(256)} | dict(enumerate(WORDS, 300))


def tokenizer(**more: object) -> LongestMatch:
    return LongestMatch(TOKENS, {0: "<s>"}, **more)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        (" then", [b" the", b"n"]),  # not " " and "then", although that is longer in all
        ("thenth", [b"then", b"t", b"h"]),
        ("\n\n\n", [b"\n\n", b"\n"]),
        ("\u4e2d\u4e0a", ["\u4e2d".encode(), b"\xe4\xb8", b"\x8a"]),
        ("\\'\x00", [b"\\'", b"\x00"]),
    ],
)
def test_the_longest_token_at_each_place(text: str, pieces: list[bytes]) -> None:
    ours = tokenizer()
    ids = ours.encode(text)
    assert [ours.token_bytes(index) for index in ids] == pieces
    assert ours.decode(ids) == text


def test_the_last_of_equal_tokens_is_used() -> None:
    # byte 0x20 is token 33, and 305 too
    assert tokenizer().encode(" ") == [305]


def test_control_tokens_are_found_first_or_are_plain_text() -> None:
    ours = tokenizer()
    assert ours.encode("<s>the<s>") == [0, 302, 0]
    assert ours.encode("<s>", parse_special=False) == [1 + ord(sign) for sign in "<s>"]
    assert ours.decode([0, 302]) == "the"
    assert ours.special_ids == {0}


def test_a_byte_without_a_token_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no token for the byte 0x80"):
        LongestMatch({i: data for i, data in TOKENS.items() if data != b"\x80"}, {})


def test_bytes_as_python_writes_them() -> None:
    for data in (*TOKENS.values(), bytes(range(256)), b"'\"", b"\\x41"):
        assert unescaped(repr(data)[2:-1]) == data


def folder(path: Path, **config: object) -> Path:
    lines = [f"{index} {data!r} {len(data)}\n" for index, data in TOKENS.items()]
    lines.append("400 ' e\u0301' 4\n")
    (path / "rwkv_vocab_v20230424.txt").write_text("".join(lines), "utf-8")
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    return path


def test_a_folder_with_the_makers_text_file(tmp_path: Path) -> None:
    end = {"content": "<|end|>", "special": True}
    ours = from_folder(folder(tmp_path, eos_token="\n\n", added_tokens_decoder={"0": end}))
    assert ours.eos_ids == {0, 304}
    assert ours.encode("<|end|> e\u0301") == [0, 400]
    assert ours.kind == "longest match"


@pytest.mark.parametrize("line", ["x 'a' 1", "7 'a' 2", "7 print 5", "7", "7 12 2"])
def test_a_damaged_line_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "rwkv_vocab_v1.txt"
    path.write_text(f"1 'a' 1\n{line}\n")
    with pytest.raises(CheckpointError, match="line 2 is not an id, a text and its size"):
        read_world(path)
