"""Loading the layer that guesses a token further, from the checkpoint of its model."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import torch

from tramontane.blocks.next_token import NextToken, NextTokenHead
from tramontane.config import DecoderConfig
from tramontane.engine.kv_cache import bytes_per_token
from tramontane.errors import UsageError
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry
from tramontane.system.devices import choose_device
from tramontane.system.standing import preparing

from .build import config_of
from .checkpoint import Checkpoint, Header
from .choose_quantizer import quantizer_of
from .fast_load import place_of
from .fill import fill
from .load_options import LoadOptions
from .metadata import fields_of
from .plan import Beside
from .quantized_layers import QuantizedCheckpoint

if TYPE_CHECKING:
    from tramontane.layouts import Layout
    from tramontane.tokenizer.tokenizer import Tokenizer

    from .load import Loaded

WAY_OUT = "give a drafter (--draft ngram) or a smaller model of the same vocabulary"


class Part:
    """A checkpoint of which only some tensors are looked at. Implements `Checkpoint`."""

    def __init__(self, checkpoint: Checkpoint, header: Header) -> None:
        self._inner, self.header, self.names = checkpoint, header, checkpoint.names

    def read(self, name: str) -> Layout:
        return self._inner.read(name)

    def tokenizer(self) -> Tokenizer:
        return self._inner.tokenizer()

    def chat_template(self) -> str | None:
        return self._inner.chat_template()

    def generation_defaults(self) -> dict[str, object]:
        return dict(self._inner.generation_defaults())

    def close(self) -> None:
        """The whole one is closed by whoever opened it."""


class HeadOf:
    """The head of a checkpoint, not read yet. beside: what it will take."""

    def __init__(self, checkpoint: Checkpoint, registry: Registry, options: LoadOptions) -> None:
        """Raises UsageError where the checkpoint, or its architecture, has none."""
        from .load import KV_DTYPES, dtype_of, kv_dtype_of

        header = checkpoint.header
        offer = registry.get(Architecture, header.architecture)
        found: NextToken | None = None
        if offer.next_token is not None:
            self._config: DecoderConfig = config_of(offer, header, fields_of(offer, header))
            found = load(offer.next_token)(self._config)
        patterns = () if found is None else found.tensors.get(header.dialect, ())
        tensors = {
            name: info
            for name, info in header.tensors.items()
            if any(fnmatchcase(name, pattern) for pattern in patterns)
        }
        if found is None or not tensors:
            raise UsageError(
                f"draft mtp: {header.path} ({header.architecture}) has no layer that guesses "
                f"further tokens, or none that is known; {WAY_OUT}"
            )
        self._told, self._registry, self._options = found, registry, options
        self._architecture = replace(offer, weights=None)
        self._part = Part(checkpoint, replace(header, tensors=tensors))
        with torch.device("meta"):
            self.head: NextTokenHead = found.build()
        self.head.eval()
        device, self._backend = choose_device(options.device, registry)
        kv_dtype = KV_DTYPES[kv_dtype_of(options, device, dtype_of(options, device))]
        self.beside = Beside(
            path=f"{header.path} (mtp)",
            weights=0,  # they are among the checkpoint's
            per_token=bytes_per_token(self.head, kv_dtype),
            overhead=max((info.held for info in tensors.values()), default=0),
            context=self._config.max_position_embeddings,
            vocab_size=self._config.vocab_size,
        )

    def load(self, loaded: Loaded) -> NextTokenHead:
        """Fill and prepare it. Raises CheckpointError."""
        head, part = self.head, self._part
        rules = list(self._told.weights[part.header.dialect])
        quantizer = quantizer_of(part.header, self._registry)
        whole: Checkpoint = part
        if quantizer is not None:
            whole = QuantizedCheckpoint(part, *quantizer, head, rules)
        place = place_of(self._backend, loaded.device, self._options, loaded.kv_dtype)
        place = replace(place, foresee=None)
        fill(
            whole, head, self._config, self._architecture, loaded.dtype, self._options, None, place,
            rules=rules,
        )  # fmt: skip
        head.attach(loaded.model)
        if self._backend is not None:
            preparing(self._backend)(
                head, loaded.device, self._options.threads, self._options.activations
            )
        return head
