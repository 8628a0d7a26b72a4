"""From the perceptron to networks of any depth: rows P1 to P7 of the lecture."""

import pytest

import haema as hm
from haema import nn

POINTS = hm.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])  # in the order of the lecture's XOR tables
GATES = {"and": [0, 0, 0, 1], "or": [0, 1, 1, 1], "nand": [1, 1, 1, 0]}
XOR = [0, 1, 1, 0]


def perceptron(weight, bias, form="binary"):
    unit = nn.Perceptron(len(weight[0]), len(weight), form=form)
    unit.load_state_dict({"weight": hm.tensor(weight), "bias": hm.tensor(bias)})
    return unit


def xor_network():
    """The lecture's nine weights: w11, w21, w01; w12, w22, w02; v1, v2, v0."""
    hidden = perceptron([[1.0, 1.0], [1.0, 1.0]], [-1.5, -0.5])
    return nn.Sequential(hidden, perceptron([[-1.0, 1.0]], [-0.5]))


@pytest.mark.parametrize(("form", "below"), [("bipolar", -1), ("binary", 0)])
def test_p1_a_perceptron_is_an_or_gate(form, below):
    x = hm.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # x_1 .. x_4 of document 001
    gate = perceptron([[1.0, 1.0]], [-0.5], form)
    assert gate.score(x).flatten().tolist() == [-0.5, 0.5, 0.5, 1.5]
    assert gate(x).flatten().tolist() == [below, 1, 1, 1]


def test_p1_the_decision_boundary_is_the_line_where_the_score_is_zero():
    gate = perceptron([[1.0, 1.0]], [-0.5], "bipolar")
    x1 = hm.linspace(-2, 2, 9)
    on_the_line = hm.stack([x1, 0.5 - x1], dim=1)
    assert gate.score(on_the_line).abs().max() == 0
    # Document 000 gives the boundary to both sides, 002 to the lower one, 001 to the upper one; haema goes with 001.
    assert gate(on_the_line).flatten().tolist() == [1] * 9
    assert gate(on_the_line - 0.01).flatten().tolist() == [-1] * 9
    assert gate(on_the_line + 0.01).flatten().tolist() == [1] * 9


def test_p1_a_threshold_is_a_negated_bias():
    s = POINTS @ hm.tensor([[1.0], [1.0]])
    threshold = 0.5
    assert hm.equal((s >= threshold).float(), perceptron([[1.0, 1.0]], [-threshold])(POINTS))


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("form", ["binary", "bipolar"])
def test_p2_the_perceptron_rule_learns_and_or_and_nand(gate, form):
    truth = GATES[gate] if form == "binary" else [2 * y - 1 for y in GATES[gate]]
    unit = nn.Perceptron(2, form=form)
    result = unit.learn(POINTS, truth)
    assert result.converged
    assert 0 < result.updates < 100
    assert unit(POINTS).flatten().tolist() == truth


def test_p2_no_perceptron_solves_xor():
    unit = nn.Perceptron(2)
    result = unit.learn(POINTS, XOR)
    assert result.cycles, "the weights come back to earlier ones, so that going on for ever changes nothing"
    assert not result.converged
    # Nor does any other: all lines w1 x1 + w2 x2 + b = 0 with coefficients from -2 to 2 in steps of 1/4 at once.
    steps = hm.linspace(-2, 2, 17)
    w1, w2, b = (g.flatten() for g in hm.meshgrid(steps, steps, steps, indexing="ij"))
    lines = perceptron(hm.stack([w1, w2], dim=1).tolist(), b.tolist())
    right = (lines(POINTS) == hm.tensor([XOR]).T).sum(dim=0)
    assert right.max() == 3


def test_p3_nine_weights_solve_xor():
    hidden, output = xor_network()
    s = hidden.score(POINTS)
    assert s[:, 0].tolist() == [-1.5, -0.5, -0.5, 0.5]
    assert s[:, 1].tolist() == [-0.5, 0.5, 0.5, 1.5]
    h = hidden(POINTS)
    assert h[:, 0].tolist() == [0, 0, 0, 1]
    assert h[:, 1].tolist() == [0, 1, 1, 1]
    assert output.score(h).flatten().tolist() == [-0.5, 0.5, 0.5, -0.5]
    assert output(h).flatten().tolist() == XOR
    assert sum(p.numel() for p in xor_network().parameters()) == 9


def test_p3_the_bias_is_the_weight_of_a_column_of_ones():
    x = hm.cat([POINTS, hm.ones(4, 1)], dim=1)
    w = hm.tensor([[1.0], [1.0], [-1.5]])
    assert (x.shape, w.shape, (x @ w).shape) == ((4, 3), (3, 1), (4, 1))
    assert (x @ w).flatten().tolist() == [-1.5, -0.5, -0.5, 0.5]
    assert hm.equal(x @ w, xor_network()[0].score(POINTS)[:, :1])


def test_p4_the_hidden_layer_moves_points_to_where_a_line_separates_them():
    moved = xor_network()[0](POINTS)
    assert moved.tolist() == [[0, 0], [0, 1], [0, 1], [1, 1]]
    assert nn.Perceptron(2).learn(moved, XOR).converged
    assert not nn.Perceptron(2).learn(POINTS, XOR).converged


def regions(units, reach=4.0, steps=401):
    """The distinct outputs over a fine grid of the plane."""
    axis = hm.linspace(-reach, reach, steps)
    plane = hm.stack([g.flatten() for g in hm.meshgrid(axis, axis, indexing="ij")], dim=1)
    corners = units(plane)
    assert bool(((corners == 0) | (corners == 1)).all()), "a region becomes a corner of the cube"
    return {tuple(corner) for corner in corners.tolist()}


def test_p5_three_perceptrons_cut_the_plane_into_seven_regions():
    found = regions(perceptron([[1.0, 1.0], [1.0, -1.0], [0.0, 1.0]], [-0.5, -0.5, -0.25]))
    assert len(found) == 7
    assert len({(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)} - found) == 1, "one corner stays empty"


@pytest.mark.parametrize("p", [1, 2, 3, 4, 5])
def test_p5_p_perceptrons_give_one_and_half_p_times_p_plus_one_regions(p):
    angle = hm.arange(p) * (hm.pi / p) + 0.1  # tangents of a circle: no two parallel, no three through one point
    tangents = perceptron(hm.stack([angle.cos(), angle.sin()], dim=1).tolist(), [-0.5] * p)
    assert len(regions(tangents, reach=6.0)) == 1 + p * (p + 1) // 2


@pytest.mark.parametrize(
    ("activation", "soft"),
    [(nn.Step(), False), (nn.Sigmoid(slope=4.0), True), (nn.Tanh(), True), (nn.ReLU(), True)],
    ids=["step", "sigmoid", "tanh", "relu"],
)
def test_p6_hard_and_soft_partition_of_space_by_one_network(activation, soft):
    layer = nn.Linear(2, 2)
    layer.load_state_dict({"weight": hm.ones(2, 2), "bias": hm.tensor([-1.5, -0.5])})
    network = nn.Sequential(layer, activation)
    axis = hm.linspace(-1, 2, 61)
    plane = hm.stack([g.flatten() for g in hm.meshgrid(axis, axis, indexing="ij")], dim=1)
    places = {tuple(round(v, 5) for v in place) for place in network(plane).tolist()}
    if soft:
        assert len(places) > 50, "a region becomes a region"
    else:
        assert places == {(0, 0), (0, 1), (1, 1)}, "a region becomes a point"


def test_p6_the_sigmoid_becomes_the_step_as_its_slope_grows():
    s = hm.tensor([-2.0, -0.1, 0.1, 2.0])
    distances = [(nn.Sigmoid(slope)(s) - nn.Step()(s)).abs().max().item() for slope in (1.0, 10.0, 100.0)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-4


def test_p7_shapes_of_a_layer():
    w1 = nn.Linear(3, 4, bias=False)
    x = hm.ones(1, 3)
    assert w1.weight.T.shape == (3, 4)
    assert w1(x).shape == (1, 4)
    assert hm.allclose(w1(x), x @ w1.weight.T)
    with pytest.raises(hm.ShapeError, match="5"):
        w1(hm.ones(1, 5))


@pytest.mark.parametrize("depth", [1, 2, 10, 40])
def test_p7_a_network_of_any_depth(depth):
    network = nn.Sequential(*(nn.Sequential(nn.Linear(5, 5), nn.Tanh()) for _ in range(depth)))
    assert network(hm.ones(2, 5)).shape == (2, 5)
    # the input is not counted as a layer: L layers have L weight matrices
    assert sum(isinstance(m, nn.Linear) for m in network.modules()) == depth
    network(hm.ones(2, 5)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_p7_the_letter_network_has_28200_weights_and_126_biases():
    network = nn.Sequential(nn.Linear(256, 100), nn.Sigmoid(), nn.Linear(100, 26), nn.Softmax(dim=1))
    sizes = {name: p.numel() for name, p in network.named_parameters()}
    assert sum(n for name, n in sizes.items() if name.endswith("weight")) == 28_200
    assert sum(n for name, n in sizes.items() if name.endswith("bias")) == 126
    table = network.summary((256,), show=False)
    assert table.parameters == 28_326
    assert table.multiply_adds == 28_200
    assert network(hm.zeros(1, 256)).shape == (1, 26)
