"""From the parameters of a request to the steps that its tokens go through, and the draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tramontane.errors import PluginNotInstalled, RequestError
from tramontane.plugin import Sampler, load
from tramontane.registry import known
from tramontane.sampling_params import RESTING, SamplingParams

from .draw import draw
from .step import Candidates, Floats, Forces, History, Prepares, SamplerContext, Step
from .text import find_sampler, no_option, parse_chain

__all__ = ["ADAPTIVE", "TEMPERATURE", "TRUNCATION", "Chain", "build_chain", "parse_chain"]

# The bands of `Sampler.order`.
TRUNCATION = 100
"""Steps below it bias, forbid or penalize tokens and so bear on greedy decoding too. Steps from
here to TEMPERATURE drop unlikely tokens; greedy decoding skips them and all that follow."""
TEMPERATURE = 200
"""Steps from here to ADAPTIVE change how flat the distribution is."""
ADAPTIVE = 300
"""Steps from here on are exclusive, unless their offer says otherwise: one at most, and no other
that drops."""


class NoDistribution(RequestError):
    """What the model computed are no logits to draw from."""


class Chain:
    """The sampler of one request. `seed` and the logits decide the tokens, and nothing else."""

    def __init__(
        self, steps: Sequence[Step], seed: int, greedy: bool = False, *, forces: bool = True
    ) -> None:
        """forces: whether tokens may be forced."""
        self.steps = tuple(steps)
        self.greedy = greedy
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._ids = np.empty(0, np.int64)
        self.prepares = tuple(step.prepare for step in self.steps if isinstance(step, Prepares))
        """What may be called with the history while the model computes."""
        places = [place for place, step in enumerate(self.steps) if isinstance(step, Forces)]
        self._forcing = places[0] if places and forces else None
        self.forces = self._forcing is not None
        """Whether a step may force tokens."""

    def forced(self, history: History) -> Sequence[int]:
        """Tokens that must follow, one after the other, as a step says."""
        if self._forcing is None:
            return ()
        step = self.steps[self._forcing]
        return step.forced(history) if isinstance(step, Forces) else ()

    def force(self, token: int, history: History) -> bool:
        """Let a forced token through the steps as the only candidate, as if it had been drawn.

        So steps that keep count see it, and it takes its random number. False where a step before
        the one that forces it forbids it.
        """
        place = self._forcing or 0
        if len(self.steps) > 1:
            only = Candidates(np.array([token]), np.zeros(1, np.float32))
            for step in self.steps[:place]:
                only = step(only, history)
                if not _some(only):
                    return False
            for step in self.steps[place + 1 :]:
                only = step(only, history)
                _check_some(only)
        if not self.greedy:
            self._random.random()
        return True

    def draw(self, logits: Floats, history: History) -> int:
        """The next token. Raises RequestError when the logits are no distribution.

        Greedy: the largest logit, of equal ones the lowest id. Otherwise one uniform number per
        token is looked up in the cumulative softmax of what the steps left, by ascending id.
        """
        best = int(logits.argmax())  # of equal ones the first, and a NaN before all others
        most = float(logits[best])
        if not most < math.inf:
            raise NoDistribution(
                f"the model computed {most} among the logits of token {len(history.output)}: "
                "its weights are damaged, or this dtype cannot hold its activations"
            )
        if self.greedy and not self.steps and most > -math.inf:
            return best
        if len(self._ids) != len(logits):
            self._ids = np.arange(len(logits))
        candidates = Candidates(self._ids, logits, whole=True)
        if most == -math.inf:
            raise _nothing_left()
        for step in self.steps:
            candidates = step(candidates, history)
            _check_some(candidates)
        if self.greedy:
            largest = candidates.logits == candidates.logits.max()
            return int(candidates.ids[largest].min())
        return draw(candidates, self._random.random())


def build_chain(
    params: SamplingParams,
    offers: Sequence[Sampler],
    context: SamplerContext,
    *,
    forces: bool = True,
    own: Sequence[Step] = (),
) -> Chain:
    """The chain that a request asks for. own: steps that it brings, which run first.

    Steps that `params.sampler` names run in its order. Those that other fields switch on run by
    their order: each goes before the first step of the text that has a higher one.
    Temperature 0 is greedy, and so is a request that has no temperature and asks for nothing that
    would make sense of a draw, a step at or above TRUNCATION.
    """
    named = _named(params.sampler, offers)
    switched = _switched(params, offers)
    for offer, _ in named:
        if offer.name in switched:
            raise _twice(offer.name, f"in sampler={params.sampler!r}")
    built = [(offer, load(offer.build)(options, context)) for offer, options in named]
    draws = any(offer.order >= TRUNCATION for offer, _ in built)
    greedy = params.temperature == 0
    by_name = {offer.name: offer for offer in offers}
    for name in sorted(switched, key=lambda name: (by_name[name].order, name)):
        offer = by_name[name]
        if greedy and offer.order >= TRUNCATION:
            continue
        step = load(offer.build)(switched[name], context)
        later = (place for place, (other, _) in enumerate(built) if other.order > offer.order)
        built.insert(next(later, len(built)), (offer, step))
        draws |= offer.order >= TRUNCATION and step is not None
    active = [(offer, step) for offer, step in built if step is not None]
    _check_exclusive([offer for offer, _ in active])
    greedy |= params.temperature is None and not draws
    return Chain(
        [*own, *(step for offer, step in active if not greedy or offer.order < TRUNCATION)],
        context.seed,
        greedy,
        forces=forces,
    )


def _some(candidates: Candidates) -> bool:
    return len(candidates.ids) > 0 and bool(candidates.logits.max() > -np.inf)


def _check_some(candidates: Candidates) -> None:
    # before the next step, so that none need ask what the softmax of nothing is
    if not _some(candidates):
        raise _nothing_left()


def _nothing_left() -> RequestError:
    return RequestError("the samplers and masks of this request forbid every token")


def _named(text: str | None, offers: Sequence[Sampler]) -> list[tuple[Sampler, dict[str, Any]]]:
    if text is None:
        return []
    if not offers:
        raise _not_installed(f"sampler={text!r}")
    return parse_chain(text, offers)


def _switched(params: SamplingParams, offers: Sequence[Sampler]) -> dict[str, dict[str, Any]]:
    """By the sampler's name, all options of those that fields of the request or `extra` name."""
    fields: dict[str, dict[str, Any]] = {}
    for field, value in params.sampler_fields().items():
        takers = [offer for offer in offers if field in offer.fields]
        if not takers and not _means_off(field, value):
            raise _not_installed(f"{field}={value!r:.60}", field)
        for offer in takers:
            fields.setdefault(offer.name, _resting(offer))[offer.fields[field]] = value
    extra: dict[str, dict[str, Any]] = {}
    for name, options in params.extra.items():
        offer = find_sampler(name, offers)
        if offer.name in fields or offer.name in extra:
            raise _twice(offer.name, f"in extra[{name!r}]")
        for option in options:
            if option not in offer.options:
                raise no_option(offer, option)
        extra[offer.name] = {**offer.options, **options}
    return {**fields, **extra}


def _resting(offer: Sampler) -> dict[str, Any]:
    """A sampler's options where its request fields are not given: those that change nothing."""
    resting = {option: RESTING[field] for field, option in offer.fields.items() if field in RESTING}
    return {**offer.options, **resting}


def _twice(name: str, place: str) -> RequestError:
    return RequestError(
        f"the sampler {name!r} is set twice, {place} and by a parameter of its own; keep one"
    )


def _means_off(field: str, value: object) -> bool:
    # core draws at temperature 1 and decodes greedily at 0 by itself
    return value == RESTING.get(field) or (field == "temperature" and value == 0)


def _exclusive(offer: Sampler) -> bool:
    return offer.order >= ADAPTIVE if offer.exclusive is None else offer.exclusive


def _check_exclusive(active: Sequence[Sampler]) -> None:
    adaptive = [offer.name for offer in active if _exclusive(offer)]
    dropping = [
        offer.name
        for offer in active
        if TRUNCATION <= offer.order < TEMPERATURE and not _exclusive(offer)
    ]
    if len(adaptive) > 1:
        raise RequestError(f"{' and '.join(adaptive)} exclude each other; keep one")
    if adaptive and dropping:
        raise RequestError(
            f"{adaptive[0]} finds by itself how many tokens to keep, so it cannot be combined "
            f"with {', '.join(dropping)}; keep one or the other"
        )


def _not_installed(said: str, field: str = "") -> PluginNotInstalled:
    if field == "grammar":
        hint = f"to get it: pip install {known('samplers')[field]}"
        return PluginNotInstalled(f"{said} needs a plugin that is not installed", hint=hint)
    return PluginNotInstalled(
        f"{said} needs a sampler that is not installed",
        hint="to get it: pip install tramontane-plugin-samplers (without it: greedy decoding, "
        "temperature=0, and drawing at temperature=1)",
    )
