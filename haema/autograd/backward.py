"""The walk back along the tape: from the youngest record to the oldest."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from haema import executor
from haema.autograd.tape import Record, enable_grad, no_grad, source
from haema.errors import HaemaError, ShapeError

if TYPE_CHECKING:
    from haema.tensor import Tensor


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
    useful = None if needed is None else needed | wanted
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
                if target is None or gx is None or (useful is not None and id(target) not in useful):
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
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[Tensor] | None = None,
) -> None:
    """Add d root / d leaf to the ``.grad`` of every leaf that a root was computed from.

    Args:
        tensors: Tensor to differentiate, the root; or several, whose derivatives are added up.
        grad_tensors: Gradient of some scalar with respect to the root, of its shape; 1 if the root is a single number.
            For several roots one each.
        retain_graph: Keep the tape for another walk; default: as ``create_graph``.
        create_graph: Record the walk, so that ``.grad`` can itself be differentiated.
        inputs: Tensors, leaves or not, whose ``.grad`` to add to; all leaves by default.

    Raises:
        HaemaError: a root does not require a gradient, is no single number and no gradient is given, the tape
            was freed, or a kept value was overwritten.
        ShapeError: a gradient has another shape than its root.
    """
    one = hasattr(tensors, "_data")
    roots: list[Any] = [tensors] if one else list(tensors)
    given: list[Any] = [grad_tensors] if one else list(grad_tensors or [None] * len(roots))
    seeds = [_seed(root, g, "backward") for root, g in zip(roots, given, strict=True)]
    only = None if inputs is None else [source(x) for x in inputs]
    found = walk(roots, seeds, create_graph=create_graph, retain_graph=retain_graph, only=only)
    holders = {} if inputs is None else dict(zip(map(id, only or ()), inputs, strict=True))
    for key, (target, gx, owned) in found.items():
        if inputs is not None:
            target = holders.get(key)
        if target is None or isinstance(target, Record):
            continue
        executor.active().leaf(target)
        if target.grad is not None:
            gx = _summed(target.grad, gx, create_graph)
        else:
            gx = gx if create_graph else gx.detach()
            gx = gx if owned else gx.clone()  # no two leaves share the memory of their gradients
        target.grad = gx


def _summed(old: Tensor, new: Tensor, create_graph: bool) -> Tensor:
    """The sum, in the memory of ``old`` unless it is to be differentiated itself."""
    if create_graph or old.requires_grad or old.dtype != new.dtype:
        with enable_grad() if create_graph else no_grad():
            return old + new
    with no_grad():
        return old.add_(new)


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
