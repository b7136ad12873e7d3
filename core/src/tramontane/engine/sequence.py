"""One request while it runs: its tokens, its blocks, and the text that it has become."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tramontane.adapters.blame import blamed
from tramontane.adapters.mixture import Mixture
from tramontane.adapters.prompted import Decided, Watch
from tramontane.errors import RequestError
from tramontane.media.item import MediaItem, Sight
from tramontane.sampling import History
from tramontane.sampling.chain import Chain, NoDistribution
from tramontane.sampling.step import Floats
from tramontane.tokenizer.stop import StopMatcher
from tramontane.tokenizer.tokenizer import Tokenizer

from .block_pool import chained, root
from .frozen_shares import Frozen, frozen_of
from .kv_cache import BLOCK_SIZE, KVCache
from .logprobs import token_logprob
from .output_text import detokenizer_for
from .request import (
    Event,
    Finished,
    FinishReason,
    Request,
    RequestResult,
    Timings,
    Token,
    TokenLogprob,
    Usage,
)
from .snapshot import Snapshot

if TYPE_CHECKING:
    from .draft_length import Guessing

BytesOf: TypeAlias = Callable[[int], bytes]
KINDS = ("image", "audio", "video")


class Sequence:
    """State of a request between steps. The engine's thread alone touches it."""

    def __init__(
        self,
        request: Request,
        chain: Chain,
        seed: int,
        tokenizer: Tokenizer,
        context_length: int,
        sink: Callable[[Event], None],
        arrival: int,
    ) -> None:
        self.request, self.chain, self.seed, self.sink = request, chain, seed, sink
        self.order = (request.priority, arrival)
        self.history = History(request.prompt, [])
        self.tokens = list(request.prompt)
        """Prompt and output."""
        self.blocks: list[int] = []
        self.slot: int | None = None
        """Of its states, while it runs."""
        self.cross: Any = None
        """What its rows cross-attend to, while it runs: `CrossKeys`."""
        self.place: Any = None
        """What a draft model has computed of it, while it runs: `DraftPlace`."""
        self.frozen: Frozen | None = frozen_of(request)
        """What it keeps of a mixture of adapters."""
        self.snapshot: bytes | None = None
        """The digest of the snapshot of its states that the next one replaces."""
        self.followers: list[Sequence] = []
        """Those that wait for this one's prompt, to go on from there."""
        self.computed = 0
        """Tokens whose keys and values are in the cache."""
        self.suspected = 0
        """Tokens that are computed without company, since a step with them has failed."""
        self.cached = 0
        self.cancelled = False
        self.forced = 0
        """Tokens of the output that were not drawn."""
        self.guessing: Guessing | None = None
        self.drafts: list[int] = []
        """Guessed tokens that the step which runs computes behind those that are pending."""
        self.again = 0
        """Of the next tokens, those that are computed once more: their states were lost."""
        self.undo: tuple[int, int] | None = None
        """While a step with drafts runs, in models with states: the slot that has the states of
        before it, and the tokens that they are of."""
        self.drafted = self.accepted = 0
        """Tokens that were guessed, and those of them that came."""
        self._tail = 0
        """Of these, those since the last that was."""
        self.prompt_logprobs: list[TokenLogprob] = []
        self._prompt_logits: Floats | None = None
        self._owed: deque[tuple[int, str, BytesOf]] = deque()
        """The last tokens, forced ones, their text, and what tokens stand for at their place: told
        when their logits are there."""
        self._reason: FinishReason | None = None
        """Why it ends once they are."""
        self._digests: list[bytes] = []
        limit = request.params.max_tokens
        room = context_length - len(request.prompt)
        self.budget = room if limit is None else min(limit, room)
        self._limited_by_context = limit is None or limit > room
        self._tokenizer = tokenizer
        self._detokenizer = detokenizer_for(request, tokenizer)
        self._stops = StopMatcher(request.params.stops)
        self._ends = set(request.params.stop_token_ids)
        if not request.params.ignore_eos:
            self._ends |= tokenizer.eos_ids
        self._text: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._submitted = self._queued = time.perf_counter()
        self._started: float | None = None
        self._first_token = 0.0

    @property
    def length(self) -> int:
        return len(self.tokens)

    @property
    def whole(self) -> int:
        """Full blocks before the last token, which is always computed: its logits are wanted."""
        return (len(self.tokens) - 1) // BLOCK_SIZE

    @property
    def pending(self) -> int:
        """Tokens that are still to be put through the model: one when decoding, and forced ones."""
        return len(self.tokens) - self.computed

    @property
    def decoding(self) -> bool:
        """Whether one token is pending, and no others but those forced after it, and those that are
        computed once more."""
        return self.pending - 1 <= self._tail + self.again

    @property
    def owing(self) -> bool:
        """Whether forced tokens wait for their logits."""
        return bool(self._owed)

    @property
    def draws(self) -> bool:
        """Whether a token is drawn once all that is pending is computed."""
        return self._reason is None

    def ends_in(self, count: int) -> bool:
        """Whether all that is pending is among the next `count` rows, drafts included."""
        return count == self.pending + len(self.drafts)

    def awaited(self, count: int) -> range:
        """Which of the next `count` tokens, as offsets, precede one that is owed or drawn."""
        return range(max(0, self.pending - 1 - len(self._owed)), count)

    def media_of(self, count: int) -> list[MediaItem]:
        """The items that the next `count` rows are of."""
        media = self.request.media
        return [] if media is None else media.items(self.computed, count)

    @property
    def sight(self) -> Sight | None:
        """What the next row cross-attends to."""
        media = self.request.media
        return None if media is None else media.sight(self.computed)

    @property
    def watched(self) -> bool:
        """Whether it is only computed to be seen: all of it, and for no one else."""
        return isinstance(self.request.adapters, Watch)

    def decide(self, decided: Decided) -> None:
        """Its prompt has decided what the model is changed by. Before it runs."""
        self.request = replace(self.request, adapters=decided.changes)
        self._queued = time.perf_counter()

    @property
    def may_share(self) -> bool:
        """Whether cached keys and values will do: not where every row's logits are needed."""
        whole = self.scores or self.request.hidden is not None
        return not whole and self.request.resume is None and not self.watched

    @property
    def scores(self) -> bool:
        """Whether the logits of every prompt token are needed."""
        return self.request.score_prompt or self.request.prompt_logits

    @property
    def started(self) -> bool:
        return self._started is not None

    @property
    def waited(self) -> float:
        """Seconds since it was submitted, or since its adapters were decided."""
        return time.perf_counter() - self._queued

    def digests(self, count: int) -> list[bytes]:
        """What the first `count` blocks, all full, are known by."""
        while len(self._digests) < count:
            first = len(self._digests) * BLOCK_SIZE
            before = (
                self._digests[-1] if self._digests else root(self.request.cache_salt, self.adapters)
            )
            media = self.request.media
            told = b"" if media is None else media.told(first, BLOCK_SIZE)
            if self.frozen is not None and first + BLOCK_SIZE > self.frozen.token:
                told += self.frozen.salt
            self._digests.append(chained(before, self.tokens[first : first + BLOCK_SIZE], told))
        return self._digests[:count]

    @property
    def adapters(self) -> bytes:
        """The digest of its adapters; empty without."""
        applied = self.request.adapters
        return b"" if applied is None else applied.digest

    def resumes(self, earlier: Snapshot) -> bool:
        """Whether what an earlier request left will do."""
        mixed = isinstance(self.request.adapters, Mixture)  # of which it has but one of two passes
        return not self.scores and not mixed and earlier.adapters == self.adapters

    def copied(self, cache: KVCache) -> Snapshot:
        """A copy of what is computed, up to the first row that is no token's."""
        media = self.request.media
        slot, computed = self.undo or (self.slot or 0, self.computed)
        tokens = self.tokens[:computed]
        if media is not None and media.runs:  # states cannot go back to there
            tokens = tokens[: 0 if cache.states else media.first]
        whole = self.digests(len(tokens) // BLOCK_SIZE) if cache.states else ()
        return Snapshot.take(cache, self.blocks, tokens, slot, whole, self.adapters)

    def start(self) -> None:
        """It runs; for the first time, or again."""
        if self._started is None:
            self._started = time.perf_counter()

    def score(self, first: int, logits: Floats) -> None:
        """Note the logits of the prompt's tokens, and how likely those tokens were, from rows (n,
        vocabulary) of tokens `first` and on. Rows that were seen before are passed over."""
        if self.request.prompt_logits:
            count = len(self.request.prompt)
            if self._prompt_logits is None:
                self._prompt_logits = np.empty((count, logits.shape[1]), np.float32)
            self._prompt_logits[first : first + len(logits)] = logits[: max(0, count - first)]
        if not self.request.score_prompt:
            return
        for row, position in zip(logits, range(first, first + len(logits)), strict=True):
            if position == len(self.prompt_logprobs) and position + 1 < len(self.request.prompt):
                token = self.request.prompt[position + 1]
                self.prompt_logprobs.append(self._logprob(row, token, self._tokenizer.token_bytes))

    def accept(self, logits: Floats) -> FinishReason | None:
        """Tell the tokens that were owed, draw the next, take those that it forces.

        logits: as `awaited`, the last row for the token to draw. Returns why the request ends.
        """
        if self._owed:
            self.tell(logits[:-1])
        if self._reason is not None:
            return self._reason
        row, forces = logits[-1], self.chain.forces
        # before anything is drawn: the text may begin with them
        if forces and not self.history.output and self._take_forced(row):
            return None if self._owed else self._reason
        self._take(self._drawn(row), row)
        if forces:
            self._take_forced(None)
        return None if self._owed else self._reason

    def _drawn(self, row: Floats) -> int:
        """The next token. Raises RequestError, which names the adapters that may be why."""
        adapters = self.request.adapters
        if adapters is None:
            return self.chain.draw(row, self.history)
        if not self.history.output and row.min() == row.max():  # sums that overflowed in a norm
            raise RequestError(blamed(adapters.names, "all logits are equal"))
        try:
            return self.chain.draw(row, self.history)
        except NoDistribution as error:
            raise RequestError(blamed(adapters.names, "some logits are not finite")) from error

    def tell(self, rows: Floats) -> None:
        """Send the tokens that were owed, as far as their logits are here."""
        for row in rows:
            token, visible, bytes_of = self._owed.popleft()
            self._send(token, visible, self._logprob(row, token, bytes_of))

    def _take_forced(self, row: Floats | None) -> bool:
        """Whether there were any; row: the logits of the first, where they are known already."""
        self._tail = 0
        while self._reason is None and (tokens := self.chain.forced(self.history)):
            for token in tokens:
                if self._reason is not None or not self.chain.force(token, self.history):
                    return self._tail > 0
                self._take(token, row)
                self._tail += 1
                self.forced += 1
                row = None
        return self._tail > 0

    def _take(self, token: int, row: Floats | None) -> None:
        """One token more; without its logits it is told later if its probability is asked for."""
        if not self.history.output:
            self._first_token = time.perf_counter()
        self.history.output.append(token)
        self.tokens.append(token)
        visible, bytes_of = "", self._detokenizer.bytes_here
        if token in self._ends:
            self._reason = "stop"
        else:
            visible, self._stop = self._stops.push(self._detokenizer.add(token))
            if self._stop is not None:
                self._reason = "stop"
            elif len(self.history.output) >= self.budget:
                self._reason = "context" if self._limited_by_context else "length"
        if not self.request.params.logprobs:
            self._send(token, visible, None)
        elif row is None:
            self._owed.append((token, visible, bytes_of))
        else:
            self._send(token, visible, self._logprob(row, token, bytes_of))

    _stop: str | None = None

    def _send(self, token: int, visible: str, logprob: TokenLogprob | None) -> None:
        self._text.append(visible)
        if logprob is not None:
            self._logprobs.append(logprob)
        self.sink(Token(self.request.id, token, visible, logprob))

    def finish(
        self,
        reason: FinishReason,
        snapshot: Snapshot | None = None,
        error: str | None = None,
        *,
        busy: bool = False,
        lost: bool = False,
        refused: bool = False,
    ) -> RequestResult:
        """Send the last event."""
        held = ""
        while self._owed:  # it ends early, and what they were is known
            token, visible, _ = self._owed.popleft()
            self._send(token, visible, None)
        if self._stop is None:
            visible, stop = self._stops.push(self._detokenizer.finish())
            held = visible
            if stop is None:
                held += self._stops.flush()
            else:
                self._stop = stop
        self._text.append(held)
        now = time.perf_counter()
        first = self._first_token or now
        started = self._started or now
        media = self.request.media
        result = RequestResult(
            id=self.request.id,
            text="".join(self._text),
            token_ids=tuple(self.history.output),
            finish_reason=reason,
            usage=Usage(
                len(self.request.prompt),
                len(self.history.output),
                self.cached,
                self.forced,
                drafted_tokens=self.drafted,
                accepted_tokens=self.accepted,
                **{f"{kind}_tokens": media.count(kind) for kind in KINDS if media is not None},
            ),
            timings=Timings(
                first_token=first - self._submitted,
                prompt=first - started,
                decode=now - first,
                queued=started - self._submitted,
            ),
            seed=self.seed,
            stop=self._stop,
            logprobs=tuple(self._logprobs) if self.request.params.logprobs else None,
            prompt_logprobs=tuple(self.prompt_logprobs) if self.request.score_prompt else None,
            prompt_logits=self._prompt_logits if reason != "error" else None,
            snapshot=snapshot,
            error=error,
            busy=busy,
            lost=lost,
            refused=refused,
        )
        self.sink(Finished(self.request.id, held, result))
        return result

    def _logprob(self, logits: Floats, token: int, bytes_of: BytesOf) -> TokenLogprob:
        return token_logprob(logits, token, self.request.params.top_logprobs, bytes_of)
