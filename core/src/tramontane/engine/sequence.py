"""The state of a running request: its tokens, its cache blocks, and its text."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from tramontane.sampling import History
from tramontane.sampling.chain import Chain
from tramontane.sampling.step import Floats
from tramontane.tokenizer.detokenize import Detokenizer
from tramontane.tokenizer.stop import StopMatcher
from tramontane.tokenizer.tokenizer import Tokenizer

from .block_pool import chained, root
from .kv_cache import BLOCK_SIZE
from .logprobs import token_logprob
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

BytesOf: TypeAlias = Callable[[int], bytes]


def detokenizer_for(request: Request, tokenizer: Tokenizer) -> Detokenizer:
    """A detokenizer for a request's output, which may continue the prompt's text. Text described by
    a grammar is a separate text: leading spaces added by the vocabulary are not part of it."""
    skip, grammar = request.params.skip_special_tokens, request.params.grammar
    if grammar is not None and not grammar.after:
        return Detokenizer(tokenizer, skip, within=True, dropped=tokenizer.spelling.leading)
    within = request.continues and not tokenizer.special_ids.issuperset(request.prompt)
    return Detokenizer(tokenizer, skip, within=within)


class Sequence:
    """State of a request between steps. Used by the engine's thread only."""

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
        self.followers: list[Sequence] = []
        """Requests with the same prompt that wait until it is computed, to continue from there."""
        self.computed = 0
        """Tokens whose keys and values are in the cache."""
        self.cached = 0
        self.cancelled = False
        self.forced = 0
        """Output tokens that were forced, not sampled."""
        self._tail = 0
        """Forced tokens since the last sampled one."""
        self.prompt_logprobs: list[TokenLogprob] = []
        self._unsent: deque[tuple[int, str, BytesOf]] = deque()
        """Forced tokens that wait for their logits, because log-probabilities were requested: id,
        text, and a function for the bytes of tokens at that position. Sent when they are known."""
        self._reason: FinishReason | None = None
        """The finish reason, once those are sent."""
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
        self._submitted = time.perf_counter()
        self._started: float | None = None
        self._first_token = 0.0

    @property
    def length(self) -> int:
        return len(self.tokens)

    @property
    def pending(self) -> int:
        """Tokens that the model has still to compute: one when decoding, plus forced ones."""
        return len(self.tokens) - self.computed

    @property
    def decoding(self) -> bool:
        """Whether one token is pending, plus at most those forced after it."""
        return self.pending - 1 <= self._tail

    @property
    def owing(self) -> bool:
        """Whether forced tokens wait for their logits."""
        return bool(self._unsent)

    @property
    def draws(self) -> bool:
        """Whether a token is sampled once all pending tokens are computed."""
        return self._reason is None

    def awaited(self, count: int) -> range:
        """Offsets of the next `count` tokens whose logits are needed, to send or sample a token."""
        return range(max(0, self.pending - 1 - len(self._unsent)), count)

    @property
    def may_share(self) -> bool:
        """Whether the prefix cache may be used: not if the logits of all rows are needed."""
        return not self.request.score_prompt and self.request.resume is None

    @property
    def started(self) -> bool:
        return self._started is not None

    @property
    def waited(self) -> float:
        """Seconds since the request was submitted."""
        return time.perf_counter() - self._submitted

    def digests(self, count: int) -> list[bytes]:
        """Digests of the first `count` blocks, all of them full."""
        while len(self._digests) < count:
            first = len(self._digests) * BLOCK_SIZE
            before = self._digests[-1] if self._digests else root(self.request.cache_salt)
            self._digests.append(chained(before, self.tokens[first : first + BLOCK_SIZE]))
        return self._digests[:count]

    def start(self) -> None:
        """Note that the request runs: for the first time, or again after preemption."""
        if self._started is None:
            self._started = time.perf_counter()

    def score(self, first: int, logits: Floats) -> None:
        """Record log-probabilities of the prompt, from logits (n, vocabulary) of the tokens from
        `first` on. Rows that were recorded before are skipped."""
        for row, position in zip(logits, range(first, first + len(logits)), strict=True):
            if position == len(self.prompt_logprobs) and position + 1 < len(self.request.prompt):
                token = self.request.prompt[position + 1]
                self.prompt_logprobs.append(self._logprob(row, token, self._tokenizer.token_bytes))

    def accept(self, logits: Floats) -> FinishReason | None:
        """Send the forced tokens that waited for logits, sample the next, append those it forces.

        logits: (rows of `awaited`, vocabulary), the last for the token to sample. Returns the
        finish reason, if the request ends.
        """
        if self._unsent:
            self.tell(logits[:-1])
        if self._reason is not None:
            return self._reason
        row, forces = logits[-1], self.chain.forces
        # before the first token is sampled: the text may begin with forced ones
        if forces and not self.history.output and self._take_forced(row):
            return None if self._unsent else self._reason
        self._take(self.chain.draw(row, self.history), row)
        if forces:
            self._take_forced(None)
        return None if self._unsent else self._reason

    def tell(self, rows: Floats) -> None:
        """Send as many of the tokens that wait for logits as there are rows (n, vocabulary)."""
        for row in rows:
            token, visible, bytes_of = self._unsent.popleft()
            self._send(token, visible, self._logprob(row, token, bytes_of))

    def _take_forced(self, row: Floats | None) -> bool:
        """Append forced tokens; returns whether there were any. row: logits of the first, if they
        are known already."""
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
        """Append a token; it is sent later if its log-probability is requested and not known."""
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
            self._unsent.append((token, visible, bytes_of))
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
        refused: bool = False,
    ) -> RequestResult:
        """Send the last event."""
        held = ""
        while self._unsent:  # the request ends before their logits are computed
            token, visible, _ = self._unsent.popleft()
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
        result = RequestResult(
            id=self.request.id,
            text="".join(self._text),
            token_ids=tuple(self.history.output),
            finish_reason=reason,
            usage=Usage(
                len(self.request.prompt), len(self.history.output), self.cached, self.forced
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
            snapshot=snapshot,
            error=error,
            busy=busy,
            refused=refused,
        )
        self.sink(Finished(self.request.id, held, result))
        return result

    def _logprob(self, logits: Floats, token: int, bytes_of: BytesOf) -> TokenLogprob:
        return token_logprob(logits, token, self.request.params.top_logprobs, bytes_of)
