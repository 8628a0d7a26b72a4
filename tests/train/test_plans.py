"""What is chosen for which data."""

import numpy as np
import pandas as pd
import pytest

import haema as hm
from haema.data import Data, load
from haema.train.plans import MAX_PARAMETERS, ScaledMSE, plan_for


def images(n=20, c=1, h=8, w=8, classes=2):
    x = np.random.default_rng(0).integers(0, 255, (n, c, h, w)).astype(np.uint8)
    y = np.arange(n) % classes
    return Data("images", x, y, [str(i) for i in range(classes)], None, "classification", "photos")


def test_digits_get_the_mlp():
    plan = plan_for(load("digits"))
    model = plan.build()
    assert plan.model == "mlp"
    assert (plan.epochs, plan.batch_size, plan.lr, plan.weight_decay) == (50, 32, 3e-3, 1e-2)
    assert [m.out_features for m in model.modules() if isinstance(m, hm.nn.Linear)] == [256, 128, 10]
    assert [m.p for m in model.modules() if isinstance(m, hm.nn.Dropout)] == [0.3, 0.3]
    assert plan.hyperparameters()["schedule"] == "OneCycleLR"


def test_images_get_their_network_by_size_and_colour():
    assert plan_for(images(h=16, w=16)).model == "mlp"
    assert plan_for(images(h=17, w=16)).model == "fast"
    assert plan_for(images(c=3)).model == "fast"
    assert plan_for(images(c=3, h=7)).model == "cnn"
    assert plan_for(images(c=3, h=64, w=64)).model == "fast"
    assert plan_for(images(c=3, h=64, w=65)).model == "cnn"
    assert plan_for(images(h=28, w=28), "mlp").model == "mlp"


@pytest.mark.parametrize(("h", "w"), [(1, 1), (2, 3), (5, 4), (16, 7), (28, 28)])
def test_cnn_takes_images_of_every_size(h, w):
    data = images(3, 1, h, w)
    output = plan_for(data, "cnn").build().eval()(hm.from_numpy(data.x))
    assert output.shape == (3, 2)
    assert np.isfinite(output.detach().numpy()).all()


def test_tables_and_arrays():
    frame = pd.DataFrame({"a": np.arange(9.0) % 4, "b": ["x", "y", "z"] * 3})
    data = Data("table", frame, np.arange(9) % 3, ["r", "s", "t"], "y", "classification", "t.csv")
    model = plan_for(data).build().eval()
    assert model(hm.from_numpy(model[0].prepare(frame))).shape == (9, 3)
    model = plan_for(data, "mlp").build()
    assert model(hm.from_numpy(model[0].prepare(frame))).shape == (9, 3)
    assert len(list(plan_for(data, "linear").build().parameters())) == 2
    arrays = Data(
        "arrays", np.random.default_rng(0).normal(size=(9, 4, 2)), np.arange(9.0), None, None, "regression", "t.npz"
    )
    assert plan_for(arrays).build()(hm.tensor(arrays.x)).shape == (9, 1)


def test_choices_are_kept():
    plan = plan_for(load("digits"), epochs=3, lr=0.1, batch_size=7)
    assert (plan.epochs, plan.lr, plan.batch_size) == (3, 0.1, 7)


def test_scaled_mse():
    loss = ScaledMSE([2.0])
    assert loss(hm.tensor([[3.0], [1.0]]), hm.tensor([[1.0], [1.0]])).item() == 0.5
    assert hm.Trainer(hm.nn.Linear(1, 1), loss).objective.kind.truth == "numbers"


def test_refusals():
    digits = load("digits")
    table = Data("table", pd.DataFrame({"a": [1, 2]}), np.arange(2), ["x", "y"], "y", "classification", "t.csv")
    wide = images(2, 1, 3000, 3000)
    big = Data("arrays", np.ones((2, 2)), np.array([1e300, -1e300]), None, None, "regression", "big.npz")
    flat = Data("arrays", np.ones(3), np.arange(3.0), None, None, "regression", "flat.npz")
    for arguments, part in (
        ({"data": Data("images", digits.x)}, "no target"),
        ({"data": digits, "model": "renset18"}, "did you mean 'resnet18'"),
        ({"data": digits, "recipe": "bets"}, "did you mean 'best'"),
        ({"data": digits, "recipe": "best"}, "recipe 'best' is for convolutional networks"),
        ({"data": table, "recipe": "best"}, "recipe 'best' is for convolutional networks"),
        ({"data": table, "model": "resnet20"}, "model 'resnet20' is for images"),
        ({"data": images(h=7), "model": "lenet5"}, "8 pixels or more"),
        ({"data": digits, "epochs": 0}, "epochs is 0"),
        ({"data": digits, "batch_size": -1}, "batch_size is -1"),
        ({"data": digits, "lr": float("nan")}, "lr is nan"),
        ({"data": table, "model": "cnn"}, "is a table"),
        ({"data": flat}, "rows of features"),
        (
            {"data": Data("arrays", np.ones((3, 2)), np.arange(3.0), None, None, "regression"), "model": "cnn"},
            "for images",
        ),
        ({"data": wide, "model": "mlp"}, "parameters; smaller inputs"),
        ({"data": big}, "too large"),
    ):
        with pytest.raises(hm.InputError, match=part):
            plan_for(**arguments)
    assert MAX_PARAMETERS > 1e6
