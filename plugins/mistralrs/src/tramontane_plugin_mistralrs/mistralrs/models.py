"""The model of a `Runner`: its names, and whether it is loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tramontane.errors import RequestError

WHAT = {
    "text": "writes text", "embed": "makes vectors", "image": "makes images", "speech": "speaks"
}  # fmt: skip


class Models:
    """One model, which can be unloaded and loaded again."""

    def __init__(self, name: str, task: str, load: Callable[[], Any]) -> None:
        self.task = task
        self._name, self._load = name, load
        self._lock = threading.Lock()
        self._removed = False
        self._model: Any = load()

    def model(self, task: str, model_id: str | None = None) -> Any:
        """The loaded model. Raises RequestError for another name or another kind of work."""
        self._known(model_id)
        if task != self.task:
            raise RequestError(f"the model {self._name} {WHAT[self.task]}: it does nothing else")
        with self._lock:
            if self._model is None:
                self._model = self._load()
            return self._model

    def name_for(self, asked: str | None) -> str:
        """What an answer calls the model: as it was asked for, or its own name."""
        return self._name if asked in (None, "", "default") else str(asked)

    def list_models(self) -> list[str]:
        """Its name."""
        return [] if self._removed else [self._name]

    def get_default_model_id(self) -> str | None:
        """Its name."""
        return None if self._removed else self._name

    def set_default_model_id(self, model_id: str) -> None:
        """There is one; another name is refused."""
        self._known(model_id)

    def is_model_loaded(self, model_id: str) -> bool:
        """Whether it is in memory."""
        self._known(model_id)
        return self._model is not None

    def unload_model(self, model_id: str) -> None:
        """Free its memory; the next request loads it again."""
        self._known(model_id)
        with self._lock:
            if self._model is not None:
                self._model.close()
                self._model = None

    def reload_model(self, model_id: str) -> None:
        """Load it again."""
        self.model(self.task, model_id)

    def remove_model(self, model_id: str) -> None:
        """Free its memory for good."""
        self.unload_model(model_id)
        self._removed = True

    def list_models_with_status(self) -> list[tuple[str, str]]:
        """Its name, and loaded or unloaded."""
        return [(name, self.get_model_status(name) or "") for name in self.list_models()]

    def list_unloaded_models(self) -> list[str]:
        """Its name, if it is not in memory."""
        return [] if self._model is not None else self.list_models()

    def get_model_status(self, model_id: str) -> str | None:
        """loaded or unloaded."""
        self._known(model_id)
        return "loaded" if self._model is not None else "unloaded"

    def _known(self, model_id: str | None) -> None:
        if self._removed:
            raise RequestError(f"the model {self._name} was removed: make another Runner")
        if model_id not in (None, "", "default", self._name):
            raise RequestError(f"there is no model {model_id!r}; there is {self._name}")
