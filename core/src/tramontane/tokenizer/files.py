"""The tokenizer in a model's folder, whichever files it is in."""

from __future__ import annotations

from pathlib import Path

import tokenizers

from tramontane.errors import CheckpointError, NoTokenizer

from .byte_level import from_tekken, from_vocab_and_merges
from .errors import damage_in
from .json_file import LARGE, read_bytes, read_text
from .longest_match import from_world
from .special_tokens import SideFiles, add_tokens, read_side_files
from .spm import from_pieces
from .spm_model import read_spm
from .tokenizer import Tokenizer, around

LOOKED_FOR = (
    "tokenizer.json, vocab.json with merges.txt, tokenizer.model, tekken.json, rwkv_vocab_*.txt"
)


def from_folder(folder: Path) -> Tokenizer:
    """The tokenizer of a folder: the first of tokenizer.json, vocab.json with merges.txt,
    tokenizer.model (SentencePiece), tekken.json and rwkv_vocab_*.txt, with what the files beside it
    add.

    A post-processor in tokenizer.json puts BOS and EOS as it says, except what add_bos_token or
    add_eos_token in tokenizer_config.json explicitly forbid. Texts for tokenizer.model and
    tekken.json get a BOS unless forbidden, others only when asked.
    Raises NoTokenizer when there is none of them, CheckpointError when it is damaged.
    """
    side = read_side_files(folder)
    bos_by_default = False
    bos = eos = None
    if (path := folder / "tokenizer.json").exists():
        inner = _from_json(path)
    elif (path := folder / "vocab.json").exists() and (folder / "merges.txt").exists():
        inner = from_vocab_and_merges(
            folder,
            tokenizer_class=side.tokenizer_class,
            add_prefix_space=bool(side.add_prefix_space),
        )
    elif (path := folder / "tokenizer.model").exists():
        inner, bos, eos = _from_spm(path, side)
        bos_by_default = bos is not None
    elif (path := folder / "tekken.json").exists():
        inner = from_tekken(path)
        bos, eos = inner.token_to_id("<s>"), inner.token_to_id("</s>")
        bos_by_default = bos is not None
    elif found := sorted(folder.glob("rwkv_vocab_*.txt")):
        return from_world(found[-1], side)
    else:
        raise NoTokenizer(
            f"{folder} has no tokenizer; looked for {LOOKED_FOR}; "
            "copy those of the model that it was made from into the folder"
        )
    with damage_in(path):
        add_tokens(inner, side)
        return _with_roles(inner, side, bos, eos, bos_by_default)


def _from_json(path: Path) -> tokenizers.Tokenizer:
    text = read_text(path, LARGE)
    with damage_in(path):
        inner = tokenizers.Tokenizer.from_str(text)
    inner.no_truncation()
    inner.no_padding()
    return inner


def _from_spm(path: Path, side: SideFiles) -> tuple[tokenizers.Tokenizer, int | None, int | None]:
    try:
        model = read_spm(read_bytes(path, LARGE))
        with damage_in(path):
            inner = from_pieces(
                model.pieces,
                model=model.model,
                add_prefix=model.add_prefix,
                byte_fallback=model.byte_fallback,
                unk_id=model.unk_id,
                prefix_each=side.legacy is not False,
                collapse_spaces=model.collapse_spaces,
                charsmap=model.charsmap,
            )
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return inner, model.bos_id, model.eos_id


def _with_roles(
    inner: tokenizers.Tokenizer,
    side: SideFiles,
    bos: int | None,
    eos: int | None,
    bos_by_default: bool,
) -> Tokenizer:
    named = dict(side.named)
    if "bos_token" in side.silent:
        bos = next(iter(side.bos_ids), bos)
        _name(named, "bos_token", inner, bos)
    else:
        bos = inner.token_to_id(named["bos_token"]) if "bos_token" in named else None
    if "eos_token" in side.silent:
        eos = next(iter(side.eos_ids), eos)
        _name(named, "eos_token", inner, eos)
    else:
        eos = inner.token_to_id(named["eos_token"]) if "eos_token" in named else None
    before, after = around(inner)
    if (side.add_bos is False and bos in before) or (side.add_eos is False and eos in after):
        # a post-processor cannot be changed in part: what of it may stay is said in flags
        inner.post_processor = None
        keep_bos, keep_eos = bos in before, eos in after
    else:
        keep_bos = keep_eos = False
    ends = [index for index in (eos, *side.eos_ids) if index is not None]
    return Tokenizer(
        inner,
        bos_id=bos,
        eos_ids=ends,
        add_bos=keep_bos or bos_by_default if side.add_bos is None else side.add_bos,
        add_eos=keep_eos if side.add_eos is None else side.add_eos,
        named=named,
    )


def _name(named: dict[str, str], role: str, inner: tokenizers.Tokenizer, index: int | None) -> None:
    text = None if index is None else inner.id_to_token(index)
    if text is not None:
        named[role] = text
