"""Losses: rows L1 to L5."""

import math

import pytest

import haema as hm
import haema.nn.functional as F
from haema import nn

X = 1.5  # the lecture's input; its target is 0
GOOD, BAD = (0.4, 0.5), (1.9, 3.0)  # (w, b): somewhat and very wrong


def neuron(weights):
    unit = nn.Sequential(nn.Linear(1, 1), nn.Sigmoid())
    unit[0].load_state_dict({"weight": hm.tensor([[weights[0]]]), "bias": hm.tensor([weights[1]])})
    return unit.double()


def slopes(weights, loss, target=0.0):
    """o, the loss, de/dw, de/db."""
    unit = neuron(weights)
    o = unit(hm.tensor([[X]], dtype=hm.float64))
    e = loss(o, hm.full_like(o, target))
    e.backward()
    return o.item(), e.item(), unit[0].weight.grad.item(), unit[0].bias.grad.item()


def test_l1_half_squared_error_with_the_lectures_numbers():
    y = hm.tensor(0.0, dtype=hm.float64)
    for o, e in ((0.7503, 0.281475045), (0.9971, 0.497104205)):
        assert nn.HalfSquaredError()(hm.tensor(o, dtype=hm.float64), y).item() == pytest.approx(e, abs=1e-12)
    o = hm.tensor([1.0, 2.0, 4.0])
    assert F.half_squared_error(o, hm.tensor([0.0, 0.0, 1.0])).item() == 0.5 * (1 + 4 + 9)


def test_l1_the_half_makes_the_gradient_the_error():
    o, y = hm.tensor([3.0, -1.0], requires_grad=True), hm.tensor([1.0, 1.0])
    F.half_squared_error(o, y).backward()
    assert hm.equal(o.grad, o.detach() - y)


def test_l1_mse_mae_and_rmse():
    o, y = hm.tensor([1.0, 2.0, 4.0, 0.0]), hm.tensor([0.0, 4.0, 4.0, 2.0])
    assert nn.MSELoss()(o, y).item() == (1 + 4 + 0 + 4) / 4
    assert nn.L1Loss()(o, y).item() == (1 + 2 + 0 + 2) / 4
    assert nn.RMSELoss()(o, y).item() == 1.5
    for loss in (nn.MSELoss(), nn.L1Loss(), nn.RMSELoss(), nn.HalfSquaredError()):
        assert loss(y, y) == 0


def test_l2_the_larger_squared_error_has_the_smaller_gradient():
    for weights, output in ((GOOD, 0.7503), (BAD, 0.9971)):
        o, _, gw, gb = slopes(weights, F.half_squared_error)
        assert o == pytest.approx(output, abs=5e-5)
        assert gw == pytest.approx(-(0 - o) * X * o * (1 - o), rel=1e-12)
        assert gb == pytest.approx(-(0 - o) * o * (1 - o), rel=1e-12)
    good, bad = slopes(GOOD, F.half_squared_error), slopes(BAD, F.half_squared_error)
    assert bad[1] > good[1], "more error"
    assert abs(bad[2]) < abs(good[2]) / 10, "and much less to learn from"


def test_l2_so_it_learns_slowly_when_it_is_very_wrong():
    def steps(loss):
        unit = neuron(BAD)
        optimizer = hm.optim.SGD(unit.parameters(), lr=0.5)
        for step in range(2000):
            o = unit(hm.tensor([[X]], dtype=hm.float64))
            if o.item() < 0.1:
                return step
            optimizer.zero_grad()
            loss(o, hm.zeros_like(o)).backward()
            optimizer.step()
        return 2000

    assert steps(F.half_squared_error) > 5 * steps(F.binary_cross_entropy)


@pytest.mark.parametrize(("o", "e"), [(0.98, 0.0291), (0.0001, 13.2877)])
def test_l3_cross_entropy_in_bits(o, e):
    o = hm.tensor([o], dtype=hm.float64)
    one = hm.ones(1, dtype=hm.float64)
    bits = nn.BCELoss(base=2)(o, one)
    assert bits.item() == pytest.approx(e, abs=5e-5)
    assert nn.BCELoss()(o, one).item() == pytest.approx(bits.item() * math.log(2)), "natural without being asked"
    score = hm.log(o / (1 - o))
    assert nn.BCEWithLogitsLoss(base=2)(score, one).item() == pytest.approx(bits.item())


def test_l3_its_gradient_grows_with_the_error():
    # Document 001 takes the base-2 logarithm and differentiates it as the natural one; x (o - y) belongs to the
    # natural one, and base 2 divides it by ln 2.
    for weights in (GOOD, BAD):
        o, _, gw, gb = slopes(weights, F.binary_cross_entropy)
        assert gw == pytest.approx(X * (o - 0), rel=1e-9)
        assert gb == pytest.approx(o - 0, rel=1e-9)
        _, _, gw2, _ = slopes(weights, nn.BCELoss(base=2))
        assert gw2 == pytest.approx(X * o / math.log(2), rel=1e-9)
    assert slopes(BAD, F.binary_cross_entropy)[2] > slopes(GOOD, F.binary_cross_entropy)[2]


def test_l4_softmax_with_the_log_likelihood_looks_at_the_true_class_alone():
    s = hm.tensor([[2.0, 1.0, 0.1], [0.5, 0.2, 3.0]], dtype=hm.float64)
    y = hm.tensor([0, 1])
    o = F.softmax(s, dim=1)
    for base, log in ((None, hm.log), (2, hm.log2)):
        expected = -log(o[[0, 1], y])
        together = nn.CrossEntropyLoss(reduction="none", base=base)(s, y)
        in_turn = nn.NLLLoss(reduction="none", base=base)(F.log_softmax(s, dim=1), y)
        assert hm.allclose(together, expected, rtol=1e-12)
        assert hm.allclose(in_turn, expected, rtol=1e-12)
    logs = hm.tensor([[-0.5, -3.0, -2.0]])
    others = hm.tensor([[-0.5, -9.0, -1.0]])
    assert F.nll_loss(logs, hm.tensor([0])) == F.nll_loss(others, hm.tensor([0])) == 0.5


def test_l4_its_gradient_is_output_minus_truth():
    s = hm.tensor([[2.0, 1.0, 0.1]], dtype=hm.float64, requires_grad=True)
    F.cross_entropy(s, hm.tensor([2])).backward()
    truth = F.one_hot(hm.tensor([2]), 3)
    assert hm.allclose(s.grad, F.softmax(s.detach(), dim=1) - truth, rtol=1e-12)


@pytest.mark.parametrize("dtype", [hm.float32, hm.float64])
def test_l5_softmax_and_log_softmax_are_stable(dtype):
    rows = [[1e4, -1e4, 0.0], [1e4, 1e4, -1e4], [-1e4, -1e4, -1e4], [1e30, -1e30, 0.0]]
    s = hm.tensor(rows, dtype=dtype, requires_grad=True)
    o, logs = F.softmax(s, dim=1), F.log_softmax(s, dim=1)
    assert o.tolist()[:3] == [pytest.approx(r) for r in ([1, 0, 0], [0.5, 0.5, 0], [1 / 3] * 3)]
    assert bool(hm.isfinite(logs).all())
    assert logs[0].tolist() == [0, -2e4, -1e4]
    loss = F.cross_entropy(s[:3], hm.tensor([1, 2, 0]))
    assert loss.item() == pytest.approx((2e4 + 2e4 + math.log(2) + math.log(3)) / 3, rel=1e-6)
    loss.backward()
    assert bool(hm.isfinite(s.grad).all())


def test_l5_binary_cross_entropy_of_scores_is_stable():
    s = hm.tensor([1e4, -1e4, 1e4, -1e4], requires_grad=True)
    loss = nn.BCEWithLogitsLoss(reduction="none")(s, hm.tensor([1.0, 0.0, 0.0, 1.0]))
    assert loss.tolist() == [0, 0, 1e4, 1e4]
    loss.sum().backward()
    assert s.grad.tolist() == [0, 0, 1, -1]
