"""The tape: what is recorded, when it refuses, what it keeps alive."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import haema as hm
from haema import autograd
from haema.errors import DTypeError, HaemaError, ShapeError


def leaf(*values: float) -> hm.Tensor:
    return hm.tensor(list(values), dtype=hm.float64, requires_grad=True)


# -- errors, in words ------------------------------------------------------------------


def test_backward_needs_a_number() -> None:
    x = leaf(1, 2)
    with pytest.raises(HaemaError, match=r"backward: without a gradient .* not from shape \(2,\); reduce it first"):
        (x * 2).backward()


def test_backward_needs_a_history() -> None:
    with pytest.raises(HaemaError, match="backward: the tensor neither requires a gradient nor"):
        hm.ones(()).backward()


def test_gradient_must_have_the_shape() -> None:
    x = leaf(1, 2)
    with pytest.raises(ShapeError, match=r"backward: the gradient has shape \(3,\) and the tensor \(2,\)"):
        (x * 2).backward(hm.ones(3))


def test_gradient_takes_the_dtype_and_may_be_a_list() -> None:
    """A float64 gradient for a float32 tensor made the leaf's gradient float64."""
    x = hm.ones(2, requires_grad=True)
    (x * 2).backward(hm.tensor([1, 2], dtype=hm.float64))
    assert x.grad.dtype == hm.float32
    (x * 2).backward([1, 2])
    assert x.grad.tolist() == [4, 8]


def test_second_walk_through_a_freed_tape() -> None:
    x = leaf(1, 2)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(HaemaError, match=r"backward went through mul before .* retain_graph=True"):
        y.backward()


def test_second_walk_through_what_keeps_its_output() -> None:
    y = leaf(1.0).exp().sum()
    y.backward()
    with pytest.raises(HaemaError, match="backward went through exp before"):
        y.backward()


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda y: y * y, r"input . of mul \(shape \(2,\)\) was changed in place"),
        (lambda y: y.sin(), "input 0 of sin .* use the out-of-place form, or clone it first"),
        (lambda y: y[0] * 2 * y[1], "of mul .* was changed in place"),
    ],
)
def test_overwritten_input(f, message: str) -> None:
    y = leaf(1, 2) * 2
    z = f(y)
    y.add_(1)
    with pytest.raises(HaemaError, match=message):
        z.sum().backward()


def test_overwritten_output() -> None:
    for write in (lambda y: y.mul_(2), lambda y: y.__setitem__(0, 3)):
        y = leaf(1, 2).exp()
        z = y.sum()
        write(y)
        with pytest.raises(HaemaError, match=r"the output of exp .* was changed in place"):
            z.backward()
    y = leaf(1, 2) * 1
    y.exp_()
    z = y.sum()
    y.mul_(2)
    z.backward()  # exp_ keeps a result of its own


def test_overwritten_through_a_view_or_a_detached_tensor() -> None:
    for write in (lambda y: y[:1].zero_(), lambda y: y.detach().zero_(), lambda y: y.view(2, 1).zero_()):
        y = leaf(1, 2) * 2
        z = y * y
        write(y)
        with pytest.raises(HaemaError, match="was changed in place"):
            z.sum().backward()


def test_data_is_outside_the_tape() -> None:
    x = leaf(1, 2)
    y = x * 2
    z = y * y
    y.data.zero_()
    z.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0], "2 y 2, with the y that was written behind the tape's back"


def test_leaves_cannot_be_written() -> None:
    x = leaf(1, 2)
    for write in (
        lambda: x.add_(1),
        lambda: x.exp_(),
        lambda: x.__setitem__(0, 1),
        lambda: x.copy_(hm.zeros(2)),
        x.zero_,
    ):
        with pytest.raises(HaemaError, match=r"a leaf tensor that requires a gradient .* under hm.no_grad\(\)"):
            write()
    with pytest.raises(HaemaError, match="a view of a leaf tensor"):
        x[:1].add_(1)
    with hm.no_grad():
        x.add_(1)
    assert x.tolist() == [2, 3]
    assert x.is_leaf


def test_grad_arguments() -> None:
    x, w = leaf(1), leaf(2)
    with pytest.raises(HaemaError, match="grad: input 1 does not require a gradient"):
        autograd.grad(x.sum(), [x, hm.ones(1)])
    with pytest.raises(HaemaError, match="grad: no output depends on input 1; pass allow_unused=True"):
        autograd.grad(x.sum(), [x, w])
    with pytest.raises(HaemaError, match="grad: without a gradient argument"):
        autograd.grad(leaf(1, 2) * 2, x)
    with pytest.raises(ShapeError, match="grad: the gradient has shape"):
        autograd.grad(x * 2, x, hm.ones(2))
    with pytest.raises(ValueError, match="zip"):
        autograd.grad([x * 2], x, [hm.ones(1), hm.ones(1)])


def test_requires_grad_arguments() -> None:
    with pytest.raises(DTypeError, match="only floating tensors can require a gradient, and this one is int64"):
        hm.tensor([1], requires_grad=True)
    with pytest.raises(HaemaError, match=r"switched off on leaf tensors only; use detach\(\)"):
        (leaf(1) * 2).requires_grad = False


def test_hooks_need_a_gradient() -> None:
    with pytest.raises(HaemaError, match="register_hook: the tensor does not require a gradient"):
        hm.ones(1).register_hook(print)
    with pytest.raises(HaemaError, match="retain_grad: the tensor does not require a gradient"):
        hm.ones(1).retain_grad()


# -- modes ------------------------------------------------------------------


def test_modes_nest_and_end_with_an_exception() -> None:
    with hm.no_grad():
        with hm.enable_grad():
            assert hm.is_grad_enabled()
        assert not hm.is_grad_enabled()
    with pytest.raises(ZeroDivisionError), hm.no_grad():
        raise ZeroDivisionError
    assert hm.is_grad_enabled()
    again = hm.no_grad()
    with again, again:
        assert not hm.is_grad_enabled()
    assert hm.is_grad_enabled()


def test_decorators_switch_within_the_function_only() -> None:
    """``@set_grad_enabled(False)`` used to leave the tape off for all that followed."""

    @hm.set_grad_enabled(False)
    def quiet() -> bool:
        """What it says."""
        return hm.is_grad_enabled()

    assert hm.is_grad_enabled()
    assert not quiet()
    assert hm.is_grad_enabled()

    @hm.no_grad()
    def silent(depth: int) -> bool:
        """What it says."""
        return silent(depth - 1) if depth else hm.is_grad_enabled()

    assert not silent(3)
    assert hm.is_grad_enabled()
    assert (silent.__name__, silent.__doc__) == ("silent", "What it says.")


def test_set_grad_enabled_at_once_and_in_a_block() -> None:
    with hm.set_grad_enabled(False):
        assert not hm.is_grad_enabled()
    assert hm.is_grad_enabled()
    hm.set_grad_enabled(False)
    assert not hm.is_grad_enabled()
    hm.set_grad_enabled(True)


def test_modes_belong_to_a_thread() -> None:
    seen = []
    with hm.no_grad():
        thread = threading.Thread(target=lambda: seen.append(hm.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_view_made_without_tape_is_as_if_detached() -> None:
    """Such a view used to join the history of its base once the base was written to."""
    w = leaf(1, 2, 3)
    with hm.no_grad():
        v = w[:2]
        w.mul_(2)
    assert v.tolist() == [2, 4]
    assert not v.requires_grad
    assert not (v * 2).requires_grad


# -- what gradients are ------------------------------------------------------------------


def test_no_two_leaves_share_the_memory_of_their_gradients() -> None:
    for f in (
        lambda a, b: a + b,
        lambda a, b: a.reshape(2, 1).reshape(2) + b,
        lambda a, b: hm.cat([a, b]),
        lambda a, b: hm.stack([a, b]),
        lambda a, b: a.clone() + b.expand(3, 2).sum(0),
        lambda a, b: hm.where(hm.tensor([True, True]), a, b) + b,
        lambda a, b: a - b,
    ):
        a, b = leaf(1, 2), leaf(3, 4)
        y = f(a, b)
        g = hm.ones(y.shape, dtype=hm.float64)
        y.backward(g)
        arrays = [a.grad._data, b.grad._data, g._data]
        for i, one in enumerate(arrays):
            for other in arrays[i + 1 :]:
                assert not np.shares_memory(one, other)
        assert a.grad._data.flags.writeable
        assert not a.grad.requires_grad


def test_gradient_of_the_root_itself() -> None:
    x = leaf(3)
    g = hm.tensor([2.0], dtype=hm.float64)
    x.backward(g)
    assert x.grad.tolist() == [2]
    assert not np.shares_memory(x.grad._data, g._data)
    (same,) = autograd.grad(x.sum(), x.sum(), allow_unused=True)
    assert same is None
    y = x.sum()
    assert autograd.grad(y, y)[0].item() == 1


def test_backward_into_tensors_that_are_no_leaves() -> None:
    """``backward(inputs=[y])`` used to leave out what was computed, without a word."""
    x = leaf(1, 2)
    y = x * 2
    (y * y).sum().backward(inputs=[y])
    assert y.grad.tolist() == [4, 8]
    assert x.grad is None


def test_create_graph_leaves_a_gradient_that_can_be_differentiated() -> None:
    x = leaf(2.0)
    (x**3).sum().backward(create_graph=True)
    assert x.grad.requires_grad
    g, x.grad = x.grad, None
    g.sum().backward()
    assert x.grad.tolist() == [12]


def test_records_join_and_part() -> None:
    x = leaf(2.0)
    a = x * 3
    b = a * a
    c = a.exp() * 0
    (b + a + c).sum().backward()
    assert x.grad.tolist() == [18 * 2 + 3]


def test_a_leaf_copied_into_a_tensor_keeps_its_gradient() -> None:
    """The tensor written to used to take the leaf's place, and its gradient."""
    for write in (
        lambda y, x: y.copy_(x),
        lambda y, x: y.__setitem__(slice(None), x),
        lambda y, x: y.__setitem__(..., x),
    ):
        x, y = leaf(1, 2), hm.zeros(2, dtype=hm.float64)
        write(y, x)
        assert not y.is_leaf
        (y * 3).sum().backward()
        assert x.grad.tolist() == [3, 3]
        assert y.grad is None


def test_view_of_a_base_that_got_a_history_later() -> None:
    """A view made before its base was written to used to stay without a gradient."""
    w, base = leaf(2, 3), hm.ones(2, dtype=hm.float64)
    v = base[:1]
    base.mul_(w)
    (v * 5).sum().backward()
    assert w.grad.tolist() == [5, 0]


def test_a_record_is_younger_than_its_sources() -> None:
    """A view's record was remade while the record that uses it was being made, and came out younger than that."""
    x, w = leaf(1, 2), leaf(0.5)
    y = x * 1
    v = y[1:]
    v.mul_(w)
    out = (y + v.sum()).sum()
    records = [out.grad_fn]
    for r in records:
        sources = [s for s in r.sources if isinstance(s, autograd.Record)]
        assert all(s.age < r.age for s in sources)
        records += sources
    out.backward()
    assert (x.grad.tolist(), w.grad.tolist()) == ([1, 1.5], [6])


def test_writing_itself_into_itself() -> None:
    x = leaf(1, 2, 3)
    y = x * x
    y.add_(y[:1])
    y[1:] = y[:-1]
    y.sum().backward()
    assert y.tolist() == [2, 2, 5]
    assert x.grad.tolist() == [10, 4, 0]
    y = x * 1
    y.mul_(y)
    with pytest.raises(HaemaError, match=r"of mul .* was changed in place"):
        y.sum().backward()


def test_in_place_with_a_tensor_by_name() -> None:
    x, w = hm.ones(2, dtype=hm.float64), leaf(0.5, 0.5)
    x.lerp_(end=w * 3, weight=w)
    x.sum().backward()
    assert w.grad.tolist() == [1.5 - 1 + 1.5] * 2  # d (1 + w (3 w - 1)) / dw = 6 w - 1


def test_hooks() -> None:
    x = leaf(1, 2)
    y = x * 2
    seen = []
    first = y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    second = x.register_hook(lambda g: g + 1)
    y.sum().backward(retain_graph=True)
    assert seen == [[1, 1]]
    assert x.grad.tolist() == [21, 21]
    first.remove()
    first.remove()
    second.remove()
    x.grad = None
    y.sum().backward()
    assert seen == [[1, 1]]
    assert x.grad.tolist() == [20, 20]


def test_retain_grad_twice_counts_once() -> None:
    x = leaf(1)
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    x.retain_grad()  # a leaf has it anyway
    (y * 3).sum().backward(retain_graph=True)
    assert y.grad.tolist() == [3]
    (y * 3).sum().backward()
    assert y.grad.tolist() == [6]
    assert x.grad.tolist() == [12]


def test_repr_of_a_record() -> None:
    assert repr((leaf(1) * 2).grad_fn) == "<mul>"


# -- size and lifetime ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "count"),
    [(lambda y: y * 1.0001, 100_000), (lambda y: y.reshape(1), 20_000), (lambda y: y.add_(1), 20_000)],
)
def test_chain_of_many_operations(step, count: int) -> None:
    """No recursion: forward, backward, deletion, and a write to the base of a long chain of views."""
    x = leaf(1.0)
    y = x * 1
    base = y
    for _ in range(count):
        y = step(y)
    y.sum().backward()
    assert x.grad.item() > 0
    with hm.no_grad():
        base.mul_(2)
    assert y.requires_grad
    del y, base


def test_write_at_the_end_of_many_views() -> None:
    x = leaf(1.0, 2.0)
    y = x * 1
    v = y
    for _ in range(2_000):
        v = v.view(2)
    v.mul_(3)
    (y * 5).sum().backward()
    assert x.grad.tolist() == [15, 15]


def test_memory_is_freed_during_the_walk() -> None:
    """Ten kept arrays of 8 MB: while the gradient arrives at the first, the others are gone."""
    x = hm.ones(1_000_000, dtype=hm.float64, requires_grad=True)
    y = x * 1
    seen = []
    y.register_hook(lambda g: seen.append(tracemalloc.get_traced_memory()[0]))
    tracemalloc.start()
    z = y
    for _ in range(10):
        z = z.sin()
    total = z.sum()
    del z
    before = tracemalloc.get_traced_memory()[0]
    total.backward()
    tracemalloc.stop()
    assert before > 70e6
    assert seen[0] < 35e6  # what is left: the gradient that arrives, its predecessor, and one kept input


def test_what_no_derivative_reads_is_not_kept() -> None:
    x = leaf(1, 2)
    y = x * 2
    kept = weakref.ref(y)
    z = (y + 1).sum()
    del y
    assert kept() is None
    z.backward()


def test_a_tape_goes_with_its_last_tensor() -> None:
    """No reference cycles: freed at once, without the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        x = leaf(1, 2)
        y = x * 2
        y.retain_grad()
        y[0] = x[1]
        y.mul_(y[0].clone())
        loss = (y.exp() * y.softmax(0)).sum()
        record = loss.grad_fn
        refs = [weakref.ref(y), weakref.ref(loss)]
        loss.backward()
        del y, loss, record
        assert [r() for r in refs] == [None, None]
    finally:
        gc.enable()
