"""`map_location`: everything is loaded to the CPU, and who wants it elsewhere is told so."""

from __future__ import annotations

import io
from typing import Any

import pytest

import optc
from optc import nn

LOCATIONS: list[Any] = [None, "cpu", "cpu:0", optc.device("cpu")]
ELSEWHERE = ["cuda", "cuda:1", "meta", optc.device("cuda"), "nowhere"]


def tensors() -> io.BytesIO:
    buffer = io.BytesIO()
    optc.save(optc.ones(2), buffer)
    buffer.seek(0)
    return buffer


def module() -> io.BytesIO:
    return io.BytesIO(optc.jit.script(nn.Linear(1, 1)).save_to_buffer())


@pytest.mark.parametrize("location", [*LOCATIONS, {"cuda:0": "cpu"}, {"cuda:1": "cuda:0"}, lambda storage, _: storage])
def test_tensors_are_loaded_to_the_cpu(location: Any) -> None:
    assert str(optc.load(tensors(), location).device) == "cpu"


@pytest.mark.parametrize("location", LOCATIONS)
def test_modules_are_loaded_to_the_cpu(location: Any) -> None:
    assert str(optc.jit.load(module(), location).weight.device) == "cpu"


@pytest.mark.parametrize("location", ELSEWHERE, ids=str)
def test_there_is_no_other_device(location: Any) -> None:
    for load, stored in ((optc.load, tensors()), (optc.jit.load, module())):
        with pytest.raises(RuntimeError, match=r"is not available|Expected one of cpu, cuda"):
            load(stored, location)
    with pytest.raises(RuntimeError, match="is not available|Expected one of"):
        optc.load(tensors(), {"cpu": location})


def test_what_is_no_location_is_refused() -> None:
    with pytest.raises(TypeError, match="map_location is a device, its name, a dictionary or a function, no int"):
        optc.load(tensors(), 3)  # type: ignore[arg-type]
    for location in (3, {"cuda:0": "cpu"}):
        with pytest.raises(ValueError, match="map_location should be either None, string or torch.device, but got"):
            optc.jit.load(module(), location)


@pytest.mark.peers
def test_devices_of_pytorch_are_locations() -> None:
    torch = pytest.importorskip("torch")
    assert str(optc.load(tensors(), torch.device("cpu")).device) == "cpu"
    with pytest.raises(RuntimeError, match="device 'cuda' is not available"):
        optc.jit.load(module(), torch.device("cuda"))
