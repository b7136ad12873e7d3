"""GBNF: which texts llama.cpp's grammars are of, and which grammars are refused, with the line."""

from __future__ import annotations

import pytest
from tramontane.errors import RequestError
from tramontane.grammar import Grammar
from tramontane_plugin_grammar.grammar_cache import Compiled, compiled_of

from .letters import context

JSON = r"""
root ::= object
value ::= object | array | string | number | ("true" | "false" | "null") ws
object ::=
  "{" ws ( string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws
array ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9]+)? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""
SUMS = r"""root ::= (expr "=" ws term "\n")+
expr ::= term ([-+*/] term)*
term ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num ::= [0-9]+ ws
ws ::= [ \t\n]*
"""


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compiled_of(context())


@pytest.mark.parametrize(
    ("grammar", "right", "wrong"),
    [
        (JSON, ["{}", '{"a": [1, -2.5e3, {"b": null}], "c": "x\\n\\u00e9日"}'],
         ["[1]", '{"a"}', '{"a": "\n"}', '{"a": 01}']),
        (SUMS, ["a+1=2\n", "(a *b1 )=x\n", "1=1\n2=2\n"], ["a=1", "a+=2\n"]),
        (r'root ::= "a" | ("b" [^\]x-]) {2}', ["a", "bcbd"], ["bc", "bxbc", "b-bc", "b]bc"]),
        (r"root ::= [\u65e5\U0001F600a-c]+ .", ["日😀b\n"], ["x", "a"]),
        ('root ::= ("x" root)?', ["", "xxx"], ["xy"]),
        ("root ::= a-b a-b\na-b ::= \"q\" # two", ["qq"], ["q"]),
        (r'root ::= [^\n]{1,3} "\\" "/"', ["ab\\/"], ["\\/", "a\n\\/"]),
        ("root ::= [a-]+ | [^/]", ["a-a", "b"], ["/"]),
        ('root ::= "a"*\r\n| "b"', ["aa", "b", ""], ["ab"]),
    ],
)  # fmt: skip
def test_texts_of_a_grammar(
    compiled: Compiled, grammar: str, right: list[str], wrong: list[str]
) -> None:
    def takes(text: str) -> bool:
        matcher = compiled.entry(Grammar.model_validate(grammar)).matcher
        return bool(matcher.consume_tokens(list(text.encode())) and matcher.is_accepting())

    assert [text for text in right if not takes(text)] == []
    assert [text for text in wrong if takes(text)] == []


@pytest.mark.parametrize(
    ("grammar", "told"),
    [
        ("", "no rule named root"),
        ("root ::= x", "no rule named 'x'"),
        ('root ::= ("a"', "line 1: a bracket is not closed"),
        ('root ::= "a")', "line 1: this bracket was not opened"),
        ('root ::= "b"\nx ::= * "a"', "line 2: there is nothing to repeat"),
        ('root ::= "a', "line 1: this is no part of a rule"),
        (r'root ::= "\uD800"', "is no character"),
        ("root ::= " + "(" * 99, "brackets are too deep"),
        ("the answer", "line 1: a rule begins with name ::="),
        ('root ::= "a"\nroot ::= "b"', "line 2: 'root' has two rules"),
        ("root ::= [b-a]", "gbnf grammar: .*invalid character class range"),
    ],
)
def test_what_is_no_grammar_is_refused(compiled: Compiled, grammar: str, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        compiled.entry(Grammar.model_validate(grammar))
