"""Templates that mean harm, or are broken, end in a TemplateError, soon."""

import time

import pytest
from tramontane.chat import ChatTemplate
from tramontane.chat import bounds as bounds_module
from tramontane.errors import TemplateError

MESSAGES = [{"role": "user", "content": "x"}]
TREE = "{% set x = [1] %}" + "{% set x = [x, x] %}" * 60
TUPLES = TREE.replace("[x, x]", "(x, x)").replace("[1]", "1")
DOUBLED = "{% set x = 'aaaaaaaaaaaaaaaa' %}"

ESCAPES = [
    "{{ ''.__class__.__mro__ }}",
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ '{x.__class__}'.format_map({'x': 1}) }}",
    "{{ [1]|map(attribute='__class__')|list }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ raise_exception.__globals__ }}",
    "{{ strftime_now.__globals__ }}",
    "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ dict.mro() }}",
    "{{ lipsum.__globals__.os }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({'a': 1}) }}",
    "{{ messages[0].__class__ }}",
    "{{ namespace(_x=1) }}",
    "{% set n = namespace(a=1) %}{% set n.__class__ = 1 %}",
    "{% macro m() %}{% endmacro %}{{ m.__init__ }}{{ m._func }}",
    "{% for i in [1] %}{{ loop._iterator }}{% endfor %}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os }}",
    "{% extends 'x' %}",
]

BOMBS = [
    "{{ 'a' * 10**9 }}",
    "{{ 10**9 * 'a' }}",
    "{{ [0] * 10**9 }}",
    "{{ 10**(10**8) }}",
    "{{ range(10**9)|list }}",
    "{{ 'a'|center(10**9) }}",
    "{{ 'a'.center(10**9) }}",
    "{{ 'a'.zfill(10**9) }}",
    "{{ 'a\t'.expandtabs(10**9) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % (1000000000, 1) }}",
    "{{ '%1000000000d'|format(1) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ '{:{w}}'.format(1, w=1000000000) }}",
    "{{ '{a:1000000000}'.format_map({'a': 1}) }}",
    DOUBLED + "{% set x = x ~ x %}" * 40,
    DOUBLED + "{% set x = x + x %}" * 40,
    DOUBLED + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40,
    DOUBLED + "{% set x = [x, x]|join %}" * 40,
    TREE + "{{ x }}",
    TREE + "{{ x|tojson }}",
    TREE + "{{ x|string }}",
    TREE + "{{ x ~ '' }}",
    TREE + "{{ '%s' % x }}",
    TREE + "{{ '{!r}'.format(x) }}",
    TREE + "{{ [x]|join }}",
    TREE + "{% set y = x %}" + TREE + "{{ x == y }}",
    TREE + "{% set y = x %}" + TREE + "{{ x is eq y }}",
    TREE + "{% set y = x %}" + TREE + "{{ x in [y] }}",
    TREE + "{% set y = x %}" + TREE + "{{ [x, y]|sort }}",
    TREE + "{% set y = x %}" + TREE + "{{ [x, y]|select('in', [y])|list }}",
    TUPLES + "{{ {x: 1} }}",
    TUPLES + "{{ messages[0][x] }}",
    TUPLES + "{{ dict([(x, 1)]) }}",
    TUPLES + "{{ [x]|unique|list }}",
    "{{ messages|tojson(indent=10**9) }}",
    "{{ 'a'|indent(10**9) }}",
    "{{ ('a' * 4000).replace('a', 'b' * 100000) }}",
    "{{ ('a' * 4000)|replace('a', 'b' * 100000) }}",
    "{{ ('a' * 100000).join(['b'] * 4000) }}",
    "{{ (['b'] * 4000)|join('a' * 100000) }}",
    "{{ [1]|batch(10**9, 'x')|list }}",
    "{{ [1]|slice(10**9)|list }}",
    "{{ (1).to_bytes(10**9, 'big') }}",
    "{{ 1.5|round(10**9, 'ceil') }}",
    "{{ 'abc'|wordwrap(1, true, 'a' * 16000000) }}",
    "{{ 'aaa'.translate({97: 'b' * 10000000}) }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% for x in [1] recursive %}{{ loop([1, 2]) }}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) %}xxxxxxxxxxxxxxx{% endfor %}{% endfor %}",
    "{% set n = namespace(l=[]) %}{% for a in range(99999) %}"
    "{% set n.l = n.l + ['a' * 9000000] %}{% endfor %}",
    "{% set b = 'a' * 9000000 %}{% set n = namespace(l=[]) %}{% for a in range(99999) %}"
    "{% set n.l = n.l + [b[1:]] %}{% endfor %}",
    "{% set b = 'a' * 9000000 %}{% set n = namespace(l=[]) %}{% for a in range(99999) %}"
    "{% set n.l = n.l + [b|upper] %}{% endfor %}",
]


@pytest.mark.parametrize("source", ESCAPES)
def test_internals_are_out_of_reach(source: str) -> None:
    template = ChatTemplate(source, named={})
    with pytest.raises(TemplateError):
        template.render(MESSAGES)


@pytest.mark.parametrize("source", BOMBS, ids=range(len(BOMBS)))
def test_bombs_do_not_go_off(source: str) -> None:
    template = ChatTemplate(source, named={})
    start = time.process_time()
    with pytest.raises(TemplateError):
        template.render(MESSAGES)
    assert time.process_time() - start < 8


def test_time_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds_module.Budget.__init__, "__defaults__", (10**9, 0.2, 10**9))
    source = (
        "{% macro f(n) %}{{ f(n - 1) if n else '' }}{{ f(n - 1) if n else '' }}{% endmacro %}"
        "{{ f(60) }}"
    )
    with pytest.raises(TemplateError, match=r"more than 0\.2 seconds"):
        ChatTemplate(source, named={}).render(MESSAGES)


def test_bounds_leave_room_for_a_long_chat() -> None:
    source = (
        "{% set n = namespace(text='') %}{% for m in messages %}"
        "{% set n.text = n.text ~ m.role + ': ' + m.content %}{% endfor %}{{ n.text }}"
    )
    messages = [{"role": "user", "content": "word " * 200}] * 400
    assert len(ChatTemplate(source, named={}).render(messages)) == 400 * 1006


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("a\n{% if %}", "line 2"),
        ("{% for x in y %}", "line 1.*end of template"),
        ("\n\n{{ x|nofilter }}", "line 3.*nofilter"),
        ("{% nothing %}", "line 1.*nothing"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deeply"),
        ("x" * (1 << 20) + "x", "over 1048576"),
    ],
)
def test_bad_syntax(source: str, complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        ChatTemplate(source, named={})


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("{{ raise_exception('only two turns') }}", "refuses: only two turns"),
        ("\n{{ none + 1 }}", "fails at line 2: TypeError"),
        ("{{ nothing.more }}", "'nothing' is undefined"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ messages[0].content|tojson|from_json + 1 }}", "TypeError"),
        ("{{ '{'|from_json }}", "JSONDecodeError"),
    ],
)
def test_failures_say_what_and_where(source: str, complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        ChatTemplate(source, named={}).render(MESSAGES)
