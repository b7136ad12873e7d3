"""Of requests whose later tokens keep the shares that one of the answer's tokens has."""

from __future__ import annotations

import uuid
from typing import Any

from torch import Tensor

from tramontane.adapters.mixture import Mixture


class Frozen:
    """Of a sequence whose later tokens keep the shares of one: these, once they are computed.

    token: whose they are. salt: what blocks from there on are known by, which no other sequence
    has: they depend on where its prompt ends.
    """

    def __init__(self, token: int) -> None:
        self.token, self.salt = token, uuid.uuid4().bytes
        self.shares: Tensor | None = None


def frozen_of(request: Any) -> Frozen | None:
    """What a request's sequence keeps; None: each token has shares of its own."""
    mixture = request.adapters
    if not isinstance(mixture, Mixture) or mixture.frozen_after is None:
        return None
    return Frozen(len(request.prompt) + mixture.frozen_after - 1)
