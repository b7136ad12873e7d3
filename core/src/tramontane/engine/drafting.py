"""Drafted tokens: rows of a step that may turn out to be the answer's next tokens.

They follow the token that a step computes anyway. Each position's token is then drawn as ever, and
while it is the drafted one, the next row has been computed already. Its keys and values lie where
they belong; those of rejected tokens are overwritten by the tokens that come there instead.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from collections.abc import Sequence as SequenceOf

from tramontane.drafting import Draft

from .draft_length import DraftLength, Guessing, StepCost
from .kv_cache import BLOCK_SIZE
from .scheduler import Scheduler
from .sequence import Sequence
from .step_rows import Rows

log = logging.getLogger(__name__)
Work = list[tuple[Sequence, int]]
MEASURED = 16
"""Of so many steps without drafts, one's time is noted."""


class Drafting:
    """Adds drafted tokens to steps. vocab_size: tokens from here on are nobody's."""

    def __init__(self, draft: Draft, scheduler: Scheduler, vocab_size: int) -> None:
        """Raises UsageError."""
        self.draft, self._scheduler, self._vocab_size = draft, scheduler, vocab_size
        self.drafter = draft.build()
        self._cost = StepCost()
        self._steps, self._measures = 0, False

    def added(self, work: Work) -> Work:
        """The work of a step, with drafts behind the tokens of sequences that decode."""
        self._steps += 1
        rows, found = -1, work
        for place, (sequence, count) in enumerate(work):
            guessing = sequence.guessing
            if guessing is not None and guessing.length.resting:
                guessing.length.resting -= 1
                continue
            if not sequence.history.output or count != sequence.pending or not sequence.decoding:
                continue
            if rows < 0:
                rows, found = sum([each for _, each in work]), list(work)
            sequence.drafts = self._drafted(sequence, self._asked(sequence, len(work), rows))
            if not sequence.drafts and sequence.guessing is not None:
                sequence.guessing.length.missed()
            found[place] = (sequence, count + len(sequence.drafts))
            rows += len(sequence.drafts)
        self._measures = rows > len(work) or not self._steps % MEASURED
        return found

    def measured(self, work: Work, seconds: float) -> None:
        """Note how long a step took; not every one, as most are alike."""
        if self._measures and all([each.decoding and each.history.output for each, _ in work]):
            self._cost.measured(sum([count for _, count in work]), seconds)

    def _asked(self, sequence: Sequence, tokens: int, rows: int) -> int:
        guessing, scheduler = sequence.guessing, self._scheduler
        if guessing is None:
            guessing = Guessing(self.drafter.begin(), DraftLength(self.draft.most))
            sequence.guessing = guessing
        guessing.worth = self._cost.worth(tokens, rows)
        count = guessing.length.next(guessing.worth)
        # the last token of all is never computed
        left = sequence.budget - len(sequence.history.output) - 1
        free = max(0, scheduler.cache.free - len(scheduler.running))
        fitting = (len(sequence.blocks) + free) * BLOCK_SIZE - sequence.length
        room = min(scheduler.max_batched_tokens, scheduler.batch_size + tokens) - rows
        return min(count, left, fitting, room)

    def _drafted(self, sequence: Sequence, count: int) -> list[int]:
        guessing = sequence.guessing
        if count <= 0 or guessing is None or guessing.guesses is None:
            return []
        try:
            guessed = guessing.guesses.propose(sequence.history, count)
            drafts = _known(guessed[:count], self._vocab_size)
        except Exception:
            log.exception("drafter %s failed; the request goes on without", self.draft.offer.name)
            guessing.guesses = None
            return []
        need = -(-(sequence.length + len(drafts)) // BLOCK_SIZE) - len(sequence.blocks)
        if need > 0:
            sequence.blocks.extend(self._scheduler.cache.take(need))
        return drafts

    def verified(self, sequence: Sequence, count: int, logits: Rows) -> Iterator[tuple[int, Rows]]:
        """Of a step's rows of a sequence, those that count, in pieces (tokens, logits) as steps
        without drafts would have had them. Each is put through before the next is asked for.

        count: with drafts. logits: (rows, vocabulary), as `wanted_rows` says.
        """
        drafts, sequence.drafts = sequence.drafts, []
        own = len(logits) - len(drafts)
        counts = self._scheduler.counts
        sequence.drafted += len(drafts)
        counts.drafted_tokens += len(drafts)
        yield count - len(drafts), logits[:own]
        accepted = 0
        while sequence.blocks:  # until it has ended
            more = _common(sequence.tokens[sequence.computed :], drafts[accepted:])
            if not more:
                break
            sequence.accepted += more
            counts.accepted_tokens += more
            first, accepted = own + accepted, accepted + more
            offsets = sequence.awaited(more)
            yield more, logits[first + min(offsets.start, more) : first + more]
        if sequence.guessing is not None:
            sequence.guessing.length.seen(len(drafts), accepted, sequence.guessing.worth)


def drafting_of(draft: Draft | None, scheduler: Scheduler, vocab_size: int) -> Drafting | None:
    """None where nothing is to be drafted. Raises UsageError."""
    if draft is None:
        return None
    if scheduler.cache.states:
        draft.build()  # what cannot be is refused all the same
        log.info("no tokens are drafted: the states of recurrent layers cannot be taken back")
        return None
    return Drafting(draft, scheduler, vocab_size)


def _known(tokens: SequenceOf[int], vocab_size: int) -> list[int]:
    """Those before the first that is no token."""
    found: list[int] = []
    for token in map(int, tokens):
        if not 0 <= token < vocab_size:
            break
        found.append(token)
    return found


def _common(tokens: SequenceOf[int], drafts: SequenceOf[int]) -> int:
    count = 0
    for token, draft in zip(tokens, drafts, strict=False):
        if token != draft:
            break
        count += 1
    return count
