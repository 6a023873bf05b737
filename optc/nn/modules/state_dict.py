"""state_dict and load_state_dict: a module's tensors under their dotted names, and back."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from optc.eager.gradient import no_grad
from optc.eager.tensor import Tensor
from optc.nn.hooks import RemovableHandle, add_hook
from optc.nn.parameter import Parameter

EXTRA_STATE_SUFFIX = "_extra_state"


class StateDict(OrderedDict[str, Any]):
    """An ordered dict of tensors that carries, in `_metadata`, the version of every module that wrote into it."""

    _metadata: OrderedDict[str, dict[str, Any]]


class _IncompatibleKeys(NamedTuple):
    """Which keys the module expected and did not find, and which it found and did not expect."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys!r}, unexpected_keys={self.unexpected_keys!r})"


class LoadReport:
    """What one load_state_dict has found so far; the lists are shared by all modules that take part."""

    def __init__(self) -> None:
        self.missing_keys: list[str] = []
        self.unexpected_keys: list[str] = []
        self.errors: list[str] = []

    def raise_errors(self, module_name: str, strict: bool) -> None:
        """RuntimeError that lists every problem; keys that do not match count only when `strict`."""
        messages = list(self.errors)
        if strict and self.unexpected_keys:
            messages.insert(0, f"Unexpected key(s) in state_dict: {_quoted(self.unexpected_keys)}. ")
        if strict and self.missing_keys:
            messages.insert(0, f"Missing key(s) in state_dict: {_quoted(self.missing_keys)}. ")
        if messages:
            raise RuntimeError(f"Error(s) in loading state_dict for {module_name}:\n\t" + "\n\t".join(messages))


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)


class _WithoutModule:
    """A hook that is called without the module it is registered on."""

    def __init__(self, hook: Callable[..., Any]) -> None:
        self.hook = hook

    def __call__(self, module: Any, *arguments: Any) -> Any:
        return self.hook(*arguments)


class _Replacing:
    """A hook on a state_dict that may return another one to use instead."""

    def __init__(self, hook: Callable[..., Any]) -> None:
        self.hook = hook

    def __call__(self, *arguments: Any) -> Any:
        return self.hook(*arguments)


class StateDictMethods:
    """The part of Module that saves and restores; Module adds the registries it works on."""

    _version: int = 1
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    _state_dict_hooks: OrderedDict[int, Callable[..., Any]]
    _state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_post_hooks: OrderedDict[int, Callable[..., Any]]

    def get_extra_state(self) -> Any:
        """Override, together with `set_extra_state`, to put something other than tensors into the state_dict."""
        raise RuntimeError("get_extra_state() has to be overridden before it can be called")

    def set_extra_state(self, state: Any) -> None:
        """Override to take back what `get_extra_state` gave."""
        raise RuntimeError("set_extra_state() has to be overridden before it can be called")

    def register_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before this module is written into a state_dict."""
        return add_hook(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` afterwards; it changes the dict in place."""
        return add_hook(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """As `register_state_dict_post_hook`, and what the hook returns, if anything, takes the place of the dict."""
        return add_hook(self._state_dict_hooks, _Replacing(hook))

    def register_load_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)`
        before this module takes its entries from a state_dict."""
        return add_hook(self._load_state_dict_pre_hooks, hook)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., None], with_module: bool = False
    ) -> RemovableHandle:
        """As `register_load_state_dict_pre_hook`, for a hook that takes no module unless `with_module`."""
        return add_hook(self._load_state_dict_pre_hooks, hook if with_module else _WithoutModule(hook))

    def register_load_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after this module was loaded; it may change the keys in place."""
        return add_hook(self._load_state_dict_post_hooks, hook)

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """All parameters and persistent buffers under dotted names, sharing storage with the module.

        `keep_vars` gives the parameters themselves instead of detached tensors.
        `destination` and `prefix` are for writing into a dict that exists already.
        """
        if args:
            warnings.warn("Positional args are being deprecated, use kwargs instead.", FutureWarning, stacklevel=2)
            destination = args[0] if destination is None else destination
            prefix = args[1] if len(args) > 1 and prefix == "" else prefix
            keep_vars = args[2] if len(args) > 2 and keep_vars is False else keep_vars
        if destination is None:
            destination = StateDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            replacement = hook(self, destination, prefix, local_metadata)
            if replacement is not None and not isinstance(hook, _Replacing):
                raise RuntimeError("state_dict post-hook must return None")
            destination = destination if replacement is None else replacement
        result: dict[str, Any] = destination
        return result

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Write this module's own entries, not those of its children."""
        for name, parameter in self._parameters.items():
            if parameter is not None:
                destination[prefix + name] = parameter if keep_vars else parameter.detach()
        for name, buffer in self._persistent_buffers():
            destination[prefix + name] = buffer if keep_vars else buffer.detach()
        if type(self).get_extra_state is not StateDictMethods.get_extra_state:
            destination[prefix + EXTRA_STATE_SUFFIX] = self.get_extra_state()

    def _persistent_buffers(self) -> list[tuple[str, Tensor]]:
        temporary = self._non_persistent_buffers_set
        return [(name, value) for name, value in self._buffers.items() if value is not None and name not in temporary]

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy the tensors of `state_dict` into the module's own.

        `strict`: keys that are missing or unexpected are an error; otherwise they are only returned.
        `assign`: take over the given tensors, with their dtype, instead of copying their values.
        RuntimeError lists all mismatches, after everything that fits has been copied.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata = getattr(state_dict, "_metadata", None)
        entries = StateDict(state_dict)
        if metadata is not None:
            entries._metadata = metadata
        report = LoadReport()
        self._load_tree(entries, "", metadata, assign, report)
        report.raise_errors(type(self).__name__, strict)
        return _IncompatibleKeys(report.missing_keys, report.unexpected_keys)

    def _load_tree(
        self, entries: Mapping[str, Any], prefix: str, metadata: Any, assign: bool, report: LoadReport
    ) -> None:
        local_metadata = {} if metadata is None else metadata.get(prefix[:-1], {})
        if assign:
            local_metadata["assign_to_params_buffers"] = assign
        self._load_from_state_dict(
            entries, prefix, local_metadata, True, report.missing_keys, report.unexpected_keys, report.errors
        )
        for name, child in self._modules.items():
            if child is not None:
                child_prefix = f"{prefix}{name}."
                child_entries = {key: value for key, value in entries.items() if key.startswith(child_prefix)}
                child._load_tree(child_entries, child_prefix, metadata, assign, report)
        incompatible = _IncompatibleKeys(report.missing_keys, report.unexpected_keys)
        for hook in self._load_state_dict_post_hooks.values():
            if hook(self, incompatible) is not None:
                raise AssertionError(
                    "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new values, "
                    "if incompatible_keys need to be modified, it should be done inplace."
                )

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Take this module's own entries; subclasses override it to accept older layouts."""
        for hook in self._load_state_dict_pre_hooks.values():
            hook(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        own = {name: value for name, value in self._parameters.items() if value is not None}
        members: dict[str, Tensor] = {**own, **dict(self._persistent_buffers())}
        assign = bool(local_metadata.get("assign_to_params_buffers", False))
        for name, member in members.items():
            key = prefix + name
            if key in state_dict:
                self._load_member(name, key, member, state_dict[key], assign, error_msgs)
            elif strict:
                missing_keys.append(key)
        extra_key = prefix + EXTRA_STATE_SUFFIX
        takes_extra_state = type(self).set_extra_state is not StateDictMethods.set_extra_state
        if takes_extra_state and extra_key in state_dict:
            self.set_extra_state(state_dict[extra_key])
        elif takes_extra_state and strict:
            missing_keys.append(extra_key)
        elif extra_key in state_dict and strict:
            unexpected_keys.append(extra_key)
        if strict:
            own_keys = [key for key in state_dict if key.startswith(prefix) and key != extra_key]
            unexpected_keys.extend(key for key in own_keys if not self._expects(key[len(prefix) :], members))

    def _expects(self, name: str, members: dict[str, Tensor]) -> bool:
        head, dot, _ = name.partition(".")
        return head in self._modules if dot else head in members

    def _load_member(
        self, name: str, key: str, member: Tensor, value: Any, assign: bool, error_msgs: list[str]
    ) -> None:
        if not isinstance(value, Tensor):
            error_msgs.append(
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from '
                f"checkpoint but received {type(value)}"
            )
            return
        if len(member.shape) == 0 and tuple(value.shape) == (1,):
            value = value[0]  # checkpoints from before there were 0-d tensors
        if value.shape != member.shape:
            error_msgs.append(
                f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, the shape in "
                f"current model is {member.shape}."
            )
            return
        if assign:
            setattr(self, name, _as_kind_of(member, value))
            return
        try:
            with no_grad():
                member.copy_(value)
        except (RuntimeError, TypeError, ValueError) as error:
            error_msgs.append(
                f'While copying the parameter named "{key}", whose dimensions in the model are {member.size()} and '
                f"whose dimensions in the checkpoint are {value.size()}, an exception occurred : {error.args}."
            )


def _as_kind_of(member: Tensor, value: Tensor) -> Tensor:
    """`value` as what `member` is: a Parameter with the same requires_grad, or the tensor itself."""
    if not isinstance(member, Parameter):
        return value
    if not isinstance(value, Parameter):
        return Parameter(value, requires_grad=member.requires_grad)
    return value.requires_grad_(member.requires_grad)
