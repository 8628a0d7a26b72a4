"""One row per primitive: on what it is tried, and what must come out, in plain loops.

A call names the inputs and the parameters. An input is a shape, to be filled from the row's domain, or an array
that is taken as it is (positions, conditions). Shapes hold the sizes 0, 1, odd tails and what broadcasts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from haema import dtypes, ops
from tests.ops import references, scalars
from tests.ops.references import Reference


class Call(NamedTuple):
    """Inputs (shapes or arrays) and parameters."""

    inputs: tuple[Any, ...]
    params: dict[str, Any]


class Row(NamedTuple):
    """A primitive's test cases.

    Attributes:
        calls: On what it is tried.
        reference: The result, computed independently, from arrays and parameters.
        domain: Range of the numbers drawn.
        exact: Whether the result must agree to the last bit.
        kinds: dtypes (NumPy's kind letters) it is tried with.
        special: Whether nan, infinities and signed zeros go through it as through the reference.
        smooth: Whether its derivatives are compared with finite differences.
    """

    calls: tuple[Call, ...]
    reference: Reference
    domain: tuple[float, float] = (-3, 3)
    exact: bool = True
    kinds: str = "f"
    special: bool = False
    smooth: bool = True


def call(*inputs: Any, **params: Any) -> Call:
    return Call(inputs, params)


# -- map ------------------------------------------------------------------

ONE = tuple(call(s) for s in ((), (1,), (0,), (5,), (2, 3), (3, 0, 2), (33,)))
TWO = tuple(
    call(*s)
    for s in (
        ((), ()),
        ((3,), ()),
        ((2, 3), (2, 3)),
        ((2, 1), (3,)),
        ((1,), (0,)),
        ((1, 2, 1), (2, 1, 3)),
        ((17,), (1,)),
    )
)

UNARY_DOMAINS: dict[str, tuple[float, float]] = {
    "log": (0.1, 4),
    "log1p": (-0.9, 3),
    "sqrt": (0.1, 4),
    "tan": (-1.4, 1.4),
    "asin": (-0.9, 0.9),
    "acos": (-0.9, 0.9),
    "abs": (0.1, 3),
    "floor": (0.1, 0.9),
    "ceil": (0.1, 0.9),
    "trunc": (0.1, 0.9),
    "round": (0.6, 1.4),
}
BINARY_DOMAINS: dict[str, tuple[float, float]] = {
    "pow": (0.5, 2.5),
    "div": (0.5, 3),
    "shift_left": (0, 2),
    "shift_right": (0, 2),
}
EXACT = {
    "neg",
    "abs",
    "sign",
    "sqrt",
    "floor",
    "ceil",
    "round",
    "trunc",
    "bitwise_not",
    "add",
    "sub",
    "mul",
    "div",
    "maximum",
    "minimum",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "shift_left",
    "shift_right",
    "pair",
}
STEPS = {"floor_divide", "remainder", "pair"}  # no finite differences across a jump


def _map_rows() -> Iterator[tuple[str, Row]]:
    for table, calls, domains in ((scalars.UNARY, ONE, UNARY_DOMAINS), (scalars.BINARY, TWO, BINARY_DOMAINS)):
        for name, f in table.items():
            op: Any = ops.TABLE[name]

            def reference(*arrays: np.ndarray, f: Any = f, op: Any = op) -> np.ndarray:
                return scalars.each(f, *arrays, dtype=None if op.result == "same" else op.result)

            yield name, Row(
                calls, reference, domains.get(name, (-3, 3)), name in EXACT, op.kinds, special=True,
                smooth="f" in op.kinds and name not in STEPS,
            )  # fmt: skip


def _bools(*shape: int) -> np.ndarray:
    return np.arange(math.prod(shape)).reshape(shape) % 3 == 0


REDUCED = tuple(
    call(shape, axes=axes, keepdims=keep)
    for shape, axes, keep in (
        ((5,), (0,), False),
        ((2, 3), (1,), True),
        ((2, 3), (0, 1), False),
        ((2, 3, 4), (0, 2), False),
        ((1, 3), (0,), False),
        ((3, 0), (0,), False),
        ((), (), False),
        ((2, 3), (), True),
        ((33, 3), (0,), False),
        ((3, 65), (1,), False),
    )
)

EMPTY = (
    call((3, 0), axes=(1,), keepdims=False),
    call((0,), axes=(0,), keepdims=True),
    call((0, 2), axes=(0, 1), keepdims=False),
)


ARG = tuple(c for c in REDUCED if len(c.params["axes"]) == 1)


SPECS = (
    ("mk,kn->mn", (2, 3), (3, 4)),
    ("mk,kn->nm", (2, 3), (3, 4)),
    ("k,k->", (5,), (5,)),
    ("m,n->mn", (2,), (3,)),
    ("bmk,bkn->bmn", (2, 1, 3), (2, 3, 2)),
    ("mk,k->m", (3, 2), (2,)),
    (",->", (), ()),
    ("m,->m", (3,), ()),
    ("bm,bm->bm", (2, 3), (2, 3)),
    ("abk,kc->acb", (2, 3, 2), (2, 3)),
    ("mk,kn->mn", (0, 3), (3, 2)),
    ("mk,kn->mn", (2, 0), (0, 3)),
    ("ijk,jkl->li", (2, 3, 2), (3, 2, 2)),
    ("ngchwij,gocij->ngohw", (1, 1, 2, 2, 1, 2, 1), (1, 3, 2, 2, 1)),
    ("bij,bik->bkj", (2, 3, 2), (2, 3, 1)),
    ("mk,kn->mn", (17, 9), (9, 33)),
)


SLIDING = (
    {"axis": 0, "size": 3, "stride": 1, "dilation": 1},
    {"axis": 0, "size": 1, "stride": 2, "dilation": 1},
    {"axis": 0, "size": 2, "stride": 2, "dilation": 3},
    {"axis": 0, "size": 7, "stride": 3, "dilation": 1},
)

ROW_OF = ((ops.slice, {"ranges": ((1, 2, 1), (0, 3, 1))}), (ops.reshape, {"shape": (3,)}))

EVERY_SECOND = ((ops.permute, {"axes": (1, 0)}), (ops.slice, {"ranges": ((0, 3, 2), (0, 2, 1))}))


AT, PAIR = np.array([0, 2, -1, 2]), np.array([[1, 0], [1, 1]])


def _state(seed: int, block: int) -> np.ndarray:
    return np.array([seed, block], np.int64)


ROWS: dict[str, Row] = dict(_map_rows()) | {
    "where": Row(
        (
            call(_bools(2, 3), (2, 3), (2, 3)),
            call(_bools(3), (2, 1), ()),
            call(_bools(2, 1), (3,), (1, 1)),
            call(_bools(0), (1,), ()),
        ),
        references.where,
        kinds="biuf",
        special=True,
    ),
    "cast": Row(
        tuple(call(s, dtype=d) for s in ((), (5,), (0,), (2, 3)) for d in dtypes.RANK),
        references.cast,
        domain=(0.1, 3),
        kinds="biuf",
        smooth=False,
    ),
    "sum": Row(REDUCED + EMPTY, references.total, exact=False, kinds="biuf", special=True),
    "max": Row(
        REDUCED,
        references.reduction(lambda v: next((u for u in v if u != u), max(v)) if v else 0),
        kinds="biuf",
        special=True,
    ),
    "min": Row(
        REDUCED,
        references.reduction(lambda v: next((u for u in v if u != u), min(v)) if v else 0),
        kinds="biuf",
        special=True,
    ),
    "argmax": Row(
        ARG,
        references.reduction(lambda v: next((i for i, u in enumerate(v) if u != u), v.index(max(v))), np.int64),
        kinds="biuf",
        special=True,
    ),
    "argmin": Row(
        ARG,
        references.reduction(lambda v: next((i for i, u in enumerate(v) if u != u), v.index(min(v))), np.int64),
        kinds="biuf",
        special=True,
    ),
    "cumsum": Row(
        tuple(
            call(s, axis=a)
            for s, a in (((5,), 0), ((2, 3), 1), ((2, 3), 0), ((0, 3), 0), ((0, 3), 1), ((1,), 0), ((33,), 0))
        ),
        references.cumsum,
        exact=False,
        kinds="biuf",
        special=True,
    ),
    "argsort": Row(
        tuple(
            call(s, axis=a, descending=d)
            for s, a in (((5,), 0), ((2, 3), 1), ((3, 2), 0), ((0, 2), 1), ((1,), 0), ((33,), 0))
            for d in (False, True)
        ),
        references.argsort,
        kinds="biuf",
        special=True,
    ),
    "nonzero": Row(tuple(call(s) for s in ((5,), (2, 3), (0, 2), ())), references.nonzero, kinds="biuf", special=True),
    "contract": Row(tuple(call(x, w, spec=s) for s, x, w in SPECS), references.contract, exact=False, kinds="iuf"),
    "reshape": Row(
        tuple(
            call(s, shape=t)
            for s, t in (
                ((6,), (2, 3)),
                ((2, 3), (3, 2)),
                ((2, 3), (6,)),
                ((), (1, 1)),
                ((0, 3), (3, 0)),
                ((1, 5), (5,)),
            )
        ),
        references.reshape,
        kinds="biuf",
        special=True,
    ),
    "permute": Row(
        tuple(
            call(s, axes=a)
            for s, a in (((2, 3), (1, 0)), ((2, 3, 4), (2, 0, 1)), ((), ()), ((5,), (0,)), ((0, 3), (1, 0)))
        ),
        references.permute,
        kinds="biuf",
        special=True,
    ),
    "expand": Row(
        tuple(
            call(s, shape=t)
            for s, t in (
                ((1, 3), (2, 3)),
                ((3,), (2, 3)),
                ((), (2, 2)),
                ((2, 1), (2, 0)),
                ((3,), (3,)),
                ((1, 1), (1, 1)),
            )
        ),
        references.expand,
        kinds="biuf",
        special=True,
    ),
    "slice": Row(
        tuple(
            call(s, ranges=r)
            for s, r in (
                ((5,), ((1, 4, 1),)),
                ((5,), ((0, 5, 2),)),
                ((7,), ((1, 6, 3),)),
                ((4,), ((2, 2, 1),)),
                ((4,), ((3, 1, 1),)),
                ((2, 3), ((0, 2, 1), (2, 3, 1))),
                ((0, 3), ((0, 0, 1), (0, 3, 2))),
                ((), ()),
                ((3,), ((0, 1, 5),)),
            )
        ),
        references.slice_,
        kinds="biuf",
        special=True,
    ),
    "flip": Row(
        tuple(call(s, axes=a) for s, a in (((5,), (0,)), ((2, 3), (0, 1)), ((2, 3), ()), ((0, 2), (0,)), ((), ()))),
        references.flip,
        kinds="biuf",
        special=True,
    ),
    "pad": Row(
        tuple(
            call(s, pads=p, value=v)
            for s, p, v in (
                ((3,), ((1, 2, 0),), 0),
                ((3,), ((0, 0, 2),), 0),
                ((2, 3), ((1, 0, 1), (0, 2, 0)), 1),
                ((0,), ((2, 1, 3),), 0),
                ((1,), ((0, 0, 4),), 1),
                ((), (), 0),
                ((2, 0), ((1, 1, 0), (0, 0, 0)), 0),
            )
        ),
        references.pad,
        kinds="biuf",
        special=True,
    ),
    "window": Row(
        (
            *tuple(call((7,), **p) for p in SLIDING),
            call((2, 5, 3), axis=1, size=2, stride=2, dilation=2),
            call((0, 3), axis=1, size=3, stride=1, dilation=1),
            call((3, 1), axis=1, size=1, stride=1, dilation=1),
        ),
        references.window,
        kinds="biuf",
        special=True,
    ),
    "fold": Row(
        (
            *tuple(call((count, p["size"]), length=7, **p) for p, count in zip(SLIDING, (5, 4, 2, 1), strict=True)),
            call((2, 2, 3, 2), axis=1, length=6, size=2, stride=2, dilation=2),
            call((0, 1, 3), axis=1, length=3, size=3, stride=1, dilation=1),
        ),
        references.fold,
        exact=False,
        kinds="iuf",
        special=True,
    ),
    "concat": Row(
        tuple(
            call(*s, axis=a)
            for s, a in ((((2,), (3,)), 0), (((2, 1), (2, 3), (2, 0)), 1), (((0, 3), (2, 3)), 0), (((4,),), 0))
        ),
        references.concat,
        kinds="biuf",
        special=True,
    ),
    "assign": Row(
        (
            call((2, 3), (3,), path=ROW_OF),
            call((2, 3), (2, 2), path=EVERY_SECOND),
            call((2, 3), (2, 3), path=()),
            call((0,), (0,), path=()),
            call((), (), path=()),
        ),
        references.assign,
        kinds="biuf",
        special=True,
    ),
    "take": Row(
        (
            call((3,), AT, axes=(0,)),
            call((3, 2), AT, axes=(0,)),
            call((2, 3), AT, axes=(1,)),
            call((2, 3, 2), PAIR, PAIR, axes=(0, 2)),
            call((2, 3), PAIR, PAIR, axes=(0, 1)),
            call((3, 2), AT[:0], axes=(0,)),
            call((3, 0), AT, axes=(0,)),
            call((3,), np.array(1), axes=(0,)),
        ),
        references.take,
        kinds="biuf",
        special=True,
    ),
    "put": Row(
        (
            call((3,), (4,), AT, axes=(0,)),
            call((3, 2), (4, 2), AT, axes=(0,)),
            call((2, 3), (4, 2), AT, axes=(1,)),
            call((2, 3, 2), (2, 2, 3), PAIR, np.array([[0, 1], [0, 1]]), axes=(0, 2)),
            call((3, 2), (0, 2), AT[:0], axes=(0,)),
        ),
        references.put,
        kinds="biuf",
        special=True,
    ),
    "put_add": Row(
        (
            call((4,), AT, axes=(0,), shape=(3,)),
            call((4, 2), AT, axes=(0,), shape=(3, 2)),
            call((4, 2), AT, axes=(1,), shape=(2, 3)),
            call((2, 2, 3), PAIR, PAIR, axes=(0, 2), shape=(2, 3, 2)),
            call((0, 2), AT[:0], axes=(0,), shape=(3, 2)),
        ),
        references.put_add,
        exact=False,
        kinds="iuf",
        special=True,
    ),
    "random_bits": Row(
        tuple(
            call(_state(*s), shape=n)
            for s in ((0, 0), (-1, -1), (2**40 + 7, 2**33 - 1), (-5, 3))
            for n in ((), (1,), (0,), (4,), (7,), (2, 5))
        ),
        references.random_bits,
        kinds="",
        smooth=False,
    ),
}
