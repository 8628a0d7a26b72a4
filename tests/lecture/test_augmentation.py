"""Making new images of old ones: row T9."""

import numpy as np
import pytest

import haema as hm
from haema import nn

RNG = np.random.default_rng(0)


@pytest.mark.slow
def test_t9_crops_of_224_out_of_256():
    """The lecture counts 32 x 32 = 1024 crops, and 2048 with their mirrors.

    A crop can begin at 0, 1, ..., 32, which are 33 places: 33 x 33 = 1089. The lecture's 1024 are those that begin
    before the last place.
    """
    i, j = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8), indexing="ij")
    image = hm.tensor(np.stack([i, j])[None])  # (1, 2, 256, 256): each pixel says where it was
    crop, flip = nn.RandomCrop(224), nn.RandomHorizontalFlip()
    hm.manual_seed(0)
    draw = hm.compile(lambda x: flip(crop(x.expand(256, 2, 256, 256)))[:, :, 0])
    seen = set()
    for _ in range(90):
        rows, columns = draw(image).numpy().transpose(1, 0, 2)
        assert (rows == rows[:, :1]).all()
        seen |= {(int(r), int(min(c)), bool(c[0] > c[-1])) for r, c in zip(rows[:, 0], columns, strict=True)}
    assert len(seen) == 2 * 33 * 33
    assert len({(r, c) for r, c, _ in seen if r < 32 and c < 32}) == 1024
    assert len({place for place in seen if max(place[:2]) < 32}) == 2048


def test_t9_translation_rotation_zoom_shear_and_mirroring():
    x = hm.tensor(RNG.random((2, 1, 8, 8)).astype(np.float32))
    turned = nn.RandomRotation((90, 90))(x)
    assert np.allclose(turned.numpy(), np.rot90(x.numpy(), 1, (2, 3)), atol=1e-6)
    assert np.array_equal(nn.RandomHorizontalFlip(1)(x).numpy(), x.numpy()[..., ::-1])
    assert np.allclose(nn.RandomInvert(1)(x).numpy(), 1 - x.numpy())
    for layer in (
        nn.RandomAffine(0, translate=(0.2, 0.2)),
        nn.RandomAffine(0, scale=(0.5, 0.6)),
        nn.RandomAffine(0, shear=(10, 20)),
        nn.ElasticTransform(10.0, 2.0),
    ):
        assert layer(x).shape == x.shape
        assert not np.allclose(layer(x).numpy(), layer(x).numpy()), "each time another image"
        assert np.array_equal(layer.eval()(x).numpy(), x.numpy()), "and the image itself at prediction"


def test_t9_light_and_colours_and_noise():
    x = RNG.integers(0, 256, (200, 3, 4, 4)).astype(np.uint8)
    hm.manual_seed(0)
    for layer in (nn.ColorJitter(brightness=0.4), nn.ColorJitter(contrast=0.4), nn.PCAColorShift.of(x, std=1.0)):
        y = layer(hm.tensor(x)).numpy()
        assert y.dtype == np.uint8
        assert (y != x).any((1, 2, 3)).mean() > 0.9
    noisy = nn.GaussianNoise(0.1)(hm.tensor(x / 255)).numpy() - x / 255
    assert abs(noisy.mean()) < 0.01
    assert abs(noisy.std() - 0.1) < 0.01


def test_t9_ten_crops_averaged_at_prediction():
    """Four corners, the middle, and their mirrors; the average of the ten predictions."""
    hm.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 10))
    x = RNG.random((1, 3, 32, 32)).astype(np.float32)
    model = nn.TestTimeAugmentation(network, 24).eval()
    total = np.zeros((1, 10))
    for top, left in ((0, 0), (0, 8), (8, 0), (8, 8), (4, 4)):
        crop = x[:, :, top : top + 24, left : left + 24]
        for view in (crop, crop[..., ::-1].copy()):
            total += network(hm.tensor(view)).softmax(1).detach().numpy()
    assert np.allclose(model(hm.tensor(x)).softmax(1).detach().numpy(), total / 10, atol=1e-6)


def test_t9_augmentation_teaches_what_does_not_matter():
    """Digits learned where they lie are not known a pixel further; shifted in training, they are."""
    data = hm.data.load("digits")
    x, y = data.x[:600], data.y[:600]
    shift = nn.RandomCrop(8, 1)
    hm.manual_seed(0)
    elsewhere = shift(hm.tensor(data.x[600:])).numpy()
    right = []
    for augmentation in ([], [shift]):
        hm.manual_seed(0)
        layers = [nn.Standardize.of(x), nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)]
        trainer = hm.Trainer(nn.Sequential(*augmentation, *layers), lr=3e-3, seed=0, compile=True)
        trainer.fit(x, y, epochs=30, progress=False)
        right.append(trainer.evaluate(elsewhere, data.y[600:])["accuracy"])
    assert right[1] > right[0] + 0.1, right
