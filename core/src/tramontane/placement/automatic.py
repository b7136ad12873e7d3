"""A placement by what fits: as much of the model on accelerators as there is room for.

First all of it on the best one; then layers on the next accelerators too, in order; then experts on
the processor, of as few layers as need be, the first ones: they are most of such a model's bytes
and least of its work. Then whole layers, the first ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from tramontane.engine.state_cache import FEWEST

from .needs import needs
from .placement import Found, Placement, layer_of, on_one
from .sizes import Sizes


def automatic(
    cards: Sequence[Found], host: Found, layers: int, sizes: Sizes, at_home: int, tokens: int
) -> Placement:
    """cards: accelerators, the best first. at_home: bytes for logits and encoded media. tokens: of
    context. Where nothing fits, everything is on the host."""
    whole = on_one(cards[0], layers)
    if needs(whole, sizes, at_home)[0].total(tokens) <= cards[0][0].memory_free:
        return whole
    room = [card.memory_free - card.reserve - sizes.widest for card, _ in cards]
    room[0] -= at_home + sum(
        size for path, size in sizes.weights.items() if layer_of(path) is None
    )  # what is outside layers
    each = [0] * layers
    experts = dict.fromkeys(sizes.experts, 0)
    for path, size in sizes.weights.items():
        layer = layer_of(path)
        if layer is None:
            continue
        if any(path.startswith(f"{inner}.") for inner in sizes.experts.get(layer, ())):
            experts[layer] += size
        else:
            each[layer] += size
    for layer in range(layers):
        each[layer] += sizes.per_token.get(layer, 0) * tokens
        each[layer] += FEWEST * sizes.per_sequence.get(layer, 0)
    with_experts = sorted(experts)
    devices, last = (*cards, host), len(cards)

    def spread(first: int, count: int) -> Placement | None:
        """Layers from `first` on over the cards; the experts of the first `count` layers that have
        any on the host, and the layers before. None: that does not fit."""
        away = {layer for layer in with_experts[:count] if layer >= first}
        left, card = list(room), 0
        found = [last] * first
        for layer in range(first, layers):
            need = each[layer] + (0 if layer in away else experts.get(layer, 0))
            while card < len(cards) and need > left[card]:
                card += 1
            if card == len(cards):
                return None
            left[card] -= need
            found.append(card)
        inner = {path: last for layer in sorted(away) for path in sizes.experts[layer]}
        return Placement(devices, tuple(found), inner)

    for count in range(len(with_experts) + 1):
        if (placement := spread(0, count)) is not None:
            return placement
    for first in range(1, layers + 1):
        if room[0] >= 0 and (placement := spread(first, len(with_experts))) is not None:
            return placement
    return on_one(host, layers)


def last_layers(count: int, card: Found, host: Found, layers: int) -> Placement:
    """llama.cpp's `-ngl`: what is outside layers counts as one and comes first, then the last
    layers; of more than there are, all."""
    if count == 0:
        return on_one(host, layers)
    first = max(layers + 1 - count, 0)
    return Placement((card, host), (1,) * first + (0,) * (layers - first))


def in_order(pairs: Sequence[tuple[Found, int]], host: Found, layers: int) -> Placement:
    """mistral.rs's `-n`: the first layers on the first device, and so on, the rest on the host."""
    found: list[int] = []
    for index, (_, count) in enumerate(pairs):
        found += [index] * min(count, layers - len(found))
    found += [len(pairs)] * (layers - len(found))
    return Placement((*(device for device, _ in pairs), host), tuple(found))
