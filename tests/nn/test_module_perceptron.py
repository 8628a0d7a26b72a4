"""The perceptron: decision, boundary, learning rule. Numbers from the lecture."""

import pytest

import haema as hm
from haema import nn
from haema.errors import InputError

X = hm.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
GATES = {"and": [0, 0, 0, 1], "or": [0, 1, 1, 1], "nand": [1, 1, 1, 0], "nor": [1, 0, 0, 0]}
XOR = [0, 1, 1, 0]


def perceptron(weight, bias, form="binary"):
    p = nn.Perceptron(2, form=form)
    p.load_state_dict({"weight": hm.tensor([weight]), "bias": hm.tensor([bias])})
    return p


def test_or_gate():
    p = perceptron([1.0, 1.0], -0.5, form="bipolar")
    assert p.score(X).flatten().tolist() == [-0.5, 0.5, 0.5, 1.5]
    assert p(X).flatten().tolist() == [-1, 1, 1, 1]
    assert perceptron([1.0, 1.0], -0.5)(X).flatten().tolist() == [0, 1, 1, 1]


def test_the_boundary_belongs_to_the_upper_side():
    assert perceptron([1.0, 1.0], -1.0)(hm.tensor([0.5, 0.5])).tolist() == [1]


def test_shapes_and_types():
    p = nn.Perceptron(3, 5).double()
    y = p(hm.zeros(2, 4, 3, dtype=hm.float64))
    assert y.shape == (2, 4, 5)
    assert y.dtype == hm.float64
    assert nn.Perceptron(3, bias=False).bias is None
    assert nn.Perceptron(3, bias=False)(hm.zeros(3)).tolist() == [1]


def test_the_score_has_a_gradient_and_the_step_none():
    p = nn.Perceptron(2)
    assert p.score(X).requires_grad
    assert not p(X).requires_grad


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("form", ["binary", "bipolar"])
@pytest.mark.parametrize("lr", [1.0, 0.1])
def test_learns_what_a_line_separates(gate, form, lr):
    y = [v if form == "binary" else 2 * v - 1 for v in GATES[gate]]
    p = nn.Perceptron(2, form=form)
    result = p.learn(X, y, lr=lr)
    assert result.converged
    assert not result.cycles
    assert 0 < result.updates <= 4 * result.epochs
    assert p(X).flatten().tolist() == y
    assert p.fit(X, y) == (True, 0, 1, False), "nothing is left to learn"


def test_the_rule_step_by_step():
    p = nn.Perceptron(2)
    p.learn([[2.0, 3.0]], [0], epochs=1, lr=0.5)  # s = 0 gives 1, so w <- 0 + 0.5 (0 - 1) x
    assert p.weight.tolist() == [[-1, -1.5]]
    assert p.bias.tolist() == [-0.5]


@pytest.mark.parametrize("form", ["binary", "bipolar"])
def test_never_learns_xor(form):
    y = hm.tensor([v if form == "binary" else 2 * v - 1 for v in XOR])
    p = nn.Perceptron(2, form=form)
    result = p.learn(X, y, epochs=10**9)
    assert not result.converged
    assert result.cycles
    assert (p(X).flatten() == y).sum() <= 3


def test_ends_after_the_epochs_where_nothing_repeats():
    assert nn.Perceptron(2).learn(X, XOR, epochs=2) == (False, 6, 2, False)
    assert nn.Perceptron(2).learn(X, XOR, epochs=0) == (False, 0, 0, False)


def test_several_units_learn_at_once_and_without_bias():
    y = hm.tensor([GATES["and"], GATES["or"]]).T
    p = nn.Perceptron(2, 2)
    assert p.learn(X, y).converged
    assert (p(X) == y).all()
    p = nn.Perceptron(1, bias=False)
    assert p.learn([[-1.0], [1.0]], [0, 1]).converged


def test_wrong_arguments():
    with pytest.raises(ValueError, match="form must be 'binary'"):
        nn.Perceptron(2, form="step")
    with pytest.raises(ValueError, match="at least 1 input and 1 unit, not 0 and 1"):
        nn.Perceptron(0)
    p = nn.Perceptron(2)
    with pytest.raises(InputError, match=r"x has shape \(4,\), where \(samples, 2\) is right"):
        p.learn([1, 2, 3, 4], XOR)
    with pytest.raises(InputError, match=r"y has shape \(3,\), where \(4, 1\) is right"):
        p.learn(X, [0, 1, 1])
    with pytest.raises(InputError, match="y holds 2 in row 1, and in binary form the targets are 0 and 1"):
        p.learn(X, [0, 2, 1, 3])


def test_repr():
    assert repr(nn.Perceptron(2)) == "Perceptron(in_features=2, out_features=1, bias=True, form='binary')"
