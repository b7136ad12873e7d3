"""Grammars made ready for a vocabulary, kept from request to request within bounds."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict

from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
from tramontane.errors import RequestError
from tramontane.grammar import LONGEST, Grammar
from tramontane.sampling import SamplerContext

from .schema import plain_inside, schema_source

KEPT = 64
"""Grammars that are kept."""
KEPT_CHARACTERS = 4 << 20
"""Their sources' characters together; what is compiled grows with them."""
LIMITS = LLParserLimits(
    initial_lexer_fuel=2_000_000, max_grammar_size=500_000, max_lexer_states=50_000,
    verbose_errors=False,
)  # fmt: skip
"""What compiling and one mask may cost: some tens of milliseconds, and at most 100 MB."""


class Compiled:
    """Of one model: its vocabulary as llguidance has it, and the grammars of late."""

    def __init__(self, context: SamplerContext) -> None:
        self.tokenizer = _tokenizer(context)
        self._kept: OrderedDict[str, LLMatcher] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def matcher(self, grammar: Grammar) -> LLMatcher:
        """At the start of the grammar, for one request alone. Raises RequestError."""
        key = json.dumps([grammar.type, grammar.value])
        if len(key) > LONGEST:
            raise RequestError(f"a grammar of {len(key)} characters; the most is {LONGEST}")
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found.deep_copy()
        made = LLMatcher(self.tokenizer, source(grammar), log_level=0, limits=LIMITS)
        if made.is_error():
            raise RequestError(f"the {grammar.type} grammar: {first_line(made.get_error())}")
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._size += len(key)
            while len(self._kept) > KEPT or self._size > KEPT_CHARACTERS:
                self._size -= len(self._kept.popitem(last=False)[0])
        return made.deep_copy()


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


def source(grammar: Grammar) -> str:
    """A grammar in llguidance's own form. Raises RequestError for what it cannot enforce."""
    value = grammar.value
    if grammar.type == "json_object":
        return schema_source({"type": "object"})
    if grammar.type == "json_schema":
        return schema_source(value)
    text = value if isinstance(value, str) else json.dumps(value)
    if grammar.type == "regex":
        text = LLMatcher.grammar_from_regex(text)
    elif grammar.type == "lark":
        text = LLMatcher.grammar_from_lark(plain_inside(text))
    if said := LLMatcher.validate_grammar(text, limits=LIMITS):
        raise RequestError(f"the {grammar.type} grammar: {first_line(said)}")
    return text


def first_line(said: str) -> str:
    """An error of the library's in one line of bounded length."""
    line = " ".join(said.split())
    return line if len(line) <= 300 else f"{line[:297]}..."


def _tokenizer(context: SamplerContext) -> LLTokenizer:
    ends = sorted(context.eos_ids)
    special = sorted(context.special_ids | context.eos_ids)
    words = [context.token_bytes(index) for index in range(context.vocab_size)]

    class Vocabulary:
        """The attributes are what llguidance reads."""

        eos_token_id = ends[0]
        bos_token_id = None
        tokens = words
        special_token_ids = special

        def __call__(self, text: str) -> list[int]:
            return context.encode(text if isinstance(text, str) else bytes(text).decode())

    return LLTokenizer(TokenizerWrapper(Vocabulary()), eos_token=ends)
