"""What layers compute where there is nothing in PyTorch to compare with: chance, lecture numbers, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import nn
from haema.errors import DTypeError, HaemaError, InputError, ShapeError


def test_step_decides_at_zero():
    s = hm.tensor([-0.5, 0.0, 0.5, -0.0, float("nan")], requires_grad=True)
    np.testing.assert_array_equal(F.step(s).detach().numpy(), [0, 1, 1, 1, np.nan])
    y = nn.Step(bipolar=True)(s)
    np.testing.assert_array_equal(y.detach().numpy(), [-1, 1, 1, 1, np.nan])
    y[:4].sum().backward()
    np.testing.assert_array_equal(s.grad.numpy(), np.zeros(5))
    assert F.step(hm.tensor([-2, 3])).tolist() == [0, 1]


@pytest.mark.parametrize("slope", [0.5, 1.0, 3.0])
def test_slopes_of_sigmoids(slope):
    s = hm.linspace(-2, 2, 9, dtype=hm.float64).requires_grad_()
    y = nn.Sigmoid(slope)(s)
    (g,) = hm.autograd.grad(y.sum(), s)
    np.testing.assert_allclose(y.detach().numpy(), 1 / (1 + np.exp(-slope * s.detach().numpy())), rtol=1e-12)
    np.testing.assert_allclose(g.numpy(), (slope * y * (1 - y)).detach().numpy(), rtol=1e-12)
    y = nn.BipolarSigmoid(slope)(s)
    (g,) = hm.autograd.grad(y.sum(), s)
    np.testing.assert_allclose(y.detach().numpy(), 2 / (1 + np.exp(-slope * s.detach().numpy())) - 1, atol=1e-15)
    np.testing.assert_allclose(g.numpy(), (slope / 2 * (1 - y * y)).detach().numpy(), rtol=1e-12)


def test_convolution_of_the_lecture():
    image = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
    kernel = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    y = F.conv2d(hm.tensor([image]).float(), hm.tensor([[kernel]]).float())
    assert y[0].tolist() == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]


def test_transposed_convolution_is_the_adjoint():
    rng = np.random.default_rng(0)
    x, w = hm.tensor(rng.normal(size=(2, 4, 7, 8))), hm.tensor(rng.normal(size=(6, 2, 3, 2)))
    options = {"stride": (2, 3), "padding": (1, 0), "dilation": (2, 1), "groups": 2}
    y = F.conv2d(x, w, **options)
    g = hm.tensor(rng.normal(size=y.shape))
    back = F.conv_transpose2d(g, w, output_padding=(0, 0), **options)
    size = back.shape[-2:]
    assert abs((x[..., : size[0], : size[1]] * back).sum().item() - (y * g).sum().item()) < 1e-10
    layer = nn.ConvTranspose2d(4, 2, 3, stride=2)
    assert layer(hm.zeros(1, 4, 5, 5), output_size=(12, 11)).shape == (1, 2, 12, 11)
    with pytest.raises(ShapeError, match="output size of 20 cannot be had; 11 to 12 can"):
        layer(hm.zeros(1, 4, 5, 5), output_size=(20, 11))


def test_stochastic_pooling_draws_in_proportion():
    window = hm.tensor([[1.6, 0.0], [2.4, 0.0]])  # p = 0.4, 0, 0.6, 0
    x = window.reshape(1, 1, 2, 2).expand(4000, 1, 2, 2)
    hm.manual_seed(1)
    y = F.stochastic_pool2d(x, 2).numpy().ravel()
    assert set(y.round(3)) == {np.float32(1.6), np.float32(2.4)}
    assert abs((y > 2).mean() - 0.6) < 0.03
    layer = nn.StochasticPool2d(2).eval()
    np.testing.assert_allclose(layer(x[:1]).item(), 0.4 * 1.6 + 0.6 * 2.4, rtol=1e-6)
    zeros = hm.zeros(1, 2, 4, 4, requires_grad=True)
    for y in (layer(zeros), layer.train()(zeros)):
        assert not y.detach().numpy().any()
        (g,) = hm.autograd.grad(y.sum(), zeros)
        assert np.isfinite(g.numpy()).all()
    assert layer.eval()(-hm.ones(1, 2, 2)).item() == 0
    assert nn.StochasticPool1d(3).eval()(hm.tensor([[1.0, 2.0, 3.0]])).item() == pytest.approx(14 / 6)


def test_dropout_keeps_the_mean():
    x = hm.ones(200, 200)
    for n, layer in enumerate((nn.Dropout(0.3), nn.Dropout1d(0.3), nn.Dropout2d(0.3), nn.Dropout3d(0.3))):
        hm.manual_seed(0)
        ones = hm.ones(200, 200, *(2,) * n)
        y = layer(ones).numpy()
        assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
        assert abs(y.mean() - 1) < 0.01
        channels = y.reshape(200, 200, -1)
        assert (channels == channels[..., :1]).all()
        assert layer.eval()(ones) is ones
    assert not nn.Dropout(1.0)(x).numpy().any()
    assert nn.Dropout(0.0)(x) is x
    hm.manual_seed(5)
    a = F.dropout(x)
    hm.manual_seed(5)
    assert hm.equal(a, F.dropout(x))
    g = hm.Generator(3)
    assert not hm.equal(F.dropout(x, generator=g), F.dropout(x, generator=g))
    h = hm.ones(3, 3)
    assert F.dropout(h, inplace=True) is h


def test_dropout_gradient_is_its_mask():
    x = hm.ones(50, requires_grad=True)
    y = F.dropout(x, 0.4)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())


def test_alpha_dropout_and_noise():
    hm.manual_seed(0)
    x = hm.randn(300, 300)
    y = nn.AlphaDropout(0.2)(x)
    assert abs(y.mean().item()) < 0.02
    assert abs(y.std().item() - 1) < 0.02
    assert not nn.AlphaDropout(1.0)(x).numpy().any()
    z = nn.GaussianNoise(0.5)(hm.zeros(300, 300))
    assert abs(z.std().item() - 0.5) < 0.01
    layer = nn.GaussianNoise().eval()
    assert layer(x) is x
    r = nn.RReLU(0.2, 0.4)(-hm.ones(300, 300)).numpy()
    assert -0.4 <= r.min() < -0.39
    assert -0.21 < r.max() <= -0.2


def test_layer_norm_does_not_look_at_the_batch():
    x = hm.tensor(np.random.default_rng(0).normal(size=(5, 7)))
    layer = nn.LayerNorm(7).double()
    np.testing.assert_allclose(layer(x)[2].detach().numpy(), layer(x[2:3])[0].detach().numpy(), rtol=1e-13)


def test_batch_norm_keeps_nothing_alive_and_counts():
    layer = nn.BatchNorm1d(2)
    for _ in range(3):
        layer(hm.randn(4, 2))
    assert layer.num_batches_tracked.item() == 3
    assert not layer.running_mean.requires_grad
    layer.reset_running_stats()
    assert layer.running_var.tolist() == [1, 1]
    assert layer.num_batches_tracked.item() == 0


def test_sizes_zero_and_one():
    assert nn.Conv2d(2, 3, 3)(hm.zeros(0, 2, 5, 5)).shape == (0, 3, 3, 3)
    assert nn.MaxPool2d(2)(hm.zeros(0, 2, 5, 5)).shape == (0, 2, 2, 2)
    assert nn.AvgPool2d(2)(hm.zeros(0, 2, 5, 5)).shape == (0, 2, 2, 2)
    assert nn.ReLU()(hm.zeros(0)).shape == (0,)
    assert nn.Flatten()(hm.zeros(0, 2, 3)).shape == (0, 6)
    assert nn.Linear(0, 2)(hm.zeros(3, 0)).shape == (3, 2)
    assert nn.Embedding(2, 3)(hm.zeros(0).long()).shape == (0, 3)
    assert F.softmax(hm.tensor(3.0), 0).item() == 1
    assert nn.Conv2d(1, 1, 1)(hm.ones(1, 1, 1)).shape == (1, 1, 1)


def test_padding_of_the_lecture():
    assert nn.ZeroPad2d(2)(hm.zeros(3, 32, 32)).shape == (3, 36, 36)


X = hm.zeros(2, 3, 4, 4)
ROWS, TABLE = hm.zeros(2, 2).long(), hm.zeros(3, 2)
REFUSALS = [
    (lambda: nn.Conv2d(4, 2, 3)(X), ShapeError, r"Conv2d: .*\(2, 3, 4, 4\) has 3 channels.*needs 4"),
    (lambda: nn.Conv2d(3, 2, 5)(X), ShapeError, r"Conv2d: .*\(2, 3, 4, 4\).*too small for a kernel of \(5, 5\)"),
    (lambda: nn.Conv2d(3, 2, 3)(X[0, 0]), ShapeError, r"Conv2d: the input must be \(N, C, H, W\) or \(C, H, W\)"),
    (lambda: nn.Conv2d(3, 2, 3, padding_mode="reflect")(X[0, 0]), ShapeError, "Conv2d: the input must be"),
    (lambda: nn.Conv1d(3, 2, 3)(X), ShapeError, r"Conv1d: the input must be \(N, C, L\) or \(C, L\)"),
    (lambda: nn.Conv2d(3, 2, 3)(X.double()), DTypeError, "Conv2d: the input is float64 and the weight float32"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "in_channels must be divisible by groups, and 3 is not by 2"),
    (lambda: nn.Conv2d(4, 3, 3, groups=2), ValueError, "out_channels must be divisible"),
    (lambda: nn.Conv2d(0, 3, 3), ValueError, "in_channels must be an integer, 1 or more, not 0"),
    (lambda: nn.Conv2d(3, 3, 0), ValueError, "kernel_size must be 1 or more"),
    (lambda: nn.Conv2d(3, 3, (1, 2, 3)), ValueError, "kernel_size must be one number or 2"),
    (lambda: nn.Conv2d(3, 4, 3, padding="full"), ValueError, "padding must be numbers, 'same' or 'valid', not 'full'"),
    (lambda: nn.Conv2d(3, 4, 3, padding="same", stride=2), ValueError, "padding='same' needs stride 1"),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), ValueError, "padding_mode must be one of"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), ValueError, "only padding_mode='zeros'"),
    (lambda: nn.ConvTranspose2d(4, 3, 3)(X), ShapeError, "ConvTranspose2d: .*has 3 channels.*needs 4"),
    (lambda: nn.ConvTranspose2d(3, 3, 3, output_padding=1)(X), ShapeError, "output_padding .* must be smaller"),
    (lambda: nn.ConvTranspose2d(3, 3, 3, padding=4)(X), ShapeError, "padding .* leaves nothing"),
    (lambda: F.conv2d(X, hm.zeros(2, 3, 3)), ShapeError, "the weight must have 4 axes"),
    (lambda: F.conv2d(X, hm.zeros(2, 3, 3, 3), hm.zeros(3)), ShapeError, r"the bias must have shape \(2,\)"),
    (lambda: F.conv2d(X, hm.zeros(3, 1, 3, 3), groups=2), ShapeError, "3 kernels cannot be divided into 2 groups"),
    (lambda: F.conv2d(X, hm.zeros(3, 3, 3, 3), padding="same", stride=2), ValueError, "'same' needs stride 1"),
    (lambda: F.conv2d(X, hm.zeros(3, 3, 3, 3), padding="all"), ValueError, "'same' or 'valid', not 'all'"),
    (lambda: F.fold(hm.zeros(1, 5, 4), 3, 2), ShapeError, "fold: an image of"),
    (lambda: nn.Linear(3, 2)(hm.zeros(2, 4)), ShapeError, r"linear: .*3 features.*shape \(2, 4\)"),
    (lambda: nn.Linear(4, 2)(X.double()), DTypeError, "linear: the input is float64"),
    (lambda: nn.Linear(-1, 2), ValueError, "in_features must be an integer, 0 or more"),
    (lambda: nn.Linear(2, 2, device="cuda"), HaemaError, "no device"),
    (lambda: nn.Bilinear(3, 4, 2)(hm.zeros(2, 3), hm.zeros(3, 4)), ShapeError, "bilinear: inputs of shapes"),
    (lambda: nn.MaxPool2d(5)(X), ShapeError, "max_pool2d: .* too small for a window of 5"),
    (lambda: nn.MaxPool2d(2, padding=2)(X), ShapeError, "padding 2 is more than half of the window 2"),
    (lambda: nn.MaxPool2d(2)(X.long()), DTypeError, "max_pool2d: needs a floating tensor, not int64"),
    (lambda: nn.AvgPool2d(2)(X[0, 0]), ShapeError, "avg_pool2d: the input must be"),
    (lambda: F.avg_pool2d(X, 2, divisor_override=0), ValueError, "divisor_override must not be 0"),
    (lambda: nn.AdaptiveAvgPool2d((1, 2, 3))(X), ValueError, "output_size must be one size or 2"),
    (lambda: nn.AdaptiveAvgPool2d(1)(X[..., :0]), ShapeError, "has nothing to pool"),
    (lambda: nn.BatchNorm1d(3)(hm.zeros(1, 3)), ShapeError, "more than one value per channel"),
    (lambda: nn.BatchNorm2d(3)(hm.zeros(2, 3)), ShapeError, "BatchNorm2d: the input must have 4 axes"),
    (lambda: nn.BatchNorm1d(3)(X), ShapeError, "BatchNorm1d: the input must have 2 or 3 axes"),
    (lambda: nn.BatchNorm2d(4)(X), ShapeError, r"has 3 channels, but running_mean has shape \(4,\)"),
    (lambda: F.batch_norm(X, None, None), ValueError, "inference needs running_mean and running_var"),
    (lambda: F.batch_norm(X[0, 0, 0], None, None, training=True), ShapeError, r"must be \(N, C, ...\)"),
    (lambda: nn.InstanceNorm1d(3)(hm.zeros(2, 3, 1)), ShapeError, "instance_norm: needs more than one value"),
    (lambda: nn.GroupNorm(2, 5), ValueError, "5 channels cannot be divided into 2 groups"),
    (lambda: F.group_norm(X, 2), ShapeError, "3 channels cannot be divided into 2 groups"),
    (lambda: nn.LayerNorm(3)(X), ShapeError, r"layer_norm: .*must end in the normalized shape \(3,\)"),
    (lambda: nn.Dropout(1.5), ValueError, "p must be between 0 and 1, not 1.5"),
    (lambda: F.dropout(X, -0.1), ValueError, "p must be between 0 and 1"),
    (lambda: F.alpha_dropout(X, 2.0), ValueError, "p must be between 0 and 1"),
    (lambda: F.dropout(X.long()), DTypeError, "dropout: needs a floating tensor"),
    (lambda: nn.Dropout3d()(hm.zeros(2, 2)), ShapeError, "dropout3d: the input must have 4 or 5 axes"),
    (lambda: nn.GaussianNoise(-1.0), ValueError, "must not be negative"),
    (lambda: F.gaussian_noise(X, -1.0), ValueError, "must not be negative"),
    (lambda: nn.GLU(1)(X), ShapeError, "odd size 3"),
    (lambda: nn.PReLU(2)(X), ShapeError, r"2 slopes do not fit"),
    (lambda: nn.PReLU(0), ValueError, "num_parameters"),
    (lambda: nn.GELU("erf")(X), ValueError, "approximate must be 'none' or 'tanh', not 'erf'"),
    (lambda: nn.Hardtanh(1.0, 1.0), ValueError, "max_val must be above min_val"),
    (lambda: nn.CELU(0.0), ValueError, "alpha must not be 0"),
    (lambda: nn.Softshrink(-1.0), ValueError, "lambd must not be negative"),
    (lambda: nn.Softmax2d()(hm.zeros(2, 2)), ShapeError, "Softmax2d: the input must be"),
    (lambda: F.pad(X, (4, 0), mode="reflect"), ShapeError, "a reflect border of .* needs more than the 4 values"),
    (lambda: F.pad(X, (5, 0), mode="circular"), ShapeError, "a circular border"),
    (lambda: F.pad(X, (1, 0), mode="mirror"), ValueError, "mode must be"),
    (lambda: F.pad(X, (1, 0), mode="reflect", value=1.0), ValueError, "a value has no meaning"),
    (lambda: F.pad(X, (1, 0, 1)), ShapeError, "is not a pair of sizes"),
    (lambda: F.pad(X, (-3, -2)), ShapeError, "leaves less than nothing"),
    (lambda: nn.ZeroPad2d((1, 2, 3)), ValueError, "padding must be one size or 4"),
    (lambda: nn.Embedding(3, 2)(hm.tensor([1, 3])), InputError, r"row number 3 is not in 0..2"),
    (lambda: nn.Embedding(3, 2)(hm.tensor([-1])), InputError, r"row number -1 is not in 0..2"),
    (lambda: nn.Embedding(3, 2)(hm.tensor([1.0])), DTypeError, "row numbers are integers"),
    (lambda: nn.Embedding(3, 2, padding_idx=3), ValueError, "padding_idx 3 is none of the 3 rows"),
    (lambda: nn.Embedding(3, 2, max_norm=1.0), HaemaError, "max_norm is not supported"),
    (lambda: F.embedding(hm.tensor([0]), X[0, 0], max_norm=1.0), HaemaError, "max_norm is not supported"),
    (lambda: nn.Embedding.from_pretrained(X), ShapeError, "a table has 2 axes"),
    (lambda: F.one_hot(hm.tensor([0, 4]), 3), InputError, r"class number 4 is not in 0..2"),
    (lambda: F.one_hot(hm.tensor([-1, 1])), InputError, "class number -1"),
    (lambda: F.one_hot(hm.zeros(0).long()), InputError, "give num_classes"),
    (lambda: F.one_hot(hm.tensor([0.5])), DTypeError, "class numbers are integers"),
    (lambda: nn.Upsample(scale_factor=2, mode="cubic"), ValueError, "mode must be 'nearest'"),
    (lambda: F.interpolate(X, 2, mode="cubic"), ValueError, "mode must be 'nearest', 'linear'"),
    (lambda: F.interpolate(X, 2, mode="linear"), ShapeError, "linear is for 1 inner axes"),
    (lambda: F.interpolate(X, 2, align_corners=True), ValueError, "align_corners is for the linear modes"),
    (lambda: nn.EmbeddingBag(3, 2, sparse=True), HaemaError, "gradients are dense here"),
    (lambda: nn.EmbeddingBag(3, 2, mode="max"), ValueError, "mode must be 'sum' or 'mean'"),
    (lambda: F.embedding_bag(ROWS, TABLE, mode="max"), ValueError, "mode must be 'sum' or 'mean'"),
    (lambda: F.embedding_bag(ROWS, TABLE, per_sample_weights=TABLE), ValueError, "are for mode 'sum'"),
    (
        lambda: F.embedding_bag(ROWS, TABLE, mode="sum", per_sample_weights=TABLE),
        ShapeError,
        r"weights of shape \(3, 2",
    ),
    (lambda: F.embedding_bag(ROWS[0], TABLE), ShapeError, "needs a matrix of row numbers, or a vector and offsets"),
    (lambda: F.embedding_bag(ROWS[0], TABLE, TABLE), ShapeError, "offsets are a vector of integers, not float32"),
    (lambda: nn.Upsample()(X), ValueError, "give either size or scale_factor"),
    (lambda: F.interpolate(X, (1, 2, 3)), ValueError, "needs one number or 2"),
    (lambda: F.interpolate(X, 0), ShapeError, "leaves nothing"),
    (lambda: F.interpolate(X[0, 0], 2), ShapeError, r"must be \(N, C, ...\)"),
    (lambda: nn.PixelShuffle(2)(X), ShapeError, "no channels in multiples of 2"),
    (lambda: nn.PixelUnshuffle(3)(X), ShapeError, "are no multiples of 3"),
    (
        lambda: F.scaled_dot_product_attention(X, X, X, attn_mask=X, is_causal=True),
        ValueError,
        "give attn_mask or is_causal, not both",
    ),
]


@pytest.mark.parametrize("k", range(len(REFUSALS)))
def test_refusals(k):
    call, error, message = REFUSALS[k]
    with pytest.raises(error, match=message):
        call()
