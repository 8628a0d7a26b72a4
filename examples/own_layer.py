"""Everything made by hand: a layer, a loss and the training loop.

The layer holds a few centres in the plane and answers with how near a point is to each (radial basis functions); the
loss looks only at points that are on the wrong side or too close to the border (the hinge). Neither is part of haema,
and both are a few lines: whatever is written with tensors has a gradient. The model is saved, and loaded by naming
the class, for a file never brings code with it.

    python own_layer.py [FOLDER]
"""

import sys
from pathlib import Path

import haema as hm
import haema.nn.functional as F
from haema import nn, optim


class RadialBasis(nn.Module):
    """y_j = exp(-|x - c_j|^2 / (2 s_j^2)) for centres c_j and widths s_j, both learned.

    Args:
        inputs: Dimension D of the points.
        centres: How many centres J there are.

    Shapes:
        x: (N, D); y: (N, J).
    """

    def __init__(self, inputs, centres):
        super().__init__()
        self.centre = nn.Parameter(hm.randn(centres, inputs))
        self.log_width = nn.Parameter(hm.zeros(centres))

    def forward(self, x):
        squares = (x[:, None, :] - self.centre).square().sum(dim=-1)  # (N, J)
        return (-0.5 * squares * (-2 * self.log_width).exp()).exp()


def hinge(score, side):
    """mean of max(0, 1 - y s) with sides y of -1 and +1."""
    return F.relu(1 - side * score).mean()


def spirals(n):
    """Two spirals around each other: points (n, 2) and sides -1, +1 (n,)."""
    side = 2 * (hm.arange(n) % 2).float() - 1
    turn = 3 * hm.pi * hm.rand(n).sqrt()
    ring = hm.stack([turn.cos(), turn.sin()], dim=1) * (turn / 4)[:, None]
    return ring * side[:, None] + 0.07 * hm.randn(n, 2), side


def main(folder):
    hm.manual_seed(0)
    x, side = spirals(600)
    x_new, side_new = spirals(300)
    model = nn.Sequential(RadialBasis(2, 40), nn.Linear(40, 1))
    print(model, "\n")
    optimizer = optim.Adam(model.parameters(), lr=0.03)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=60)
    loader = hm.data.DataLoader(hm.data.TensorDataset(x, side), batch_size=50, shuffle=True)

    def accuracy(model, x, side):
        with hm.no_grad():
            return (model(x)[:, 0] * side > 0).float().mean().item()

    for epoch in range(1, 61):
        total = 0.0
        for points, sides in loader:
            loss = hinge(model(points)[:, 0], sides)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(loader)
        schedule.step()
        if epoch in (1, 5, 15, 30, 60):
            print(f"epoch {epoch:2}: loss {total:.3f}, {accuracy(model, x, side):.1%} of the points on their side")

    path = Path(folder) / "spirals.safetensors"
    hm.save(model, path, meta={"loss": "hinge", "epochs": 60})
    again = hm.load(path, classes=[RadialBasis])
    print(f"\nloaded again: {accuracy(again, x_new, side_new):.1%} of new points on their side, notes {again.meta}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".")
