"""Reverse-mode differentiation: the tape, the walk back along it, and a check against finite differences.

Each operation on a tensor that requires a gradient leaves a ``Record``: which primitive, which inputs, and just
those values that the primitive's derivative reads. A record knows the records its inputs came from, so records form
a graph that points backwards. ``backward`` visits them from the youngest to the oldest. A record is always younger
than those it points to, so when its turn comes, all that flows into it has arrived.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from haema.errors import HaemaError, ShapeError
from haema.ops.core import Op

if TYPE_CHECKING:
    from haema.tensor import Tensor

_count = itertools.count(1).__next__


class _Mode(threading.local):
    recording = True


_mode = _Mode()


class Record:
    """One operation on the tape.

    Attributes:
        op, params: The primitive and its parameters.
        shapes, dtypes: Of the inputs.
        wants: Per input, whether it requires a gradient.
        sources: Per input, where its gradient goes: a Record, a leaf Tensor, or None.
        age: Number in order of creation.
    """

    __slots__ = (
        "_inputs", "_output", "_versions", "age", "captured", "dtypes", "hooks", "op", "params", "shapes",
        "sources", "wants",
    )  # fmt: skip

    def __init__(self, op: Op, params: dict[str, Any], xs: Sequence[Tensor], y: Tensor) -> None:
        self.op = op
        self.params = params
        self.shapes = [x._data.shape for x in xs]
        self.dtypes = [x._data.dtype for x in xs]
        self.wants = [x.requires_grad for x in xs]
        self.sources = [source(x) if x._requires_grad else None for x in xs]
        self.age = _count()  # only now: asking a view for its source may make a record
        self.hooks: list[Callable[[Tensor], Tensor | None]] | None = None
        self.captured: Any = None
        self._inputs: list[Tensor | None] | None = [
            x if keep else None for x, keep in zip(xs, op.keeps(len(xs)), strict=True)
        ]
        self._output = (y._data, y._version) if op.keeps_output else None
        self._versions = [x._version[0] for x in xs], y._version[0]

    def __repr__(self) -> str:
        return f"<{self.op.name}>"

    def input(self, i: int) -> Tensor:
        """Input ``i`` as it was.

        Raises:
            HaemaError: it was overwritten since, or this record has been walked and freed.
        """
        if self._inputs is None:
            raise HaemaError(
                f"backward went through {self.op.name} before and freed what it had kept; "
                "pass retain_graph=True to the first backward to go through the graph again"
            )
        x = self._inputs[i]
        assert x is not None, f"{self.op.name} reads input {i} without saying so"
        if x._version[0] != self._versions[0][i]:
            raise HaemaError(self._overwritten(f"input {i}", x.shape))
        return x

    def output(self) -> Tensor:
        """The output as it was, connected to this record, so that its gradient can be taken again."""
        if self._inputs is None:
            self.input(0)
        assert self._output is not None, f"{self.op.name} reads its output without saying so"
        data, version = self._output
        if version[0] != self._versions[1]:
            raise HaemaError(self._overwritten("the output", data.shape))
        return _tensor_class()._wrap(data, self)

    def _overwritten(self, what: str, shape: tuple[int, ...]) -> str:
        return (
            f"{what} of {self.op.name} (shape {shape}) was changed in place after it was used, "
            "so its gradient can no longer be computed; use the out-of-place form, or clone it first"
        )

    def free(self) -> None:
        """Let go of the kept values."""
        self._inputs = None
        self._output = None


def _tensor_class() -> type[Tensor]:
    from haema.tensor import Tensor

    return Tensor


def source(x: Tensor) -> Any:
    """Where the gradient of ``x`` goes: the record that made it, or ``x`` itself if it is a leaf."""
    record = x._current_record()
    return x if record is None else record


class RemovableHandle:
    """What `Tensor.register_hook` returns: ``remove()`` takes the hook away again."""

    def __init__(self, hooks: list[Callable[[Tensor], Tensor | None]], hook: Callable[[Tensor], Tensor | None]) -> None:
        self._hooks = hooks
        self._hook = hook

    def remove(self) -> None:
        """Take the hook away; a second time nothing happens."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)


class Keep:
    """The hook of `Tensor.retain_grad`: adds the gradient to that of the tensor. Two for one tensor are equal."""

    def __init__(self, x: Tensor) -> None:
        self._x = weakref.ref(x)  # the record holds the hook, and the tensor the record

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keep) and self._x() is other._x()

    def __hash__(self) -> int:
        return hash(Keep)

    def __call__(self, g: Tensor) -> None:
        x = self._x()
        if x is not None:
            x.grad = g.clone() if x.grad is None else x.grad + g


# -- switching the tape on and off ------------------------------------------------------------------


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return _mode.recording


class set_grad_enabled(contextlib.ContextDecorator):
    """Switch recording on or off: at once, and as a context manager or decorator until its end."""

    def __init__(self, mode: bool) -> None:
        self._new = mode
        self._old = [_mode.recording]
        _mode.recording = mode

    def __enter__(self) -> None:
        _mode.recording = self._new

    def __exit__(self, *_: object) -> None:
        _mode.recording = self._old[-1]

    def __call__(self, function: Any) -> Any:
        _mode.recording = self._old[-1]  # a decorator switches within the function only
        return super().__call__(function)


class _Switch(contextlib.ContextDecorator):
    """A context manager and decorator that can be entered again and again, also within itself."""

    to = False

    def __init__(self) -> None:
        self._old: list[bool] = []

    def __enter__(self) -> None:
        self._old.append(_mode.recording)
        _mode.recording = self.to

    def __exit__(self, *_: object) -> None:
        _mode.recording = self._old.pop()

    def __call__(self, function: Any) -> Any:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        wrapper.__name__ = getattr(function, "__name__", "wrapper")
        wrapper.__doc__ = function.__doc__
        wrapper.__wrapped__ = function  # type: ignore[attr-defined]
        return wrapper


class no_grad(_Switch):
    """Within it no operation is recorded: ``with hm.no_grad(): ...`` or ``@hm.no_grad()``."""

    to = False


class enable_grad(_Switch):
    """Within it operations are recorded again, inside ``no_grad``."""

    to = True


inference_mode = no_grad


# -- the walk back ------------------------------------------------------------------


def _add(a: tuple[Tensor, bool] | None, b: Tensor, owned: bool) -> tuple[Tensor, bool]:
    """The sum of two gradients, and whether its memory is nobody else's."""
    if a is None:
        return b, owned
    return a[0] + b, True


def walk(
    roots: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    only: Sequence[Any] | None = None,
) -> dict[int, tuple[Any, Tensor, bool]]:
    """Carry gradients from ``roots`` to the leaves.

    Args:
        roots: Tensors whose gradients are given.
        grads: Those gradients.
        create_graph: Record the walk itself, so that gradients can be differentiated.
        retain_graph: Keep what the tape holds; default as ``create_graph``.
        only: Sources (records or leaves) of interest; nothing else is computed.

    Returns:
        For each source reached that is a leaf, or is in ``only``: id -> (source, gradient, owns its memory).
    """
    keep = create_graph if retain_graph is None else retain_graph
    needed = None if only is None else _leading_to([source(r) for r in roots], only)
    wanted = set() if only is None else {id(s) for s in only}
    pending: dict[int, tuple[Tensor, bool]] = {}
    queue: list[tuple[int, Record]] = []
    leaves: dict[int, Any] = {}

    def arrive(target: Any, g: Tensor, owned: bool) -> None:
        key = id(target)
        if key not in pending:
            if isinstance(target, Record):
                heapq.heappush(queue, (-target.age, target))
            else:
                leaves[key] = target
        pending[key] = _add(pending.get(key), g, owned)

    found: dict[int, tuple[Any, Tensor, bool]] = {}
    with enable_grad() if create_graph else no_grad():
        for root, g in zip(roots, grads, strict=True):
            arrive(source(root), g, False)
        while queue:
            _, record = heapq.heappop(queue)
            g, owned = pending.pop(id(record))
            for hook in record.hooks or ():
                changed = hook(g)
                g, owned = (g, owned) if changed is None else (changed, False)
            if id(record) in wanted:
                found[id(record)] = (record, g, owned)
            if needed is not None and id(record) not in needed:
                continue
            results = record.op.vjp(record, g)
            if not keep:
                record.free()
            seen: set[int] = {id(g)}
            for target, gx in zip(record.sources, results, strict=True):
                if target is None or gx is None or (needed is not None and id(target) not in needed | wanted):
                    continue
                own = id(gx) not in seen and getattr(gx._data, "base", None) is None
                seen.add(id(gx))
                arrive(target, gx, own or (gx is g and owned and len(results) == 1))
    for key, leaf in leaves.items():
        g, owned = pending[key]
        for hook in leaf._hooks or ():
            changed = hook(g)
            g, owned = (g, owned) if changed is None else (changed, False)
        found[key] = (leaf, g, owned)
    return found


def _leading_to(starts: Sequence[Any], targets: Sequence[Any]) -> set[int]:
    """Ids of the records from which a target can be reached."""
    records: dict[int, Record] = {}
    stack = [s for s in starts if isinstance(s, Record)]
    while stack:
        record = stack.pop()
        if id(record) not in records:
            records[id(record)] = record
            stack.extend(s for s in record.sources if isinstance(s, Record))
    wanted = {id(t) for t in targets}
    needed: set[int] = set()
    for record in sorted(records.values(), key=lambda r: r.age):
        if any(s is not None and (id(s) in wanted or id(s) in needed) for s in record.sources):
            needed.add(id(record))
    return needed


def _seed(root: Tensor, g: Tensor | None, name: str) -> Tensor:
    """The gradient that the walk starts with at ``root``: 1 for a scalar unless given."""
    if not root.requires_grad:
        raise HaemaError(
            f"{name}: the tensor neither requires a gradient nor was computed from one that does; "
            "create its inputs with requires_grad=True"
        )
    if g is None:
        if root.numel() != 1:
            raise HaemaError(
                f"{name}: without a gradient argument it starts from a single number, not from shape "
                f"{root.shape}; reduce it first (e.g. .sum()) or pass gradient="
            )
        return root._constant(np.ones(root.shape), root.dtype)
    g = g.to(root.dtype) if hasattr(g, "_data") else root._constant(g, root.dtype)
    if g.shape != root.shape:
        raise ShapeError(f"{name}: the gradient has shape {g.shape} and the tensor {root.shape}; they must agree")
    return g


def backward(
    root: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[Tensor] | None = None,
) -> None:
    """Add d root / d leaf to the ``.grad`` of every leaf that ``root`` was computed from.

    Args:
        root: Tensor to differentiate.
        gradient: Gradient of some scalar with respect to ``root``, of its shape; 1 if ``root`` is a single number.
        retain_graph: Keep the tape for another walk; default: as ``create_graph``.
        create_graph: Record the walk, so that ``.grad`` can itself be differentiated.
        inputs: Tensors, leaves or not, whose ``.grad`` to add to; all leaves by default.

    Raises:
        HaemaError: ``root`` does not require a gradient, is no single number and no gradient is given, the tape
            was freed, or a kept value was overwritten.
        ShapeError: ``gradient`` has another shape than ``root``.
    """
    g = _seed(root, gradient, "backward")
    only = None if inputs is None else [source(x) for x in inputs]
    found = walk([root], [g], create_graph=create_graph, retain_graph=retain_graph, only=only)
    holders = {} if inputs is None else dict(zip(map(id, only or ()), inputs, strict=True))
    for key, (target, gx, owned) in found.items():
        if inputs is not None:
            target = holders.get(key)
        if target is None or isinstance(target, Record):
            continue
        if target.grad is not None:
            gx = _summed(target.grad, gx, create_graph)
        else:
            gx = gx if create_graph else gx.detach()
            gx = gx if owned else gx.clone()  # no two leaves share the memory of their gradients
        target.grad = gx


def _summed(old: Tensor, new: Tensor, create_graph: bool) -> Tensor:
    with enable_grad() if create_graph else no_grad():
        return old + new


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of the sum of ``outputs`` with respect to ``inputs``, without touching any ``.grad``.

    Args:
        outputs: Tensors to differentiate.
        inputs: Tensors, leaves or not, to differentiate with respect to.
        grad_outputs: Gradient for each output; 1 for outputs of one element.
        retain_graph: Keep the tape; default as ``create_graph``.
        create_graph: Record the computation, for gradients of gradients.
        allow_unused: Return None for an input that no output depends on, instead of raising.
        materialize_grads: Return zeros for such an input.

    Returns:
        One gradient per input.

    Raises:
        HaemaError: an input does not require a gradient, or was not used and ``allow_unused`` is False.
    """
    roots: list[Any] = [outputs] if hasattr(outputs, "_data") else list(outputs)
    leaves: list[Any] = [inputs] if hasattr(inputs, "_data") else list(inputs)
    given: Any = [grad_outputs] * len(roots) if grad_outputs is None or hasattr(grad_outputs, "_data") else grad_outputs
    seeds = [_seed(r, g, "grad") for r, g in zip(roots, given, strict=True)]
    for i, x in enumerate(leaves):
        if not x.requires_grad:
            raise HaemaError(f"grad: input {i} does not require a gradient")
    only = [source(x) for x in leaves]
    found = walk(roots, seeds, create_graph=create_graph, retain_graph=retain_graph, only=only)
    result: list[Tensor | None] = []
    for i, (x, s) in enumerate(zip(leaves, only, strict=True)):
        if id(s) in found:
            g = found[id(s)][1]
            result.append(g if create_graph else g.detach())
        elif materialize_grads:
            result.append(x._constant(np.zeros(x.shape), x.dtype))
        elif allow_unused:
            result.append(None)
        else:
            raise HaemaError(f"grad: no output depends on input {i}; pass allow_unused=True to get None for it")
    return tuple(result)


# -- checking derivatives ------------------------------------------------------------------


def _outputs(function: Callable[..., Any], inputs: Sequence[Any]) -> list[Tensor]:
    """The floating-point results of ``function``."""
    result = function(*inputs)
    several = [result] if hasattr(result, "_data") else list(result)
    return [y for y in several if y.dtype.kind == "f"]


def _perturbed(x: Tensor) -> Iterator[tuple[int, np.ndarray]]:
    """Each element's number, and the memory in which it can be changed."""
    flat = x._data.reshape(-1)
    if not np.shares_memory(flat, x._data) and x._data.size:
        raise HaemaError("gradcheck: inputs must be contiguous")
    for i in range(flat.size):
        yield i, flat


def gradcheck(
    func: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Tensor | Sequence[Tensor],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compare the derivative of ``func`` with central finite differences.

        J[i, j] ~ (f(x + eps e_j)[i] - f(x - eps e_j)[i]) / (2 eps)

    Args:
        func: Function of tensors that returns one tensor or several.
        inputs: Its arguments; those with ``requires_grad`` are checked and should be float64.
        eps: Step.
        atol: Absolute tolerance.
        rtol: Relative tolerance.
        raise_exception: Raise on disagreement, else return False.

    Returns:
        True if every entry of every Jacobian agrees.

    Raises:
        HaemaError: an entry disagrees; the message names input, output, entry and both numbers.
    """
    args: list[Any] = [inputs] if hasattr(inputs, "_data") else list(inputs)
    checked = [x for x in args if hasattr(x, "_data") and x.requires_grad]
    if not checked:
        raise HaemaError("gradcheck: none of the inputs requires a gradient")
    for k, y in enumerate(_outputs(func, args)):
        rows = [np.zeros((y.numel(), x.numel())) for x in checked]
        for i in range(y.numel() if y.requires_grad else 0):
            seed = np.zeros(y.numel())
            seed[i] = 1
            g = y._constant(seed.reshape(y.shape), y.dtype)
            for row, gx in zip(rows, grad(y, checked, g, retain_graph=True, allow_unused=True), strict=True):
                if gx is not None:
                    row[i] = gx._data.reshape(-1)
        for n, (x, analytic) in enumerate(zip(checked, rows, strict=True)):
            for j, memory in _perturbed(x):
                old = memory[j]
                sides = []
                for step in (eps, -eps):
                    memory[j] = old + step
                    with no_grad():
                        value = _outputs(func, args)[k]
                        sides.append(value._data.reshape(-1).astype(np.float64))
                memory[j] = old
                numeric = (sides[0] - sides[1]) / (2 * eps)
                off = np.abs(analytic[:, j] - numeric) > atol + rtol * np.abs(numeric)
                off |= np.isnan(analytic[:, j]) != np.isnan(numeric)
                if off.any():
                    if not raise_exception:
                        return False
                    i = int(np.argmax(off))
                    raise HaemaError(
                        f"gradcheck: d output {k}[{i}] / d input {n}[{j}] is {analytic[i, j]:.8g} by backward "
                        f"and {numeric[i]:.8g} by finite differences"
                    )
    return True


def gradgradcheck(
    func: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Tensor | Sequence[Tensor],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """``gradcheck`` of the gradient of ``func``, weighted with fixed numbers of irregular size and sign."""

    def gradients(*xs: Any) -> list[Tensor]:
        with enable_grad():
            ys = [y for y in _outputs(func, xs) if y.requires_grad]
            seeds = [
                y._constant(np.cos(1.7 * np.arange(y.numel()) + k).reshape(y.shape), y.dtype) for k, y in enumerate(ys)
            ]
            wanted = [x for x in xs if hasattr(x, "_data") and x.requires_grad]
            return [g for g in grad(ys, wanted, seeds, create_graph=True, materialize_grads=True) if g is not None]

    return gradcheck(gradients, inputs, eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)
