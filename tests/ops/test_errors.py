"""What primitives refuse, and in which words: through their rule, and when they are run on such inputs."""

from __future__ import annotations

import numpy as np
import pytest

import haema as hm
from haema import ops
from haema.errors import DTypeError, ShapeError
from haema.ops.contract import parse
from haema.ops.core import Op, Spec, broadcast_shapes
from haema.ops.reduce import sum_to
from haema.ops.view import normal_axes, normal_axis

F = np.float32

REFUSED = [
    # primitive, input shapes, parameters, message
    (
        "add",
        ((2,), (3,)),
        {},
        r"add: shapes \(2,\) and \(3,\) do not broadcast: axis -1 has sizes 2 and 3, and only size 1",
    ),
    ("mul", ((2, 3), (2, 1, 2)), {}, r"mul: shapes .* axis -1 has sizes 3 and 2"),
    ("where", ((2,), (2,), (2,)), {}, "where: the condition must be bool, not float32"),
    ("max", ((2, 0),), {"axes": (1,)}, r"max: axis 1 of shape \(2, 0\) is empty"),
    ("argmin", ((0,),), {"axes": (0,)}, "argmin: axis 0 .* nothing to pick"),
    ("reshape", ((2, 3),), {"shape": (4,)}, r"reshape: shape \(2, 3\) has 6 elements and \(4,\) has 4"),
    ("permute", ((2, 3),), {"axes": (0, 0)}, r"permute: \(0, 0\) is no order of the 2 axes"),
    ("expand", ((2,),), {"shape": (3,)}, r"expand: .* axis -1 has sizes 2 and 3"),
    ("expand", ((2, 1),), {"shape": (2,)}, r"expand: shape \(2, 1\) does not stretch to \(2,\)"),
    ("pad", ((2,),), {"pads": ((-1, 0, 0),)}, r"pad: pads \(\(-1, 0, 0\),\) do not fit shape \(2,\)"),
    (
        "window",
        ((3,),),
        {"axis": 0, "size": 4, "stride": 1, "dilation": 1},
        r"window: a window of 4 \(reach 4, stride 1\) does not fit",
    ),
    ("concat", ((2, 3), (2, 2)), {"axis": 0}, r"concat: tensor 0 has shape \(2, 3\) and tensor 1 has \(2, 2\)"),
    ("concat", ((2, 3), (2,)), {"axis": 0}, "they may differ along axis 0 only"),
    (
        "contract",
        ((2, 3), (2, 3)),
        {"spec": "mk,kn->mn"},
        r"contract: mk,kn->mn: shapes .* disagree on axis k: 3 and 2",
    ),
    ("contract", ((2, 3), (3,)), {"spec": "mk,kn->mn"}, r"contract: .* shape \(3,\) does not have the 2 axes kn"),
    (
        "assign",
        ((2, 3), (2,)),
        {"path": ()},
        r"assign: a value of shape \(2,\) does not fit a region of shape \(2, 3\)",
    ),
]


@pytest.mark.parametrize(("name", "shapes", "params", "message"), REFUSED)
def test_rule_and_run_refuse(name, shapes, params, message) -> None:
    op = ops.TABLE[name]
    kind = DTypeError if "must be" in message else ShapeError
    with pytest.raises(kind, match=message):
        op.rule(*(Spec(s, np.dtype(F)) for s in shapes), **params)
    if name != "where":  # NumPy takes numbers for a condition
        with pytest.raises((kind, ValueError)):
            op(*(hm.zeros(s) for s in shapes), **params)


RULES = [
    # primitive, specs, parameters, message: what only the rule says, for tensors cannot come to it
    (
        "slice",
        (Spec((3,), hm.float32),),
        {"ranges": ((0, 4, 1),)},
        "slice: range 0:4:1 does not lie in an axis of size 3",
    ),
    ("slice", (Spec((3,), hm.float32),), {"ranges": ()}, r"slice: 0 ranges for the 1 axes of shape \(3,\)"),
    ("slice", (Spec((3,), hm.float32),), {"ranges": ((0, 3, 0),)}, "slice: range 0:3:0"),
    (
        "fold",
        (Spec((5, 3), hm.float32),),
        {"length": 6, "size": 3},
        r"fold: windows of shape \(5, 3\) .* do not fit into an axis of size 6",
    ),
    ("fold", (Spec((5, 3), hm.float32),), {"length": 7, "size": 2}, "fold: windows"),
    (
        "take",
        (Spec((3,), hm.float32), Spec((2,), hm.float32)),
        {"axes": (0,)},
        "take: an index must be int64, not float32",
    ),
    (
        "take",
        (Spec((3, 3), hm.float32), Spec((2,), hm.int64), Spec((3,), hm.int64)),
        {"axes": (0, 1)},
        r"take: index shapes \(2,\) and \(3,\) differ",
    ),
    (
        "put",
        (Spec((3,), hm.float32), Spec((4,), hm.float32), Spec((2,), hm.int64)),
        {"axes": (0,)},
        r"put: values of shape \(4,\) do not fit a region of shape \(2,\)",
    ),
    (
        "put",
        (Spec((3,), hm.float32), Spec((2,), hm.float64), Spec((2,), hm.int64)),
        {"axes": (0,)},
        "put: the operands have dtypes",
    ),
    (
        "put_add",
        (Spec((4,), hm.float32), Spec((2,), hm.int64)),
        {"axes": (0,), "shape": (3,)},
        r"put_add: values of shape \(4,\) do not fit",
    ),
]


@pytest.mark.parametrize(("name", "specs", "params", "message"), RULES)
def test_rule_refuses(name, specs, params, message) -> None:
    with pytest.raises((ShapeError, DTypeError), match=message):
        ops.TABLE[name].rule(*specs, **params)


@pytest.mark.parametrize("op", [ops.take, ops.put, ops.put_add])
@pytest.mark.parametrize("wrong", [3, -4])
def test_positions_out_of_range(op: Op, wrong: int) -> None:
    x, v, at = hm.zeros(3), hm.ones(2), hm.tensor([0, wrong])
    inputs = {"take": (x, at), "put": (x, v, at), "put_add": (v, at)}[op.name]
    params = {"shape": (3,)} if op.name == "put_add" else {}
    with pytest.raises(IndexError, match=f"index {wrong} is out of range for axis 0 with size 3"):
        op(*inputs, axes=(0,), **params)


def test_contract_spec() -> None:
    with pytest.raises(ValueError, match="label k stands twice in one term"):
        parse("kk,k->k")
    with pytest.raises(ValueError, match="label n is in one term only"):
        parse("mk,kn->mk")


def test_names_are_unique() -> None:
    with pytest.raises(ValueError, match="there are two primitives called add"):
        Op("add", ("x",))


def test_an_op_must_say_what_it_is() -> None:
    bare = object.__new__(Op)
    with pytest.raises(NotImplementedError):
        bare.rule()
    with pytest.raises(NotImplementedError):
        bare.evaluate()


def test_only_gradients_are_summed_back() -> None:
    with pytest.raises(DTypeError, match="sum_to: a gradient must be floating, not int64"):
        sum_to(hm.tensor([1, 2]), ())


def test_axes() -> None:
    assert normal_axes(None, 2) == (0, 1)
    assert normal_axes((-1, 0), 2) == (0, 1)
    assert normal_axes(0, 0) == ()
    with pytest.raises(IndexError, match="axis 2 is out of range for a tensor with 2 axes"):
        normal_axis(2, 2)
    with pytest.raises(ValueError, match=r"axis \(0, -2\) is named more than once"):
        normal_axes((0, -2), 2)


def test_broadcast_shapes() -> None:
    assert broadcast_shapes("f", (2, 1), (3,), ()) == (2, 3)
    assert broadcast_shapes("f", (0,), (1,)) == (0,)
    with pytest.raises(ShapeError, match=r"f: shapes \(0,\) and \(2,\) do not broadcast"):
        broadcast_shapes("f", (0,), (2,))


def test_printed_forms() -> None:
    assert repr(ops.add) == "<primitive add>"
    assert str(Spec((2, 3), hm.float32)) == "float32[2, 3]"
