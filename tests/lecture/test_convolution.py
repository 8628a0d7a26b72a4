"""Convolutional networks: rows C1 to C6."""

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import nn

IMAGE = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
KERNEL = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def image(channels=1):
    return hm.tensor(IMAGE).float().expand(1, channels, 5, 5)


def kernel(channels=1):
    return hm.tensor(KERNEL).float().expand(1, channels, 3, 3)


def test_c1_the_feature_map_of_the_lectures_image():
    layer = nn.Conv2d(1, 1, 3, bias=False)
    layer.load_state_dict({"weight": kernel()})
    assert layer(image())[0, 0].tolist() == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]
    # one window after the other, as in the lecture's animation
    windows = F.unfold(image(), 3)  # (1, 9, 9): a column for each place of the window
    assert hm.equal(kernel().flatten() @ windows[0], layer(image()).flatten())


def test_c1_stride_padding_channels_dilation_and_groups():
    x, w = image(), kernel()
    full = F.conv2d(x, w)
    assert F.conv2d(x, w, stride=2)[0, 0].tolist() == [[4, 4], [2, 4]], "every second place"
    same = F.conv2d(x, w, padding=1)
    assert same.shape == x.shape
    assert hm.equal(same[:, :, 1:-1, 1:-1], full)
    assert same[0, 0, 0, 0] == 2
    assert F.conv2d(x, w, dilation=2).tolist() == [[[[2]]]], "the image's corners and its middle: 1 + 0 + 1 + 0 + 0"
    colour = F.conv2d(image(3), kernel(3))
    assert hm.equal(colour, 3 * full), "channel by channel, then the sum"
    both = F.conv2d(hm.cat([x, 2 * x], dim=1), hm.cat([w, w]), groups=2)
    assert hm.equal(both, hm.cat([full, 2 * full], dim=1)), "groups: each channel for itself"


@pytest.mark.parametrize(
    ("n", "k", "s", "p", "d"), [(5, 3, 1, 0, 1), (32, 5, 2, 2, 1), (28, 3, 3, 1, 2), (7, 4, 2, 1, 1)]
)
def test_c1_the_size_of_a_feature_map(n, k, s, p, d):
    size = (n + 2 * p - d * (k - 1) - 1) // s + 1
    layer = nn.Conv2d(3, 8, k, stride=s, padding=p, dilation=d)
    assert layer(hm.zeros(2, 3, n, n)).shape == (2, 8, size, size)


def test_c1_feature_maps_can_be_looked_at():
    hm.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(54, 10))
    maps = {}
    for name, layer in network.named_children():
        layer.register_forward_hook(lambda _, x, y, name=name: maps.update({name: y.detach().numpy()}))
    digits, _ = hm.data.digits()
    network(hm.from_numpy(digits[:1]).float())
    assert maps["0"].shape == (1, 6, 6, 6)
    assert maps["2"].shape == (1, 6, 3, 3)
    assert np.array_equal(maps["1"], maps["0"].clip(min=0))


def test_c2_padding():
    x = hm.ones(32, 32, 3)  # height, width, channel
    y = F.pad(x, (0, 0, 2, 2, 2, 2))
    assert y.shape == (36, 36, 3)
    assert y.sum() == x.sum(), "filled with zeros"
    assert nn.ZeroPad2d(2)(hm.ones(1, 3, 32, 32)).shape == (1, 3, 36, 36)
    assert F.pad(hm.ones(1, 1), (1, 1, 1, 1), value=7.0).sum() == 8 * 7 + 1


def test_c3_max_and_average_pooling():
    x = hm.tensor([[1.0, 3.0, 2.0, 0.0], [4.0, 0.0, 0.0, 2.0], [1.0, 1.0, 5.0, 6.0], [1.0, 1.0, 7.0, 8.0]])
    x = x.reshape(1, 1, 4, 4)
    assert nn.MaxPool2d(2)(x).flatten().tolist() == [4, 2, 1, 8]
    assert nn.AvgPool2d(2)(x).flatten().tolist() == [2, 1, 1, 6.5]
    assert nn.MaxPool2d(2)(hm.zeros(1, 3, 28, 28)).shape == (1, 3, 14, 14)
    moved = F.pad(hm.tensor([[[[5.0, 0.0, 0.0, 0.0]]]]), (1, 0))[..., :4]  # one pixel to the right, in its window
    assert hm.equal(nn.MaxPool2d((1, 2))(moved), hm.tensor([[[[5.0, 0.0]]]])), "small moves go unnoticed"


def test_c3_stochastic_pooling_draws_by_size_in_training():
    hm.manual_seed(0)
    a = hm.tensor([[1.6, 0.0], [0.0, 2.4]])  # p = 0.4, 0, 0, 0.6
    layer = nn.StochasticPool2d(2)
    drawn = layer(a.expand(10_000, 1, 2, 2)).flatten()
    values = sorted(set(drawn.tolist()))
    assert values == pytest.approx([1.6, 2.4]), "what has probability 0 is never drawn"
    assert (drawn < 2).float().mean().item() == pytest.approx(0.4, abs=0.015)


def test_c3_and_takes_the_weighted_mean_at_inference():
    a = hm.tensor([[1.0, 2.0], [3.0, 4.0]])
    layer = nn.StochasticPool2d(2).eval()
    p = a / a.sum()
    assert layer(a.reshape(1, 1, 2, 2)).item() == pytest.approx((p * a).sum().item())  # 0.1 1 + 0.2 2 + 0.3 3 + 0.4 4
    assert layer(a.reshape(1, 1, 2, 2)).item() == pytest.approx(3.0)
    assert layer(hm.zeros(1, 1, 2, 2)).item() == 0
    hm.manual_seed(1)
    mean = F.stochastic_pool2d(a.expand(20_000, 1, 2, 2), 2).mean()
    assert mean.item() == pytest.approx(3.0, abs=0.05), "which is the mean of what training draws"


def small_cnn():
    return nn.Sequential(
        nn.Standardize([0.0], [16.0]),
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 10),
    )


def test_c4_convolution_batch_norm_activation_dropout_pooling_flatten_classify():
    hm.manual_seed(0)
    x, y = hm.data.digits()
    network = nn.Sequential(*small_cnn(), nn.Softmax(dim=1))
    probabilities = network.eval()(hm.from_numpy(x[:5]))
    assert probabilities.shape == (5, 10)
    assert probabilities.sum(1).tolist() == pytest.approx([1] * 5, abs=1e-6)
    network = small_cnn()
    trainer = hm.Trainer(network, optimizer="adam", lr=0.01, seed=0)
    history = trainer.fit(x[:900], y[:900], epochs=4, validation=(x[1400:], y[1400:]), progress=False)
    assert history["val_accuracy"][-1] > 0.85


def test_c5_locality_and_shared_weights_counted():
    """Seven inputs, three hidden units: each sees all of them, or a window of three."""

    def count(module):
        return sum(p.numel() for p in module.parameters())

    x = hm.arange(7).float()
    everything = nn.Linear(7, 3, bias=False)
    # a window of three with a stride of two, and for each of the three places kernels of its own (groups) or the same
    local = nn.Sequential(nn.Unfold((1, 3), stride=(1, 2)), nn.Conv1d(9, 3, 1, groups=3, bias=False))
    shared = nn.Conv1d(1, 1, 3, stride=2, bias=False)
    assert [count(m) for m in (everything, local, shared)] == [3 * 7, 3 * 3, 3 * 1]

    windows = local[0](x.reshape(1, 1, 1, 7))  # (1, 3, 3): the axis of places comes last
    assert windows[0].T.tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    of_each_place = local[1](windows.mT.reshape(1, 9, 1)).flatten()
    assert of_each_place.shape == (3,)
    assert shared(x.reshape(1, 1, 7)).shape == (1, 1, 3)
    # with equal weights at all places they are the same, and both are a fully connected layer with many zeros
    with hm.no_grad():
        local[1].weight.copy_(shared.weight.expand(3, 1, 3).reshape(3, 3, 1))
        everything.weight.zero_()
        for i in range(3):
            everything.weight[i, 2 * i : 2 * i + 3] = shared.weight[0, 0]
    results = [
        local[1](windows.mT.reshape(1, 9, 1)).flatten(),
        shared(x.reshape(1, 1, 7)).flatten(),
        everything(x),
    ]
    assert hm.allclose(results[0], results[1])
    assert hm.allclose(results[1], results[2], atol=1e-6)


def test_c5_shared_weights_see_a_pattern_wherever_it_is():
    x = image()
    moved = F.pad(x, (2, 0, 1, 0))
    assert hm.equal(F.conv2d(moved, kernel())[:, :, 1:, 2:], F.conv2d(x, kernel()))


@pytest.mark.parametrize("channels", [1, 3])
def test_c6_images_of_0_to_255_go_in_and_are_scaled_inside_the_model(channels, tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 155)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(low, low + 101, (8, 8, 3)[: 2 if channels == 1 else 3]).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    data = hm.data.load(tmp_path / "images")
    assert data.x.shape == (24, channels, 8, 8)  # stored as channel, height, width, as the layers want them
    assert data.x.dtype == np.uint8
    assert data.x.max() > 250
    hm.manual_seed(0)
    layers = [nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)]
    network = nn.Sequential(nn.Standardize.of(data.x), *layers)
    assert abs(network[0](hm.from_numpy(data.x)).mean().item()) < 1e-3
    trainer = hm.Trainer(network, optimizer="adam", lr=0.01, seed=0)
    trainer.fit(data, epochs=20, progress=False)
    assert trainer.predict(data.x).tolist() == [data.classes[i] for i in data.y]
