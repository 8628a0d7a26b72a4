"""Small problems and networks for the tests of training."""

import numpy as np

import haema as hm
from haema import nn


def blobs(n=90, classes=3, seed=0):
    """Points in the plane around corners of a triangle: (n, 2) float32, (n,) int64."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    angle = 2 * np.pi * y / classes
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.25 * rng.normal(size=(n, 2))
    return x.astype(np.float32), y.astype(np.int64)


def line(n=80, seed=0):
    """A noisy plane: (n, 3) float32, (n,) float64."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    return x, x @ np.array([1.0, -2.0, 0.5]) + 0.3 + 0.05 * rng.normal(size=n)


def net(inputs=2, hidden=8, outputs=3, dropout=0.0, seed=1):
    """A perceptron with one hidden layer, always the same weights."""
    hm.manual_seed(seed)
    layers = [nn.Linear(inputs, hidden), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers, nn.Linear(hidden, outputs))


def weights(model):
    """All parameters and buffers as one vector of bytes, for comparing runs bit by bit."""
    return b"".join(np.ascontiguousarray(x.detach().numpy()).tobytes() for x in model.state_dict().values())
