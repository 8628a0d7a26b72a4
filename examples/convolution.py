"""Convolution: a kernel slides over an image and answers how well each place matches it.

First the 5 x 5 image and the 3 x 3 kernel of the textbooks, in numbers. Then a small convolutional network learns to
read digits, and its feature maps are drawn: what each of its kernels finds in a digit before and after pooling.

    python convolution.py [FOLDER]
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

import haema as hm
import haema.nn.functional as F
from haema import nn

IMAGE = hm.tensor([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]).float()
KERNEL = hm.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 1]]).float()


def show(title, x):
    """Print an image as numbers."""
    print(f"{title} {tuple(x.shape)}")
    print("\n".join("   " + "  ".join(f"{v:3.0f}" for v in row) for row in x.tolist()), "\n")


def by_hand():
    """The feature map, with padding, with a stride, and pooled."""
    image, kernel = IMAGE.reshape(1, 1, 5, 5), KERNEL.reshape(1, 1, 3, 3)
    feature_map = F.conv2d(image, kernel)
    show("image", IMAGE)
    show("kernel", KERNEL)
    show("feature map", feature_map[0, 0])
    show("with a border of zeros it keeps the image's size", F.conv2d(image, kernel, padding=1)[0, 0])
    show("with a stride of 2 every second place is left out", F.conv2d(image, kernel, stride=2)[0, 0])
    show("the largest of each 2 x 2 window of the image", F.max_pool2d(image, 2, ceil_mode=True)[0, 0])


def train(x, y):
    """Convolution, batch norm, activation, dropout, pooling; twice; and a classifier."""
    hm.manual_seed(0)
    model = nn.Sequential(
        nn.Standardize.of(x),
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Linear(16 * 2 * 2, 10),
    )
    model.summary((1, 8, 8))
    trainer = hm.Trainer(model, optimizer="adam", lr=5e-3, seed=0)
    trainer.fit(x, y, epochs=6, batch_size=32)
    return trainer


def draw(model, digits, path):
    """A row for each digit: the image, what the first convolution makes of it, and that pooled."""
    seen: dict[str, hm.Tensor] = {}
    first, pool = model[1], model[5]
    hooks = [
        first.register_forward_hook(lambda _, x, y: seen.update(maps=y.detach())),
        pool.register_forward_hook(lambda _, x, y: seen.update(pooled=y.detach())),
    ]
    with hm.no_grad():
        model.eval()(hm.from_numpy(digits))
    for hook in hooks:
        hook.remove()
    kernels = first.weight.detach().numpy()[:, 0]  # (8, 3, 3)
    n = len(digits)
    figure = Figure(figsize=(10.5, 1.25 * (1 + 2 * n)), dpi=110, layout="constrained")
    axes = figure.subplots(1 + 2 * n, 9)
    for plot in axes.flat:
        plot.set(xticks=[], yticks=[])
        for side in plot.spines.values():
            side.set_visible(False)
    axes[0, 0].text(0.5, 0.5, "kernels", ha="center", va="center", fontsize=11, transform=axes[0, 0].transAxes)
    bound = abs(kernels).max()
    for k in range(8):
        axes[0, 1 + k].imshow(kernels[k], cmap="RdBu", vmin=-bound, vmax=bound)
        axes[0, 1 + k].set_title(f"{k + 1}", fontsize=10)
    for i, digit in enumerate(digits):
        axes[1 + 2 * i, 0].imshow(digit[0], cmap="gray_r")
        axes[2 + 2 * i, 0].text(0.5, 0.5, "pooled", ha="center", va="center", transform=axes[2 + 2 * i, 0].transAxes)
        maps, pooled = seen["maps"][i].numpy(), seen["pooled"][i].numpy()
        bound = abs(maps).max()
        for k in range(8):
            axes[1 + 2 * i, 1 + k].imshow(maps[k], cmap="RdBu", vmin=-bound, vmax=bound)
            axes[2 + 2 * i, 1 + k].imshow(pooled[k], cmap="Blues", vmin=0, vmax=pooled.max())
    figure.suptitle("What eight learned kernels find in two digits: blue where they match, red where the opposite is")
    figure.savefig(path)


def main(folder):
    by_hand()
    x, y = hm.data.digits()
    train_rows, test_rows = hm.data.split(y)
    trainer = train(x[train_rows], y[train_rows])
    accuracy = trainer.evaluate(x[test_rows], y[test_rows])["accuracy"]
    print(f"\n{accuracy:.1%} of {len(test_rows)} digits that it has not seen are read right")
    path = Path(folder) / "convolution.png"
    draw(trainer.model, x[[7, 4]], path)
    print(f"its feature maps are in {path}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".")
