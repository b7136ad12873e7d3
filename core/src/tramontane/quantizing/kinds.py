"""What installed quantizers make, by the names that `--isq` takes: q4_k, nf4."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass

from tramontane.errors import PluginNotInstalled, UsageError
from tramontane.plugin import Quantizer
from tramontane.registry import Registry, known


@dataclass(frozen=True)
class Kind:
    """One way to store a matrix. bits: that a weight takes in memory, scales included.
    distribution: what provides the offer."""

    name: str
    bits: float
    offer: Quantizer
    distribution: str

    @property
    def whole_name(self) -> str:
        """Its name with that of its offer."""
        return f"{self.offer.name}:{self.name}"

    def nbytes(self, weights: int) -> int:
        """Bytes in memory of as many weights."""
        return round(weights * self.bits / 8)


def spelled(name: str) -> str:
    """A kind's name as it is compared: Q4K is q4_k."""
    return name.lower().replace("_", "").replace("-", "")


def spelled_names(kind: Kind) -> tuple[str, str]:
    """Both names of a kind as they are compared."""
    return spelled(kind.name), spelled(kind.whole_name)


def installed_kinds(registry: Registry) -> dict[str, Kind]:
    """All kinds by their names as compared; by OFFER:KIND where several offers make one of a name,
    such as afq:mxfp4."""
    owners = {e.name: e.dist.name for e in registry.entries("quantizers") if e.dist is not None}
    kinds = [
        Kind(name, bits, offer, owners.get(offer.name, offer.name))
        for offer in registry.all(Quantizer)
        if offer.quantize is not None or offer.encode is not None
        for name, bits in offer.kinds.items()
    ]
    makers = Counter(spelled(kind.name) for kind in kinds)
    return {
        spelled(kind.name if makers[spelled(kind.name)] == 1 else kind.whole_name): kind
        for kind in kinds
    }


def find_kind(name: str, kinds: dict[str, Kind]) -> Kind:
    """The kind of a name, which may be OFFER:KIND. Raises UsageError for a name that several offers
    have, PluginNotInstalled, which says what there is."""
    if (kind := kinds.get(spelled(name))) is not None:
        return kind
    same = [kind for kind in kinds.values() if spelled(name) in spelled_names(kind)]
    if len(same) == 1:
        return same[0]
    if same:
        raise UsageError(
            f"several quantizers make {name!r}: give {' or '.join(k.whole_name for k in same)}"
        )
    if makers := _makers(name):
        raise PluginNotInstalled(
            f"nothing installed quantizes to {name!r}", hint=f"pip install {' or '.join(makers)}"
        )
    close = difflib.get_close_matches(spelled(name), list(kinds), 1)
    hint = f"did you mean {kinds[close[0]].name}? " if close else ""
    raise PluginNotInstalled(
        f"nothing installed quantizes to {name!r}", hint=f"{hint}{listed(kinds)}"
    )


def _makers(name: str) -> list[str]:
    """Our distributions that make a kind, KIND or OFFER:KIND, installed or not."""
    return sorted(
        {
            distribution
            for whole, distribution in known("kinds").items()
            if spelled(name) in (spelled(whole), spelled(whole.partition(":")[2]))
        }
    )


def listed(kinds: dict[str, Kind]) -> str:
    """The kinds that there are, by distribution, for messages."""
    by: dict[str, list[str]] = {}
    for key, kind in sorted(kinds.items(), key=lambda item: (item[1].bits, item[1].name)):
        name = kind.whole_name if ":" in key else kind.name
        by.setdefault(kind.distribution, []).append(name)
    if by:
        parts = (f"{', '.join(names)} ({distribution})" for distribution, names in by.items())
        return f"the kinds are {'; '.join(parts)}"
    makers = ", ".join(sorted(set(known("kinds").values())))
    return f"no kinds are installed; they come from {makers}" if makers else "there are no kinds"
