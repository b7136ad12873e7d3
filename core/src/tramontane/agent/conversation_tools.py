"""The toolsets of one conversation with a model, and what is asked for before their calls run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tramontane.chat.toolbox import Function, Toolbox

from .approvals import Approvals, Ask, Policy
from .toolsets import Toolsets

if TYPE_CHECKING:
    from tramontane.llm import LLM

TIMEOUT = 60.0
"""Seconds for a call."""
LONGEST = 16_000
"""Characters of a result that the model is given."""


class ConversationTools:
    """Opened at once; `close` ends them. llm: whose tools of MCP servers are added. names, options,
    folder: as `Toolsets` has them. name: the conversation's; None: nobody comes back to it. own:
    further tools, before the others.

    Raises PluginError, UsageError, RequestError.
    """

    def __init__(
        self,
        llm: LLM,
        names: Sequence[str],
        options: Iterable[str] | Mapping[str, Any],
        policy: Policy,
        *,
        name: str | None,
        own: Sequence[Any] = (),
        folder: Path | None = None,
        timeout: float = TIMEOUT,
        longest: int = LONGEST,
    ) -> None:
        self._llm, self._policy, self._own = llm, policy, own
        self._timeout, self._longest = timeout, longest
        self._remembered: set[str] = set()
        self._toolsets = Toolsets(
            names, options, registry=llm.inner.registry, folder=folder, timeout=timeout
        )
        self._name = name or self._toolsets.passing()
        try:
            self._opened()
        except BaseException:
            self.close()
            raise

    @property
    def folder(self) -> Path:
        """Of the conversation's files."""
        return self._toolsets.folder_of(self._name)

    def toolbox(self, ask: Ask | None) -> Toolbox:
        """The tools of the next answer. ask: called for what is to be asked for; None: refused."""
        tools = self._llm.tools([*self._own, *self._opened()])
        risks = {one.tool.name: one.risk for one in tools if isinstance(one, Function)}
        approve = Approvals(self._policy, risks, ask, self._remembered)
        return Toolbox(tools, approve=approve, timeout=self._timeout, longest=self._longest)

    def close(self) -> None:
        """Close the tools. The model stays open."""
        self._toolsets.close()

    def _opened(self) -> Sequence[Function]:
        return self._toolsets.functions(self._name, self._llm.inner.processors)
