"""Calling a compiled function: arguments, results, what is recorded anew, and what is refused."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import Tensor, nn, optim
from haema.errors import HaemaError, InputError, ShapeError

HERE = Path(__file__).name
Pair = namedtuple("Pair", "a b")


def line_of(f: Any, k: int = 1) -> int:
    """The number of a line of f's body."""
    return f.__code__.co_firstlineno + k


# -- arguments and results ----------------------------------------------------------------


def test_structures_of_arguments_and_results() -> None:
    def f(x: Tensor, both: Pair, *more: Tensor, options: dict[str, Any]) -> Any:
        y = x * options["scale"] + both.a
        return {"y": y, "rest": [y + m for m in more], "pair": Pair(both.b, (y, "text", 3, None)), "s": options["s"]}

    args = (hm.ones(2), Pair(hm.zeros(2), hm.ones(1)), hm.ones(2), hm.zeros(2))
    options = {"scale": 2, "s": [hm.ones(()), ()]}
    found, expected = hm.compile(f)(*args, options=options), f(*args, options=options)
    assert list(found) == list(expected)
    assert type(found["pair"]) is Pair
    assert found["pair"].b[1:] == ("text", 3, None)
    assert type(found["s"]) is list
    assert repr(found) == repr(expected)


def test_static_arguments_choose_a_program() -> None:
    g = hm.compile(lambda x, n, mode="a": x * n if mode == "a" else x - n)
    x = hm.ones(2)
    assert [g(x, n).tolist() for n in (2, 3, 2)] == [[2, 2], [3, 3], [2, 2]]
    assert g(x, 2, mode="b").tolist() == [-1, -1]
    assert (g(hm.ones(2, dtype=hm.int64), 2).dtype, g(hm.ones(2, dtype=hm.int64), 2.0).dtype) == (hm.int64, hm.float32)
    assert g(hm.ones(2, dtype=hm.int64), True).dtype == hm.int64


def test_static_zeros_have_signs() -> None:
    """0.0 == -0.0, but they are not the same argument."""
    g = hm.compile(lambda x, s: x / s)
    assert [g(hm.ones(()), s).item() for s in (0.0, -0.0, 0.0)] == [np.inf, -np.inf, np.inf]


def test_a_static_nan_is_the_same_argument_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    count = [0]

    def f(x: Tensor, s: float) -> Tensor:
        count[0] += 1
        return x * s

    g = hm.compile(f)
    for _ in range(3):
        assert np.isnan(g(hm.ones(()), float("nan")).item())
    assert count == [1]


def test_numpy_arrays_are_arguments() -> None:
    g = hm.compile(lambda x: x * 2)
    assert g(np.arange(3)).tolist() == [0, 2, 4]
    assert g(np.arange(6)[::-2]).tolist() == [10, 6, 2]


@pytest.mark.parametrize("dtype", [">f4", ">i8", "f2", "c8", "U3", "object", "i2", "M8[s]"])
def test_arrays_of_other_types_are_refused(dtype: str) -> None:
    """A big-endian array was read as if it were not."""
    with pytest.raises((TypeError, HaemaError)):
        hm.compile(lambda x: x * 2)(np.zeros(3, dtype))


def test_odd_strides() -> None:
    """A field of a record array has strides that are no multiple of its itemsize; it was read from wrong places."""
    records = np.zeros(5, dtype=[("a", "u1"), ("b", "f4")])
    records["b"] = np.arange(5)
    x = hm.from_numpy(records["b"])
    assert hm.compile(lambda x: x * 2)(x).tolist() == [0, 2, 4, 6, 8]
    with pytest.raises(HaemaError, match="gaps of parts of an element"):
        hm.compile(lambda: x * 2)()


def test_odd_addresses() -> None:
    for n in (7, 8000):
        a = np.zeros(4 * n + 1, np.uint8)[1:].view(np.float32)
        a[:] = np.arange(n)
        x = Tensor._wrap(a)
        assert hm.compile(lambda x=x: x * 2)().tolist() == (a * 2).tolist()
        assert hm.compile(lambda x: x * 2)(x).tolist() == (a * 2).tolist()


def test_what_cannot_be_an_argument() -> None:
    with pytest.raises(
        HaemaError, match="takes tensors, numbers, texts, and tuples, lists and dicts of them, not a set"
    ):
        hm.compile(lambda s: s)({1, 2})
    with pytest.raises(TypeError, match="needs a function or a module, not a int"):
        hm.compile(3)  # type: ignore[arg-type]


def test_several_shapes_and_dtypes() -> None:
    for dtype in (hm.float32, hm.float64, hm.int64):
        g = hm.compile(lambda x: (x * x).sum())
        for shape in ((), (3,), (2, 5), (0,), (1, 1, 1)):
            y = g(hm.ones(shape, dtype=dtype) * 2)
            assert (y.item(), y.dtype) == (4 * int(np.prod(shape)), dtype)


def test_changing_shapes_are_told_once() -> None:
    g = hm.compile(lambda x: x * 2)
    for n in range(8):
        g(hm.ones(n))
    with pytest.warns(UserWarning, match="compiled for 9 different combinations of shapes"):
        g(hm.ones(8))
    g(hm.ones(9))


def test_results_are_memory_of_their_own() -> None:
    p = hm.ones(3)
    big = hm.ones(9000)
    g = hm.compile(lambda x: (p, p, x, x * 1, big))
    x = hm.zeros(3)
    first, second = g(x), g(x)
    for t in (*first, *second):
        t.add_(1)
    assert p.tolist() == [1, 1, 1]
    assert x.tolist() == [0, 0, 0]
    assert big.sum().item() == 9000
    assert first[0].tolist() == first[1].tolist() == [2, 2, 2]


def test_modules_and_methods() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
    x = hm.rand(2, 3)
    assert hm.allclose(hm.compile(model)(x), model(x))

    class Doubler:
        factor = 2.0

        @hm.compile
        def __call__(self, x: Tensor) -> Tensor:
            """Twice."""
            return x * self.factor

        @hm.compile
        def run(self, x: Tensor) -> Tensor:
            return x * 3

    assert Doubler().run(x).tolist() == (x * 3).tolist()
    assert Doubler.run.__name__ == "run"


def test_one_compiled_function_in_another_is_refused() -> None:
    inner = hm.compile(lambda x: x * 2)
    with pytest.raises(HaemaError, match="inside another compiled function; call the function itself"):
        hm.compile(lambda x: inner(x))(hm.ones(2))


# -- what it changes ------------------------------------------------------------------------


def test_an_argument_may_be_changed() -> None:
    """The write was lost."""

    def f(x: Tensor) -> Tensor:
        x.add_(1)
        x[0] = 7
        return x.sum()

    for n in (3, 9000):
        a, b = hm.arange(float(n)), hm.arange(float(n))
        assert f(a).item() == hm.compile(f)(b).item()
        assert a.tolist() == b.tolist()
        c = hm.zeros(2, n)
        hm.compile(f)(c[1])
        assert c.sum(1).tolist() == [0, n + 6]


@pytest.mark.parametrize("n", [4, 9000])
def test_an_argument_that_is_state_is_refused_or_right(n: int) -> None:
    """Eagerly x is p; compiled it was p before or after the write, depending on its size."""
    p = hm.zeros(n)

    def f(x: Tensor) -> Tensor:
        p.add_(1)
        return x * 1

    g = hm.compile(f)
    for x in (p, p[1:3], p[: n // 2], p.reshape(2, -1), p[::2]):
        before = p.tolist()
        try:
            y = g(x)
        except HaemaError as e:
            assert "clone() it" in str(e)  # noqa: PT017
            assert p.tolist() == before
        else:
            assert y.tolist() == x.tolist()


def test_one_tensor_as_two_arguments() -> None:
    def f(x: Tensor, y: Tensor) -> Tensor:
        x.add_(1)
        return x + y

    x = hm.zeros(3)
    try:
        y = hm.compile(f)(x, x)
    except HaemaError:
        return
    assert (y.tolist(), x.tolist()) == ([2, 2, 2], [1, 1, 1])


def test_views_of_state_made_before() -> None:
    v = hm.zeros(6)
    part = v[2:4]

    def f() -> Tensor:
        v.add_(1)
        return part * 2

    with pytest.raises(HaemaError, match="make the view inside the function"):
        hm.compile(f)()
    first, second = v[:3], v[3:]

    def g() -> Tensor:
        first.add_(1)
        second.sub_(1)
        return first + second

    assert hm.compile(g)().tolist() == [0, 0, 0]
    assert v.tolist() == [1, 1, 1, -1, -1, -1]


def test_memory_order_of_results_inside() -> None:
    """``x.T * 1`` lies as x.T does, so reshape copies; compiled it was a view, and the write went through."""

    def f(x: Tensor) -> tuple[Tensor, Tensor]:
        y = x.transpose(0, 1) * 1
        flat = y.reshape(-1)
        flat.mul_(0.5)
        return y, flat

    x = hm.arange(6.0).reshape(2, 3)
    for a, b in zip(hm.compile(f)(x), f(x), strict=True):
        assert a.tolist() == b.tolist()


def test_a_read_only_state_is_not_written() -> None:
    a = np.ones(3, np.float32)
    a.flags.writeable = False
    p = Tensor._wrap(a)
    with pytest.raises(HaemaError, match=r"cannot be changed in place: it is stretched by expand\(\) or read-only"):
        hm.compile(lambda: p.add_(1))()
    assert a.tolist() == [1, 1, 1]


def test_other_memory_is_recorded_anew() -> None:
    """``p.data = ...`` gives the tensor other memory; the program wrote to the old one otherwise."""
    p = nn.Parameter(hm.ones(3))

    def f() -> Tensor:
        with hm.no_grad():
            p.add_(1)
        return p * 1

    g = hm.compile(f)
    assert g().tolist() == [2, 2, 2]
    p.data = hm.zeros(3)
    assert g().tolist() == [1, 1, 1]
    p.data = hm.zeros(2)
    assert g().tolist() == [1, 1]
    assert p.tolist() == [1, 1]


def test_the_mode_of_a_model_is_watched() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5))
    g = hm.compile(model)
    x = hm.rand(8, 3)
    for training in (True, False, True, False):
        model.train(training)
        state = {k: v.clone() for k, v in model.state_dict().items()}
        hm.manual_seed(3)
        found = g(x)
        after = {k: v.clone() for k, v in model.state_dict().items()}
        model.load_state_dict(state)
        hm.manual_seed(3)
        assert hm.allclose(found, model(x), atol=1e-6)
        for k, v in model.state_dict().items():
            assert hm.allclose(after[k], v), k


@pytest.mark.parametrize("p", [0.0, 0.2, 1.0])
def test_dropout_draws_the_eager_numbers_and_goes_on(p: float) -> None:
    layer = nn.Dropout(p)
    g = hm.compile(layer)
    x = hm.ones(5, 7)
    hm.manual_seed(5)
    found = [g(x).tolist() for _ in range(3)]
    hm.manual_seed(5)
    assert found == [layer(x).tolist() for _ in range(3)]
    hm.manual_seed(5)
    assert g(x).tolist() == found[0]


def test_gradient_mode_is_watched() -> None:
    p = nn.Parameter(hm.ones(2))

    def f(x: Tensor) -> Tensor:
        y = (p * x).sum()
        return hm.autograd.grad(y, [p])[0] if y.requires_grad else x * 0

    g = hm.compile(f)
    assert g(hm.ones(2)).tolist() == [1, 1]
    with hm.no_grad():
        assert g(hm.ones(2)).tolist() == [0, 0]


def test_freezing_a_parameter_is_watched() -> None:
    """The program went on training it."""
    model = nn.Linear(2, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = model(x).sum()
        loss.backward()
        optimizer.step()
        return loss

    g = hm.compile(step)
    g(hm.ones(1, 2))
    for frozen in (True, False):
        model.weight.requires_grad_(not frozen)
        weight, bias = model.weight.tolist(), model.bias.tolist()
        g(hm.ones(1, 2))
        assert (model.weight.tolist() == weight) == frozen
        assert model.bias.tolist() != bias


def test_gradients_of_arguments() -> None:
    def f(x: Tensor) -> Tensor:
        return hm.autograd.grad((x * x).sum(), [x])[0] if x.requires_grad else x

    g = hm.compile(f)
    assert g(hm.ones(2, requires_grad=True)).tolist() == [2, 2]
    assert g(hm.ones(2)).tolist() == [1, 1]


# -- what is refused ------------------------------------------------------------------------

ASKING: dict[str, Any] = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x.sum()),
    "int": lambda x: int(x.sum()),
    "bool": lambda x: x if x.sum() > 0 else -x,
    "index": lambda x: [1, 2][x.sum().to(hm.int64)],
    "numpy": lambda x: x.numpy(),
    "array": lambda x: np.asarray(x),
    "ufunc": lambda x: np.sin(x),
    "tolist": lambda x: x.tolist(),
    "text": lambda x: f"{x}",
    "in": lambda x: 1.0 in x,
    "mask": lambda x: x[x > 0],
    "equal": lambda x: hm.equal(x, x),
    "allclose": lambda x: hm.allclose(x, x),
    "pickle": lambda x: __import__("pickle").dumps(x),
    "from_numpy": lambda x: hm.from_numpy(x.numpy()),
    "tensor": lambda x: hm.tensor([x.sum(), 1.0]),
}


@pytest.mark.parametrize("name", ASKING)
def test_asking_for_values_names_the_line(name: str) -> None:
    f = ASKING[name]
    with pytest.raises(HaemaError, match=rf"{HERE}:{line_of(f, 0)}: ") as e:
        hm.compile(f)(hm.ones(3))
    assert name == "mask" or "while it is being compiled" in str(e.value)


def test_what_is_known_may_be_asked() -> None:
    def f(x: Tensor) -> Tensor:
        assert (len(x), x.shape, x.ndim, x.numel(), x.dtype) == (3, (3, 2), 2, 6, hm.float32)
        return sum(row * k for k, row in enumerate(x))  # type: ignore[return-value]

    x = hm.arange(6.0).reshape(3, 2)
    assert hm.compile(f)(x).tolist() == f(x).tolist()


def test_a_tensor_kept_from_inside_has_no_value() -> None:
    kept: list[Tensor] = []

    def f(x: Tensor) -> Tensor:
        kept.append(x * 2)
        return x + 1

    hm.compile(f)(hm.ones(2))
    for ask in (lambda t: t.tolist(), lambda t: t + 1, lambda t: t.numpy(), repr, lambda t: t.sum().item()):
        with pytest.raises(HaemaError, match="kept from inside a compiled function; it has no value outside"):
            ask(kept[0])
    with pytest.raises(HaemaError, match="kept from inside"):
        hm.compile(lambda x: x + kept[0])(hm.ones(2))


def test_an_error_while_recording_leaves_no_trace() -> None:
    model = nn.Linear(2, 2)

    def f(x: Tensor) -> Tensor:
        model(x).sum().backward()
        if fail:
            raise KeyError("user")
        return model.weight.grad

    g, fail = hm.compile(f), True
    with pytest.raises(KeyError, match="user"):
        g(hm.ones(1, 2))
    assert model.weight.grad is None
    fail = False
    assert g(hm.ones(1, 2)).tolist() == [[1, 1], [1, 1]]
    assert model.weight.grad is None
    model(hm.ones(1, 2)).sum().backward()
    assert model.weight.grad.tolist() == [[1, 1], [1, 1]]


def test_an_index_out_of_range() -> None:
    """Native code must not read there."""
    table = nn.Embedding(5, 3)
    g = hm.compile(table)
    assert g(hm.tensor([4, 0])).tolist() == table(hm.tensor([4, 0])).tolist()
    for wrong in (5, -6, 2**40, -(2**62)):
        with pytest.raises(IndexError, match="out of range for an axis of size 5"):
            g(hm.tensor([0, wrong]))
    assert g(hm.tensor([4, 0])).tolist() == table(hm.tensor([4, 0])).tolist()


def test_a_label_out_of_range() -> None:
    g = hm.compile(lambda x, y: F.cross_entropy(x, y))
    assert g(hm.ones(2, 3), hm.tensor([0, -100])).item() == pytest.approx(np.log(3))  # the label that is left out
    for wrong in (3, -1, 2**40):
        with pytest.raises((IndexError, InputError)):
            g(hm.ones(2, 3), hm.tensor([0, wrong]))


def test_too_little_memory_leaves_the_state() -> None:
    s = hm.zeros(3)
    huge = 1 << 26

    def f(x: Tensor) -> Tensor:
        s.add_(1)
        return (x.unsqueeze(-1) * hm.ones(huge)).cumsum(0)

    with pytest.raises(MemoryError):
        hm.compile(f)(hm.ones(1 << 24))
    assert s.tolist() == [0, 0, 0]


def test_shape_errors_are_the_eager_ones() -> None:
    with pytest.raises(ShapeError, match=r"do not broadcast"):
        hm.compile(lambda x, y: x + y)(hm.ones(2), hm.ones(3))
    with pytest.raises(InputError, match="give the arrays"):
        hm.compile(lambda x: x).loop(np.zeros((1, 1), np.int64))
