"""What every module of haema's promises; a new one is tested by existing."""

import copy
import inspect
import json
import pickle

import numpy as np
import pytest

import haema as hm
from haema import io, nn
from haema.shapes import shapes_only

MODULES = [
    cls for cls in (getattr(nn, name) for name in nn.__all__)
    if inspect.isclass(cls) and issubclass(cls, nn.Module) and cls is not nn.Module
]  # fmt: skip

NUMBERS = {  # what a constructor needs, by the name of the argument
    "in_features": 3, "in1_features": 2, "in2_features": 3, "out_features": 4, "num_embeddings": 5, "embedding_dim": 3,
    "in_channels": 4, "out_channels": 6, "num_features": 4, "num_groups": 2, "num_channels": 4, "normalized_shape": 3,
    "kernel_size": 2, "output_size": 2, "padding": 1, "value": 0.5, "upscale_factor": 2, "downscale_factor": 2,
    "members": 2, "hidden": 4, "outputs": 2, "sizes": [3, 4], "columns": [0, 1], "bins": [2, 0],
    "numbers": 2, "words": [1], "holed": [1], "smooth": [0, 1], "steps": [1, 1], "classify": True, "groups": [0, 0, 1],
    "threshold": 0.1, "dim": 0, "scale_factor": 2, "unflattened_size": (2, 3), "mean": [0.5, 1.5], "std": [1.0, 2.0],
    "low": [0.0, 1.0], "high": [1.0, 3.0], "degrees": 10, "size": 4, "images": 5, "eigenvalues": [0.1, 0.2],
    "eigenvectors": [[0.6, 0.8], [-0.8, 0.6]],
     "factor": 0.5, "inplanes": 3, "planes": 3,
}  # fmt: skip

ARGUMENTS = {  # where that is not enough
    "Sequential": [{"zero": nn.Linear(2, 3), "one": nn.ReLU()}],
    "ModuleList": [[nn.Linear(2, 3)]],
    "ModuleDict": [{"a": nn.Linear(2, 3)}],
    "ParameterList": [[hm.ones(2)]],
    "ParameterDict": [{"a": hm.ones(2)}],
    "Fold": [(4, 4), 2],
    "CrossEntropyLoss": [hm.tensor([1.0, 2.0])],
    "NLLLoss": [hm.tensor([1.0, 2.0])],
    "BCEWithLogitsLoss": [hm.tensor([1.0, 2.0])],
    "Upsample": [None, 2],
    "UpsamplingNearest2d": [None, 2],
    "TestTimeAugmentation": [nn.Linear(2, 3)],
    "Residual": [nn.Linear(2, 2)],
}

ELSEWHERE = {"PrepareTable", "TableColumns"}
"""Modules whose arguments are too many for a table; their own tests save and load them."""


def make(cls):
    if cls.__name__ in ARGUMENTS:
        return cls(*ARGUMENTS[cls.__name__])
    parameters = inspect.signature(cls).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return cls(**{name: NUMBERS[name] for name in needed})


@pytest.fixture(params=[c for c in MODULES if c.__name__ not in ELSEWHERE], ids=lambda c: c.__name__)
def module(request):
    hm.manual_seed(0)
    return make(request.param)


def values(module):
    return {k: (v.dtype, v.shape, v.numpy().tobytes()) for k, v in module.state_dict().items()}


def test_is_found():
    assert {nn.Linear, nn.Conv2d, nn.ReLU, nn.MSELoss, nn.Sequential} <= set(MODULES)
    assert {c.__name__ for c in MODULES} >= ELSEWHERE


def test_is_built_again_from_its_description(module):
    config = json.loads(json.dumps(module.config(), allow_nan=False))
    again = nn.build(config)
    assert type(again) is type(module)
    assert repr(again) == repr(module)
    assert again.config() == module.config()
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in module.state_dict().items()}


def test_has_a_shape_without_values(module):
    with shapes_only(exact=0) as tally:
        again = nn.build(module.config())
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in module.state_dict().items()}
    assert tally.arrays <= 100


def test_is_saved_and_loaded(module, tmp_path):
    io.save(module, tmp_path / "file")
    again = io.load(tmp_path / "file")
    assert repr(again) == repr(module)
    assert values(again) == values(module)


@pytest.mark.parametrize("kind", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_is_copied(module, kind):
    again = kind(module)
    assert repr(again) == repr(module)
    assert values(again) == values(module)
    for a, b in zip(again.parameters(), module.parameters(), strict=True):
        assert not np.shares_memory(a._data, b._data)


def test_is_converted(module):
    module.double()
    assert all(x.dtype != hm.float32 for x in module.state_dict().values())
    assert module.float().training


def test_has_a_name_of_one_line_and_a_docstring(module):
    assert repr(module).split("(")[0] == type(module).__name__
    assert inspect.getdoc(type(module)) != inspect.getdoc(nn.Module)
