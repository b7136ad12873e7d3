"""Keys and values of items that are seen: who holds them, who waits, and what is dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tramontane.engine.cross_keys import CrossCache, CrossKeys, sizes
from tramontane.media.item import MediaItem, Sight

SHAPES = {1: (2, 4), 3: (2, 4)}
CPU = torch.device("cpu")
F32 = torch.float32


@dataclass(eq=False)
class Running:
    sight: Sight | None
    order: tuple[int, int] = (0, 0)
    cross: CrossKeys | None = None


class Encoder:
    """Has everything at once."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def ready(self, items: list[MediaItem]) -> bool:
        self.asked += [item.cross for item in items]
        return True

    def rows(self, item: MediaItem) -> torch.Tensor:
        return torch.arange(item.cross * 32.0).view(item.cross, 32)

    def drop(self, item: MediaItem) -> None:
        pass


def sight(*rows: int) -> Sight:
    items = tuple(MediaItem("image", {"rows": np.array(n)}, 1, cross=n) for n in rows)
    return Sight(0, items, sum(rows))


def cache(running: list[Any], most: int) -> tuple[CrossCache, Encoder]:
    encoder: Any = Encoder()
    return CrossCache(SHAPES, encoder, running, F32, CPU, most), encoder


def test_rows_of_items_lie_one_after_the_other() -> None:
    one = Running(sight(3, 20))
    kept, encoder = cache([one], 1 << 20)
    assert kept.ready(one)  # type: ignore[arg-type]
    assert one.cross is not None
    assert one.cross.blocks == 2
    keys, values = one.cross.layers[3].gather(range(2), 23)
    torch.testing.assert_close(keys[:3].flatten(1), encoder.rows(sight(3).items[0])[:, 16:24])
    torch.testing.assert_close(values[3:].flatten(1), encoder.rows(sight(20).items[0])[:, 24:])


def test_who_finds_no_room_waits_in_turn_and_holds_nothing() -> None:
    first, second, third = (
        Running(sight(rows), (0, place)) for place, rows in enumerate((1, 20, 3))
    )
    running = [first, second, third]
    kept, encoder = cache(running, 2 * sizes(sight(1), SHAPES, F32)[1])  # not for all of 20
    assert [kept.ready(one) for one in running] == [True, False, False]  # type: ignore[arg-type]
    assert second.cross is None
    running.remove(first)
    assert kept.ready(second)  # type: ignore[arg-type]
    assert not kept.ready(third)  # type: ignore[arg-type]
    second.sight = sight(4)  # what it held goes first
    assert kept.ready(second)  # type: ignore[arg-type]
    assert encoder.asked == [1, 20, 4]


def test_what_others_hold_is_shared_and_what_nobody_holds_is_kept_while_it_fits() -> None:
    size = sizes(sight(1), SHAPES, F32)[1]
    one, same = Running(sight(1)), Running(sight(1), (0, 1))
    running = [one, same]
    kept, encoder = cache(running, 2 * size)
    assert kept.ready(one)  # type: ignore[arg-type]
    assert kept.ready(same)  # type: ignore[arg-type]
    assert one.cross is same.cross
    running.clear()
    for rows, encoded in ((2, [1, 2]), (1, [1, 2]), (3, [1, 2, 3]), (1, [1, 2, 3]),
                          (2, [1, 2, 3, 2])):  # fmt: skip
        assert kept.ready(Running(sight(rows)))  # type: ignore[arg-type]
        assert encoder.asked == encoded
