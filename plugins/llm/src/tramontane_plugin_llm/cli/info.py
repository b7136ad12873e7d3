"""`llm-rs info`: what a model file holds, in the words of llm's log lines."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tramontane.errors import NoTokenizer
from tramontane.registry import Registry
from tramontane_quant_ggml.plugin import MAGIC

from tramontane_plugin_llm.opening import located, opened, texts_of

from .logs import LOG
from .options import add_model, parser_of

if TYPE_CHECKING:
    from tramontane.checkpoint.checkpoint import Checkpoint

FORMATS = {
    0: "F32", 1: "MostlyF16", 2: "MostlyQ4_0", 3: "MostlyQ4_1", 4: "MostlyQ4_1SomeF16",
    7: "MostlyQ8_0", 8: "MostlyQ5_0", 9: "MostlyQ5_1", 10: "MostlyQ2_K", 11: "MostlyQ3_K_S",
    12: "MostlyQ3_K_M", 13: "MostlyQ3_K_L", 14: "MostlyQ4_K_S", 15: "MostlyQ4_K_M",
    16: "MostlyQ5_K_S", 17: "MostlyQ5_K_M", 18: "MostlyQ6_K",
}  # fmt: skip
"""By the number in a header."""
CALLED = {"parallel_residual": "use_parallel_residual", "clip_qkv": "clip_kqv"}
"""Fields of headers as llm's structures have them."""


def run(argv: list[str], program: str) -> int:
    """Say container, hyperparameters and size of the vocabulary; on request all of both."""
    parser = parser_of(program, "Show what a model file holds.")
    add_model(parser, loads=False)
    parser.add_argument(
        "-t", "--tensors", action="store_true", help="list the tensors: types and extents"
    )
    parser.add_argument(
        "-k", "--tokenizer", "--vocabulary", action="store_true", help="list the tokens"
    )
    options = parser.parse_args(argv)
    registry = Registry.from_environment()
    with (
        located(options, registry) as path,
        closing(opened(path, options, registry)) as checkpoint,
    ):
        _say(checkpoint, options.tokenizer, options.tensors, from_file=path)
    return 0


def _say(checkpoint: Checkpoint, tokens: bool, tensors: bool, *, from_file: Path) -> None:
    header = checkpoint.header
    LOG.info("Container type: %s", container_of(header.container, from_file))
    LOG.info("Hyperparameters: %s", hyperparameters(checkpoint))
    vocabulary = _vocabulary(checkpoint)
    LOG.info("Tokenizer vocabulary size: %d", len(vocabulary))
    if tokens:
        LOG.info("Tokens:")
        for index, token in enumerate(vocabulary):
            LOG.info("- %d: %s", index, shown(token))
    if tensors:
        LOG.info("Tensors:")
        for name, stored, extents in _tensors(checkpoint):
            LOG.info("- %s (%s %s)", name, stored, extents)


def container_of(name: str, path: Path) -> str:
    """As llm calls it: Ggml, Ggmf(1), Ggjt(3); of others their name."""
    if name not in ("ggmf", "ggjt"):
        return name.capitalize()
    with path.open("rb") as file:
        return f"{name.capitalize()}({int.from_bytes(file.read(8)[4:], 'little')})"


def hyperparameters(checkpoint: Checkpoint) -> str:
    """The header's fields in order; of files that are not from before GGUF, the configuration."""
    header = checkpoint.header
    if header.container not in MAGIC:
        pairs = {name: value for name, value in header.config.items() if not _large(value)}
        return f"Hyperparameters {{ {', '.join(f'{k}: {_said(v)}' for k, v in pairs.items())} }}"
    parts = []
    for name, value in checkpoint.file.fields.items():  # type: ignore[attr-defined]
        if name == "ftype":
            version, number = divmod(int(value), 1000)
            kind = FORMATS.get(number, f"Unknown({number})")
            said = f"FileType {{ format: {kind}, quantization_version: {version} }}"
            parts.append(f"file_type: {said}")
        elif name == "parallel_residual":
            parts.append(f"{CALLED[name]}: {_said(bool(value))}")
        else:
            parts.append(f"{CALLED.get(name, name)}: {_said(value)}")
    return f"Hyperparameters {{ {', '.join(parts)} }}"


def shown(token: bytes) -> str:
    """Its text, or the list of its bytes where it is no text by itself."""
    try:
        return token.decode()
    except UnicodeDecodeError:
        return str(list(token))


def _vocabulary(checkpoint: Checkpoint) -> list[bytes]:
    """Of the tokenizer that is used; of one that cannot be, the file's texts."""
    try:
        tokenizer = checkpoint.tokenizer()
    except NoTokenizer:
        file = getattr(checkpoint, "file", None)
        return [] if file is None else [text for text, _ in file.vocabulary]
    return texts_of(tokenizer, tokenizer.vocab_size)


def _tensors(checkpoint: Checkpoint) -> list[tuple[str, str, list[int]]]:
    """Names, types and extents, innermost first, as they are in the file."""
    header = checkpoint.header
    stored = list(header.tensors.values())
    names = list(header.tensors)
    if header.container in MAGIC:
        names = list(checkpoint.file.tensors)  # type: ignore[attr-defined]
    return [
        (name, info.stored, list(reversed(info.shape)))
        for name, info in zip(names, stored, strict=True)
    ]


def _large(value: Any) -> bool:
    return isinstance(value, (list, tuple, dict)) and len(value) > 16


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
