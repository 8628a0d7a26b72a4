"""The networks and steps of the workloads in the words that haema and PyTorch have in common."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from benchmarks.ready import ready
from benchmarks.workloads import CNN, MLP, Ready, ResNet, Workload, batch, weights

Step = Callable[[int], float]
"""``step(n)`` does n steps and returns the last loss, or of a prediction the sum of the absolute outputs."""


def same(x: Any) -> Any:
    """``x`` itself: nothing is converted or compiled."""
    return x


def residual(nn: Any, a: int, b: int, stride: int) -> Any:
    """A stage of the residual network, ``a`` channels in and ``b`` out."""

    class Residual(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(a, b, 3, stride=stride, padding=1), nn.BatchNorm2d(b), nn.ReLU(),
                nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(),
            )  # fmt: skip
            self.skip = nn.Identity()
            if stride != 1 or a != b:
                self.skip = nn.Sequential(nn.Conv2d(a, b, 1, stride=stride, bias=False), nn.BatchNorm2d(b))

        def forward(self, x: Any) -> Any:
            return self.body(x) + self.skip(x)

    return Residual()


def network(nn: Any, workload: Workload) -> Any:
    """The network of a workload, its layers named as in ``workload.arrays()``."""
    if isinstance(workload, Ready):
        return ready(nn, workload)
    layers: list[Any] = []
    match workload:
        case MLP(sizes=sizes):
            for n, m in pairwise(sizes[:-1]):
                layers += [nn.Linear(n, m), nn.ReLU()]
            layers += [nn.Linear(*sizes[-2:])]
        case CNN(channels=channels):
            for a, b in pairwise(channels):
                layers += [nn.Conv2d(a, b, 3, padding=1)]
                layers += [nn.BatchNorm2d(b)] if workload.batch_norm else []
                layers += [nn.ReLU(), nn.MaxPool2d(2)]
            n = channels[-1] * workload.pooled**2
            layers += [nn.Flatten(), nn.Linear(n, 128), nn.ReLU(), nn.Dropout(workload.dropout), nn.Linear(128, 10)]
        case ResNet(channels=channels):
            layers += [nn.Conv2d(*channels[:2], 3, padding=1)]
            layers += [residual(nn, *stage) for stage in workload.stages]
            layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], workload.classes)]
    return nn.Sequential(*layers)


def prepared(framework: Any, workload: Workload, convert: Callable[[Any], Any] = same) -> tuple[Any, Any, Any]:
    """The network with its initial weights, in training or evaluation mode, and the batch: model, x, y."""
    framework.manual_seed(0)
    model = network(framework.nn, workload)
    model.load_state_dict({name: framework.from_numpy(array) for name, array in weights(workload).items()})
    x, y = batch(workload)
    return convert(model).train(workload.training), convert(framework.from_numpy(x)), framework.from_numpy(y)


def train_step(framework: Any, model: Any, compiled: Callable[[Any], Any] = same, **adam: Any) -> Callable[..., Any]:
    """One training step as a function of x and y; ``compiled`` is applied to the network together with its loss."""
    loss_of = framework.nn.CrossEntropyLoss()
    optimizer = framework.optim.Adam(model.parameters(), **adam)
    objective = compiled(lambda x, y: loss_of(model(x), y))

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = objective(x, y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def repeated(step: Callable[..., Any], *args: Any) -> Step:
    """A training step n times, the last loss read at the end."""

    def run(n: int) -> float:
        for _ in range(n):
            loss = step(*args)
        return float(loss.item())

    return run


def predicted(framework: Any, model: Callable[[Any], Any], x: Any) -> Step:
    """A prediction n times, the last one read at the end."""

    def run(n: int) -> float:
        with framework.inference_mode():
            for _ in range(n):
                output = model(x)
            return float(output.abs().sum().item())

    return run


def steps(
    framework: Any,
    workload: Workload,
    convert: Callable[[Any], Any] = same,
    compiled: Callable[[Any], Any] = same,
    **adam: Any,
) -> Step:
    """``step(n)`` of a workload.

    Args:
        framework: The module ``haema`` or ``torch``.
        workload: What to do.
        convert: Applied to the network and to x, for another memory format.
        compiled: Applied to the network together with its loss, or to the network of a prediction.
        adam: Options of Adam.
    """
    model, x, y = prepared(framework, workload, convert)
    if not workload.training:
        return predicted(framework, compiled(model), x)
    return repeated(train_step(framework, model, compiled, **adam), x, y)
