"""Running a Python function once on symbolic tensors, to record what it computes.

The tracer is an executor: the same seam that the eager engine plugs into. A symbol stands for an array that is not
there yet. It knows its shape, dtype and layout (from a shadow, an array whose values mean nothing), and where its
value is kept:

    storage    memory: its present value is a node of the graph, and a write gives it a new one
    path       the views through which a symbol sees its storage; a write through a view assigns the region

An array that existed before the trace is a state: the program reads it, and writes it back if it changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from haema import ops
from haema.compiler.graph import Graph, Node
from haema.errors import HaemaError
from haema.executor import changes
from haema.ops.core import Op, Spec
from haema.ops.view import Path as Views
from haema.ops.view import follow
from haema.tensor import Tensor

PACKAGE = str(Path(__file__).resolve().parents[1])
WATCHED = 16
"""Elements up to which values that Python reads while recording are compared before each run."""
NUMPY = str(Path(np.__file__).resolve().parent)


def user_line() -> str:
    """Where the user's own program is at the moment."""
    frame = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith((PACKAGE, NUMPY)):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "?"


class _Handle:
    """A value to which ``follow`` can apply views, recording nodes."""

    def __init__(self, tracer: Tracer, node: Node) -> None:
        self.tracer, self.node = tracer, node

    def _apply(self, op: Op, xs: Any, params: dict[str, Any]) -> _Handle:
        return _Handle(self.tracer, self.tracer.node(op, tuple(x.node for x in xs), params))


def _like(arrays: list[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """Memory in the order in which NumPy lays out an elementwise result of ``arrays``."""
    flags = [["readonly"]] * len(arrays) + [["writeonly", "allocate"]]
    types = [*(a.dtype for a in arrays), dtype]
    made = np.nditer([*arrays, None], ["zerosize_ok", "refs_ok"], flags, types, casting="unsafe")  # type: ignore[call-overload]
    result: np.ndarray = made.operands[-1]
    return result


class Storage:
    """Memory, and the node that is its present value.

    Attributes:
        value: The present value.
        place: For memory that was there before the trace, the state that stands for it.
    """

    __slots__ = ("place", "value")

    def __init__(self, value: Node) -> None:
        self.value = value
        self.place = value if value.kind == "state" else None


class Symbol:
    """An array whose values are known only when the program runs."""

    __slots__ = ("_seen", "path", "shadow", "storage", "tracer")

    def __init__(self, tracer: Tracer, shadow: np.ndarray, storage: Storage, path: Views = ()) -> None:
        self.tracer = tracer
        self.shadow = shadow
        self.storage = storage
        self.path = path
        self._seen: tuple[Node, Node] | None = None

    def node(self) -> Node:
        """Its present value."""
        base = self.storage.value
        if not self.path:
            return base
        if self._seen is None or self._seen[0] is not base:
            self._seen = base, follow(self.path, _Handle(self.tracer, base)).node
        return self._seen[1]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.shadow.shape

    @property
    def dtype(self) -> np.dtype:
        return self.shadow.dtype

    @property
    def ndim(self) -> int:
        return self.shadow.ndim

    @property
    def size(self) -> int:
        return self.shadow.size

    @property
    def itemsize(self) -> int:
        return self.shadow.itemsize

    @property
    def nbytes(self) -> int:
        return self.shadow.nbytes

    @property
    def strides(self) -> tuple[int, ...]:
        return self.shadow.strides

    @property
    def flags(self) -> Any:
        return self.shadow.flags

    @property
    def base(self) -> Any:
        return self.shadow.base

    def copy(self) -> Symbol:
        """The same value in memory of its own."""
        return self.tracer.fresh(self.node())

    def __len__(self) -> int:
        return len(self.shadow)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        if self.tracer.closed:
            raise HaemaError(
                f"a tensor of shape {self.shape} was kept from inside a compiled function; it has no value outside: "
                "return it from the function instead"
            )
        raise HaemaError(
            f"{user_line()}: the program asks for the values of a tensor of shape {self.shape} while it is being "
            "compiled, when there are none; use hm.where to choose, return the tensor and read it outside, or take "
            "this part out of the compiled function"
        )

    item = tolist = astype = reshape = view = tobytes = _refuse
    __array__ = __array_ufunc__ = __array_function__ = _refuse
    __iter__ = __getitem__ = __setitem__ = __bool__ = __float__ = __int__ = __index__ = _refuse
    __copy__ = __deepcopy__ = __reduce__ = _refuse


class Tracer:
    """An executor that records.

    Attributes:
        inputs: Places that each call fills.
        hypers: For each option of an optimizer that became an input: its node and how to read it.
        settings: Modules and optimizers that took part, and their settings.
        guards: Python values the trace relied on: (read, value).
        leaves: Tensors that got a gradient.
    """

    def __init__(self) -> None:
        self.inputs: list[Node] = []
        self.given: list[Storage] = []
        self.states: dict[Any, Storage] = {}
        self.hypers: list[tuple[Node, Callable[[], float]]] = []
        self._hyper: dict[Any, Symbol] = {}
        self.settings: dict[int, tuple[Any, Any]] = {}
        self.guards: dict[Any, tuple[Callable[[], Any], Any]] = {}
        self.requirements: list[tuple[Node, Exception]] = []
        self.leaves: dict[int, Any] = {}
        self.closed = False
        self.began = changes.memory, changes.settings
        self._known: dict[int, tuple[np.ndarray, Storage]] = {}
        self._constants: dict[Any, Node] = {}

    # -- making nodes and symbols ------------------------------------------------------

    def node(self, op: Op, inputs: tuple[Node, ...], params: dict[str, Any]) -> Node:
        """A new node."""
        return Node(op, inputs, params, line=user_line())

    def fresh(self, node: Node) -> Symbol:
        """A symbol with new memory for a value."""
        return Symbol(self, np.empty(node.shape, node.dtype), Storage(node))

    def input(self, spec: Spec) -> Symbol:
        """A place that each call fills."""
        node = Node(None, spec=spec, kind="input")
        self.inputs.append(node)
        symbol = self.fresh(node)
        self.given.append(symbol.storage)
        return symbol

    def hyper(self, key: Any, read: Callable[[], float]) -> Symbol:
        """A number that each call reads anew, as a float64 without axes."""
        if key not in self._hyper:
            node = Node(None, spec=Spec((), np.dtype(np.float64)), kind="input")
            self.hypers.append((node, read))
            self._hyper[key] = self.fresh(node)
        return self._hyper[key]

    def guard(self, key: Any, read: Callable[[], Any]) -> Any:
        """A Python value that the trace relies on: where it differs later, the function is traced anew."""
        if key not in self.guards:
            self.guards[key] = (read, read())
        return self.guards[key][1]

    def storage(self, a: Any) -> Storage:
        """The memory behind an array: of a symbol, or of an array that was there before."""
        if type(a) is Symbol:
            if a.tracer is not self:
                a._refuse()
            return a.storage
        known = self._known.get(id(a))
        if known is not None:
            return known[1]
        if any(s % a.itemsize for s in a.strides) or not a.dtype.isnative:
            raise HaemaError(
                f"{user_line()}: a tensor of shape {a.shape} lies in memory with gaps of parts of an element, which a "
                "compiled function cannot read; clone() it first"
            )
        key = (a.__array_interface__["data"][0], a.shape, a.strides, a.dtype.str)
        if key not in self.states:
            node = Node(None, spec=Spec(a.shape, a.dtype), kind="state", array=a)
            self.states[key] = Storage(node)
        self._known[id(a)] = a, self.states[key]
        return self.states[key]

    def read(self, a: Any) -> Node:
        """The present value of an array."""
        return a.node() if type(a) is Symbol and a.tracer is self else self.storage(a).value

    # -- the executor ------------------------------------------------------------------

    def run(self, op: Op, arrays: Any, params: dict[str, Any]) -> Symbol:
        """A symbol for the result of ``op``."""
        if not op.compiles:
            raise HaemaError(
                f"{user_line()}: {op.name} cannot be compiled: the order or number of its results depends on values; "
                "compute it outside the compiled function"
            )
        if op.shares:
            spec = op.rule(*(Spec(a.shape, a.dtype) for a in arrays), **params)
            x = arrays[0]
            shadow = x.shadow if type(x) is Symbol else x
            seen = op.evaluate(shadow, **params) if shadow.size else np.empty(spec.shape, spec.dtype)
            if np.may_share_memory(seen, shadow):
                path = x.path if type(x) is Symbol else ()
                return Symbol(self, seen, self.storage(x), (*path, (op, params)))  # type: ignore[arg-type]
        node = self.node(op, tuple(self.read(a) for a in arrays), params)
        if op.family == "map" and op is not ops.cast:
            shadows = [a.shadow if type(a) is Symbol else a for a in arrays]
            if not all(a.flags.c_contiguous for a in shadows):
                return Symbol(self, _like(shadows, node.dtype), Storage(node))
        return self.fresh(node)

    def update(self, op: Op, out: Any, arrays: Any, params: dict[str, Any]) -> None:
        """The memory of ``out`` gets the result of ``op``."""
        if op is ops.assign and not params["path"]:
            value = self.read(arrays[1])
        else:
            if not op.compiles:
                self.run(op, arrays, params)
            value = self.node(op, tuple(self.read(a) for a in arrays), params)
        if not out.flags.writeable:
            raise ValueError("read-only")
        if value.dtype != out.dtype:
            value = self.node(ops.cast, (value,), {"dtype": out.dtype})
        if value.shape != out.shape:
            value = self.node(ops.expand, (value,), {"shape": out.shape})
        storage = self.storage(out)
        path = out.path if type(out) is Symbol else ()
        storage.value = self.node(ops.assign, (storage.value, value), {"path": path}) if path else value

    def fill(self, value: Any, shape: tuple[int, ...], dtype: np.dtype) -> Symbol:
        """A symbol with one value everywhere."""
        one = self.read(self.constant(value, dtype))
        return self.fresh(one if not shape else self.node(ops.expand, (one,), {"shape": shape}))

    def constant(self, value: Any, dtype: np.dtype) -> Symbol:
        """A symbol for a given value."""
        with np.errstate(all="ignore"):
            a = np.asarray(value, dtype)
        key = (a.tobytes(), a.shape, a.dtype.str) if a.size <= 16 else None
        node = self._constants.get(key)
        if node is None:
            a = np.array(a, order="C")
            node = Node(None, spec=Spec(a.shape, a.dtype), kind="constant", array=a)
            if key is not None:
                self._constants[key] = node
        return self.fresh(node)

    def made(self, array: Any) -> Symbol:
        """A symbol for an array that was just made."""
        return array if type(array) is Symbol else self.constant(array, array.dtype)

    def shares(self, a: Any, b: Any) -> bool:
        """Whether two arrays may lie in the same memory."""
        a, b = (x.shadow if type(x) is Symbol else x for x in (a, b))
        return np.may_share_memory(a, b)

    # -- what the trace relies on ----------------------------------------------------------

    def relied(self, owner: Any) -> None:
        """The program holds while ``owner.settings()`` stay what they are."""
        if id(owner) not in self.settings:
            self.settings[id(owner)] = owner, owner.settings()

    def option(self, options: dict[str, Any], name: str) -> Any:
        """A hyperparameter: fractions are read anew in each call, all else must stay what it is."""
        return self._option(options[name], (id(options), name), partial(options.__getitem__, name))

    def _option(self, value: Any, key: Any, read: Callable[[], Any]) -> Any:
        if type(value) is tuple:
            return tuple(self._option(v, (*key, k), lambda k=k: read()[k]) for k, v in enumerate(value))  # type: ignore[misc]
        free = key[1] == "lr"  # no optimizer leaves something out where it is 0, and a schedule may begin at 0

        def varies(x: Any) -> bool:
            whole = free and isinstance(x, int) and not isinstance(x, bool)
            return (whole or isinstance(x, (float, np.floating))) and (free or x != 0)

        if not varies(value):
            return self.guard(key, read)
        self.guard((*key, "number"), lambda: varies(read()))
        return Tensor._wrap(self.hyper(key, read))

    def reading(self, array: Any) -> None:
        """Values of a tensor from outside are read: small ones are watched; what is written, or large, is refused."""
        if type(array) is Symbol:
            return  # which refuses by itself
        storage = self.storage(array)
        if array.size > WATCHED or storage.value is not storage.place:
            raise HaemaError(
                f"{user_line()}: the program asks Python for the values of a tensor of shape {array.shape}, which may "
                "be others when it runs; read them outside the compiled function and pass them as an argument"
            )
        self.guard((id(array), "values"), array.tobytes)

    def require(self, holds: Any, error: Exception) -> None:
        """Each run of the program looks whether ``holds`` is true everywhere."""
        x = self.read(holds)
        if 0 not in x.shape:
            everywhere = self.node(ops.min, (x,), {"axes": tuple(range(len(x.shape))), "keepdims": False})
            self.requirements.append((everywhere, error))

    def leaf(self, x: Any) -> None:
        """A leaf gets a gradient: added to the one it has, or, if it has none, known to this program only."""
        if id(x) not in self.leaves:
            self.leaves[id(x)] = x
            before = x.grad
            if before is None or type(before._data) is not Symbol:
                self.guard((id(x), "grad"), lambda: x.grad)
            self.guard((id(x), "wants"), partial(getattr, x, "_requires_grad"))

    def outside(self, what: str) -> None:
        """Refuse what would happen only now, while the function is recorded, and not in each call."""
        raise HaemaError(
            f"{user_line()}: {what} changes Python's state, which would happen only once, while the function is "
            "compiled; call it outside the compiled function"
        )

    # -- the end ------------------------------------------------------------------------

    def changed(self) -> list[int]:
        """The numbers of the arguments that are written."""
        return [k for k, (node, s) in enumerate(zip(self.inputs, self.given, strict=True)) if s.value is not node]

    def graph(self, outputs: Iterable[Any]) -> Graph:
        """What was recorded: the results are ``outputs``, new values of arguments that change, and what is required.

        Raises:
            HaemaError: memory is written of which another state shows a part.
        """
        results = [self.read(a) for a in outputs] + [self.given[k].value for k in self.changed()]
        results += [node for node, _ in self.requirements]
        writes = {}
        for storage in self.states.values():
            assert storage.place is not None
            if storage.value is not storage.place:
                self._check_alone(storage.place.array)
                writes[storage.place] = storage.value
        return Graph([*self.inputs, *(n for n, _ in self.hypers)], results, writes)

    def _check_alone(self, array: Any) -> None:
        for other in self.states.values():
            assert other.place is not None
            if other.place.array is not array and np.may_share_memory(other.place.array, array):  # type: ignore[arg-type]
                raise HaemaError(
                    f"a tensor of shape {array.shape} is changed in a compiled function that also reads its memory "
                    "through another tensor made before; make the view inside the function"
                )

    def close(self) -> None:
        """End the trace: gradients that exist only in the program are taken off their tensors."""
        self.closed = True
        for x in self.leaves.values():
            if x.grad is not None and type(x.grad._data) is Symbol:
                x.grad = None
