"""Make torch know OpenCL devices.

It knows one kind of device that is not its own, by the name that it is given; one distribution of a
process can be that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend
from tramontane.errors import ConfigError

from . import tensor_ops
from .memory import in_use, listed
from .tensor import KERNELS, TORCH_NAME, Operation, run

aten = torch.ops.aten
FACTORIES = (
    "empty.memory_format", "empty_strided", "_to_copy", "arange", "arange.start",
    "arange.start_step", "full", "zeros", "ones", "scalar_tensor", "copy_",
)  # fmt: skip
"""Operations that may have no tensor of the device among their arguments."""


class _Module:
    """What torch asks of a device's module."""

    @staticmethod
    def is_initialized() -> bool:
        return True

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def current_device() -> int:
        return 0

    @staticmethod
    def _is_in_bad_fork() -> bool:
        return False

    @staticmethod
    def manual_seed_all(seed: int) -> None:
        """Nothing is drawn there."""

    @staticmethod
    def device_count() -> int:
        return len(listed())

    @staticmethod
    def empty_cache() -> None:
        """Give back memory that is kept without being used, of devices that are open."""
        for device in in_use:
            device.release()


_library: torch.library.Library | None = None


def set_up() -> None:
    """Make torch know the device. Raises ConfigError where another has its place."""
    global _library
    if _library is not None:
        return
    try:
        _setup_privateuseone_for_python_backend(TORCH_NAME, _Module())
    except RuntimeError as error:
        raise ConfigError(
            "torch has room for one device that is not its own, and another distribution of this "
            f"process has taken it ({str(error).partition(chr(10))[0]}); run --device opencl "
            "without it"
        ) from error
    _library = torch.library.Library("aten", "IMPL")

    def given(op: Any) -> Operation:
        return lambda *args, **kwargs: run(op, args, kwargs)

    for name in FACTORIES:
        packet, _, overload = name.partition(".")
        op = getattr(getattr(aten, packet), overload or "default")
        _library.impl(name, given(op), "PrivateUse1")
    KERNELS.update(tensor_ops.KERNELS)
