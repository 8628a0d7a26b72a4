"""What losses compute where there is nothing in PyTorch to compare with, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import nn
from haema.errors import DTypeError, InputError, ShapeError


def test_squared_errors_of_the_lecture():
    for o, expected in ((0.7503, 0.281475), (0.9971, 0.497104)):
        loss = nn.HalfSquaredError()(hm.tensor([o], dtype=hm.float64), hm.zeros(1, dtype=hm.float64))
        assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_rmse():
    x, y = hm.tensor([1.0, 2.0, 5.0], requires_grad=True), hm.tensor([1.0, 0.0, 1.0])
    assert F.rmse_loss(x, y).item() == pytest.approx(math.sqrt(20 / 3))
    assert F.rmse_loss(x, y, "sum").item() == pytest.approx(math.sqrt(20))
    assert F.rmse_loss(x, y, "none").tolist() == [0, 2, 4]
    loss = nn.RMSELoss()(x, x.detach())
    loss.backward()
    assert loss.item() == 0
    assert x.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize(("o", "expected"), [(0.98, 0.0291), (0.0001, 13.2877)])
def test_cross_entropy_to_base_two(o, expected):
    one = hm.tensor([1.0], dtype=hm.float64)
    p = hm.tensor([o], dtype=hm.float64)
    assert nn.BCELoss(base=2)(p, one).item() == pytest.approx(expected, abs=5e-5)
    logit = (p / (1 - p)).log()
    assert nn.BCEWithLogitsLoss(base=2)(logit, one).item() == pytest.approx(expected, abs=5e-5)
    scores = hm.tensor([[math.log(o), math.log(1 - o)]], dtype=hm.float64)
    label = hm.tensor([0])
    assert nn.CrossEntropyLoss(base=2)(scores, label).item() == pytest.approx(-math.log2(o))
    assert nn.NLLLoss(base=2)(scores, label).item() == pytest.approx(-math.log2(o))
    soft = hm.tensor([[1.0, 0.0]], dtype=hm.float64)
    assert nn.CrossEntropyLoss(base=2)(scores, soft).item() == pytest.approx(-math.log2(o))
    natural = nn.CrossEntropyLoss(base=math.e)(scores, label)
    assert natural.item() == nn.CrossEntropyLoss()(scores, label).item()


def test_scores_far_out():
    x = hm.tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    losses = (
        F.cross_entropy(x, hm.tensor([0, 0])),
        F.binary_cross_entropy_with_logits(x, hm.tensor([[1.0, 0.0], [1.0, 0.0]])),
        F.nll_loss(F.log_softmax(x, 1), hm.tensor([1, 0])),
    )
    for loss in losses:
        (g,) = hm.autograd.grad(loss, x)
        assert np.isfinite(loss.item())
        assert np.isfinite(g.numpy()).all()
    small = F.binary_cross_entropy_with_logits(hm.tensor([-50.0, 50.0]), hm.tensor([0.0, 1.0]), reduction="none")
    np.testing.assert_allclose(small.numpy(), [math.exp(-50)] * 2, rtol=1e-5)


def test_labels_of_other_integer_types():
    x = hm.tensor(np.random.default_rng(0).normal(size=(3, 4)))
    y = hm.tensor([1, 3, 0])
    for dtype in (hm.int32, hm.uint8):
        assert F.cross_entropy(x, y.to(dtype)).item() == F.cross_entropy(x, y).item()


def test_shapes_that_only_broadcast_give_a_warning():
    with pytest.warns(UserWarning, match=r"mse_loss: the input has shape \(3, 1\) and the target \(3,\)"):
        F.mse_loss(hm.zeros(3, 1), hm.zeros(3))


X = hm.zeros(3, 4)
Y = hm.tensor([0, 1, 2])
REFUSALS = [
    (lambda: F.cross_entropy(X, hm.tensor([0, 4, 1])), InputError, "label 4 at position 1 is not a class number.*0..3"),
    (lambda: F.cross_entropy(X, hm.tensor([0, -1, 1])), InputError, "label -1 at position 1"),
    (lambda: F.nll_loss(X, hm.tensor([0, 1, 9])), InputError, "nll_loss: label 9 at position 2"),
    (lambda: F.cross_entropy(X[0], hm.tensor(7)), InputError, "label 7 is not a class number"),
    (
        lambda: F.cross_entropy(hm.zeros(1, 2, 2, 2), hm.tensor([[[0, 1], [5, 0]]])),
        InputError,
        r"label 5 at position \(0, 1, 0\)",
    ),
    (lambda: F.cross_entropy(X, hm.tensor([0.0, 1.0, 2.0])), DTypeError, "labels are class numbers .* not float32"),
    (lambda: F.cross_entropy(X, hm.tensor([0, 1])), ShapeError, r"needs labels of shape \(3,\), not \(2,\)"),
    (lambda: F.cross_entropy(X.long(), Y), DTypeError, "needs a floating tensor"),
    (lambda: F.cross_entropy(hm.tensor(1.0), hm.tensor(0)), ShapeError, "not a single number"),
    (lambda: F.cross_entropy(hm.tensor(1.0), hm.tensor(0.0)), ShapeError, "not a single number"),
    (lambda: F.cross_entropy(X, Y, weight=hm.ones(3)), ShapeError, r"weight must have shape \(4,\)"),
    (lambda: F.cross_entropy(X, X, weight=hm.ones(3)), ShapeError, r"weight must have shape \(4,\)"),
    (lambda: F.cross_entropy(X, Y, label_smoothing=1.5), ValueError, "label_smoothing must be between 0 and 1"),
    (lambda: F.cross_entropy(X, Y, base=1), ValueError, "base must be above 0 and not 1"),
    (lambda: F.cross_entropy(X, Y, base=-2), ValueError, "base must be above 0"),
    (lambda: F.mse_loss(X, X, reduction="median"), ValueError, "reduction must be one of 'mean', 'sum', 'none'"),
    (lambda: nn.MSELoss(reduction="batchmean"), ValueError, "MSELoss: reduction must be"),
    (lambda: F.kl_div(X, X, reduction="median"), ValueError, "'batchmean'"),
    (lambda: F.mse_loss(X, hm.zeros(2, 4)), ShapeError, "must be equal"),
    (lambda: F.mse_loss(X.long(), X.long()), DTypeError, "mse_loss: needs a floating tensor"),
    (lambda: F.binary_cross_entropy(X + 2, X), InputError, "between 0 and 1, not 2; use binary_cross_entropy_with"),
    (lambda: F.binary_cross_entropy(X - 1, X), InputError, "between 0 and 1, not -1"),
    (lambda: F.binary_cross_entropy(X, hm.zeros(4)), ShapeError, "they must be equal"),
    (lambda: F.binary_cross_entropy_with_logits(X, hm.zeros(4)), ShapeError, "they must be equal"),
    (lambda: F.huber_loss(X, X, delta=0.0), ValueError, "delta must be above 0"),
    (lambda: F.smooth_l1_loss(X, X, beta=-1.0), ValueError, "beta must not be negative"),
    (lambda: F.gaussian_nll_loss(X, X, hm.zeros(2)), ShapeError, "variances of shape"),
]


@pytest.mark.parametrize("k", range(len(REFUSALS)))
def test_refusals(k):
    call, error, message = REFUSALS[k]
    with pytest.raises(error, match=message):
        call()


def test_a_number_as_variance():
    x, y = hm.tensor([1.0, 2.0]), hm.tensor([0.0, 2.0])
    assert F.gaussian_nll_loss(x, y, 1.0).item() == pytest.approx(0.25)
    with pytest.raises(InputError, match="not a class number"):
        nn.CrossEntropyLoss()(X, hm.tensor([0, 0, 100]))


def test_no_samples():
    x, y = hm.zeros(0, 4), hm.zeros(0).long()
    assert F.cross_entropy(x, y, reduction="sum").item() == 0
    assert F.cross_entropy(x, y, reduction="none").shape == (0,)
    assert math.isnan(F.cross_entropy(x, y).item())
    assert math.isnan(F.mse_loss(x, x).item())
