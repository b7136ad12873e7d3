"""Public definitions of the contract have docstrings; those with arrays, shapes.

A class may state shapes in its own docstring, or in those of its methods and attributes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).parents[1] / "core" / "src" / "tramontane"
ARRAYS = {"Tensor", "NDArray", "ndarray", "Layout", "Stored"}
_ITEM = r"(?:\.\.\.|\*?\w+(?:\s*[-*/+^]\s*[\w.]+)*)"
SHAPE = re.compile(rf"\({_ITEM}(?:,\s*{_ITEM})*,?\)")
"""A shape such as (rows, columns / group) or (n,)."""

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

LIMITS = {
    "blocks/task_model.py": (0, 0),
    "blocks/text_attention.py": (0, 0),
    "blocks/text_encoder.py": (0, 0),
    "plugin.py": (0, 0),
    "backend.py": (0, 0),
    "layouts/affine.py": (0, 0),
    "layouts/codebook.py": (0, 0),
    "layouts/codes.py": (0, 0),
    "layouts/concatenate.py": (0, 0),
    "layouts/dense.py": (0, 0),
    "layouts/permuted.py": (0, 0),
    "layouts/row_groups.py": (0, 0),
    "reference.py": (0, 0),
    "blocks/activation.py": (0, 0),
    "blocks/alibi.py": (0, 0),
    "blocks/attention.py": (0, 0),
    "blocks/causal_lm.py": (0, 1),
    "blocks/delta_net.py": (0, 0),
    "blocks/embedding.py": (0, 0),
    "blocks/hearing.py": (0, 0),
    "blocks/latent.py": (0, 0),
    "blocks/layer.py": (0, 4),
    "blocks/lengths.py": (0, 0),
    "blocks/linear.py": (0, 0),
    "blocks/mamba.py": (0, 0),
    "blocks/mamba2.py": (0, 0),
    "blocks/mlp.py": (0, 0),
    "blocks/moe.py": (0, 0),
    "blocks/next_token.py": (0, 0),
    "blocks/norm.py": (0, 0),
    "blocks/recurrent.py": (0, 0),
    "blocks/rope.py": (0, 0),
    "blocks/routing.py": (0, 3),
    "blocks/stacked.py": (0, 0),
    "blocks/buckets.py": (0, 0),
    "blocks/clip.py": (0, 0),
    "blocks/cross.py": (0, 0),
    "blocks/vision.py": (0, 0),
}
"""Limits of definitions without a docstring, and with arrays but without a shape: only to be
lowered."""


def public(path: Path) -> Iterator[Definition]:
    """Public functions and classes of a module."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node


def mentions_arrays(node: Definition) -> bool:
    """Whether annotations of a function, or of a class's fields and methods, name an array type."""
    annotations: list[ast.expr | None] = []
    for each in ast.walk(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [*each.args.posonlyargs, *each.args.args, *each.args.kwonlyargs]
            hidden = each.name.startswith("_") and each.name != "__call__"
            if not hidden:
                annotations += [each.returns, *(argument.annotation for argument in arguments)]
        elif isinstance(each, ast.AnnAssign) and isinstance(node, ast.ClassDef):
            annotations += [each.annotation] if each in node.body else []
    words = {word for each in annotations if each for word in re.findall(r"\w+", ast.unparse(each))}
    return bool(words & ARRAYS)


def texts(node: Definition) -> str:
    """The docstrings of a definition, of a class's methods and of its attributes."""
    found = [
        each.value.value
        for each in ast.walk(node)
        if isinstance(each, ast.Expr)
        and isinstance(each.value, ast.Constant)
        and isinstance(each.value.value, str)
    ]
    return "\n".join(found)


def problems(path: Path) -> tuple[list[str], list[str]]:
    """Names without a docstring, and names with arrays but without a shape."""
    bare = [node.name for node in public(path) if ast.get_docstring(node) is None]
    shapeless = [
        node.name
        for node in public(path)
        if mentions_arrays(node) and not SHAPE.search(texts(node))
    ]
    return bare, shapeless


@pytest.mark.parametrize("module", LIMITS)
def test_public_definitions_are_documented(module):
    bare, shapeless = problems(CORE / module)
    most_bare, most_shapeless = LIMITS[module]
    assert len(bare) <= most_bare, f"without a docstring: {bare}"
    assert len(shapeless) <= most_shapeless, f"with arrays, without a shape: {shapeless}"


def test_every_module_of_blocks_has_a_limit():
    modules = {f"blocks/{path.name}" for path in (CORE / "blocks").glob("*.py")}
    assert modules <= {*LIMITS, "blocks/__init__.py"}
