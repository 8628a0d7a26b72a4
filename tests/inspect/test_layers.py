"""Feature maps, figures on activations and filters, against layers run one by one and NumPy."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from inspecting import FunctionalNet, cnn, state_of

import haema as hm
from haema import nn
from haema.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 3, 8, 6)).astype(np.uint8)


def test_feature_maps_are_what_the_layers_give_one_by_one():
    model = cnn().train()
    x = hm.tensor(IMAGES)
    maps = hm.inspect.feature_maps(model, x)
    assert list(maps) == ["0", "1.0", "1.1", "1.2", "2", "3", "4", "5"]
    model.eval()
    y = model[0](x)
    np.testing.assert_array_equal(maps["0"].numpy(), y.numpy())
    for k, layer in enumerate(model[1]):
        if k == 2:  # writes into its input, of which the map before is a copy
            assert (maps["1.1"].numpy() < 0).any()
        y = layer(y)
        np.testing.assert_array_equal(maps[f"1.{k}"].numpy(), y.detach().numpy())
    assert (maps["1.2"].numpy() >= 0).all()
    for k in range(2, 6):
        y = model[k](y)
        np.testing.assert_array_equal(maps[str(k)].numpy(), y.detach().numpy())
    assert not any(m.requires_grad for m in maps.values())


def test_some_layers_and_unknown_ones():
    model = cnn()
    assert list(hm.inspect.feature_maps(model, hm.tensor(IMAGES), ["1", "5"])) == ["1", "5"]
    with pytest.raises(InputError, match=r"layers names 'convolution'.*no child module 'convolution'"):
        hm.inspect.feature_maps(model, hm.tensor(IMAGES), ["convolution"])
    assert not any(m._hooks for m in model.modules()), "a listener stayed behind"


def test_a_layer_called_again_has_a_number():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense, self.relu, self.relu_1 = nn.Linear(4, 4), nn.ReLU(), nn.Tanh()

        def forward(self, x):
            return self.relu(self.relu_1(self.relu(self.dense(self.relu(x)))))

    model, x = Twice(), hm.randn(2, 4)
    maps = hm.inspect.feature_maps(model, x)
    assert list(maps) == ["relu", "dense", "relu_2", "relu_1", "relu_3"]  # relu_1 is another layer's name
    np.testing.assert_array_equal(maps["relu"].numpy(), np.maximum(x.numpy(), 0))
    np.testing.assert_array_equal(maps["relu_3"].numpy(), model(x).detach().numpy())
    assert hm.inspect.type_of(model, "relu_3") == "ReLU"
    assert hm.inspect.type_of(model, "relu_1") == "Tanh"
    assert hm.inspect.type_of(model, "dense") == "Linear"


def test_a_model_that_is_a_single_layer():
    assert list(hm.inspect.feature_maps(nn.Linear(3, 2), hm.zeros(1, 3))) == ["Linear"]


def test_stages_leave_out_what_changes_nothing_or_only_prepares():
    assert hm.inspect.stages(cnn()) == ["1.0", "1.2", "2", "5"]
    assert hm.inspect.stages(FunctionalNet()) == ["conv", "dense"]


def test_activation_statistics_are_numpys():
    model, x = cnn(), hm.tensor(IMAGES)
    with hm.no_grad():
        model[1][1].weight[1] = 0.0  # these two channels are 0 or below everywhere: dead behind the ReLU
        model[1][1].bias[1] = -1.0
        model[1][1].weight[3] = 0.0
        model[1][1].bias[3] = 0.0
    maps = hm.inspect.feature_maps(model, x)
    found = hm.inspect.activation_statistics(model, x, bins=7)
    assert list(found) == list(maps)
    for name, d in found.items():
        a = maps[name].numpy().astype(np.float64)
        assert d.shape == a.shape
        np.testing.assert_allclose([d.mean, d.std], [a.mean(), a.std()], rtol=1e-6, atol=1e-9)
        assert d.zeros == pytest.approx((a == 0).mean())
        counts, edges = np.histogram(a, 7)
        np.testing.assert_array_equal(d.counts, counts)
        np.testing.assert_allclose(d.edges, edges)
    assert (found["1.2"].units, found["1.2"].dead) == (4, 2)
    assert (found["1.1"].units, found["1.1"].dead) == (4, 1)
    assert found["5"].dead == 0
    assert found["5"].units == 10


def test_distribution_of_a_few_numbers_by_hand():
    d = hm.inspect.distribution(hm.tensor([[0.0, 0.0, 3.0], [0.0, 1.0, 0.0]]), bins=3)
    assert (d.mean, d.zeros, d.units, d.dead) == (pytest.approx(4 / 6), pytest.approx(4 / 6), 3, 1)
    assert d.std == pytest.approx(np.sqrt(10 / 6 - 16 / 36))
    assert d.counts.tolist() == [4, 1, 1]
    assert d.edges.tolist() == [0, 1, 2, 3]


def test_distribution_of_what_is_not_finite():
    d = hm.inspect.distribution(hm.tensor([1.0, float("inf"), 2.0, float("nan")]), bins=2)
    assert np.isnan(d.mean)
    assert d.counts.tolist() == [1, 1]
    assert hm.inspect.distribution(hm.tensor([float("inf")] * 2)).counts.sum() == 0
    with pytest.raises(InputError, match=r"tensor of shape \(0, 2\); one or more"):
        hm.inspect.distribution(hm.zeros(0, 2))


def test_first_filters():
    model = cnn()
    name, w = hm.inspect.first_filters(model, (3, 8, 6))
    assert name == "1.0"
    np.testing.assert_array_equal(w.numpy(), model[1][0].weight.detach().numpy())
    mlp = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    name, w = hm.inspect.first_filters(mlp, (1, 3, 4))
    assert name == "1"
    np.testing.assert_array_equal(w.numpy()[2, 0, 1], mlp[1].weight.detach().numpy()[2, 4:8])
    fast = nn.Sequential(nn.RandomHorizontalFlip(), nn.TestTimeAugmentation(hm.models.fast(3, 8, 2, (4,))))
    name, w = hm.inspect.first_filters(fast)
    assert (name, w.shape) == ("1.module.whiten", (24, 3, 2, 2))  # and not the second layer, which is a Conv2d
    assert hm.inspect.stages(fast)[:2] == ["1.module.whiten", "1.module.gelu"]
    with pytest.raises(InputError, match="no convolution in two dimensions and no dense layer of 27 inputs"):
        hm.inspect.first_filters(mlp, (3, 3, 3))


@pytest.mark.parametrize(
    "look",
    [
        lambda m, x: hm.inspect.feature_maps(m, x),
        lambda m, x: hm.inspect.activation_statistics(m, x),
        lambda m, x: hm.inspect.gradients(m, x, hm.tensor([0, 1, 2, 3, 4])),
        lambda m, x: hm.inspect.gradient_norms(m, x, hm.tensor([0, 1, 2, 3, 4])),
        lambda m, x: hm.inspect.saliency(m, x),
        lambda m, x: hm.inspect.smooth_grad(m, x, samples=2),
    ],
)
def test_looking_leaves_no_trace(look):
    model = cnn().train()
    model[1][0].requires_grad_(False)
    model[4].eval()  # another mode than its model
    x = hm.tensor(IMAGES)
    nn.functional.cross_entropy(model(x), hm.tensor([0] * 5)).backward()
    before = state_of(model)
    look(model, x)
    after = state_of(model)
    assert after == before
    np.testing.assert_array_equal(x.numpy(), IMAGES)
    with hm.no_grad():
        look(model, x)  # also where the tape is off
    assert hm.is_grad_enabled()
    assert state_of(model) == before


def test_matplotlib_is_loaded_only_to_draw():
    code = "import sys, haema as hm; hm.inspect.saliency; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


def test_a_compiled_function_gives_the_same_after_a_look():
    model = cnn().eval()
    predict = hm.compile(lambda x: model(x))
    x = hm.tensor(IMAGES)
    before = predict(x).numpy()
    maps = hm.inspect.feature_maps(model, x)
    np.testing.assert_array_equal(predict(x).numpy(), before)
    np.testing.assert_allclose(maps["5"].numpy(), before, rtol=1e-4, atol=1e-5)
