"""The jinja environment of chat templates: jinja's sandbox, with bounds on what a rendering makes.

Bounds hold at every place where jinja lets them be held: operators, calls, filters, outputs, and
the joining of captured text. Some things have no such place, so the parsed template is rewritten:
`a ~ b` becomes a filter, and what is looped over, sliced or compared goes through one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from types import BuiltinMethodType, MethodType
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import (
    ImmutableSandboxedEnvironment,
    SandboxedFormatter,
    is_internal_attribute,
)

from .bounds import (
    Counted,
    check,
    check_join,
    check_operation,
    check_replace,
    check_width,
    written_size,
)
from .filters import (
    CONCATENATE,
    COUNT_COMPARED,
    COUNT_ROUNDS,
    COUNT_SLICED,
    budget_of,
    count_compared,
)

WIDTHS = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs"})
REFUSED = frozenset({"translate", "maketrans", "to_bytes"})


class BoundedFormatter(SandboxedFormatter):
    """`str.format` that counts its fields and widths."""

    _total = 0

    def convert_field(self, value: Any, conversion: Any) -> Any:
        written_size(value)
        return super().convert_field(value, conversion)

    def format_field(self, value: Any, format_spec: str) -> Any:
        numbers = "".join(char if char.isdecimal() else " " for char in format_spec).split()
        self._total += written_size(value) + max((int(text[:9]) for text in numbers), default=0)
        check(self._total)
        return super().format_field(value, format_spec)


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """It has no state of a rendering: that is the Budget in each rendering's context."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    @staticmethod
    def concat(parts: Iterable[str]) -> str:
        parts = list(parts)
        check(sum(map(len, parts)))
        return "".join(parts)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        check_operation(operator, left, right)
        made = super().call_binop(context, operator, left, right)
        budget_of(context).charge(made)
        return made

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        budget = budget_of(__context)
        budget.step()
        if isinstance(__obj, LoopContext):
            args = (Counted(args[0], budget), *args[1:]) if args else args
        elif isinstance(__obj, MethodType | BuiltinMethodType):
            check_method(__obj.__self__, __obj.__name__, args, kwargs)
        made = super().call(__context, __obj, *args, **kwargs)
        budget.charge(made)
        return made

    def getitem(self, obj: Any, argument: Any) -> Any:
        return super().getitem(obj, count_compared(argument))

    def unsafe_undefined(self, obj: Any, attribute: str) -> jinja2.Undefined:
        if attribute.startswith("_") or is_internal_attribute(obj, attribute):
            # jinja itself would write nothing here, and refuse only what is done with it
            kind = type(obj).__name__
            raise SecurityError(f"it reads {attribute!r} of a {kind}, which is internal")
        return super().unsafe_undefined(obj, attribute)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        safe = super().wrap_str_format(value)
        if safe is None:
            return None

        def bounded(*args: Any, **kwargs: Any) -> str:
            # once more, as the sandbox makes its own formatter where it cannot be replaced
            named = args[0] if value.__name__ == "format_map" and args else kwargs
            BoundedFormatter(self).vformat(str(value.__self__), args, named)
            return safe(*args, **kwargs)

        return functools.update_wrapper(bounded, safe)


def check_method(owner: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raises SecurityError where a text's own method would make too much."""
    if isinstance(owner, int | str | bytes) and name in REFUSED:
        raise SecurityError(f"it calls {name}, which chat templates may not")
    if not isinstance(owner, str | bytes):
        return
    values = [*args, *kwargs.values()]
    if name in WIDTHS:
        check_width(values, times=len(owner) + 1 if name == "expandtabs" else 1)
    elif name == "replace" and len(values) >= 2:
        check_replace(owner, values[0], values[1])
    elif name == "join" and values:
        check_join(owner, values[0] if isinstance(values[0], list | tuple) else values[:1])


def compile_template(environment: ChatEnvironment, source: str) -> jinja2.Template:
    """Raises jinja's TemplateSyntaxError."""
    tree = environment.parse(source)

    def through(node: nodes.Node, name: str) -> nodes.Filter:
        wrapped = nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
        wrapped.set_environment(environment)
        return wrapped

    # found before any change, and changed in place, as a node does not know its parent
    concats = list(tree.find_all(nodes.Concat))
    items = list(tree.find_all(nodes.Getitem))
    compares = list(tree.find_all(nodes.Compare))
    pairs = list(tree.find_all(nodes.Pair))
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = through(loop.iter, COUNT_ROUNDS)
    for item in items:
        if isinstance(item.arg, nodes.Slice):
            item.node = through(item.node, COUNT_SLICED)
    for concat in concats:
        operands = nodes.List(concat.nodes, lineno=concat.lineno).set_environment(environment)
        concat.nodes = [through(operands, CONCATENATE)]
    for compare in compares:
        compare.expr = through(compare.expr, COUNT_COMPARED)
        for operand in compare.ops:
            operand.expr = through(operand.expr, COUNT_COMPARED)
    for pair in pairs:
        pair.key = through(pair.key, COUNT_COMPARED)
    code = environment.compile(tree, filename="<chat template>")
    return jinja2.Template.from_code(environment, code, environment.globals)
