"""What every augmenting layer promises."""

import json

import numpy as np
import pytest

import haema as hm
from haema import nn

RNG = np.random.default_rng(0)
WHOLE = RNG.integers(0, 256, (12, 3, 10, 8)).astype(np.uint8)
REAL = RNG.random((12, 3, 10, 8)).astype(np.float32)

LAYERS = [
    nn.RandomAffine(20, (0.1, 0.2), (0.8, 1.2), (-5, 5, -3, 3), hflip=0.5, vflip=0.3),
    nn.RandomAffine(20, interpolation="nearest", center=(2, 3), fill=0.5),
    nn.RandomRotation(30),
    nn.ElasticTransform(10.0, 2.0),
    nn.ColorJitter(0.4, 0.4, 0.4),
    nn.PCAColorShift.of(WHOLE, std=1.0),
    nn.RandomInvert(),
    nn.RandomCrop((10, 8), 2),
    nn.RandomCrop((10, 8), 2, padding_mode="reflect"),
    nn.RandomErasing(),
    nn.RandomErasing(value="random"),
    nn.AlternatingFlip(30),
    nn.RandomHorizontalFlip(),
    nn.RandomVerticalFlip(),
    nn.MixUp(0.4),
    nn.CutMix(),
]
PER_BATCH = (nn.MixUp, nn.CutMix)
IDS = [f"{type(m).__name__}-{i}" for i, m in enumerate(LAYERS)]

layers = pytest.mark.parametrize("layer", LAYERS, ids=IDS)
images = pytest.mark.parametrize("array", [WHOLE, REAL, REAL.astype(np.float64)], ids=lambda a: a.dtype.name)


def run(layer, x, seed=1, program=None):
    """The layer, or its compiled program, from the same seed and the same state."""
    if isinstance(layer, nn.AlternatingFlip):
        layer.seen.zero_()
    hm.manual_seed(seed)
    return (program or layer)(x)


@layers
@images
def test_is_the_identity_in_evaluation(layer, array):
    x = hm.tensor(array)
    try:
        assert np.array_equal(layer.eval()(x).numpy(), array)
    finally:
        layer.train()


@layers
@images
def test_keeps_shape_and_dtype_and_changes_something(layer, array):
    y = run(layer, hm.tensor(array))
    assert (tuple(y.shape), y.dtype) == (array.shape, array.dtype)
    assert not np.array_equal(y.numpy(), array)


@layers
def test_a_seed_repeats_it(layer):
    x = hm.tensor(REAL)
    first, again = run(layer, x).numpy(), run(layer, x).numpy()
    assert first.tobytes() == again.tobytes()
    if not isinstance(layer, nn.AlternatingFlip):
        assert any(run(layer, x, seed).numpy().tobytes() != first.tobytes() for seed in (2, 3, 4))


@layers
def test_each_image_is_changed_in_its_own_way(layer):
    x = hm.tensor(REAL[:1]).expand(12, 3, 10, 8)
    if isinstance(layer, (*PER_BATCH, nn.AlternatingFlip)):
        pytest.skip("one draw for a batch, or the same for equal images")
    y = run(layer, x).numpy()
    assert len({image.tobytes() for image in y}) > 1


@layers
@images
def test_draws_the_same_compiled(layer, array):
    x = hm.tensor(array)
    eager = run(layer, x).numpy()
    program = hm.compile(lambda x: layer(x))
    for _ in range(2):  # recorded, then only run
        compiled = run(layer, x, program=program).numpy()
        if array.dtype.kind == "f":
            assert np.abs(compiled - eager).max() < 1e-5
        else:
            assert np.array_equal(compiled, eager)


@layers
def test_takes_one_image_and_none(layer):
    for n in (1, 0):
        assert run(layer, hm.tensor(REAL[:n])).shape == (n, 3, 10, 8)


@layers
def test_refuses_what_is_no_batch_of_images(layer):
    if isinstance(layer, nn.MixUp):
        assert run(layer, hm.ones(4, 3)).shape == (4, 3)
        return
    with pytest.raises(hm.ShapeError, match=r"a batch of images is \(N, C, H, W\), not of shape \(3, 10, 8\)"):
        layer(hm.tensor(REAL[0]))


@layers
def test_is_built_again_from_json(layer):
    again = nn.build(json.loads(json.dumps(layer.config(), allow_nan=False)))
    assert repr(again) == repr(layer)
    assert run(again, hm.tensor(REAL)).numpy().tobytes() == run(layer, hm.tensor(REAL)).numpy().tobytes()


@layers
def test_leaves_its_input_alone(layer):
    x = hm.tensor(REAL)
    run(layer, x)
    assert np.array_equal(x.numpy(), REAL)


def test_gradients_go_through_an_augmentation():
    """The gradient of the sum of a shifted image is 1 where a pixel stays in it, and 0 where it leaves."""
    x = hm.ones(1, 1, 3, 3, requires_grad=True)
    nn.RandomAffine(0, hflip=1)(x).sum().backward()
    assert np.allclose(x.grad.numpy(), 1)
    x.grad = None
    nn.RandomAffine(0, scale=(3, 3))(x).sum().backward()  # of the image only the middle pixel's surroundings are seen
    assert x.grad[0, 0, 1, 1] > x.grad[0, 0, 0, 0] > 0
    assert np.isclose(x.grad.sum().item(), 9)


@pytest.mark.parametrize("layer", [nn.RandomAffine, nn.RandomCrop])
def test_border_is_one_number(layer):
    """Three of them were spread along the rows of images that are three pixels wide."""
    with pytest.raises(ValueError, match=r"fill is \[1, 2, 3\]; one number, for all channels, is right"):
        layer(2, fill=[1, 2, 3])


def test_numbers_that_make_no_sense():
    with pytest.raises(ValueError, match="std is nan; a number from 0 upwards is right"):
        nn.PCAColorShift.of(WHOLE, std=float("nan"))
    with pytest.raises(ValueError, match="a whole number from 1 upwards is right"):
        nn.AlternatingFlip(2.5)
