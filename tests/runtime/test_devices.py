"""Devices that programs return: Python sees devices, however deep they lie, whoever runs the program."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
from optc import nn

CPU = optc.device("cpu")


def where_a_tensor_is(x: optc.Tensor):
    return x + 1, x.device


def inside_containers(x: optc.Tensor, d: optc.device):
    return [d, x.device], {"here": d}


class Holder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.place = CPU

    def forward(self, x: optc.Tensor):
        return self.place, x


@pytest.mark.parametrize(
    ("make", "argument"),
    [(lambda program: program, optc.ones(2)), (optc.compile, optc.ones(2)), (optc.compile, np.ones(2, np.float32))],
    ids=["interpreted", "compiled", "compiled, an array"],
)
def test_programs_return_devices(make: Any, argument: Any) -> None:
    for _ in range(2):
        assert make(optc.jit.script(where_a_tensor_is))(argument)[1] == CPU
        assert make(optc.jit.script(Holder()))(argument)[0] == CPU
        assert make(optc.jit.script(inside_containers))(argument, CPU) == ([CPU, CPU], {"here": CPU})


def test_an_attribute_is_a_device() -> None:
    assert optc.jit.script(Holder()).place == CPU
