"""Builds the sampler chains of one model's requests, and holds the cache that they share."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from tramontane.plugin import Sampler, load
from tramontane.registry import Registry
from tramontane.sampling import SamplerContext
from tramontane.sampling.chain import Chain, build_chain
from tramontane.sampling.step import Step
from tramontane.sampling_params import SamplingParams
from tramontane.tokenizer.tokenizer import Tokenizer

log = logging.getLogger(__name__)


class Chains:
    """Builds sampler chains. forces: whether samplers may force tokens."""

    def __init__(
        self,
        registry: Registry,
        tokenizer: Tokenizer,
        *,
        vocab_size: int,
        context_length: int,
        forces: bool,
    ) -> None:
        self.forces = forces
        self._samplers = registry.all(Sampler)
        self._tokenizer = tokenizer
        self._vocab_size, self._context_length = vocab_size, context_length
        self._shared: dict[str, object] = {}
        self._thread: threading.Thread | None = None

    def build(self, params: SamplingParams, seed: int, own: Sequence[Step] = ()) -> Chain:
        """The chain of a request. own: its own steps. Raises RequestError."""
        context = self._context(seed)
        return build_chain(params, self._samplers, context, forces=self.forces, own=own)

    def make_ready(self) -> None:
        """Start warming up the samplers in a thread, so that the first requests need not wait."""
        offers = [offer for offer in self._samplers if offer.ready is not None]
        if offers and self._thread is None:
            self._thread = threading.Thread(
                target=self._make_ready, args=(offers,), name="tramontane-ready", daemon=True
            )
            self._thread.start()

    def close(self, timeout: float | None) -> None:
        """Wait for the warm-up to finish, no longer than `timeout` seconds."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _make_ready(self, offers: list[Sampler]) -> None:
        for offer in offers:
            try:
                load(offer.ready or "")(self._context(0))
            except Exception:  # a request that uses the sampler gets the same error
                log.debug("warming up sampler %s failed", offer.name, exc_info=True)

    def _context(self, seed: int) -> SamplerContext:
        tokenizer = self._tokenizer
        return SamplerContext(
            vocab_size=self._vocab_size,
            seed=seed,
            context_length=self._context_length,
            eos_ids=tokenizer.eos_ids,
            encode=lambda text: tokenizer.encode(text, add_special=False),
            decode=lambda ids: tokenizer.decode(ids, skip_special=False),
            token_bytes=tokenizer.token_bytes,
            special_ids=tokenizer.special_ids,
            leading_spaces=tokenizer.spelling.leading,
            kept=self._shared,
        )
