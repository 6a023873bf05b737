"""Layers that learn how many channels they have from their first input, and are ordinary layers from then on."""
# mypy: disable-error-code="no-any-return,misc,attr-defined,call-arg,assignment"

from typing import Any

from optc.eager.functions import empty, ones, tensor, zeros
from optc.eager.tensor import Tensor
from optc.ir.dtypes import INT64, DType
from optc.nn.modules.batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from optc.nn.modules.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from optc.nn.modules.instancenorm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from optc.nn.modules.linear import Linear
from optc.nn.modules.module import Module
from optc.nn.parameter import Parameter, UninitializedBuffer, UninitializedParameter

__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d",
    "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d",
    "LazyInstanceNorm3d", "LazyLinear",
]  # fmt: skip


class _Lazy(Module):
    """What the layers share: the first call makes the tensors, and the module an instance of `cls_to_become`."""

    cls_to_become: type[Module]

    def _await_input(self, device: Any, dtype: DType | None) -> None:
        self._made_with = {"device": device, "dtype": dtype}
        self._first_call = self.register_forward_pre_hook(self._infer_parameters, with_kwargs=True)

    def has_uninitialized_params(self) -> bool:
        """True before the first call, and before numbers were loaded."""
        tensors = [*self._parameters.values(), *self._buffers.values()]
        return any(isinstance(value, UninitializedParameter | UninitializedBuffer) for value in tensors)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Make the tensors for an input."""
        input = args[0] if args else next(iter(kwargs.values()))
        channels = self._channels_of(input)
        if not self.has_uninitialized_params():
            self._set_channels(channels)
            return
        self._set_channels(channels)
        self._materialize()
        self.reset_parameters()

    def _infer_parameters(self, module: Module, args: Any, kwargs: Any) -> None:
        self.initialize_parameters(*args, **kwargs)
        self._become_ordinary()

    def _become_ordinary(self) -> None:
        self._first_call.remove()
        del self.__dict__["_first_call"], self.__dict__["_made_with"]
        self.__class__ = self.cls_to_become

    def _made(self, name: str, *shape: int) -> None:
        """Replace an uninitialized parameter by one of this shape."""
        if isinstance(self._parameters.get(name), UninitializedParameter):
            setattr(self, name, Parameter(empty(shape, **self._made_with)))

    def _channels_of(self, input: Tensor) -> int:
        raise NotImplementedError

    def _set_channels(self, channels: int) -> None:
        raise NotImplementedError

    def _materialize(self) -> None:
        raise NotImplementedError

    def reset_parameters(self) -> None:
        """Draw the parameters anew, once there are any."""
        if not self.has_uninitialized_params():
            super().reset_parameters()

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, strict: bool, missing_keys: Any, unexpected_keys: Any,
        error_msgs: Any,
    ) -> None:  # fmt: skip
        """Numbers that are loaded say which shapes the tensors have."""
        for registry in (self._parameters, self._buffers):
            for name, value in list(registry.items()):
                given = state_dict.get(prefix + name)
                if not isinstance(value, UninitializedParameter | UninitializedBuffer) or given is None:
                    continue
                if isinstance(given, UninitializedParameter | UninitializedBuffer):
                    continue
                new = empty(tuple(given.shape), **self._made_with)
                registry[name] = Parameter(new) if registry is self._parameters else new
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


class LazyLinear(_Lazy, Linear):
    """A Linear whose `in_features` are those of its first input."""

    cls_to_become: type[Module] = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: DType | None = None) -> None:
        super().__init__(0, 0, False, device, dtype)
        self.out_features = out_features
        self.weight = UninitializedParameter()
        if bias:
            self.bias = UninitializedParameter()
        self._await_input(device, dtype)

    def _channels_of(self, input: Tensor) -> int:
        return input.shape[-1]

    def _set_channels(self, channels: int) -> None:
        self.in_features = channels

    def _materialize(self) -> None:
        self._made("weight", self.out_features, self.in_features)
        self._made("bias", self.out_features)


class _LazyConvolution(_Lazy):
    """Convolutions: `in_channels` are found."""

    def __init__(
        self, out_channels: int, kernel_size: Any, *args: Any, bias: bool = True, device: Any = None,
        dtype: DType | None = None, groups: int = 1, **kwargs: Any,
    ) -> None:  # fmt: skip
        args, given = self._named(args, {"bias": bias, "groups": groups, "device": device, "dtype": dtype})
        bias, groups = given.pop("bias"), given.pop("groups")
        super().__init__(0, 0, kernel_size, *args, bias=False, **given, **kwargs)
        self.out_channels = out_channels
        self.groups = groups
        self.weight = UninitializedParameter()
        if bias:
            self.bias = UninitializedParameter()
        self._await_input(given["device"], given["dtype"])

    _order: tuple[str, ...] = ("stride", "padding", "dilation", "groups", "bias", "padding_mode", "device", "dtype")

    def _named(self, args: tuple[Any, ...], given: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional arguments by their names, beside those that were named."""
        return (), {**given, **dict(zip(self._order, args))}

    def _channels_of(self, input: Tensor) -> int:
        rank = len(self.kernel_size)
        if input.dim() not in (rank + 1, rank + 2):
            raise RuntimeError(
                f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to {self.__class__.__name__}, but got "
                f"input of size: {input.shape}"
            )
        return input.shape[1 if input.dim() == rank + 2 else 0]

    def _set_channels(self, channels: int) -> None:
        self.in_channels = channels
        if channels % self.groups != 0:
            raise ValueError("in_channels must be divisible by groups")

    def _materialize(self) -> None:
        outer, inner = self.out_channels, self.in_channels
        if self.transposed:
            outer, inner = inner, outer
        self._made("weight", outer, inner // self.groups, *self.kernel_size)
        self._made("bias", self.out_channels)


class _LazyTransposed(_LazyConvolution):
    _order = (
        "stride", "padding", "output_padding", "groups", "bias", "dilation", "padding_mode", "device", "dtype",
    )  # fmt: skip


class _LazyNorm(_Lazy):
    """Batch and instance norms: `num_features` are found."""

    def __init__(
        self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: DType | None = None,
    ) -> None:  # fmt: skip
        super().__init__(0, eps, momentum, False, False, device, dtype)
        self.affine, self.track_running_stats = affine, track_running_stats
        if affine:
            self.weight, self.bias = UninitializedParameter(), UninitializedParameter()
        if track_running_stats:
            self.running_mean, self.running_var = UninitializedBuffer(), UninitializedBuffer()
            self.num_batches_tracked = tensor(0, dtype=INT64, device=device)
        self._await_input(device, dtype)

    def _channels_of(self, input: Tensor) -> int:
        self._check_input_dim(input)
        return input.shape[1]

    def _set_channels(self, channels: int) -> None:
        self.num_features = channels

    def _materialize(self) -> None:
        for name in ("weight", "bias"):
            self._made(name, self.num_features)
        for name, made in (("running_mean", zeros), ("running_var", ones)):
            if isinstance(self._buffers.get(name), UninitializedBuffer):
                self._buffers[name] = made(self.num_features, **self._made_with)


def _lazy(name: str, shared: type[_Lazy], ordinary: type[Module]) -> Any:
    """The lazy form of a layer."""
    text = f"{ordinary.__name__} that finds out how many channels it has from its first input."
    members = {"cls_to_become": ordinary, "__doc__": f"A {text}", "__module__": __name__}
    return type(name, (shared, ordinary), members)


LazyConv1d = _lazy("LazyConv1d", _LazyConvolution, Conv1d)
LazyConv2d = _lazy("LazyConv2d", _LazyConvolution, Conv2d)
LazyConv3d = _lazy("LazyConv3d", _LazyConvolution, Conv3d)
LazyConvTranspose1d = _lazy("LazyConvTranspose1d", _LazyTransposed, ConvTranspose1d)
LazyConvTranspose2d = _lazy("LazyConvTranspose2d", _LazyTransposed, ConvTranspose2d)
LazyConvTranspose3d = _lazy("LazyConvTranspose3d", _LazyTransposed, ConvTranspose3d)
LazyBatchNorm1d = _lazy("LazyBatchNorm1d", _LazyNorm, BatchNorm1d)
LazyBatchNorm2d = _lazy("LazyBatchNorm2d", _LazyNorm, BatchNorm2d)
LazyBatchNorm3d = _lazy("LazyBatchNorm3d", _LazyNorm, BatchNorm3d)
LazyInstanceNorm1d = _lazy("LazyInstanceNorm1d", _LazyNorm, InstanceNorm1d)
LazyInstanceNorm2d = _lazy("LazyInstanceNorm2d", _LazyNorm, InstanceNorm2d)
LazyInstanceNorm3d = _lazy("LazyInstanceNorm3d", _LazyNorm, InstanceNorm3d)
