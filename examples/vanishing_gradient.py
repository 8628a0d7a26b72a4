"""The vanishing gradient: how much of the error arrives at each layer of a deep network.

On the way back through a sigmoid the gradient is multiplied by a derivative of at most 1/4; after twelve layers next
to nothing is left for the layers at the input, and they do not learn. ReLU's derivative is 1 wherever it is not 0, and
with He's weights the gradient has about the same size in all layers. The picture shows the norm of each layer's
gradient in the first and in the last epoch, and what it means for the training.

    python vanishing_gradient.py [FOLDER]
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

import haema as hm
from haema import nn

DEPTH, WIDTH, EPOCHS = 12, 48, 8


def he(weight):
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


RUNS = {
    "sigmoid, Xavier": (nn.Sigmoid, nn.init.xavier_normal_, "#c1440e"),
    "tanh, Xavier": (nn.Tanh, nn.init.xavier_normal_, "#6b5b95"),
    "ReLU, He": (nn.ReLU, he, "#1f6f8b"),
}


def network(activation, initialise):
    """Twelve hidden layers between the digit's 64 pixels and its 10 classes."""
    layers = []
    for i in range(DEPTH):
        layers += [nn.Linear(64 if i == 0 else WIDTH, WIDTH), activation()]
    layers.append(nn.Linear(WIDTH, 10))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            initialise(layer.weight)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(nn.Standardize([0.0], [16.0]), nn.Flatten(), *layers)


def main(folder):
    data = hm.data.load("digits")
    found = {}
    print(f"{'':18}gradient at layer 1    at layer {DEPTH}    accuracy after {EPOCHS} epochs")
    for name, (activation, initialise, _) in RUNS.items():
        hm.manual_seed(0)
        norms = hm.train.GradientNorms()
        trainer = hm.Trainer(network(activation, initialise), optimizer="adam", lr=1e-3, seed=0)
        history = trainer.fit(data.x, data.y, epochs=EPOCHS, batch_size=64, callbacks=[norms])
        by_layer = list(norms.norms.values())[:DEPTH]
        found[name] = by_layer, history["accuracy"]
        first, last = by_layer[0][0], by_layer[-1][0]
        print(f"{name:18}{first:19.1e}    {last:11.1e}    {history['accuracy'][-1]:.1%}")

    figure = Figure(figsize=(11, 4.2), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    for name, (by_layer, accuracy) in found.items():
        colour = RUNS[name][2]
        depth = range(1, DEPTH + 1)
        left.plot(depth, [layer[0] for layer in by_layer], "o-", color=colour, label=name, markersize=4)
        left.plot(depth, [layer[-1] for layer in by_layer], ":", color=colour, linewidth=1.2)
        right.plot(range(1, EPOCHS + 1), accuracy, "o-", color=colour, markersize=4)
    left.set(yscale="log", xlabel="layer, from the input to the output", xticks=range(1, DEPTH + 1))
    left.set_title(f"norm of the gradient in the first epoch (dotted: epoch {EPOCHS})", fontsize=11, loc="left")
    left.legend(frameon=False, fontsize=9)
    right.axhline(0.1, color="#999999", linewidth=0.8, linestyle="--")
    right.text(EPOCHS, 0.11, "guessing", color="#777777", fontsize=9, ha="right", va="bottom")
    right.set(xlabel="epoch", ylim=(0, 1.02))
    right.set_title("accuracy in training", fontsize=11, loc="left")
    for plot in (left, right):
        plot.spines[["top", "right"]].set_visible(False)
        plot.grid(axis="y", color="#e5e5e5")
        plot.set_axisbelow(True)
    path = Path(folder) / "vanishing_gradient.png"
    figure.savefig(path)
    print(f"\nthe picture is in {path}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".")
