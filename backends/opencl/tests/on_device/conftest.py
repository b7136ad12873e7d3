"""Kernels on the first OpenCL device: these files run in a process of their own, see
`test_on_a_device.py`."""

from __future__ import annotations

import os

import pytest
import torch
from tramontane.backend import Device
from tramontane_backend_opencl.device import probe
from tramontane_backend_opencl.memory import OpenclDevice, opened

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
if os.environ.get("TRAMONTANE_ON_DEVICE") == "1":  # pytest reads this file in other runs too
    from tramontane_backend_opencl import prepare  # noqa: F401 - makes torch know the device


@pytest.fixture(scope="session")
def described() -> Device:
    return probe()[0]


@pytest.fixture(scope="session")
def device(described: Device) -> OpenclDevice:
    return opened(torch.device(described.torch_device).index)


@pytest.fixture(scope="session")
def where(described: Device) -> torch.device:
    return torch.device(described.torch_device)
