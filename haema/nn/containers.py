"""Modules and parameters in lists and dicts."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from haema.nn.module import Module, _indented
from haema.nn.parameter import Parameter
from haema.tensor import Tensor

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]

Self = TypeVar("Self", bound="_Indexed")
M = TypeVar("M", bound=Module)


def _position(index: Any, length: int, name: str) -> int:
    """``index``, which may count from the end, as a position in a container of ``length``."""
    i = index.__index__()
    if not -length <= i < length:
        raise IndexError(f"{name} has {length} entries, and {i} is outside of it")
    return i % length


class _Indexed(Module):
    """Children named "0", "1", ...: what Sequential and ModuleList have in common."""

    def _key(self, index: Any) -> str:
        """The name of the child at a position (names need not be numbers in a Sequential made of a dict)."""
        return list(self._modules)[_position(index, len(self._modules), type(self).__name__)]

    def _renumber(self, modules: Iterable[Any]) -> None:
        modules = list(modules)
        self._modules.clear()
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __setitem__(self, index: Any, module: Module) -> None:
        self.add_module(self._key(index), module)

    def __delitem__(self, index: Any) -> None:
        keys = list(self._modules)[index] if isinstance(index, slice) else [self._key(index)]
        for key in keys:
            del self._modules[key]
        if not any(not k.isdigit() for k in self._modules):
            self._renumber(self._modules.values())

    def append(self: Self, module: Module) -> Self:
        """Add ``module`` at the end; returns the container."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self: Self, modules: Iterable[Module]) -> Self:
        """Add each of ``modules`` at the end; returns the container.

        Raises:
            TypeError: ``modules`` cannot be gone through.
        """
        if not isinstance(modules, Iterable):
            raise TypeError(f"{type(self).__name__}.extend takes several modules, not a {type(modules).__name__}")
        for module in list(modules):
            self.append(module)
        return self

    def pop(self, index: Any = -1) -> Module:
        """Take out the child at a position, and return it."""
        module = self._modules[self._key(index)]
        assert module is not None
        del self[index]
        return module

    def _insert(self, index: int, module: Module) -> None:
        if not isinstance(module, Module):
            raise TypeError(f"a {type(module).__name__} is not a Module")
        modules = list(self._modules.values())
        if not -len(modules) <= index <= len(modules):
            raise IndexError(f"{type(self).__name__} has {len(modules)} entries, and {index} is outside of it")
        modules.insert(index, module)
        self._renumber(modules)


class Sequential(_Indexed):
    """Modules one after the other: y = f_n(... f_2(f_1(x))).

    Args:
        args: The modules in order, or one dict of names and modules.

    Raises:
        TypeError: something is no Module.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], Mapping) else enumerate(args)
        for name, module in named:
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        """Each module applied to the output of the one before."""
        for module in self._modules.values():
            input = module(input)  # type: ignore[misc]
        return input

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            part = Sequential(OrderedDict(list(self._modules.items())[index]))
            part.training = self.training
            return part
        return self._modules[self._key(index)]

    def insert(self, index: int, module: Module) -> Sequential:
        """Put ``module`` before position ``index``; returns the container.

        Raises:
            TypeError: it is no Module.
            IndexError: there is no such position.
        """
        self._insert(index, module)
        return self

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            return NotImplemented
        return Sequential(*self, *other)

    def __iadd__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            return NotImplemented
        return self.extend(other)

    def _config_arguments(self) -> dict[str, Any] | None:
        if type(self).__init__ is not Sequential.__init__:
            return None
        if all(name == str(i) for i, name in enumerate(self._modules)):
            return {"args": list(self._modules.values())}
        return {"args": [dict(self._modules)]}


class ModuleList(_Indexed):
    """A list of modules, which are children of it.

    Args:
        modules: The modules; none by default.

    Raises:
        TypeError: something is no Module.
    """

    def __init__(self, modules: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(() if modules is None else modules)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self._modules.values())[index])
        return self._modules[self._key(index)]

    def insert(self, index: int, module: Module) -> None:
        """Put ``module`` before position ``index``.

        Raises:
            TypeError: it is no Module.
            IndexError: there is no such position.
        """
        self._insert(index, module)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __iadd__(self, other: Iterable[Module]) -> ModuleList:
        return self.extend(other)

    def _config_arguments(self) -> dict[str, Any] | None:
        return {"modules": list(self)} if type(self).__init__ is ModuleList.__init__ else None

    def __repr__(self) -> str:
        """Equal neighbours on one line, as ``(0-2): 3 x Linear(...)``."""
        if not len(self):
            return f"{self._get_name()}()"
        lines, at = [], 0
        for text, group in itertools.groupby(map(repr, self)):
            count = len(list(group))
            name = f"({at})" if count == 1 else f"({at}-{at + count - 1})"
            times = "" if count == 1 else f"{count} x "
            lines.append(f"  {name}: {times}{_indented(text)}")
            at += count
        return "\n".join([f"{self._get_name()}(", *lines, ")"])


class ModuleDict(Module):
    """A dict of modules, which are children of it, in the order of insertion.

    Args:
        modules: A dict, or pairs of names and modules; none by default.

    Raises:
        TypeError: something is no Module.
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove all."""
        self._modules.clear()

    def pop(self, key: str) -> Module:
        """Take out the module called ``key``, and return it."""
        module = self._modules.pop(key)
        assert module is not None
        return module

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def items(self) -> Iterable[tuple[str, Any]]:
        """The names with their modules."""
        return self._modules.items()

    def values(self) -> Iterable[Any]:
        """The modules."""
        return self._modules.values()

    def update(self, modules: Any) -> None:
        """Add or replace modules, given as a dict or as pairs.

        Raises:
            TypeError: they are neither.
        """
        if isinstance(modules, (Mapping, ModuleDict)):
            modules = modules.items()
        elif not isinstance(modules, Iterable):
            raise TypeError(f"ModuleDict takes a dict or pairs of names and modules, not a {type(modules).__name__}")
        for pair in modules:
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(f"ModuleDict takes pairs of a name and a module, not {pair!r:.60}")
            self.add_module(*pair)

    def _config_arguments(self) -> dict[str, Any] | None:
        return {"modules": dict(self._modules)} if type(self).__init__ is ModuleDict.__init__ else None


def _as_parameter(value: Any, where: str) -> Parameter:
    if isinstance(value, Parameter):
        return value
    if isinstance(value, Tensor):
        return Parameter(value)
    raise TypeError(f"{where} takes parameters and tensors, not a {type(value).__name__}")


def _lines(parameters: Mapping[str, Parameter | None]) -> Iterator[str]:
    for name, x in parameters.items():
        if x is not None:
            size = "x".join(map(str, x.shape))
            yield f"  ({name}): Parameter containing: [{x.dtype.name} of size {size}]"


class ParameterList(Module):
    """A list of parameters; plain tensors become parameters.

    Args:
        values: Parameters or tensors; none by default.

    Raises:
        TypeError: something is neither.
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(() if values is None else values)

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parameters.values())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._parameters[str(_position(index, len(self), "ParameterList"))]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._parameters[str(_position(index, len(self), "ParameterList"))] = _as_parameter(value, "ParameterList")

    def append(self, value: Any) -> ParameterList:
        """Add a parameter at the end; returns the list."""
        self.register_parameter(str(len(self)), _as_parameter(value, "ParameterList"))
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add parameters at the end; returns the list.

        Raises:
            TypeError: ``values`` cannot be gone through.
        """
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(f"ParameterList takes several parameters, not a {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    __iadd__ = extend

    def _config_arguments(self) -> dict[str, Any] | None:
        if type(self).__init__ is not ParameterList.__init__:
            return None
        return {"values": list(self)}

    def __repr__(self) -> str:
        if not len(self):
            return f"{self._get_name()}()"
        return "\n".join([f"{self._get_name()}(", *_lines(self._parameters), ")"])


class ParameterDict(Module):
    """A dict of parameters, in the order of insertion; plain tensors become parameters.

    Args:
        parameters: A dict, or pairs of names and parameters; none by default.

    Raises:
        TypeError: something is neither a parameter nor a tensor.
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        return self._parameters[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.register_parameter(key, _as_parameter(value, "ParameterDict"))

    def __delitem__(self, key: str) -> None:
        del self._parameters[key]

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __contains__(self, key: str) -> bool:
        return key in self._parameters

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._parameters.keys()

    def items(self) -> Iterable[tuple[str, Any]]:
        """The names with their parameters."""
        return self._parameters.items()

    def values(self) -> Iterable[Any]:
        """The parameters."""
        return self._parameters.values()

    def get(self, key: str, default: Any = None) -> Any:
        """The parameter called ``key``, or ``default``."""
        return self._parameters.get(key, default)

    def pop(self, key: str) -> Any:
        """Take out the parameter called ``key``, and return it."""
        return self._parameters.pop(key)

    def clear(self) -> None:
        """Remove all."""
        self._parameters.clear()

    def update(self, parameters: Any) -> None:
        """Add or replace parameters, given as a dict or as pairs.

        Raises:
            TypeError: they are neither.
        """
        if isinstance(parameters, (Mapping, ParameterDict)):
            parameters = parameters.items()
        elif not isinstance(parameters, Iterable):
            raise TypeError(
                f"ParameterDict takes a dict or pairs of names and parameters, not a {type(parameters).__name__}"
            )
        for key, value in parameters:
            self[key] = value

    def _config_arguments(self) -> dict[str, Any] | None:
        if type(self).__init__ is not ParameterDict.__init__:
            return None
        return {"parameters": dict(self._parameters)}

    def __repr__(self) -> str:
        if not len(self):
            return f"{self._get_name()}()"
        return "\n".join([f"{self._get_name()}(", *_lines(self._parameters), ")"])
