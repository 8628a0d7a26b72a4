"""XOR: what one perceptron cannot do, and three can.

Shows that the perceptron rule learns OR and never XOR, works through the multi-layer perceptron with its nine
hand-made weights, line by line, and then lets a small network find weights of its own by gradient descent.

    python xor.py
"""

import haema as hm
import haema.nn.functional as F
from haema import nn, optim

X = hm.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
OR, XOR = hm.tensor([0.0, 1.0, 1.0, 1.0]), hm.tensor([0.0, 1.0, 1.0, 0.0])


def perceptron(weight, bias):
    """Units with given weights."""
    units = nn.Perceptron(in_features=len(weight[0]), out_features=len(weight))
    units.load_state_dict({"weight": hm.tensor(weight), "bias": hm.tensor(bias)})
    return units


def table(inputs, units, names):
    """Print the weighted sum s of a unit and what it decides, for each row of inputs."""
    print("   ".join([f"{name:>2}" for name in names] + ["   s", " o"]))
    for row, s, o in zip(inputs.tolist(), units.score(inputs).tolist(), units(inputs).tolist(), strict=True):
        print("   ".join([f"{v:2.0f}" for v in row] + [f"{s[0]:4.1f}", f"{o[0]:2.0f}"]))


def main():
    print("1. One perceptron learns")
    for name, y in (("OR", OR), ("XOR", XOR)):
        unit = nn.Perceptron(2)
        result = unit.learn(X, y)
        right = int((unit(X)[:, 0] == y).sum())
        end = "and is done" if result.converged else "and the weights only go round in circles"
        print(f"{name:>5}: {right} of 4 right after {result.updates} updates, {end}")

    print("\n2. Three perceptrons with the right weights")
    first, second = perceptron([[1.0, 1.0]], [-1.5]), perceptron([[1.0, 1.0]], [-0.5])
    output = perceptron([[-1.0, 1.0]], [-0.5])
    print("\nfirst hidden unit: w = (1, 1), b = -1.5")
    table(X, first, ["x1", "x2"])
    print("\nsecond hidden unit: w = (1, 1), b = -0.5")
    table(X, second, ["x1", "x2"])
    hidden = hm.cat([first(X), second(X)], dim=1)
    print(
        "\noutput unit: v = (-1, 1), b = -0.5; the two middle points have become one, and a line separates the classes"
    )
    table(hidden, output, ["h1", "h2"])

    print("\n3. Two soft hidden units find weights themselves")
    hm.manual_seed(2)
    network = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    optimizer = optim.Adam(network.parameters(), lr=0.1)
    for step in range(201):
        loss = F.binary_cross_entropy_with_logits(network(X)[:, 0], XOR)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"step {step:3}: loss {loss.item():.4f}")
    for x, p in zip(X.tolist(), F.sigmoid(network(X)[:, 0]).tolist(), strict=True):
        print(f"{x[0]:.0f} XOR {x[1]:.0f}: {p:.3f}")


if __name__ == "__main__":
    main()
