"""A module as data, and back.

    {"type": "Sequential", "args": {"args": [{"type": "Linear", "args": {"in_features": 2, "out_features": 1}}]}}

is what `describe` says of a module and what `build` makes a module of. The arguments are those the constructor was
called with. Nothing but constructors of known classes is ever called: haema's own, and those a user has registered.

What JSON cannot say is written as an object with the one key "$" for its kind:

    {"$": "tuple", "items": [...]}     {"$": "dict", "items": [[key, value], ...]}     {"$": "float", "value": "nan"}
    {"$": "dtype", "name": "float32"}  {"$": "class", "name": "ReLU"}
    {"$": "function", "name": "functional.relu"}
    {"$": "tensor", "dtype": "int64", "shape": [2], "data": base64}                    {"$": "array", ...}
    {"$": "parameter", "dtype": "float32", "shape": [3, 2]}, whose values are found in the state dict
    {"$": "generator", "state": [seed, block]}

A module that occurs twice is written once, with a number, {"type": ..., "args": ..., "id": 0}, and then as
{"$": "module", "id": 0}.
"""

from __future__ import annotations

import base64
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from haema import dtypes
from haema.errors import HaemaError, InputError, suggest
from haema.tensor import Tensor, to_tensor

if TYPE_CHECKING:
    from haema.nn.module import Module

__all__ = ["build", "classes_by_name", "describe", "register"]

C = TypeVar("C", bound=type)

MAX_DEPTH = 100
"""Levels to which descriptions may be nested."""

MAX_INLINE = 1 << 20
"""Bytes that a tensor among the constructor arguments may have."""

_known: dict[str, type] = {}


def register(cls: C) -> C:
    """Make a module class known, so that files which name it can be loaded.

        @hm.register
        class Net(nn.Module): ...

    Returns:
        The class itself.

    Raises:
        TypeError: it is no Module class.
        ValueError: another class is known under its name.
    """
    if not isinstance(cls, type) or not hasattr(cls, "_config_arguments"):
        raise TypeError(f"register takes a subclass of nn.Module, not {cls!r}")
    old = _known.get(cls.__name__)
    if old is not None and old.__module__.partition(".")[0] == "haema" and cls.__module__ != old.__module__:
        raise ValueError(f"register: haema has a module {cls.__name__!r} of its own; give the class another name")
    _known[cls.__name__] = cls
    return cls


def classes_by_name(classes: Iterable[type] = ()) -> dict[str, type]:
    """The registered classes, and these."""
    known = dict(_known)
    for cls in classes:
        if not isinstance(cls, type) or not hasattr(cls, "_config_arguments"):
            raise TypeError(f"classes: {cls!r} is no subclass of nn.Module")
        known[cls.__name__] = cls
    return known


# -- describing ------------------------------------------------------------------


def arguments(module: Module) -> dict[str, Any]:
    """The constructor arguments that build ``module``, by name; those at their default are left out.

    Raises:
        HaemaError: the arguments do not fit the constructor, so something other than it made the module.
    """
    given = module._config_arguments()
    if given is not None:
        return given
    args, kwargs = module._arguments
    cls = type(module)
    signature = inspect.signature(cls.__init__)
    try:
        bound = signature.bind(module, *args, **kwargs)
    except TypeError as error:
        raise HaemaError(f"{cls.__name__} cannot be described, for its arguments are not known: {error}") from None
    own = cls.__module__.partition(".")[0] == "haema"
    found: dict[str, Any] = {}
    for name, parameter in list(signature.parameters.items())[1:]:
        if own and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            # haema's own modules keep plain arguments as attributes, which may have been changed since
            value = bound.arguments.get(name, parameter.default)
            present = getattr(module, name, value)
            if isinstance(present, (bool, int, float, str)) and isinstance(value, (bool, int, float, str)):
                value = present
            default = parameter.default
            if value is not default and (type(value) is not type(default) or value != default):
                found[name] = value
        elif name not in bound.arguments:
            continue
        elif parameter.kind is parameter.VAR_KEYWORD:
            found.update(bound.arguments[name])
        elif parameter.kind is parameter.VAR_POSITIONAL:
            found[name] = list(bound.arguments[name])
        else:
            found[name] = bound.arguments[name]
    return found


def describe(module: Module) -> dict[str, Any]:
    """``module`` as JSON-able data.

    Raises:
        HaemaError: an argument of a constructor is of a kind that cannot be written down, or contains itself.
    """
    return Describer().module(module, 0)


class Describer:
    """Writes values as JSON-able data; remembers which modules it has seen, so that a shared one is written once."""

    def __init__(self) -> None:
        self.seen: dict[int, dict[str, Any]] = {}
        self.kept: list[Any] = []
        self.count = 0

    def module(self, module: Module, depth: int) -> dict[str, Any]:
        if id(module) in self.seen:
            first = self.seen[id(module)]
            if "id" not in first:
                first["id"] = self.count
                self.count += 1
            return {"$": "module", "id": first["id"]}
        self.kept.append(module)  # so that no other object takes its id
        name = type(module).__name__
        result = self.seen[id(module)] = {"type": name, "args": {}}
        for key, value in arguments(module).items():
            result["args"][key] = self.value(value, f"{name}({key}=...)", depth + 1)
        return result

    def value(self, x: Any, where: str, depth: int) -> Any:
        from haema.nn.module import Module

        if depth > MAX_DEPTH:
            raise HaemaError(f"{where} is nested more than {MAX_DEPTH} levels deep, or contains itself")
        if isinstance(x, np.generic):
            x = x.item()
        if x is None or isinstance(x, (bool, str)):
            return x
        if isinstance(x, int):
            return int(x)
        if isinstance(x, float):
            return float(x) if math.isfinite(x) else {"$": "float", "value": str(float(x))}
        if isinstance(x, Module):
            return self.module(x, depth)
        if isinstance(x, list):
            return [self.value(v, where, depth + 1) for v in x]
        if isinstance(x, tuple):
            return {"$": "tuple", "items": [self.value(v, where, depth + 1) for v in x]}
        if isinstance(x, Mapping):
            if all(isinstance(k, str) for k in x) and not {"$", "type"} & set(x):
                return {k: self.value(v, where, depth + 1) for k, v in x.items()}
            items = [[self.value(k, where, depth + 1), self.value(v, where, depth + 1)] for k, v in x.items()]
            return {"$": "dict", "items": items}
        special = self.special(x, where)
        if special is None:
            raise HaemaError(
                f"{where} is a {type(x).__name__}, which cannot be written to a file; numbers, strings, lists, dicts, "
                "small tensors, modules, module classes and functions of nn.functional can"
            )
        return special

    def special(self, x: Any, where: str) -> dict[str, Any] | None:
        """What is neither JSON's own nor a container, or None where it has no description."""
        return _special(x)


def _special(x: Any) -> dict[str, Any] | None:
    from haema.nn.parameter import Parameter
    from haema.random import Generator

    if isinstance(x, Parameter):
        return {"$": "parameter", "dtype": x.dtype.name, "shape": list(x.shape), "requires_grad": x.requires_grad}
    if isinstance(x, (Tensor, np.ndarray)):
        array = np.ascontiguousarray(x._data if isinstance(x, Tensor) else x).reshape(np.shape(x))
        if array.dtype not in dtypes.RANK or array.nbytes > MAX_INLINE:
            return None
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        data = base64.b64encode(little.tobytes()).decode("ascii")
        kind = "tensor" if isinstance(x, Tensor) else "array"
        return {"$": kind, "dtype": array.dtype.name, "shape": list(array.shape), "data": data}
    if isinstance(x, np.dtype):
        return {"$": "dtype", "name": x.name}
    if isinstance(x, Generator):
        return {"$": "generator", "state": x.get_state().tolist()}
    if isinstance(x, type) and hasattr(x, "_config_arguments"):
        return {"$": "class", "name": x.__name__}
    if inspect.isfunction(x):
        for name, function in _functions().items():
            if function is x:
                return {"$": "function", "name": name}
    return None


def _functions() -> dict[str, Callable[..., Any]]:
    """The functions that may be named: those of nn.functional, and what `haema` itself has of the kind."""
    import haema
    from haema.nn import functional

    found = {n: getattr(haema, n) for n in ("abs", "cos", "exp", "relu", "sigmoid", "sign", "sin", "square", "tanh")}
    for name, value in vars(functional).items():
        if inspect.isfunction(value) and not name.startswith("_") and value.__module__.startswith("haema."):
            found[f"functional.{name}"] = value
    return found


# -- building ------------------------------------------------------------------


def build(config: Mapping[str, Any], classes: Iterable[type] = ()) -> Module:
    """The module that ``config`` describes, newly initialised.

    Args:
        config: What ``module.config()`` gave.
        classes: Classes that may be named besides haema's own and registered ones.

    Raises:
        InputError: the description is no such thing, names a class that is not known, or a constructor refuses
            its arguments.
    """
    return Builder(classes_by_name(classes)).module(config, 0)


class Builder:
    """Makes values of what a `Describer` wrote.

    Args:
        known: The classes that may be named.
    """

    def __init__(self, known: dict[str, type]) -> None:
        self.known = known
        self.numbered: dict[int, Module] = {}

    def module(self, config: Any, depth: int) -> Module:
        if not (isinstance(config, Mapping) and isinstance(config.get("type"), str)):
            raise InputError(f"an architecture is {{'type': ..., 'args': ...}}, not {_short(config)}")
        name, args = config["type"], config.get("args", {})
        if not isinstance(args, Mapping):
            raise InputError(f"the arguments of {_short(name)} are a dict of names and values, not {_short(args)}")
        cls = self.find(name)
        values = {str(k): self.value(v, depth + 1) for k, v in args.items()}
        module = _construct(cls, values)
        number = config.get("id")
        if isinstance(number, int):
            self.numbered[number] = module
        return module

    def find(self, name: str) -> type:
        if name not in self.known:
            raise InputError(
                f"the class {_short(name)} is not known: {suggest(name[:50], self.known)}; register your own with "
                f"@hm.register, or pass it as classes=[...]"
            )
        return self.known[name]

    def value(self, x: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise InputError(f"the description is nested more than {MAX_DEPTH} levels deep")
        if isinstance(x, list):
            return [self.value(v, depth + 1) for v in x]
        if not isinstance(x, Mapping):
            return x
        if "type" in x:
            return self.module(x, depth)
        if "$" not in x:
            return {k: self.value(v, depth + 1) for k, v in x.items()}
        try:
            return self.special(x, depth)
        except InputError:
            raise
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError, MemoryError, HaemaError):
            raise InputError(f"the description contains {_short(dict(x))}, which cannot be understood") from None

    def special(self, x: Mapping[str, Any], depth: int) -> Any:
        """What an object with a "$" stands for; any error means that it is not understood."""
        from haema.creation import zeros
        from haema.nn.parameter import Parameter

        kind = x["$"]
        if kind == "tuple":
            return tuple(self.value(list(x["items"]), depth + 1))
        if kind == "dict":
            return {self.value(k, depth + 1): self.value(v, depth + 1) for k, v in x["items"]}
        if kind == "float" and x["value"] in ("nan", "inf", "-inf"):
            return float(x["value"])
        if kind == "dtype":
            return dtypes.as_dtype(x["name"])
        if kind == "class":
            return self.find(x["name"])
        if kind == "function" and x["name"] in _functions():
            return _functions()[x["name"]]
        if kind in ("tensor", "array"):
            return _array(x)
        if kind == "parameter":
            return Parameter(zeros(tuple(x["shape"]), dtype=x["dtype"]), x["requires_grad"] is True)
        if kind == "generator":
            return _generator(x["state"])
        if kind == "module" and x["id"] in self.numbered:
            return self.numbered[x["id"]]
        raise ValueError(f"there is no kind {kind}")


def _construct(cls: type, values: dict[str, Any]) -> Any:
    """``cls(**values)``, where the value named like ``*args`` in the signature is spread out."""
    signature = inspect.signature(cls.__init__)  # type: ignore[misc]
    args: list[Any] = []
    spread = next((p.name for p in signature.parameters.values() if p.kind is p.VAR_POSITIONAL), None)
    if spread is not None and spread in values:
        rest = values.pop(spread)
        if not isinstance(rest, list):
            raise InputError(f"{cls.__name__}: {spread} must be a list, not {_short(rest)}")
        for p in list(signature.parameters.values())[1:]:
            if p.kind is p.VAR_POSITIONAL:
                break
            if rest:
                if p.name not in values and p.default is p.empty:
                    raise InputError(f"{cls.__name__}: the argument {p.name!r} is missing")
                args.append(values.pop(p.name, p.default))
        args.extend(rest)
    try:
        return cls(*args, **values)
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{cls.__name__}({_short(values)}) asks for more memory than there is") from None
    except RecursionError:
        raise InputError(f"{cls.__name__}({_short(values)}) goes too deep") from None
    except Exception as error:
        raise InputError(
            f"{cls.__name__}({_short(values)}) cannot be built: {type(error).__name__}: {_short(str(error), 200)}"
        ) from None


def _array(x: Mapping[str, Any]) -> Any:
    dtype, shape = dtypes.as_dtype(x["dtype"]), tuple(x["shape"])
    data = base64.b64decode(x["data"], validate=True)
    if any(type(n) is not int or n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"shape {shape}")
    array = np.frombuffer(data, dtype.newbyteorder("<")).reshape(shape).astype(dtype)
    return Tensor._wrap(array) if x["$"] == "tensor" else array


def _generator(state: Any) -> Any:
    from haema.random import Generator

    generator = Generator()
    generator.set_state(to_tensor(np.array(state, np.int64).reshape(2)))
    return generator


def _short(x: Any, limit: int = 80) -> str:
    """The beginning of what ``x`` looks like, on one line."""
    if isinstance(x, str):
        text = repr(x) if limit == 80 else x
    elif isinstance(x, Mapping):
        text = ", ".join(f"{str(k)[:40]}={_short(v, 40)}" for k, v in list(x.items())[:6])
    elif isinstance(x, (list, tuple)):
        text = f"a {type(x).__name__} of {len(x)}"
    elif isinstance(x, int):
        text = str(x) if x.bit_length() < 200 else "a huge number"
    else:
        text = str(x) if x is None or isinstance(x, float) else f"a {type(x).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."
