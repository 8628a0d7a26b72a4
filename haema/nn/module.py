"""The module: a function with parameters, made of other modules.

A module holds parameters (learned), buffers (kept with it, not learned) and modules, each under the name it was
assigned to, in the order of definition. It also remembers the arguments of its constructor, so that it can be
described in words of data (`haema.nn.architecture`) and built again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from haema import dtypes, executor
from haema.autograd import no_grad
from haema.errors import DTypeError, HaemaError, InputError
from haema.nn.hooks import Hooks, RemovableHandle
from haema.nn.tree import Tree, a
from haema.tensor import Tensor, to_tensor

__all__ = ["IncompatibleKeys", "Module", "StateDictError"]

Self = TypeVar("Self", bound="Module")


class StateDictError(InputError):
    """A state dict that does not fit a module (as in PyTorch, also a RuntimeError)."""


class _Keys(NamedTuple):
    missing_keys: list[str]
    unexpected_keys: list[str]


class IncompatibleKeys(_Keys):
    """What ``load_state_dict`` found: names the module has and the dict lacks, and the other way round."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"

    __str__ = __repr__


class Module(Tree):
    """Base of all neural-network modules.

        class Net(nn.Module):
            def __init__(self, hidden=32):
                super().__init__()
                self.a = nn.Linear(64, hidden)
                self.b = nn.Linear(hidden, 10)

            def forward(self, x):
                return self.b(F.relu(self.a(x)))

    Attributes:
        training: Whether it is in training mode, which dropout and batch normalisation look at.
        meta: Free notes (JSON-able) that are saved with the module, such as class names; None without any.
    """

    meta: dict[str, Any] | None = None
    _hooks: Hooks | None = None

    def __init__(self) -> None:
        pass

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.partition(".")[0] == "haema" and not cls.__name__.startswith("_"):
            from haema.nn import architecture

            architecture.register(cls)

    # -- the function ------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        executor.active().relied(self)
        if self._hooks:
            return self._hooks.call(self, args, kwargs)
        return self.forward(*args, **kwargs)

    forward: Callable[..., Any]

    def forward(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[no-redef]
        """What the module computes; each subclass defines its own."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn`` on every module below and then on this one, e.g. to initialise weights."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # -- modes and conversions ------------------------------------------------------------------

    def train(self: Self, mode: bool = True) -> Self:
        """Put this module and all below into training mode (or, with False, into evaluation mode).

        Raises:
            ValueError: ``mode`` is no bool.
        """
        if not isinstance(mode, bool):
            raise ValueError(f"train: mode must be True or False, not {a(mode)}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: Self) -> Self:
        """Put this module and all below into evaluation mode."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Let all parameters be learned, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zeros."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = parameter.grad.new_zeros(parameter.shape)

    def to(self: Self, *args: Any, dtype: Any = None, device: Any = None) -> Self:
        """Convert floating parameters and buffers to a dtype, in place.

        Args:
            args: A dtype, a tensor whose dtype is taken, or "cpu".
            dtype, device: The same by name.

        Raises:
            DTypeError: the dtype is not floating.
            HaemaError: another device than the CPU is asked for.
        """
        probe = Tensor(0.0).to(*args, dtype=dtype, device=device)
        named = dtype is not None or any(not _is_device(arg) for arg in args)
        if not named:
            return self
        if probe.dtype.kind != "f":
            raise DTypeError(f"a module is converted to float32 or float64, not to {probe.dtype.name}")
        seen = set()
        for module in self.modules():
            for x in (*module._parameters.values(), *module._buffers.values()):
                if x is None or id(x) in seen or x.dtype.kind != "f" or x.dtype == probe.dtype:
                    continue
                seen.add(id(x))
                x.data = x.data.to(probe.dtype)
                if x.grad is not None:
                    x.grad = x.grad.to(probe.dtype)
        return self

    def type(self: Self, dst_type: Any) -> Self:
        """Convert floating parameters and buffers to ``dst_type``, in place."""
        return self.to(dst_type)

    def float(self: Self) -> Self:
        """Convert to float32."""
        return self.to(dtypes.float32)

    def double(self: Self) -> Self:
        """Convert to float64."""
        return self.to(dtypes.float64)

    def half(self: Self) -> Self:
        """There is no float16 here.

        Raises:
            DTypeError: always.
        """
        raise DTypeError("half: haema computes in float32 and float64; there is no float16")

    def bfloat16(self: Self) -> Self:
        """There is no bfloat16 here.

        Raises:
            DTypeError: always.
        """
        raise DTypeError("bfloat16: haema computes in float32 and float64; there is no bfloat16")

    def cpu(self: Self) -> Self:
        """The module itself: it is on the CPU."""
        return self

    def cuda(self: Self, device: Any = None) -> Self:
        """There is no GPU here.

        Raises:
            HaemaError: always.
        """
        raise HaemaError("cuda: haema computes on the CPU")

    # -- the values ------------------------------------------------------------------

    def state_dict(
        self, destination: dict[str, Tensor] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Tensor]:
        """All parameters and persistent buffers by dotted name, sharing memory with the module.

        Args:
            destination: A dict to fill; a new one by default.
            prefix: Put before each name.
            keep_vars: The tensors themselves and not detached ones.
        """
        found = {} if destination is None else destination
        for name, x in self._parameters.items():
            if x is not None:
                found[prefix + name] = x if keep_vars else x.detach()
        for name, b in self._buffers.items():
            if b is not None and name not in self._transient:
                found[prefix + name] = b if keep_vars else b.detach()
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(found, f"{prefix}{name}.", keep_vars)
        return found

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Take over values by name; nothing is changed unless all of them fit.

        Args:
            state_dict: Dotted names to tensors or arrays.
            strict: Whether the names must be exactly those of ``state_dict()``.
            assign: Take over the tensors' memory and dtype and not just their values.

        Returns:
            ``(missing_keys, unexpected_keys)``.

        Raises:
            TypeError: ``state_dict`` is no mapping.
            StateDictError: a name is missing or unexpected (if ``strict``), a shape differs, or a value is no tensor.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict takes a dict of names and tensors, not {a(state_dict)}")
        own = self.state_dict(keep_vars=True)
        missing = [k for k in own if k not in state_dict]
        unexpected = [k for k in state_dict if k not in own]
        problems = []
        if strict and missing:
            problems.append(f"missing {_listed(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected {_listed(unexpected)}")
        values = {}
        for name, x in own.items():
            if name not in state_dict:
                continue
            try:
                values[name] = to_tensor(state_dict[name])
            except (HaemaError, TypeError):
                problems.append(f"{name!r} is {a(state_dict[name])} and no tensor")
                continue
            if values[name].shape != x.shape:
                problems.append(f"{name!r} has shape {values[name].shape} where {x.shape} is right")
        if problems:
            shown = "; ".join(problems[:8]) + (f"; and {len(problems) - 8} more" if len(problems) > 8 else "")
            raise StateDictError(f"the state dict does not fit {type(self).__name__}: {shown}")
        with no_grad():
            for name, value in values.items():
                if assign:
                    own[name].data = value.detach()
                else:
                    own[name].copy_(value.detach())
        return IncompatibleKeys(missing, unexpected)

    # -- hooks ------------------------------------------------------------------

    def _add_hook(self, kind: str, hook: Any, prepend: bool = False) -> RemovableHandle:
        if self._hooks is None:
            self._hooks = Hooks()  # which counts as another setting: compiled programs are recorded anew
        executor.changes.memory += 1
        hooks = getattr(self._hooks, kind)
        handle = RemovableHandle(hooks)
        others = dict(hooks) if prepend else {}
        if prepend:
            hooks.clear()
        hooks[handle.id] = hook
        hooks.update(others)
        return handle

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before each forward pass; what it returns, if not None, replaces the arguments.

        Args:
            hook: The function; with keyword arguments ``hook(module, args, kwargs)`` -> (args, kwargs).
            prepend: Before the hooks that are there, and not after.
            with_kwargs: Whether the hook gets the keyword arguments too.
        """
        return self._add_hook("before", (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each forward pass; what it returns replaces the output.

        Args:
            hook: The function; with keyword arguments ``hook(module, args, kwargs, output)``.
            prepend: Before the hooks that are there, and not after.
            with_kwargs: Whether the hook gets the keyword arguments too.
        """
        return self._add_hook("after", (hook, with_kwargs), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before the gradient goes through; what it returns replaces it."""
        return self._add_hook("backward_before", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` once the gradients of the module's inputs are known.

        The two are tuples with one entry per positional input and per output (None without a gradient); what the
        hook returns, if not None, replaces ``grad_input``.
        """
        return self._add_hook("backward", hook, prepend)

    # -- description ------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """The architecture below here as JSON-able data; see `haema.nn.architecture.describe`.

        {"type": "Linear", "args": {"in_features": 64, "out_features": 10}}
        """
        from haema.nn import architecture

        return architecture.describe(self)

    def _config_arguments(self) -> dict[str, Any] | None:
        """The constructor arguments that build this module as it now is, if it knows better than its constructor."""
        return None

    def summary(self, input_shape: Any, **options: Any) -> Any:
        """Print a table of the modules, their output shapes and sizes, and return it; see `haema.nn.summary`."""
        from haema.nn.summary import summary

        return summary(self, input_shape, **options)

    def extra_repr(self) -> str:
        """What stands between the parentheses when the module is printed."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): {_indented(repr(module))}" for name, module in self._modules.items()]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({lines[0]})"
        if not lines and not children:
            return f"{self._get_name()}()"
        return "\n".join([f"{self._get_name()}(", *(f"  {line}" for line in lines + children), ")"])


def _indented(text: str) -> str:
    first, *rest = text.split("\n")
    return "\n".join([first, *(f"  {line}" for line in rest)])


def _listed(names: list[str], limit: int = 6) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(map(repr, names[:limit])) + more


def _is_device(value: Any) -> bool:
    return isinstance(value, str) and value.split(":")[0] == "cpu"
