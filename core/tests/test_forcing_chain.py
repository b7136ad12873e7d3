"""Steps that know tokens before there are logits, in a chain with others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tramontane.errors import RequestError
from tramontane.sampling import Candidates, History
from tramontane.sampling.chain import Chain

LOGITS = np.array([1.0, 2.0, 3.0, 0.5], np.float32)


class Says:
    """Forces what it is told to."""

    def __init__(self, *tokens: int) -> None:
        self.tokens = tokens
        self.prepared: list[int] = []

    def __call__(self, candidates: Candidates, history: History) -> Candidates:
        return candidates

    def forced(self, history: History) -> Sequence[int]:
        return self.tokens[len(history.output) :]

    def prepare(self, history: History) -> None:
        self.prepared.append(len(history.output))


class Counts:
    """Remembers which candidates it was given."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    def __call__(self, candidates: Candidates, history: History) -> Candidates:
        self.seen.append(candidates.ids.tolist())
        return candidates


def without(token: int) -> object:
    def step(candidates: Candidates, history: History) -> Candidates:
        logits = np.where(candidates.ids == token, -np.inf, candidates.logits)
        return candidates.with_logits(logits)

    return step


def test_forced_tokens_go_through_the_other_steps_alone() -> None:
    counts = Counts()
    chain = Chain([Says(3, 1), counts], seed=1)
    history = History([0], [])
    assert [*chain.forced(history)] == [3, 1]
    assert all(chain.force(token, history) for token in chain.forced(history))
    assert counts.seen == [[3], [1]]


@pytest.mark.parametrize("greedy", [False, True])
def test_a_forced_token_takes_its_random_number(greedy: bool) -> None:
    forcing, drawing = (Chain([Says()], seed=9, greedy=greedy) for _ in range(2))
    history = History([], [])
    for _ in range(3):
        assert forcing.force(2, history)
        drawing.draw(LOGITS, history)
    draws = [(forcing.draw(LOGITS, history), drawing.draw(LOGITS, history)) for _ in range(20)]
    assert all(one == other for one, other in draws)


def test_a_step_before_may_forbid_and_one_after_may_not() -> None:
    history = History([], [])
    before = Chain([without(3), Says(3)], seed=1)
    assert not before.force(3, history)
    assert before.force(2, history)
    after = Chain([Says(3), without(3)], seed=1)
    with pytest.raises(RequestError, match="forbid every token"):
        after.force(3, history)


def test_forcing_can_be_off_and_chains_without_it_have_nothing() -> None:
    history = History([], [])
    assert Chain([Says(3)], seed=1, forces=False).forced(history) == ()
    plain = Chain([Counts()], seed=1)
    assert (plain.forced(history), plain.prepares) == ((), ())


def test_what_prepares_is_found() -> None:
    says = Says()
    chain = Chain([Counts(), says], seed=1)
    for prepare in chain.prepares:
        prepare(History([], [5, 6]))
    assert says.prepared == [2]
