"""A kernel that goes vector by vector, as jobs of some vectors each."""

from __future__ import annotations

from tramontane_backend_cpu.numba_setup import native
from tramontane_backend_cpu.vector.memory import word, words
from tramontane_backend_cpu.vector.parallel import call_kernel

AT_ONCE = 8
"""Vectors in a job."""


@native(3)
def by_jobs(arguments, job, thread):  # type: ignore[no-untyped-def]
    """arguments: the kernel, its arguments, and the address of how many vectors there are."""
    kernel, told, count_at = words(arguments, 3)
    first = AT_ONCE * job
    call_kernel(kernel, told, first, min(word(count_at), first + AT_ONCE))
