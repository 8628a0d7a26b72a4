"""How optimizers find their way: their paths on a saddle and in a ravine.

On the saddle x^2 - y^2 the start is almost on the ridge, where the gradient has next to no part in the direction that
leads down. Plain descent walks to the saddle point and stays; momentum gathers speed, and those that scale each
direction by the size of its gradients leave at once. The ravine is 40 times as steep across as along: plain descent
swings from side to side, the others find along it.

    python optimizers.py [FOLDER]
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

import haema as hm
from haema import nn, optim

OPTIMIZERS = {  # how to make it from a parameter and a rate, its rates on the two surfaces, its colour
    "SGD": (lambda p, lr: optim.SGD([p], lr), (0.03, 0.47), "#333333"),
    "momentum": (lambda p, lr: optim.SGD([p], lr, momentum=0.8), (0.025, 0.15), "#c1440e"),
    "Nesterov": (lambda p, lr: optim.SGD([p], lr, momentum=0.8, nesterov=True), (0.025, 0.2), "#b8860b"),
    "AdaGrad": (lambda p, lr: optim.Adagrad([p], lr), (0.1, 1.0), "#5a8f3d"),
    "RMSprop": (lambda p, lr: optim.RMSprop([p], lr, alpha=0.9), (0.03, 0.2), "#6b5b95"),
    "Adam": (lambda p, lr: optim.Adam([p], lr), (0.06, 0.5), "#1f6f8b"),
}


def saddle(x, y):
    return x**2 - y**2


def ravine(x, y):
    return x**2 / 20 + 2 * y**2


SURFACES = {
    "saddle": (saddle, (1.4, 1e-3), 60, (-1.6, 1.6), (-0.35, 1.6)),
    "ravine": (ravine, (-7.0, 1.6), 40, (-8, 3), (-2.2, 2.2)),
}


def descend(surface, start, make, lr, steps):
    """The places an optimizer comes by: (steps + 1, 2)."""
    place = nn.Parameter(hm.tensor(start))
    optimizer = make(place, lr)
    path = [place.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        surface(place[0], place[1]).backward()
        optimizer.step()
        path.append(place.detach().clone())
    return hm.stack(path)


def main(folder):
    figure = Figure(figsize=(11, 8.2), dpi=120, layout="constrained")
    plots = figure.subplots(2, 2, width_ratios=[3, 2])
    for i, (name, (surface, start, steps, xlim, ylim)) in enumerate(SURFACES.items()):
        print(f"{name}, from {start}, {steps} steps")
        plane, curve = plots[i]
        x, y = hm.meshgrid(hm.linspace(*xlim, 200), hm.linspace(*ylim, 200), indexing="xy")
        plane.contourf(x.numpy(), y.numpy(), surface(x, y).numpy(), levels=24, cmap="bone", alpha=0.4)
        for label, (make, rates, colour) in OPTIMIZERS.items():
            path = descend(surface, start, make, rates[i], steps)
            heights = surface(path[:, 0], path[:, 1])
            end = path[-1].tolist()
            print(f"   {label:9} ends at ({end[0]:6.3f}, {end[1]:6.3f}), height {heights[-1].item():10.6f}")
            plane.plot(*path.T.numpy(), "o-", color=colour, markersize=2.5, linewidth=1.3, label=label)
            curve.plot(heights.numpy(), color=colour, linewidth=1.6)
        plane.plot(*start, "o", color="white", markeredgecolor="black", markersize=8, zorder=5)
        plane.set(xlim=xlim, ylim=ylim, xlabel="x", ylabel="y")
        plane.set_title(f"{name}: the paths from the white dot", loc="left", fontsize=11)
        curve.set(xlabel="step")
        curve.set_title("height over the steps", loc="left", fontsize=11)
        curve.spines[["top", "right"]].set_visible(False)
        curve.grid(axis="y", color="#e5e5e5")
    plots[0, 0].legend(loc="upper left", fontsize=9, framealpha=0.9)
    plots[0, 1].set_ylim(-2.5, 2.2)
    plots[1, 1].set(yscale="log", ylim=(1e-5, 20))
    path = Path(folder) / "optimizers.png"
    figure.savefig(path)
    print(f"the picture is in {path}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".")
