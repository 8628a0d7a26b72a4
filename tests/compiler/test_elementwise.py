"""The machine code of every elementwise primitive against NumPy, on each type, on vectors of several lengths.

What IEEE 754 or integer arithmetic determines must agree bit for bit. Of the other functions the error is measured in
units in the last place (ulp) of the result, against long double, and they agree with the eager engine to 2e-6 in
float32 and 1e-14 in float64.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable, Iterator

import llvmlite.binding as llvm
import numpy as np
import pytest

import haema as hm
from haema.compiler import elementwise
from haema.compiler.builder import MEMORY, SCALARS, Builder, Module, Value, const, vector
from haema.ops import map as primitives

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

LANES = (1, 4, 8, 16)
TYPES = {"b": ["bool"], "i": ["int32", "int64"], "u": ["uint8", "uint32"], "f": ["float32", "float64"]}
ALL = [d for group in TYPES.values() for d in group]
MAPS = {n: p for n, p in vars(primitives).items() if isinstance(p, primitives.Map) and n not in ("cast", "where")}
CASES = [(n, d) for n, p in MAPS.items() for kind in p.kinds for d in TYPES[kind]]

INEXACT = {
    "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "tanh", "sigmoid", "erf",
    "pow", "atan2",
}  # fmt: skip
ULPS = {"tan": 3.0, "sigmoid": 2.5, "asin": 2.5}  # 2 of the others
RELATIVE = {"float32": 2e-6, "float64": 1e-14}


# -- compiling ------------------------------------------------------------------


def write(module: Module, function: str, name: str, lanes: int, types: list[str], result: str, **given: float) -> None:
    """A loop that applies a primitive to arrays, with ``given`` constants in place of an operand: a1=0.0."""
    b = Builder(module)
    with b.loop(0, Value("i64", "%n"), lanes) as loop:
        args = []
        for i, d in enumerate(types):
            address = b.at(Value("ptr", f"%a{i}"), loop.index, MEMORY[d])
            x = b.load(address, vector(MEMORY[d], lanes), np.dtype(d).itemsize)
            x = b.cast("trunc", x, "i1") if d == "bool" else x
            args.append(const(x.type, given[f"a{i}"]) if f"a{i}" in given else x)
        y = elementwise.apply(b, name, args, [np.dtype(d) for d in types], np.dtype(result))
        assert y.type == vector(SCALARS[result], lanes)
        y = b.cast("zext", y, "i8") if result == "bool" else y
        b.store(y, b.at(Value("ptr", "%y"), loop.index, MEMORY[result]), np.dtype(result).itemsize)
    b.line("ret void")
    parameters = ", ".join(f"ptr noalias %{p}" for p in ["y", *(f"a{i}" for i in range(len(types)))])
    module.define(function, f"void @{function}(i64 %n, {parameters})", b)


def optimized(module: Module, cpu: str | None = None) -> tuple[llvm.ModuleRef, llvm.TargetMachine]:
    """The module after LLVM's passes, for this processor or a lesser one."""
    parsed = llvm.parse_assembly(module.text())
    parsed.verify()
    features = "" if cpu else llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(cpu=cpu or llvm.get_host_cpu_name(), features=features, opt=3)
    parsed.triple, parsed.data_layout = llvm.get_default_triple(), str(machine.target_data)
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(parsed, passes)
    return parsed, machine


def compiled(
    name: str, lanes: int, types: list[str], result: str, cpu: str | None = None, **given: float
) -> Callable[..., np.ndarray]:
    """A primitive as a function of arrays."""
    module = Module()
    write(module, "f", name, lanes, types, result, **given)
    engine = llvm.create_mcjit_compiler(*optimized(module, cpu))
    engine.finalize_object()
    pointers = [ctypes.c_void_p] * (len(types) + 1)
    code = ctypes.CFUNCTYPE(None, ctypes.c_int64, *pointers)(engine.get_function_address("f"))

    def call(*arrays: np.ndarray) -> np.ndarray:
        assert engine  # it owns the code
        assert len(arrays[0]) % lanes == 0
        y = np.empty(len(arrays[0]), result)
        code(len(y), y.ctypes.data, *(a.ctypes.data for a in arrays))
        return y

    return call


# -- numbers ------------------------------------------------------------------


def grid(dtype: str) -> np.ndarray:
    """Numbers at which something happens."""
    d = np.dtype(dtype)
    if d.kind == "b":
        return np.array([False, True])
    if d.kind in "iu":
        i = np.iinfo(d)
        sizes = [0, 1, 2, 3, 5, 7, 8, 15, 31, 32, 33, 63, 64, 65, 100, 127, i.max // 3, i.max // 2, i.max - 1, i.max]
        return np.array([x for s in sizes for x in (s, -s - 1, -s) if i.min <= x <= i.max], d)
    f = np.finfo(d)
    numbers = [
        0, 1 / 3, 0.25, 0.5, 0.625, 0.9, 1, 1.5, 2, 2.5, 3, 3.5, 3.95, 6, 9.02, 10, 16.7, 17.4, 88.7, 88.73, 89, 100,
        103.9, 104.5, 709.7, 710, 745, 746, 1e-3, 1e-8, 99999, 100001, 1e10, 2**23, 2**24 + 2, 2**31, 2**52, 2.0**63,
        np.pi / 2, np.pi, 1 - f.epsneg, 1 + f.eps, f.tiny, f.tiny / 3, f.smallest_subnormal, f.max, np.inf, np.nan,
    ]  # fmt: skip
    return np.array([numbers, np.negative(numbers)]).astype(d).ravel()


def sample(dtype: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Random numbers of all magnitudes."""
    d = np.dtype(dtype)
    if d.kind == "b":
        return rng.integers(0, 2, size).astype(d)
    if d.kind in "iu":
        i = np.iinfo(d)
        full = rng.integers(i.min, i.max, size, d, endpoint=True)
        return full >> rng.choice([0, 4, 8 * d.itemsize - 5, 8 * d.itemsize - 2], size).astype(d)
    bits = rng.integers(0, 2 ** (8 * d.itemsize), size, f"u{d.itemsize}").view(d)
    normal = rng.normal(size=size)
    kinds = np.stack([bits, *(x.astype(d) for x in (normal, normal * 20, np.rint(normal * 50) / 2))])
    return kinds[rng.integers(0, 4, size), np.arange(size)]


def operands(*types: str, seed: int = 0) -> list[np.ndarray]:
    """Each grid number with each, then random ones; a multiple of 96 in all."""
    rng = np.random.default_rng(seed)
    meshes = list(np.meshgrid(*(grid(d) for d in types[-2:]), indexing="ij"))
    if len(types) == 3:
        meshes.insert(0, rng.integers(0, 2, meshes[0].shape).astype(bool))
    arrays = [np.concatenate([m.ravel(), sample(d, 4096, rng)]) for m, d in zip(meshes, types, strict=True)]
    return [np.resize(a, -(-len(a) // 96) * 96) for a in arrays]


def agree(got: np.ndarray, want: np.ndarray, *args: np.ndarray) -> None:
    """Bit for bit, except that all nans are one."""
    assert got.dtype == want.dtype
    bad = (got != want) & ((got == got) | (want == want))
    if got.dtype.kind == "f":
        bad |= (np.signbit(got) != np.signbit(want)) & (got == got)
    assert not bad.any(), f"{bad.sum()} of {len(bad)} differ: {[x[bad][:4] for x in (*args, got, want)]}"


def exact(name: str, *args: np.ndarray) -> np.ndarray:
    """A function in long double."""
    wide = [a.astype(np.longdouble) for a in args]
    if name == "erf":
        return np.array([math.erf(v) for v in args[0].tolist()], np.longdouble)
    if name == "sigmoid":  # e^-x may overflow in the type of x
        return 1 / (1 + np.where(np.exp(-wide[0]) > np.finfo(args[0].dtype).max, np.inf, np.exp(-wide[0])))
    y = MAPS[name].evaluate(*wide)
    if name == "pow":  # glibc's powl errs at -inf to large negative powers
        return np.where(np.isinf(args[0]), np.power(*args), y)
    return y


def ulps(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Errors in units in the last place; 0 where the rounded results are both infinite or both nan."""
    rounded = want.astype(got.dtype)
    same = (got == rounded) | ((got != got) & (rounded != rounded))
    edge = np.isinf(got) & (np.abs(want) >= np.finfo(got.dtype).max * (1 - 1e-7)) & (np.sign(got) == np.sign(want))
    unit = np.spacing(np.minimum(np.abs(rounded), np.finfo(got.dtype).max)).astype(want.dtype)
    error = np.abs(got.astype(want.dtype) - want) / unit
    finite = np.isfinite(rounded) & np.isfinite(got)
    return np.where(finite, error, np.where(same | edge, 0, np.inf))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """NumPy warns of what is tested here."""
    with np.errstate(all="ignore"):
        yield


# -- tests ------------------------------------------------------------------


def inputs(name: str, dtype: str, seed: int = 0) -> list[np.ndarray]:
    """Operands for a primitive; NumPy takes no integer to a negative power."""
    args = operands(*[dtype] * len(MAPS[name].inputs), seed=seed)
    if name == "pow" and np.dtype(dtype).kind == "i":
        args[1] = np.where(args[1] < 0, ~args[1], args[1])
    return args


def result_of(name: str, dtype: str) -> str:
    """The type of what a primitive makes of operands of a type."""
    return dtype if MAPS[name].result == "same" else MAPS[name].result


@functools.cache
def expected(name: str, dtype: str) -> tuple[list[np.ndarray], np.ndarray, np.ndarray | None]:
    """Operands, what NumPy says, and for the inexact functions what is right."""
    with np.errstate(all="ignore"):
        args = inputs(name, dtype)
        inexact = name in INEXACT and np.dtype(dtype).kind == "f"
        return args, MAPS[name].evaluate(*args), exact(name, *args) if inexact else None


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_primitive(name: str, dtype: str, lanes: int) -> None:
    args, want, right = expected(name, dtype)
    got = compiled(name, lanes, [dtype] * len(args), want.dtype.name)(*args)
    if right is None:
        agree(got, want, *args)
        return
    error = ulps(got, right)
    i = int(error.argmax())
    assert error[i] <= ULPS.get(name, 2.0) + (dtype == "float64"), f"{error[i]} ulp at {[x[i] for x in args]}: {got[i]}"
    zeros = (got == 0) & (want == 0)
    agree(np.copysign(1, got[zeros]), np.copysign(1, want[zeros]), *(x[zeros] for x in args))
    np.testing.assert_allclose(got, want, rtol=RELATIVE[dtype], atol=np.finfo(dtype).tiny)


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("to", ALL)
@pytest.mark.parametrize("dtype", ALL)
def test_cast(dtype: str, to: str, lanes: int) -> None:
    (x,) = operands(dtype)
    agree(compiled("cast", lanes, [dtype], to)(x), x.astype(to), x)


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("dtype", ALL)
def test_where(dtype: str, lanes: int) -> None:
    c, x, y = operands("bool", dtype, dtype)
    agree(compiled("where", lanes, ["bool", dtype, dtype], dtype)(c, x, y), np.where(c, x, y), c, x, y)


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("number", [0.0, -0.0, 1.5, np.nan, -np.inf])
@pytest.mark.parametrize("name", ["maximum", "minimum", "pow"])
def test_constant_operand(name: str, number: float, lanes: int) -> None:
    """Some code knows constants: nan as one of them must still win, and zeros' signs stay."""
    (x,) = operands("float32")
    for number_at in (0, 1) if name != "pow" else ():
        args = [x, x]
        args[number_at] = np.full_like(x, number)
        got = compiled(name, lanes, ["float32"] * 2, "float32", **{f"a{number_at}": number})(*args)
        agree(got, MAPS[name].evaluate(*args), *args)
    if name == "pow":
        agree(compiled("pow", lanes, ["float32"] * 2, "float32", a1=2.0)(x, x), x * x, x)


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_lanes_do_not_matter(name: str, dtype: str) -> None:
    args = inputs(name, dtype, seed=1)
    kinds, result = [dtype] * len(args), result_of(name, dtype)
    one = compiled(name, 1, kinds, result)(*args)
    for lanes in (2, 3, 16, 32):
        agree(compiled(name, lanes, kinds, result)(*args), one, *args)


@pytest.mark.skipif("x86_64" not in llvm.get_default_triple(), reason="names processors of one family")
@pytest.mark.parametrize("cpu", ["x86-64", "x86-64-v3"])
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_processors_agree(name: str, dtype: str, cpu: str) -> None:
    """Without AVX-512, and without fused multiply-add instructions, results are the same."""
    args = inputs(name, dtype, seed=2)
    kinds, result = [dtype] * len(args), result_of(name, dtype)
    here, there = (compiled(name, 16, kinds, result, cpu=c)(*args) for c in (None, cpu))
    agree(there, here, *args)


@pytest.mark.parametrize("shape", [(3, 5, 4, 4), (2, 9, 6, 2), (2, 3, 5, 7), (4, 16), (1, 33, 8), (3, 4, 1)])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0)])
def test_random_words_are_the_eager_ones_however_memory_lies(shape: tuple[int, ...], order: tuple[int, ...]) -> None:
    """Four words along an axis are drawn as one block, if they are one."""
    axes = tuple(a for a in order if a < len(shape))
    x = hm.rand(*(shape[a] for a in axes)).permute(*np.argsort(axes).tolist())  # of `shape`, lying in this order

    def f(x: hm.Tensor) -> tuple[hm.Tensor, hm.Tensor]:
        return (x + hm.rand(*shape)).permute(*axes).contiguous(), (x * hm.rand(*shape)).sum()

    hm.manual_seed(3)
    wanted = f(x)
    hm.manual_seed(3)
    for found, y in zip(hm.compile(f)(x), wanted, strict=True):
        np.testing.assert_allclose(found.numpy(), y.numpy(), rtol=1e-6)


def test_a_random_place_to_write_to() -> None:
    """The random words are in the index of the store alone."""
    x = hm.randn(400, 3)

    def f(x: hm.Tensor) -> hm.Tensor:
        return hm.zeros(7, 3).index_add(0, hm.randint(0, 7, (400,)), x)

    hm.manual_seed(3)
    wanted = f(x)
    hm.manual_seed(3)
    np.testing.assert_allclose(hm.compile(f)(x).numpy(), wanted.numpy(), rtol=1e-5, atol=1e-5)
