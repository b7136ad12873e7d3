"""One request while it runs: its tokens, its blocks, and the text that it has become."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from tramontane.sampling import History
from tramontane.sampling.chain import Chain
from tramontane.sampling.step import Floats
from tramontane.tokenizer.detokenize import Detokenizer
from tramontane.tokenizer.stop import StopMatcher
from tramontane.tokenizer.tokenizer import Tokenizer

from .block_pool import chained, root
from .kv_cache import BLOCK_SIZE
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
        self.followers: list[Sequence] = []
        """Those that wait for this one's prompt, to go on from there."""
        self.computed = 0
        """Tokens whose keys and values are in the cache."""
        self.cached = 0
        self.cancelled = False
        self.prompt_logprobs: list[TokenLogprob] = []
        self._digests: list[bytes] = []
        limit = request.params.max_tokens
        room = context_length - len(request.prompt)
        self.budget = room if limit is None else min(limit, room)
        self._limited_by_context = limit is None or limit > room
        self._tokenizer = tokenizer
        self._detokenizer = Detokenizer(tokenizer, request.params.skip_special_tokens)
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
        """Tokens that are still to be put through the model: one when decoding."""
        return len(self.tokens) - self.computed

    @property
    def may_share(self) -> bool:
        """Whether what others computed will do: not where every row's logits are wanted."""
        return not self.request.score_prompt and self.request.resume is None

    @property
    def started(self) -> bool:
        return self._started is not None

    @property
    def waited(self) -> float:
        """Seconds since it was submitted."""
        return time.perf_counter() - self._submitted

    def digests(self, count: int) -> list[bytes]:
        """What the first `count` blocks, all full, are known by."""
        while len(self._digests) < count:
            first = len(self._digests) * BLOCK_SIZE
            before = self._digests[-1] if self._digests else root(self.request.cache_salt)
            self._digests.append(chained(before, self.tokens[first : first + BLOCK_SIZE]))
        return self._digests[:count]

    def start(self) -> None:
        """It runs; for the first time, or again."""
        if self._started is None:
            self._started = time.perf_counter()

    def score(self, first: int, logits: Floats) -> None:
        """Note how likely the prompt's tokens were, from rows (n, vocabulary) of tokens `first`
        and on. Rows that were seen before are passed over."""
        for row, position in zip(logits, range(first, first + len(logits)), strict=True):
            if position == len(self.prompt_logprobs) and position + 1 < len(self.request.prompt):
                self.prompt_logprobs.append(self._logprob(row, self.request.prompt[position + 1]))

    def accept(self, logits: Floats) -> FinishReason | None:
        """Draw the next token and send its text. Returns why the request ends, if it does."""
        token = self.chain.draw(logits, self.history)
        now = time.perf_counter()
        if not self.history.output:
            self._first_token = now
        self.history.output.append(token)
        self.tokens.append(token)
        logprob = self._logprob(logits, token) if self.request.params.logprobs else None
        if logprob is not None:
            self._logprobs.append(logprob)
        if token in self._ends:
            return self._ended("stop", token, "", logprob)
        visible, stop = self._stops.push(self._detokenizer.add(token))
        if stop is not None:
            self._stop = stop
            return self._ended("stop", token, visible, logprob)
        self._send(token, visible, logprob)
        if len(self.history.output) >= self.budget:
            return "context" if self._limited_by_context else "length"
        return None

    _stop: str | None = None

    def _ended(
        self, reason: FinishReason, token: int, visible: str, logprob: TokenLogprob | None
    ) -> FinishReason:
        self._send(token, visible, logprob)
        return reason

    def _send(self, token: int, visible: str, logprob: TokenLogprob | None) -> None:
        self._text.append(visible)
        self.sink(Token(self.request.id, token, visible, logprob))

    def finish(
        self,
        reason: FinishReason,
        snapshot: Snapshot | None = None,
        error: str | None = None,
        *,
        busy: bool = False,
    ) -> RequestResult:
        """Send the last event."""
        held = ""
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
            usage=Usage(len(self.request.prompt), len(self.history.output), self.cached),
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
        )
        self.sink(Finished(self.request.id, held, result))
        return result

    def _logprob(self, logits: Floats, token: int) -> TokenLogprob:
        normal = log_normalizer(logits)
        count = self.request.params.top_logprobs
        best: list[int] = []
        if count:
            likely = np.argpartition(-logits, min(count, len(logits) - 1))[:count]
            best = sorted(likely.tolist(), key=lambda i: (-float(logits[i]), i))
        piece = self._tokenizer.decode
        return TokenLogprob(
            token,
            piece([token], skip_special=False),
            float(logits[token]) - normal,
            tuple((i, piece([i], skip_special=False), float(logits[i]) - normal) for i in best),
        )


def log_normalizer(logits: Floats) -> float:
    """log of the sum of exp(logits), in float64."""
    most = float(logits.max())
    return most + math.log(float(np.exp(logits.astype(np.float64) - most).sum()))
