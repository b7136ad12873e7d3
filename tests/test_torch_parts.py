"""A part of torch is left out of its import, and is there for whoever needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
import sys
from tramontane.system import torch_parts
torch_parts.leave_out()
import torch
x = torch.empty(4, 6, device="meta")
def works():
    try:
        return torch.where(x > 0, x, x).shape == x.shape
    except NotImplementedError:
        return False
assert torch_parts.is_left_out() and not works()
"""
WAYS = {
    "asked for": "assert torch_parts.complete()",
    "looked into": "assert callable(torch._meta_registrations.register_meta)",
    "imported from": "from torch._meta_registrations import register_meta",
    "compiling": "import torch._dynamo",
}


def run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("way", WAYS)
def test_it_is_there_once_it_is(way: str) -> None:
    after = "assert works() and not torch_parts.is_left_out() and not torch_parts.complete()"
    run(f"{BEGIN}\n{WAYS[way]}\n{after}")


def test_nothing_is_left_out_of_what_is_imported() -> None:
    run("import torch\nfrom tramontane.system import torch_parts\ntorch_parts.leave_out()\n"
        "assert not torch_parts.is_left_out() and not torch_parts.complete()")  # fmt: skip
