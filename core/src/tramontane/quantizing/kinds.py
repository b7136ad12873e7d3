"""What installed quantizers make, by the names that `--isq` takes: q4_k, nf4."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from tramontane.errors import PluginConflict, PluginNotInstalled
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

    def nbytes(self, weights: int) -> int:
        """Bytes in memory of as many weights."""
        return round(weights * self.bits / 8)


def spelled(name: str) -> str:
    """A kind's name as it is compared: Q4K is q4_k."""
    return name.lower().replace("_", "").replace("-", "")


def installed_kinds(registry: Registry) -> dict[str, Kind]:
    """All kinds by their names as compared. Raises PluginConflict where two offers make one."""
    owners = {e.name: e.dist.name for e in registry.entries("quantizers") if e.dist is not None}
    found: dict[str, Kind] = {}
    for offer in registry.all(Quantizer):
        if offer.quantize is None and offer.encode is None:
            continue
        for name, bits in offer.kinds.items():
            kind = Kind(name, bits, offer, owners.get(offer.name, offer.name))
            other = found.setdefault(spelled(name), kind)
            if other is not kind:
                raise PluginConflict(
                    f"the kind {name!r} is made by the quantizers {other.offer.name!r} "
                    f"({other.distribution}) and {offer.name!r} ({kind.distribution}); uninstall "
                    "one, or list the distributions to use in TRAMONTANE_PLUGINS"
                )
    return found


def find_kind(name: str, kinds: dict[str, Kind]) -> Kind:
    """The kind of a name. Raises PluginNotInstalled, which says what there is."""
    if (kind := kinds.get(spelled(name))) is not None:
        return kind
    for other, distribution in known("kinds").items():
        if spelled(other) == spelled(name):
            raise PluginNotInstalled(
                f"nothing installed quantizes to {name!r}", hint=f"pip install {distribution}"
            )
    close = difflib.get_close_matches(spelled(name), list(kinds), 1)
    hint = f"did you mean {kinds[close[0]].name}? " if close else ""
    raise PluginNotInstalled(
        f"nothing installed quantizes to {name!r}", hint=f"{hint}{listed(kinds)}"
    )


def listed(kinds: dict[str, Kind]) -> str:
    """The kinds that there are, by distribution, for messages."""
    by: dict[str, list[str]] = {}
    for kind in sorted(kinds.values(), key=lambda kind: (kind.bits, kind.name)):
        by.setdefault(kind.distribution, []).append(kind.name)
    if by:
        parts = (f"{', '.join(names)} ({distribution})" for distribution, names in by.items())
        return f"the kinds are {'; '.join(parts)}"
    makers = sorted(set(known("kinds").values()))
    return (
        f"no kinds are installed: pip install {makers[0]}" if makers else "no kinds are installed"
    )
