"""Gradients of parameters and of pixels, against autograd used directly and by hand."""

import numpy as np
import pytest
from inspecting import FunctionalNet, cnn

import haema as hm
import haema.nn.functional as F
from haema import nn
from haema.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 3, 8, 6)).astype(np.uint8)
LABELS = np.array([0, 3, 9, 3, 1])


def test_gradients_are_what_backward_leaves():
    model = cnn()
    x, y = hm.tensor(IMAGES), hm.tensor(LABELS)
    found = hm.inspect.gradients(model, x, y)
    model.eval()
    F.cross_entropy(model(x), y).backward()
    assert list(found) == [name for name, _ in model.named_parameters()]
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(found[name].numpy(), p.grad.numpy())
        assert np.abs(p.grad.numpy()).max() > 0
    norms = hm.inspect.gradient_norms(model, x, y)
    assert list(norms) == ["1.0", "1.1", "5"]
    g = [model[5].weight.grad.numpy(), model[5].bias.grad.numpy()]
    assert norms["5"] == pytest.approx(np.sqrt(sum((a**2).sum() for a in g)), rel=1e-5)


def test_gradients_of_another_loss_by_hand():
    """y = w x + b, the mean of (y - t)^2: d/dw = mean of 2 (y - t) x, d/db = mean of 2 (y - t)."""
    model = nn.Linear(1, 1)
    with hm.no_grad():
        model.weight.fill_(2.0)
        model.bias.fill_(1.0)
    x, t = hm.tensor([[1.0], [3.0]]), hm.tensor([[0.0], [0.0]])  # y = 3, 7
    found = hm.inspect.gradients(model, x, t, F.mse_loss)
    assert found["weight"].item() == pytest.approx((2 * 3 * 1 + 2 * 7 * 3) / 2)
    assert found["bias"].item() == pytest.approx((2 * 3 + 2 * 7) / 2)
    assert hm.inspect.gradient_norms(model, x, t, F.mse_loss).keys() == {"weight", "bias"}


def test_frozen_layers_are_left_out():
    model = cnn()
    model[1].requires_grad_(False)
    assert list(hm.inspect.gradient_norms(model, hm.tensor(IMAGES), hm.tensor(LABELS))) == ["5"]
    model.requires_grad_(False)
    with pytest.raises(InputError, match="no parameter that is learned"):
        hm.inspect.gradients(model, hm.tensor(IMAGES), hm.tensor(LABELS))


def test_the_gradient_of_a_parameter_that_is_not_used_is_zero():
    model = nn.Sequential(nn.Linear(2, 2))
    model.register_parameter("spare", nn.Parameter(hm.ones(3)))
    found = hm.inspect.gradients(model, hm.randn(4, 2), hm.tensor([0, 1, 0, 1]))
    assert found["spare"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("frozen", [False, True])
def test_saliency_is_the_largest_gradient_over_the_channels(frozen):
    model = cnn().requires_grad_(not frozen)
    x = hm.tensor(IMAGES)
    g = hm.inspect.input_gradient(model, x, hm.tensor(LABELS)).numpy()
    model.eval()
    pixels = hm.tensor(IMAGES.astype(np.float32)).requires_grad_()
    scores = model(pixels)
    for n, k in enumerate(LABELS.tolist()):
        (direct,) = hm.autograd.grad(scores[n, k], pixels, retain_graph=True)
        np.testing.assert_allclose(g[n], direct.numpy()[n], rtol=1e-5, atol=1e-8)
    s = hm.inspect.saliency(model, x, hm.tensor(LABELS)).numpy()
    assert s.shape == (5, 8, 6)
    np.testing.assert_array_equal(s, np.abs(g).max(axis=1))
    assert s.max() > 0


def test_the_target_is_the_predicted_class_by_default():
    model = cnn()
    x = hm.tensor(IMAGES)
    best = model.eval()(x).detach().argmax(1)
    np.testing.assert_array_equal(hm.inspect.saliency(model, x).numpy(), hm.inspect.saliency(model, x, best).numpy())
    one = hm.inspect.saliency(model, x, 3).numpy()
    np.testing.assert_array_equal(one, hm.inspect.saliency(model, x, hm.tensor([3] * 5)).numpy())
    assert not np.array_equal(one, hm.inspect.saliency(model, x, 4).numpy())


def test_saliency_of_a_linear_model_is_its_weight():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    s = hm.inspect.saliency(model, hm.randn(3, 1, 2, 2), 1).numpy()
    for row in s:
        np.testing.assert_array_equal(row, np.abs(model[1].weight.detach().numpy()[1].reshape(2, 2)))
    one = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False))
    s = hm.inspect.saliency(one, hm.randn(1, 1, 2, 2)).numpy()
    np.testing.assert_array_equal(s[0], np.abs(one[1].weight.detach().numpy().reshape(2, 2)))


def test_smooth_grad_is_the_mean_over_noisy_copies():
    model, x = cnn().eval(), hm.tensor(IMAGES.astype(np.float32))
    target = hm.tensor(LABELS)
    found = hm.inspect.smooth_grad(model, x, target, samples=3, noise=0.2, generator=hm.Generator(7)).numpy()
    generator = hm.Generator(7)
    a = x.numpy()
    sigma = 0.2 * (a.max((1, 2, 3)) - a.min((1, 2, 3))).reshape(5, 1, 1, 1)
    total = 0
    for _ in range(3):
        z = hm.randn(5, 3, 8, 6, generator=generator).numpy()
        total = total + hm.inspect.input_gradient(model, hm.tensor(a + sigma * z), target).numpy()
    np.testing.assert_allclose(found, np.abs(total / 3).max(axis=1), rtol=1e-4, atol=1e-8)
    still = hm.inspect.smooth_grad(model, x, target, samples=2, noise=0.0).numpy()
    np.testing.assert_allclose(still, hm.inspect.saliency(model, x, target).numpy(), rtol=1e-6)
    again = [hm.inspect.smooth_grad(model, x, samples=2).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*again)


def test_a_score_that_no_pixel_changes():
    class Constant(nn.Module):
        def forward(self, x):
            return hm.ones(x.shape[0], 2)

    assert hm.inspect.saliency(Constant(), hm.randn(2, 1, 3, 3)).abs().sum().item() == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: hm.inspect.saliency(m, x, 2), "target holds 2, where a class id from 0 to 1 is right"),
        (lambda m, x: hm.inspect.saliency(m, x, hm.tensor([-1, 0])), "target holds -1"),
        (lambda m, x: hm.inspect.saliency(m, x, hm.tensor([0])), r"target has shape \(1,\).* where 2 class ids"),
        (lambda m, x: hm.inspect.saliency(m, x, hm.tensor([0.0, 1.0])), "type float32, where 2 class ids"),
        (lambda m, x: hm.inspect.saliency(m.conv, x), r"the model gives \(2, 3, 3, 3\), where scores"),
        (lambda m, x: hm.inspect.saliency(nn.Linear(5, 2), x[:, 0, 0]), r"x has shape \(2, 5\)"),
        (lambda m, x: hm.inspect.smooth_grad(m, x, samples=0), "samples is 0"),
        (lambda m, x: hm.inspect.smooth_grad(m, x, noise=-0.1), "noise is -0.1"),
    ],
)
def test_errors(call, message):
    with pytest.raises(InputError, match=message):
        call(FunctionalNet(), hm.randn(2, 1, 5, 5))


def test_worst_mistakes():
    p = [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.05, 0.95], [0.2, 0.8], [0.5, 0.5]]
    assert hm.inspect.worst_mistakes(p, [1, 0, 0, 1, 0, 1]).tolist() == [0, 1, 4, 2, 5]
    assert hm.inspect.worst_mistakes(hm.tensor(p), [1, 0, 0, 1, 0, 1], most=2).tolist() == [0, 1]
    assert hm.inspect.worst_mistakes(p, [0, 1, 1, 1, 1, 0]).tolist() == []
    with pytest.raises(InputError, match=r"shape \(6, 2\) and truth of shape \(1,\)"):
        hm.inspect.worst_mistakes(p, [0])
