"""haema, each operation at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def network(nn: Any, workload: Any) -> Any:
    """The network of a workload; the same code for haema and PyTorch, which share names and defaults."""
    layers: list[Any] = []
    if hasattr(workload, "sizes"):
        *hidden, classes = workload.sizes[1:]
        n = workload.sizes[0]
        for m in hidden:
            layers += [nn.Linear(n, m), nn.ReLU()]
            n = m
        return nn.Sequential(*layers, nn.Linear(n, classes))
    size = workload.size
    for a, b in zip(workload.channels, workload.channels[1:], strict=False):
        layers += [nn.Conv2d(a, b, 3, padding=1)]
        layers += [nn.BatchNorm2d(b)] if workload.batch_norm else []
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
        size //= 2
    n = workload.channels[-1] * size * size
    layers += [nn.Flatten(), nn.Linear(n, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)]
    return nn.Sequential(*layers)


def shapes(workload: Any) -> tuple[tuple[int, ...], int]:
    """The shape of a batch, and the number of classes."""
    if hasattr(workload, "sizes"):
        return (workload.batch, workload.sizes[0]), workload.sizes[-1]
    return (workload.batch, workload.channels[0], workload.size, workload.size), 10


def training_step(framework: Any, workload: Any, convert: Callable[[Any], Any] = lambda x: x) -> Callable[[int], None]:
    """``step(n)`` in the words that haema and PyTorch have in common."""
    framework.manual_seed(0)
    shape, classes = shapes(workload)
    model = convert(network(framework.nn, workload))
    x = convert(framework.randn(*shape))
    y = framework.randint(0, classes, (workload.batch,))
    loss_of = framework.nn.CrossEntropyLoss()
    optimizer = framework.optim.Adam(model.parameters())

    def step(n: int) -> None:
        for _ in range(n):
            optimizer.zero_grad()
            loss = loss_of(model(x), y)
            loss.backward()
            optimizer.step()

    return step


def build(workload: Any, threads: int) -> Callable[[int], None]:
    """A training step; NumPy's threads are set by the environment."""
    import haema

    return training_step(haema, workload)


def version() -> str:
    """What is measured."""
    import haema

    return f"haema {haema.__version__}"
