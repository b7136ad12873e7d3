"""Another file of the same model, run by Tramontane itself: a GGUF file beside its folder, or the
other way round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tramontane.registry import Registry

from .ours import Ours
from .reference import Theirs
from .words import words_of


@dataclass(frozen=True)
class OurOther:
    """A model at a path."""

    path: Path
    registry: Registry
    one_file: bool = False

    @property
    def name(self) -> str:
        return f"{self.path.name} in Tramontane"

    def run(
        self, prompts: Sequence[Sequence[int]], texts: Sequence[str], parts: int, *, force: bool
    ) -> Theirs:
        """Raises CheckpointError, NotEnoughMemory."""
        words = words_of(self.path, self.registry, texts)
        ours = Ours(self.path, self.registry, max(map(len, prompts)), force=force)
        seen = [ours.run(p, parts=place == parts) for place, p in enumerate(prompts)]
        return Theirs(seen, words, ours.weights())
