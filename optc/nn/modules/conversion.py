"""The arguments of Module.to: a device, a dtype, both, or a tensor that has both."""

from __future__ import annotations

from typing import Any

from optc.eager.device import Device
from optc.eager.tensor import Tensor
from optc.ir.dtypes import DType


def parse_to(*args: Any, **kwargs: Any) -> tuple[Device | None, DType | None]:
    """The device and dtype that `to(*args, **kwargs)` asks for; None leaves it as it is.

    Accepts `to(device=None, dtype=None, ...)`, `to(dtype, ...)` and `to(tensor, ...)`, each followed by
    `non_blocking`, and `memory_format` by keyword, which mean nothing here. TypeError for anything else.
    """
    wanted = _positional(args)
    for name, value in kwargs.items():
        if name in wanted or not _fits(name, value):
            raise _refused(args, kwargs)
        wanted[name] = value
    tensor = wanted.get("tensor")
    if tensor is not None:
        return tensor.device, tensor.dtype
    device = wanted.get("device")
    return None if device is None else Device(device), wanted.get("dtype")


def _positional(args: tuple[Any, ...]) -> dict[str, Any]:
    if args and isinstance(args[0], Tensor):
        names = ["tensor", "non_blocking"]
    elif args and isinstance(args[0], DType):
        names = ["dtype", "non_blocking"]
    else:
        names = ["device", "dtype", "non_blocking"]
    if len(args) > len(names) or not all(_fits(name, value) for name, value in zip(names, args, strict=False)):
        raise _refused(args, {})
    return dict(zip(names, args, strict=False))


def _fits(name: str, value: Any) -> bool:
    accepted: dict[str, tuple[type, ...]] = {
        "tensor": (Tensor,),
        "device": (Device, str, type(None)),
        "dtype": (DType, type(None)),
        "non_blocking": (bool,),
        "memory_format": (object,),
    }
    return name in accepted and isinstance(value, accepted[name])


def _refused(args: tuple[Any, ...], kwargs: dict[str, Any]) -> TypeError:
    got = [_kind(value) for value in args]
    got += [f"{name}={_kind(value)}" for name, value in kwargs.items()]
    return TypeError(
        f"to() received an invalid combination of arguments - got ({', '.join(got)}), but expected a device and a "
        "dtype, a dtype, or a tensor, followed by non_blocking"
    )


def _kind(value: Any) -> str:
    named = {Tensor: "Tensor", DType: "torch.dtype", Device: "torch.device"}
    return next((name for kind, name in named.items() if isinstance(value, kind)), type(value).__name__)
