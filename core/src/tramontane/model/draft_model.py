"""The model that `--draft` names: opened before the model that it drafts for is loaded, so that the
plan of memory has both; loaded after it; and held to the same vocabulary."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tramontane.checkpoint.checkpoint import Checkpoint
from tramontane.checkpoint.load import Loaded, beside_of, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.drafting import DraftModel, DraftSource
from tramontane.errors import NoTokenizer, PluginError, TramontaneError, UsageError
from tramontane.hub.options import HubOptions
from tramontane.registry import Registry
from tramontane.tokenizer.tokenizer import Tokenizer

from .source import find_model

log = logging.getLogger(__name__)
WAY_OUT = (
    "give a smaller model of the same family, whose tokenizer is the same, or a drafter that needs "
    "no model (--draft ngram)"
)


class OpenDraft:
    """A draft model whose header is read. beside: what it will take."""

    def __init__(
        self, source: DraftSource, registry: Registry, hub: HubOptions, options: LoadOptions
    ) -> None:
        """options: of the model that it drafts for. Raises TramontaneError that names the draft."""
        self._source, self._registry = source, registry
        # what says which weights these are, and how they are quantized, is said of the other model
        self._options = LoadOptions(
            device=options.device, dtype=options.dtype, threads=options.threads,
            activations=options.activations, kv_type=options.kv_type, mmap=options.mmap,
            force=options.force, mmproj=False,
        )  # fmt: skip
        with _named(source):
            path = find_model(source.name, registry, replace(hub, revision=None))
            self.checkpoint: Checkpoint = open_checkpoint(path, registry)
            try:
                self.beside = beside_of(self.checkpoint, registry, self._options)
            except BaseException:
                self.checkpoint.close()
                raise

    def close(self) -> None:
        self.checkpoint.close()

    def check(self, name: str, tokenizer: Tokenizer) -> None:
        """Refuse another vocabulary. name, tokenizer: of the model that it drafts for; without a
        tokenizer there, `check_size` is to be asked."""
        if tokenizer.missing:
            return
        with _named(self._source):
            try:
                mine = self.checkpoint.tokenizer()
            except NoTokenizer as error:
                raise UsageError(f"{error}; {WAY_OUT}") from error
            _same_tokens(name, tokenizer, mine)

    def check_size(self, name: str, vocab_size: int) -> None:
        """Refuse a vocabulary of another size, where there are no tokens to compare."""
        with _named(self._source):
            if vocab_size != self.beside.vocab_size:
                raise UsageError(
                    f"{name} has no tokenizer, and the vocabularies have {self.beside.vocab_size} "
                    f"tokens and {vocab_size}; {WAY_OUT}"
                )

    def load(self, loaded: Loaded) -> DraftModel:
        """Load it, behind the model that it drafts for."""
        with _named(self._source):
            longest = min(loaded.context_length, self.beside.context)
            options = replace(self._options, num_ctx=longest)
            mine = load_model(self.checkpoint, self._registry, options)
        return DraftModel(self._source.name, mine, self._source.most)


@contextmanager
def _named(source: DraftSource) -> Iterator[None]:
    """Errors say that they are of the draft model."""
    try:
        yield
    except PluginError as error:
        said = f"draft model {source.name}: {error.message}"
        raise type(error)(said, hint=error.hint or WAY_OUT) from error
    except TramontaneError as error:
        if error.message.startswith("draft model"):
            raise
        said = f"draft model {source.name}: {error.message}"
        raise type(error)(said, hint=error.hint) from error


def _same_tokens(name: str, theirs: Tokenizer, mine: Tokenizer) -> None:
    """Raises UsageError unless every id that both have is the same token. What one has more must
    be at the end, where vocabularies are padded."""
    one, other = (_pieces(each) for each in (theirs, mine))
    for token in sorted(one.keys() | other.keys()):
        pair = one.get(token), other.get(token)
        if pair[0] == pair[1]:
            continue
        if None in pair:
            shorter = other if pair[1] is None else one
            if token > max(shorter, default=-1):
                break
        elif theirs.token_bytes(token) == mine.token_bytes(token) and (
            (token in theirs.special_ids) == (token in mine.special_ids)
        ):
            continue  # spelled in another way, and the same text
        raise UsageError(
            f"its vocabulary is not that of {name}: token {token} is {pair[1]!r} in it and "
            f"{pair[0]!r} there; {WAY_OUT}"
        )
    shared = one.keys() & other.keys()
    if len(shared) * 2 < max(len(one), len(other)):
        raise UsageError(
            f"its vocabulary is not that of {name}: it has {len(other)} tokens and not {len(one)}; "
            f"{WAY_OUT}"
        )


def _pieces(tokenizer: Tokenizer) -> dict[int, str]:
    found = tokenizer.inner.get_vocab(with_added_tokens=True)
    return {token: piece for piece, token in found.items()}
