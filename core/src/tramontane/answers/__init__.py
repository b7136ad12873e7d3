"""Reading what a model says: plain text, reasoning and tool calls, as it comes or whole.

Nothing here imports torch. `Dialect.of` finds how a model writes; its `parser` reads one answer.
"""

from .deltas import Answer, CallArguments, CallEnd, CallStart, Content, Delta, FoundCall, Reasoning
from .dialect import Dialect
from .parser import AnswerParser
from .scan import More, Scan

__all__ = [
    "Answer",
    "AnswerParser",
    "CallArguments",
    "CallEnd",
    "CallStart",
    "Content",
    "Delta",
    "Dialect",
    "FoundCall",
    "More",
    "Reasoning",
    "Scan",
]
