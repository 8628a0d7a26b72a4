"""Models in files: what is saved is what is loaded, and nothing else ever is."""

import json
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from io_files import container, model
from nn_modules import Affine, Net

import haema as hm
import haema.nn.functional as F
from haema import io, nn
from haema.errors import HaemaError, InputError
from haema.io.container import FORMAT, write_container


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.25), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(4 * 4 * 4, 10),
    )  # fmt: skip


class Own(nn.Module):
    def __init__(self, sizes, activation=F.relu, layer=nn.Linear):
        super().__init__()
        self.layers = nn.ModuleList(layer(n, m) for n, m in pairwise(sizes))
        self.activation = activation

    def forward(self, x):
        for layer in self.layers:
            x = self.activation(layer(x))
        return x


def test_round_trip(path):
    hm.manual_seed(1)
    a = cnn()
    a(hm.randn(16, 1, 8, 8))  # moves the running statistics
    x = hm.randn(3, 1, 8, 8)
    hm.save(a, path, meta={"classes": ["cat", "dog"], "lr": 0.1, "sizes": (8, 8), "worst": float("inf")})
    b = hm.load(path)
    assert repr(b) == repr(a)
    assert not b.training
    assert b.meta == {"classes": ["cat", "dog"], "lr": 0.1, "sizes": (8, 8), "worst": float("inf")}
    assert (b(x) == a.eval()(x)).all()
    for (name, p), (other, q) in zip(a.state_dict().items(), b.state_dict().items(), strict=True):
        assert name == other
        assert p.dtype == q.dtype
        assert p._data.tobytes() == q._data.tobytes()
    assert all(p.requires_grad for p in b.parameters())


def test_a_loaded_model_can_be_trained_and_saved_again(path):
    hm.save(cnn(), path)
    a = hm.load(path).train()
    a(hm.ones(2, 1, 8, 8)).sum().backward()
    with hm.no_grad():
        for p in a.parameters():
            p.sub_(0.1 * p.grad)
    hm.save(a, path)
    assert (hm.load(path)[0].weight == a[0].weight).all()


def test_own_classes(path):
    a = Own([3, 4, 2], activation=hm.tanh)
    hm.save(a, path)
    with pytest.raises(InputError, match=r"the class 'Own' is not known.*@hm.register, or pass it as classes=\[...\]"):
        hm.load(path)
    b = hm.load(path, classes=[Own])
    assert (b(hm.ones(1, 3)) == a(hm.ones(1, 3))).all()


def test_a_registered_class(path):
    @hm.register
    class RegisteredForFiles(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(2, 1)

    hm.save(RegisteredForFiles(), path)
    assert isinstance(hm.load(path), RegisteredForFiles)


def test_shared_modules_stay_shared(path):
    shared = nn.Linear(2, 2)
    hm.save(nn.Sequential(shared, nn.ReLU(), shared), path)
    b = hm.load(path)
    assert b[0] is b[2]


def test_types_are_those_of_the_file(path):
    hm.save(cnn().double(), path)
    b = hm.load(path)
    assert b[0].weight.dtype == hm.float64
    assert b[1].running_mean.dtype == hm.float64
    assert b[1].num_batches_tracked.dtype == hm.int64


def test_saving_and_loading_draw_no_random_numbers(path):
    a = cnn()
    hm.manual_seed(5)
    state = hm.get_rng_state().tolist()
    hm.save(a, path)
    hm.load(path)
    assert hm.get_rng_state().tolist() == state


def test_buffers_that_are_not_saved_are_made_by_the_constructor(path):
    class Table(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.register_buffer("table", hm.arange(n).float().sqrt(), persistent=False)
            self.w = nn.Parameter(hm.ones(n))

    a = Table(5000)
    hm.save(a, path)
    b = hm.load(path, classes=[Table])
    assert (b.table == a.table).all()


def test_notes_of_the_model(path):
    a = nn.Linear(1, 1)
    a.meta = {"classes": ["a"], "x": 1}
    hm.save(a, path, meta={"x": 2})
    assert hm.load(path).meta == {"classes": ["a"], "x": 2}
    assert a.meta == {"classes": ["a"], "x": 1}
    hm.save(nn.Linear(1, 1), path)
    assert hm.load(path).meta is None


def test_the_same_model_gives_the_same_bytes(path):
    a = cnn()
    hm.save(a, path)
    first = path.read_bytes()
    hm.save(hm.load(path), path)
    assert path.read_bytes() == first


def test_nothing_half_written(path, monkeypatch):
    hm.save(nn.Linear(1, 1), path)
    before = path.read_bytes()
    with pytest.raises(HaemaError, match=r"meta is a object, which cannot be written"):
        hm.save(nn.Linear(2, 1), path, meta={"x": object()})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


# -- what cannot be saved


def test_a_model_that_its_constructor_does_not_make(path):
    a = Net()
    a.second = Affine(3, 7, bias=False)
    with pytest.raises(
        HaemaError,
        match=r"this Net cannot be saved as a model.*'second.weight' has shape \(7, 3\), and the architecture asks for "
        r"\(1, 3\); save model.state_dict\(\) instead",
    ):
        hm.save(a, path)
    a = Net()
    a.third = Affine(1, 1)
    with pytest.raises(HaemaError, match=r"the tensor 'third\.weight' has no place in the architecture"):
        hm.save(a, path)
    a = Net()
    del a.first
    with pytest.raises(HaemaError, match=r"the tensor 'first\.weight' is missing"):
        hm.save(a, path)

    class Once(nn.Module):
        def __init__(self):
            if made:
                raise ValueError("only once")
            made.append(self)

    made = []
    with pytest.raises(HaemaError, match=r"Once.* cannot be built: ValueError: only once"):
        hm.save(Once(), path)
    assert not path.exists()


def test_what_is_no_model(path):
    with pytest.raises(TypeError, match="save takes a module or a dict of names and tensors, not a list"):
        hm.save([1], path)
    with pytest.raises(TypeError, match="notes go with a model or a dict of tensors; put them into the nested dict"):
        hm.save({"lr": 0.1}, path, meta={"a": 1})
    with pytest.raises(HaemaError, match="a Linear stands where plain values are right"):
        hm.save(nn.Linear(1, 1), path, meta={"scaler": nn.Linear(1, 1)})
    with pytest.raises(InputError, match="there is no folder"):
        hm.save(nn.Linear(1, 1), path / "x")


# -- state dicts, and PyTorch


def test_a_state_dict(path):
    state = {"w": hm.randn(2, 3), "n": np.arange(3), "b": hm.tensor(True)}
    hm.save(state, path)
    for found in (hm.load(path), io.load_state_dict(path)):
        assert list(found) == sorted(state, key=list(found).index)
        assert set(found) == set(state)
        assert found["w"].tolist() == state["w"].tolist()
        assert found["n"].dtype == hm.int64
        assert found["b"].dtype == hm.bool


def test_our_files_are_read_by_others(path):
    from safetensors.numpy import load_file

    a = cnn()
    hm.save(a, path)
    found = load_file(path)
    state = a.state_dict()
    assert set(found) == set(state)
    assert all(np.array_equal(found[k], state[k].numpy()) and found[k].dtype == state[k].dtype for k in state)


def test_others_files_are_read_by_us(path):
    from safetensors.numpy import save_file

    a, b = cnn(), cnn()
    save_file({k: v.numpy() for k, v in a.state_dict().items()}, path, metadata={"format": "pt"})
    b.load_state_dict(io.load_state_dict(path))
    x = hm.randn(2, 1, 8, 8)
    assert (a.eval()(x) == b.eval()(x)).all()
    with pytest.raises(InputError, match="was not written by haema and holds no model; its tensors are read by"):
        hm.load(path)


def test_a_nested_dict_is_a_checkpoint(path):
    model = nn.Linear(2, 1)
    optimizer = hm.optim.Adam(model.parameters())
    model(hm.ones(1, 2)).sum().backward()
    optimizer.step()
    hm.save({"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    for found in (hm.load(path, map_location="cpu", weights_only=True), io.load_checkpoint(path)):
        assert found["epoch"] == 3
        assert (found["model"]["weight"] == model.weight).all()
        optimizer.load_state_dict(found["optimizer"])
    with pytest.raises(HaemaError, match="there is no device 'cuda:0'"):
        hm.load(path, map_location="cuda:0")


def test_no_model(path):
    write_container(path, {}, {"format": FORMAT, "kind": "sketch"})
    with pytest.raises(InputError, match="holds a sketch and no model"):
        hm.load(path)


# -- forged files


LINEAR = {"type": "Linear", "args": {"in_features": 1, "out_features": 1}}
GOOD = {"weight": ("F32", [1, 1], (0, 4)), "bias": ("F32", [1], (4, 8))}
DATA = b"\0" * 8


def test_a_forged_file_that_is_good(path):
    path.write_bytes(model(LINEAR, GOOD, DATA))
    assert hm.load(path).weight.tolist() == [[0]]


def wide(n, m):
    return {"type": "Linear", "args": {"in_features": n, "out_features": m}}


FORGED = {
    "no architecture": (model(None), "an architecture is"),
    "missing tensor": (model(LINEAR, {"weight": GOOD["weight"]}, DATA[:4]), "the tensor 'bias' is missing"),
    "unexpected tensor": (model(LINEAR, {**GOOD, "x": ("F32", [1], (8, 12))}, DATA + b"\0\0\0\0"), "'x' has no place"),
    "wrong shape": (model(wide(2, 1), GOOD, DATA), r"'weight' has shape \(1, 1\), .* asks for \(1, 2\)"),
    "unknown class": (model({"type": "os.system", "args": {"command": "true"}}), "the class 'os.system' is not known"),
    "not a module": (model({"type": "Parameter", "args": {"data": [1]}}), "the class 'Parameter' is not known"),
    "huge layer": (model(wide(1 << 20, 1 << 20), GOOD, DATA), "has shape"),
    "larger layer": (model(wide(1 << 40, 1 << 40), GOOD, DATA), "cannot be built"),
    "absurd layer": (model(wide(1 << 200, 1), GOOD, DATA), "cannot be built|more memory"),
    "negative layer": (model(wide(-5, 1), GOOD, DATA), "cannot be built"),
    "layer of words": (model(wide("a", [1]), GOOD, DATA), "cannot be built"),
    "huge normalisation": (model({"type": "BatchNorm1d", "args": {"num_features": 1 << 34}}), "is missing|more memory"),
    "huge convolution": (
        model({"type": "Conv2d", "args": {"in_channels": 1 << 15, "out_channels": 1 << 15, "kernel_size": 999}}),
        "is missing|cannot be built",
    ),
    "huge embedding": (
        model({"type": "Embedding", "args": {"num_embeddings": 1 << 33, "embedding_dim": 8}}), "is missing",
    ),
    "huge parameter": (
        model({"type": "ParameterList", "args": {"values": [
            {"$": "parameter", "dtype": "float32", "shape": [1 << 33], "requires_grad": True}]}}),
        "is missing",
    ),
    "no bytes for a huge tensor": (
        model(wide(1 << 20, 1 << 20), {"weight": ("F32", [1 << 20, 1 << 20], (0, 1 << 42))}), "cut short",
    ),
    "nested": (model(None, None, b"", x=json.loads("[" * 300 + "]" * 300)), "an architecture is"),
    "notes no dict": (model(LINEAR, GOOD, DATA, meta=[1]), "its notes are a list, where a dict is right"),
    "notes with a module": (model(LINEAR, GOOD, DATA, meta={"x": LINEAR}), "the class 'Linear' is not known"),
    "another kind": (model(LINEAR, GOOD, DATA, kind="tokenizer"), "holds a tokenizer and no model"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_forged(path, name):
    data, words = FORGED[name]
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=words) as error:
            hm.load(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 600


def test_a_constructor_that_would_make_very_many(path):
    class Stack(nn.Module):
        def __init__(self, depth):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(1, 1) for _ in range(depth))

    path.write_bytes(model({"type": "Stack", "args": {"depth": 10**9}}))
    with pytest.raises(InputError, match="more than 10000 arrays would be computed"):
        hm.load(path, classes=[Stack])


def test_a_constructor_that_would_fill_the_memory_with_what_is_not_saved(path):
    class Scratch(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.register_buffer("scratch", hm.ones(n), persistent=False)

    path.write_bytes(model({"type": "Scratch", "args": {"n": 10**10}}))
    with pytest.raises(InputError, match="it asks for 40000000000 bytes of memory, and its tensors have 0"):
        hm.load(path, classes=[Scratch])


def test_nothing_is_run(path, tmp_path):
    for architecture in (
        {"type": "Linear", "args": {"in_features": "__import__('os').system('touch x')", "out_features": 1}},
        {"type": "Sequential", "args": {"args": [{"$": "function", "name": "os.system"}]}},
        {"type": "Sequential", "args": {"args": [{"$": "class", "name": "Popen"}]}},
        {"type": "Sequential", "args": {"__class__": 1, "self": 2}},
    ):
        path.write_bytes(model(architecture))
        with pytest.raises(InputError):
            hm.load(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_plain_file_of_tensors(path):
    path.write_bytes(container({}))
    assert io.load_state_dict(path) == {}
