"""Grammars made ready for a vocabulary, kept from request to request within bounds."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

from llguidance import LLMatcher, LLParserLimits
from tramontane.errors import RequestError
from tramontane.grammar import LONGEST, Grammar
from tramontane.sampling import SamplerContext

from .gbnf import lark_of
from .schema import Follows, plain_inside, schema_source
from .sentences import cannot_write, check_writable, walk
from .trouble import first_line, no_panic
from .vocabulary import Vocabulary

KEPT = 64
"""Grammars that are kept."""
KEPT_CHARACTERS = 4 << 20
"""Their sources' characters together; what is compiled grows with them."""
LIMITS = LLParserLimits(
    initial_lexer_fuel=2_000_000, max_grammar_size=500_000, max_lexer_states=50_000,
    verbose_errors=False,
)  # fmt: skip
"""What compiling and one mask may cost: some tens of milliseconds, and at most 100 MB."""


@dataclass(frozen=True)
class Entry:
    """A grammar made ready.

    spaced: the same after spaces that are no part of the text, where answers may begin with them.
    """

    source: str
    matcher: LLMatcher
    spaced: LLMatcher | None

    def copy(self) -> Entry:
        """For one request alone: matchers move on."""
        spaced = None if self.spaced is None else self.spaced.deep_copy()
        return replace(self, matcher=self.matcher.deep_copy(), spaced=spaced)


class Compiled:
    """Of one model: its vocabulary as llguidance has it, and the grammars of late."""

    def __init__(self, context: SamplerContext) -> None:
        self.vocabulary = Vocabulary(context)
        self.tokenizer = self.vocabulary.tokenizer
        self._kept: OrderedDict[str, Entry] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def entry(self, grammar: Grammar) -> Entry:
        """At the start of the grammar, for one request alone. Raises RequestError."""
        begins = self.vocabulary.leading > 0 and not grammar.after
        key = json.dumps([grammar.type, grammar.value, begins])
        if len(key) > LONGEST:
            raise RequestError(f"a grammar of {len(key)} characters; the most is {LONGEST}")
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found.copy()
        with no_panic(f"the {grammar.type} grammar"):
            made = self._made(grammar, begins)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._size += len(key)
            while len(self._kept) > KEPT or self._size > KEPT_CHARACTERS:
                self._size -= len(self._kept.popitem(last=False)[0])
        return made.copy()

    def cannot_write(self, source: str, before: bytes) -> RequestError:
        """The error for what the vocabulary lacks after a text."""
        return cannot_write(source, before, self.vocabulary, LIMITS)

    def _made(self, grammar: Grammar, begins: bool) -> Entry:
        text = source(grammar, self._follows)
        matcher = LLMatcher(self.tokenizer, text, log_level=0, limits=LIMITS)
        if matcher.is_error():
            raise RequestError(f"the {grammar.type} grammar: {first_line(matcher.get_error())}")
        spaced = None
        if begins:
            behind = after_spaces(text, self.vocabulary.leading)
            spaced = LLMatcher(self.tokenizer, behind, log_level=0, limits=LIMITS)
            if spaced.is_error():
                raise RequestError(f"the {grammar.type} grammar: {first_line(spaced.get_error())}")
        if self.vocabulary.lacks:
            starts = [matcher] if spaced is None else [matcher, spaced]
            check_writable(text, starts, self.vocabulary, LIMITS)
        return Entry(text, matcher, spaced)

    def _follows(self, schema: Any) -> str:
        """What is wrong with following a schema of a text; nothing where it can be done."""
        text = LLMatcher.grammar_from_json_schema(json.dumps(schema))
        matcher = LLMatcher(self.tokenizer, text, log_level=0, limits=LIMITS)
        return walk(matcher, self.vocabulary)


class Vocabularies:
    """Keeps the one of a model, and lets those wait that ask while it is made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: Compiled | None = None

    def of(self, context: SamplerContext) -> Compiled:
        """Made when it is first asked for."""
        with self._lock:
            if self._made is None:
                self._made = Compiled(context)
            return self._made


def compiled_of(context: SamplerContext) -> Compiled:
    """What the context's model has."""
    found: Vocabularies = context.kept.setdefault("grammar", Vocabularies())
    return found.of(context)


def source(grammar: Grammar, follows: Follows | None = None) -> str:
    """A grammar in llguidance's own form. Raises RequestError for what it cannot enforce.

    follows: says what is wrong with following a part of a schema, if anything is.
    """
    value = grammar.value
    if grammar.type == "json_object":
        return schema_source({"type": "object"})
    if grammar.type == "json_schema":
        return schema_source(value, follows)
    text = value if isinstance(value, str) else json.dumps(value)
    if grammar.type == "regex":
        text = LLMatcher.grammar_from_regex(text)
    elif grammar.type == "gbnf":
        text = LLMatcher.grammar_from_lark(lark_of(text))
    elif grammar.type == "lark":
        text = LLMatcher.grammar_from_lark(plain_inside(text, follows))
    if said := LLMatcher.validate_grammar(text, limits=LIMITS):
        raise RequestError(f"the {grammar.type} grammar: {first_line(said)}")
    return text


def after_spaces(text: str, count: int) -> str:
    """A grammar of the same sentences, each after so many spaces."""
    try:
        parts = json.loads(text)["grammars"]
    except ValueError:
        parts = [{"lark_grammar": text}]
    first = {**parts[0], "name": parts[0].get("name") or "sentence"}
    spaced = {"lark_grammar": f'start: "{" " * count}" @{first["name"]}'}
    return json.dumps({"grammars": [spaced, first, *parts[1:]]})
