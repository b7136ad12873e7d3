"""Decoding beside the `tokenizers` package's: every token, pairs of neighbours, whole and streamed.

By hand, for vocabularies in files, all pairs of small ones and SAMPLED of larger ones:
python core/tests/decoding.py ../shared/data/tokenizers/*/*
"""

from __future__ import annotations

import gzip
import lzma
import random
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tramontane.tokenizer import Detokenizer, Tokenizer, from_folder

SAMPLED = 300_000


def streamed(ours: Tokenizer, ids: Sequence[int], skip: bool) -> str:
    parts = Detokenizer(ours, skip_special=skip)
    return "".join([*(parts.add(index) for index in ids), parts.finish()])


def expected(ours: Tokenizer, ids: Sequence[int], skip: bool) -> str:
    """What the package says, without special tokens if they are skipped.

    It does not skip those that it looks for in normalized text. And where broken bytes take the
    good ones beside them along, ByteFallback prints U+FFFD for each byte of such a run,
    SentencePiece for the broken ones.
    """
    shown = [index for index in ids if not (skip and index in ours.special_ids)]
    theirs = str(ours.inner.decode(shown, skip_special_tokens=False))
    if "\ufffd" not in theirs or "ByteFallback" not in str(ours.inner.decoder):
        return theirs
    data = [byte_token(ours.piece(index)) for index in shown]
    if len(shown) < 2 or any(byte is None for byte in data):
        return theirs
    kept = [chr(byte) if byte < 0x80 else "\ufffd" for byte in data if byte is not None]
    return str(ours.inner.decode([shown[0]])) + "".join(kept[1:])


def byte_token(piece: str) -> int | None:
    return int(piece[3:5], 16) if len(piece) == 6 and piece.startswith("<0x") else None


def is_letter(ours: Tokenizer, index: int) -> bool:
    """Whether it is text that the package takes for bytes and prints as U+FFFD, as letters that
    DeepSeek's vocabularies add; here they are letters."""
    return "\ufffd" in ours.inner.decode([index], skip_special_tokens=False)


def differing(ours: Tokenizer, sequences: Iterable[Sequence[int]]) -> Iterator[str]:
    letters = {index for index in ours.inner.get_added_tokens_decoder() if is_letter(ours, index)}
    letters = letters if "ByteLevel" in str(ours.inner.decoder) else set()
    for ids in sequences:
        if not letters.isdisjoint(ids):
            continue
        for skip in (True, False):
            right = expected(ours, ids, skip)
            found = {ours.decode(ids, skip_special=skip), streamed(ours, ids, skip)}
            if found != {right}:
                pieces = [ours.piece(index) for index in ids]
                yield f"{pieces} skip={skip}: {found}, the package {right!r}"


def sequences(size: int, most: int) -> Iterator[tuple[int, ...]]:
    """Every token, then every pair, if there are not more of them than `most`, else so many."""
    step = -(-size // most)
    yield from ((index,) for index in range(0, size, step))
    if size * size <= most:
        yield from ((a, b) for a in range(size) for b in range(size))
    else:
        rng = random.Random(7)
        yield from ((rng.randrange(size), rng.randrange(size)) for _ in range(most))


def vocabulary_in(path: Path) -> Tokenizer | None:
    """The tokenizer of a file that has one."""
    data = path.read_bytes()
    name = path.name
    if path.suffix == ".gz":
        data, name = gzip.decompress(data), path.stem
    if path.suffix == ".xz":
        data, name = lzma.decompress(data), path.stem
    if name.endswith(".gguf"):
        from tramontane_quant_gguf.header import read_header
        from tramontane_quant_gguf.vocabulary import read_tokenizer

        return read_tokenizer(read_header(memoryview(data), path).metadata, path)
    if name.endswith("tokenizer.json"):
        target = "tokenizer.json"
    elif ".model" in name:
        target = "tokenizer.model"
    else:
        return from_folder(path.parent) if name == "vocab.json" else None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / target).write_bytes(data)
        return from_folder(Path(folder))


def main(paths: Sequence[str]) -> int:
    failed = 0
    for path in map(Path, paths):
        try:
            ours = vocabulary_in(path)
        except Exception as error:  # noqa: BLE001 - said, and the next is looked at
            print(f"{path.name}: {type(error).__name__}: {error}", flush=True)
            continue
        if ours is None:
            continue
        if ours.inner.decoder is None:
            print(f"{path.name}: no decoder", flush=True)
            continue
        found = list(differing(ours, sequences(ours.vocab_size, SAMPLED)))
        failed += bool(found)
        print(f"{path.name}: {ours.vocab_size} tokens, {len(found)} differ", *found[:5], sep="\n  ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
