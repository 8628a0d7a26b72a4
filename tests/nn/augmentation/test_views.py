"""Predictions averaged over several views."""

import numpy as np
import pytest

import haema as hm
from haema import nn

RNG = np.random.default_rng(0)
X = RNG.random((4, 3, 8, 9)).astype(np.float32)


def network(inputs, outputs=5):
    hm.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs))


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_ten_crops_are_the_corners_the_middle_and_their_mirrors():
    layer = nn.TestTimeAugmentation(network(3 * 6 * 5), (6, 5))
    views = [v.numpy() for v in layer.views(hm.tensor(X))]
    crops = [X[:, :, a : a + 6, b : b + 5] for a, b in ((1, 2), (0, 0), (0, 4), (2, 0), (2, 4))]
    for found, expected in zip(views, crops + [c[..., ::-1] for c in crops], strict=True):
        assert np.array_equal(found, expected)
    y = layer.eval()(hm.tensor(X)).detach().numpy()
    each = np.stack([softmax(layer.module(hm.tensor(v)).detach().numpy()) for v in views])
    assert np.allclose(np.exp(y), each.mean(0), atol=1e-6)
    assert np.allclose(softmax(y), each.mean(0), atol=1e-6), "as logits they mean the same"


def test_flips_and_shifts():
    model = network(3 * 8 * 9)
    flips = nn.TestTimeAugmentation(model, average="outputs").eval()
    expected = (model(hm.tensor(X)) + model(hm.tensor(X[..., ::-1].copy()))) / 2
    assert np.allclose(flips(hm.tensor(X)).detach().numpy(), expected.detach().numpy(), atol=1e-6)
    mirrored = flips(hm.tensor(X[..., ::-1].copy())).detach().numpy()
    assert np.allclose(mirrored, expected.detach().numpy(), atol=1e-6), "a mirrored image is predicted alike"
    shifts = nn.TestTimeAugmentation(model, padding=1, flip=False, padding_mode="reflect")
    views = [v.numpy() for v in shifts.views(hm.tensor(X))]
    wide = np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1)), "reflect")
    places = ((1, 1), (0, 0), (0, 2), (2, 0), (2, 2))
    assert len(views) == 5
    for found, (a, b) in zip(views, places, strict=True):
        assert np.array_equal(found, wide[:, :, a : a + 8, b : b + 9])
    assert len(nn.TestTimeAugmentation(model, flip=False).views(hm.tensor(X))) == 1


def test_in_training_it_is_the_model_alone():
    model = network(3 * 8 * 9)
    layer = nn.TestTimeAugmentation(model)
    assert np.array_equal(layer(hm.tensor(X)).detach().numpy(), model(hm.tensor(X)).detach().numpy())


def test_compiled_saved_and_loaded(tmp_path):
    layer = nn.TestTimeAugmentation(network(3 * 7 * 7), 7).eval()
    y = layer(hm.tensor(X)).detach().numpy()
    assert np.allclose(hm.compile(lambda x: layer(x))(hm.tensor(X)).numpy(), y, atol=1e-6)
    hm.save(layer, tmp_path / "m")
    again = hm.load(tmp_path / "m").eval()
    assert repr(again) == repr(layer)
    assert again(hm.tensor(X)).detach().numpy().tobytes() == y.tobytes()


def test_a_trainer_uses_it():
    x = (RNG.random((120, 1, 6, 6)) * 255).astype(np.uint8)
    y = (x[:, 0, :3].mean((1, 2)) > x[:, 0, 3:].mean((1, 2))).astype(int)
    hm.manual_seed(0)
    model = nn.TestTimeAugmentation(nn.Sequential(nn.Standardize.of(x), network(36, 2)))
    trainer = hm.Trainer(model, optimizer="adam", lr=0.03, seed=0)
    trainer.fit(x, y, epochs=15, progress=False)
    found = trainer.evaluate(x, y)
    assert found["accuracy"] > 0.9
    p = trainer.predict_proba(x)
    assert np.allclose(p, trainer.predict_proba(x[..., ::-1].copy()), atol=1e-5)
    assert np.isclose(found["loss"], -np.log(p[np.arange(120), y]).mean(), rtol=1e-4)


def test_refuses():
    with pytest.raises(ValueError, match="average is 'median'; 'probabilities' or 'outputs' is right"):
        nn.TestTimeAugmentation(nn.Identity(), average="median")
    with pytest.raises(hm.ShapeError, match=r"outputs of shape \(4, 1\) are no classes' logits"):
        nn.TestTimeAugmentation(network(3 * 8 * 9, 1)).eval()(hm.tensor(X))
    with pytest.raises(hm.ShapeError, match="a crop of 10 x 10 is larger than the images, which are 8 x 9"):
        nn.TestTimeAugmentation(nn.Identity(), 10).eval()(hm.tensor(X))


@pytest.mark.parametrize(
    ("last", "outputs", "average", "loss"),
    [
        (nn.Sigmoid(), 1, "outputs", "bce"),
        (nn.LogSoftmax(1), 2, "probabilities", "nll"),
        (nn.Identity(), 2, "probabilities", "cross_entropy"),
    ],
)
def test_a_trainer_looks_through_to_the_last_layer(last, outputs, average, loss):
    """Behind a sigmoid it took the loss of logits."""
    x = RNG.normal(size=(120, 1, 4, 4)).astype(np.float32)
    y = (x.mean((1, 2, 3)) > 0).astype(int)
    hm.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, outputs), last)
    trainer = hm.Trainer(nn.TestTimeAugmentation(network, average=average), lr=0.05, seed=0, compile=False)
    trainer.fit(x, y, epochs=15, progress=False)
    assert trainer.objective.name == loss
    assert trainer.evaluate(x, y)["accuracy"] > 0.9
    p = trainer.predict_proba(x)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    assert (p.argmax(1) == y).mean() > 0.9
