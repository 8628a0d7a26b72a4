"""What a module holds: parameters, buffers and modules, by name and in the order of definition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from haema.errors import suggest
from haema.executor import changes
from haema.nn.parameter import Parameter
from haema.tensor import Tensor

if TYPE_CHECKING:
    from haema.nn.module import Module

__all__ = ["Tree"]

T = TypeVar("T", bound="Tree")


def _is_plain(value: Any) -> bool:
    """Whether it is a number, a text, None, or a tuple of such."""
    return isinstance(value, (bool, int, float, str, type(None))) or (
        isinstance(value, tuple) and all(map(_is_plain, value))
    )


class Tree:
    """The part of `Module` that keeps what is assigned to it.

    Attributes:
        training: Whether it is in training mode.
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _transient: set[str]
    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls: type[T], *args: Any, **kwargs: Any) -> T:
        self = object.__new__(cls)
        state = self.__dict__
        state["training"] = True
        state["_parameters"] = {}
        state["_buffers"] = {}
        state["_modules"] = {}
        state["_transient"] = set()  # names of buffers that are not in the state dict
        state["_arguments"] = (tuple(map(_kept, args)), {k: _kept(v) for k, v in kwargs.items()})
        return self

    # -- attributes ------------------------------------------------------------------

    def settings(self) -> tuple[Any, ...]:
        """What decides about the computation besides values: plain attributes, and its tensors and modules."""
        plain = tuple((k, v) for k, v in self.__dict__.items() if _is_plain(v))
        wants = tuple(p is not None and p.requires_grad for p in self._parameters.values())
        return (
            plain,
            wants,
            *(tuple((k, id(v)) for k, v in held.items()) for held in (self._parameters, self._buffers, self._modules)),
        )

    def __setattr__(self, name: str, value: Any) -> None:
        changes.settings += 1
        state = self.__dict__
        parameters, buffers, modules = state["_parameters"], state["_buffers"], state["_modules"]
        if isinstance(value, Parameter):
            self._forget(name)
            self.register_parameter(name, value)
        elif name in parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign {a(value)} as parameter {name!r}; it takes an nn.Parameter or None "
                    f"(to change the values: with hm.no_grad(): module.{name}.copy_(...))"
                )
            parameters[name] = None
        elif isinstance(value, Tree):
            if name not in modules:
                self._forget(name)
            self.add_module(name, cast("Module", value))
        elif name in modules:
            if value is not None:
                raise TypeError(f"cannot assign {a(value)} as child module {name!r}; it takes an nn.Module or None")
            modules[name] = None
        elif name in buffers:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(f"cannot assign {a(value)} as buffer {name!r}; it takes a Tensor or None")
            buffers[name] = value
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        state = self.__dict__
        if "_modules" in state:  # not so while a copy is being made
            if name in (held := state["_parameters"]):
                return held[name]
            if name in (held := state["_modules"]):
                return held[name]
            if name in (held := state["_buffers"]):
                return held[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def __delattr__(self, name: str) -> None:
        changes.settings += 1
        for kind in (self._parameters, self._buffers, self._modules):
            if name in kind:
                del kind[name]
                self._transient.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]
        return sorted({n for n in names if not n[:1].isdigit()})

    def _forget(self, name: str) -> None:
        """Drop what is called ``name``, so that something of another kind can take its place."""
        for kind in (self.__dict__, self._parameters, self._buffers, self._modules):
            if name in kind and (kind is not self._parameters):
                del kind[name]
                self._transient.discard(name)

    def _check_name(self, name: str, what: str, kind: Mapping[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of a {what} must be a string, not {a(name)}")
        if "." in name:
            raise KeyError(f'the name of a {what} cannot contain ".", which separates levels: {name!r}')
        if name == "":
            raise KeyError(f"the name of a {what} cannot be empty")
        if name not in kind and hasattr(self, name):
            raise KeyError(f"{type(self).__name__} already has an attribute {name!r}")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Hold ``param`` as a parameter called ``name``; None keeps the name without a value.

        Raises:
            TypeError: it is no Parameter, or ``name`` no string.
            KeyError: the name is taken, empty or contains a dot.
            ValueError: it was computed by recorded operations and so cannot be learned.
        """
        self._check_name(name, "parameter", self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"cannot register {a(param)} as parameter {name!r}; it takes an nn.Parameter or None")
        if param is not None and param._record is not None:
            raise ValueError(f"parameter {name!r} was computed from other tensors; only a leaf can be learned")
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Hold ``tensor`` with the module without learning it, e.g. a running mean.

        Args:
            name: Attribute under which it is reached.
            tensor: The tensor, or None to keep the name without a value.
            persistent: Whether it belongs to the ``state_dict``.

        Raises:
            TypeError: it is no tensor, or ``name`` no string.
            KeyError: the name is taken, empty or contains a dot.
        """
        self._check_name(name, "buffer", self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot register {a(tensor)} as buffer {name!r}; it takes a Tensor or None")
        self._buffers[name] = tensor
        (self._transient.discard if persistent else self._transient.add)(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Hold ``module`` as a child called ``name``.

        Raises:
            TypeError: it is no Module, or ``name`` no string.
            KeyError: the name is taken, empty or contains a dot.
        """
        if module is not None and not isinstance(module, Tree):
            raise TypeError(f"{a(module)} is not a Module, so it cannot be the child {name!r}")
        self._check_name(name, "module", self._modules)
        self._modules[name] = module

    register_module = add_module

    # -- going through the tree ------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct children with their names, a shared one once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct children."""
        return (module for _, module in self.named_children())

    def named_modules(
        self, memo: set[int] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module (as "") and all below it with their dotted names, a shared one once."""
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        if remove_duplicate:
            memo.add(id(self))
        yield prefix, cast("Module", self)
        for name, module in self._modules.items():
            if module is not None:
                below = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, below, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def _named(self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen = set()
        owners = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in owners:
            for name, x in getattr(module, kind).items():
                if x is None or id(x) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(x))
                yield f"{path}.{name}" if path else name, x

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Parameters with their dotted names in the order of definition, a shared one once.

        Args:
            prefix: Put before each name.
            recurse: Also those of all modules below.
            remove_duplicate: Leave out further names of a shared parameter.
        """
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Parameters in the order of definition, a shared one once."""
        return (x for _, x in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Buffers with their dotted names, a shared one once."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Buffers in the order of definition."""
        return (x for _, x in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module with the dotted name ``target``; "" is this one.

        Raises:
            AttributeError: there is none.
        """
        module = cast("Module", self)
        for name in target.split(".") if target else []:
            below = module._modules.get(name)
            if below is None:
                raise AttributeError(
                    f"{type(module).__name__} has no child module {name!r} (in {target!r}): "
                    f"{suggest(name, module._modules)}"
                )
            module = below
        return module

    def _get(self, target: str, kind: str, what: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        x = getattr(owner, kind).get(name)
        if x is None:
            known = suggest(name, getattr(owner, kind))
            raise AttributeError(f"{type(owner).__name__} has no {what} {name!r} (in {target!r}): {known}")
        return x

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with the dotted name ``target``.

        Raises:
            AttributeError: there is none.
        """
        return self._get(target, "_parameters", "parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with the dotted name ``target``.

        Raises:
            AttributeError: there is none.
        """
        return self._get(target, "_buffers", "buffer")


def a(value: object) -> str:
    """What ``value`` is, in a message."""
    return f"a {type(value).__name__}" if value is not None else "None"


def _kept(value: Any) -> Any:
    """A constructor argument as it is now: lists and dicts are copied, for the caller may go on to change them."""
    if type(value) is list:
        return [_kept(v) for v in value]
    if type(value) is dict:
        return {k: _kept(v) for k, v in value.items()}
    return value
