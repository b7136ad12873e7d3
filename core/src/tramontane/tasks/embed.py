"""The task "embed": vectors of texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tramontane.errors import RequestError
from tramontane.option_checks import FLAG, a_text, check_options, function, instance, one_of, whole

from .face import Awaiting, Waiting
from .finite import require_finite
from .pooling import POOLING
from .queue import Progress, Work
from .waiting import run, run_async

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Text: TypeAlias = str | Sequence[int]
"""A text, or its token ids."""
CHECKS = {
    "prompt_name": a_text("the name of a prompt of the model", none=True),
    "prompt": instance(str, what="a text put before each", none=True),
    "dimensions": whole(none=True),
    "normalize": FLAG,
    "truncate": FLAG,
    "pooling": one_of(*POOLING),
    "progress": function("a function of a Progress", none=True),
}
MOST_TEXTS = 1 << 20


@dataclass(frozen=True, kw_only=True)
class EmbedOptions:
    """How vectors are made. Raises RequestError for values that cannot be."""

    prompt_name: str | None = None
    """Which of the model's prompts is put before each text ("query"); None: its default."""
    prompt: str | None = None
    """A text put before each instead of one of the model's."""
    dimensions: int | None = None
    """The first so many numbers of each vector, of length 1 again where the model's vectors have
    it; None: all, or as many as the model says."""
    normalize: bool = False
    """Whether vectors are made of length 1 where the model does not do it."""
    truncate: bool = False
    """Whether texts that are too long are cut; otherwise they are refused."""
    pooling: str = "auto"
    """How the vectors of tokens become one; auto: as the model says, or mean."""

    def __post_init__(self) -> None:
        check_options(vars(self), CHECKS)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """vectors: (texts, dimensions) float32. tokens: of each text, its prompt included. Raises
    RequestError for numbers that are not finite."""

    vectors: npt.NDArray[np.float32]
    tokens: tuple[int, ...]

    def __post_init__(self) -> None:
        for index, vector in enumerate(self.vectors):
            # a NaN passes through both
            require_finite((vector.min(), vector.max()), f"the vector of texts[{index}]")

    @property
    def total_tokens(self) -> int:
        return sum(self.tokens)


class Embeds(Protocol):
    """What does the task: an object that an architecture's `tasks["embed"]` returns."""

    @property
    def dimensions(self) -> int:
        """Numbers of a vector."""

    @property
    def max_tokens(self) -> int:
        """Tokens of a text, at most."""

    @property
    def prompts(self) -> Mapping[str, str]:
        """The model's prompts by their names."""

    def embed(self, texts: Sequence[Text], options: EmbedOptions) -> Work:
        """A piece of work that returns `Embeddings`. Bad input is refused at this call already:
        raises RequestError. The bits of a vector depend on its text and the options alone."""


def checked(texts: Any) -> list[Text]:
    """Texts, or their token ids. Raises RequestError."""
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Sequence):
        raise RequestError(f"texts should be a list of texts or of token ids, not {texts!r:.60}")
    if len(texts) > MOST_TEXTS:
        raise RequestError(f"{len(texts)} texts are more than {MOST_TEXTS} at once")
    for index, each in enumerate(texts):
        whole_numbers = isinstance(each, Sequence) and all(
            isinstance(token, int) and not isinstance(token, bool) for token in each
        )
        if not isinstance(each, str) and not whole_numbers:
            raise RequestError(
                f"texts[{index}] should be a text or a list of token ids, not {each!r:.60}"
            )
    return list(texts)


class Embedder(Waiting):
    """A model that makes vectors of texts. A context manager, thread-safe."""

    task = "embed"
    runner: Embeds

    @property
    def dimensions(self) -> int:
        """Numbers of a vector."""
        return self.runner.dimensions

    @property
    def max_tokens(self) -> int:
        """Tokens of a text, at most."""
        return self.runner.max_tokens

    @property
    def prompts(self) -> Mapping[str, str]:
        """The model's prompts by their names."""
        return self.runner.prompts

    def embed(
        self,
        texts: Sequence[Text] | str,
        *,
        progress: Callable[[Progress], None] | None = None,
        **options: Any,
    ) -> npt.NDArray[np.float32]:
        """Vectors of texts, (texts, dimensions) float32; of one text, (dimensions).

        texts: a text, or a list of texts or of lists of token ids. options: see `EmbedOptions`.
        Raises RequestError for a text that is empty or too long, EngineBusy.
        """
        one = isinstance(texts, str)
        found = self.embeddings([texts] if one else texts, progress=progress, **options)  # type: ignore[list-item]
        return found.vectors[0] if one else found.vectors

    def embeddings(
        self,
        texts: Sequence[Text],
        *,
        progress: Callable[[Progress], None] | None = None,
        **options: Any,
    ) -> Embeddings:
        """The same with the numbers of tokens."""
        work = self.runner.embed(checked(texts), EmbedOptions(**options))
        found: Embeddings = run(self.queue, work, progress)
        return found


class AsyncEmbedder(Awaiting):
    """The same for asyncio."""

    task = "embed"
    runner: Embeds

    @property
    def dimensions(self) -> int:
        """Numbers of a vector."""
        return self.runner.dimensions

    async def embed(
        self,
        texts: Sequence[Text] | str,
        *,
        progress: Callable[[Progress], None] | None = None,
        **options: Any,
    ) -> npt.NDArray[np.float32]:
        """As `Embedder.embed`."""
        one = isinstance(texts, str)
        found = await self.embeddings([texts] if one else texts, progress=progress, **options)  # type: ignore[list-item]
        return found.vectors[0] if one else found.vectors

    async def embeddings(
        self,
        texts: Sequence[Text],
        *,
        progress: Callable[[Progress], None] | None = None,
        **options: Any,
    ) -> Embeddings:
        """As `Embedder.embeddings`."""
        import asyncio

        made = EmbedOptions(**options)
        work = await asyncio.to_thread(self.runner.embed, checked(texts), made)
        found: Embeddings = await run_async(self.queue, work, progress)
        return found
