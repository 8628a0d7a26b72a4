"""What is particular about training a `TableNet`: its loss, and when each kind of its networks is at its best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from haema.autograd import no_grad
from haema.creation import from_numpy
from haema.nn.functional import one_hot
from haema.tensor import Tensor
from haema.train.callbacks import Callback

if TYPE_CHECKING:
    from haema.nn.tables import TableNet
    from haema.train.run import Run

__all__ = ["KeepBest", "MembersLoss"]

KINDS = ("smooth", "stepwise")
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


class MembersLoss:
    """The mean loss of all members over the rows that are not of their own fold, and a price on their open gates.

        classes    l = -sum over c of ((1 - smoothing) [c = y] + smoothing / C) log softmax(x)_c
        numbers    l = mean over k of (x_k - y_k)^2
        gates      sparsity * mean over members of sum |g|

    Args:
        classify: Whether classes are predicted.
        smoothing: Share of the target that is spread over all classes; default 0.05.
        sparsity: The price of a gate; default 0.

    Shapes:
        output: (M, N, outputs + 1) as `TableNet` gives it in training; or (N, outputs) as otherwise, of which the
            plain loss is taken.
        y: Class ids (N,), or numbers (N, outputs) or (N,).
    """

    def __init__(self, classify: bool, smoothing: float = 0.05, sparsity: float = 0.0) -> None:
        self.classify, self.smoothing, self.sparsity = classify, smoothing, sparsity
        self.net: TableNet | None = None
        self.__name__ = "members_cross_entropy" if classify else "members_mse"

    def each(self, x: Tensor, y: Tensor, smoothing: float = 0.0) -> Tensor:
        """The loss of each row: (..., N) of x (..., N, outputs)."""
        if not self.classify:
            return (x - y.reshape(-1, x.shape[-1])).square().mean(-1)
        classes = x.shape[-1]
        target = one_hot(y, classes).to(x.dtype) * (1 - smoothing) + smoothing / classes
        return -(x.log_softmax(-1) * target).sum(-1)

    def __call__(self, output: Tensor, y: Tensor) -> Tensor:
        if output.ndim == 2:
            return self.each(output, y).mean()
        counts = output[..., -1]
        each = self.each(output[..., :-1], y, self.smoothing)
        loss = (each * counts).sum() / counts.sum().clamp(min=1.0)
        if self.sparsity > 0 and self.net is not None:
            for gate in (kind.gate for kind, learns in zip(self.net.kinds, self.net.learning, strict=True) if learns):
                loss = loss + gate.abs().sum() * (self.sparsity / output.shape[0])
        return loss


def share(losses: list[float], rows: int, classify: bool) -> float:
    """The smooth networks' share of the mixture: its expectation, given how well each of `WEIGHTS` does.

        classes    q_v ~ exp(-N l_v)
        numbers    q_v ~ exp(-N l_v / (2 min l)), the likelihood under normal errors of the least variance found

    With few rows, which seldom tell the kinds apart, this is near 1/2; with many it is the best v.

    Args:
        losses: l_v, the mean loss over the rows with each weight v of the smooth networks.
        rows: N.
        classify: Whether classes are predicted.

    Source: J. A. Hoeting et al. (1999), Bayesian Model Averaging: A Tutorial, equation 1; with a uniform prior.
    """
    found = np.asarray(losses, np.float64)
    scale = 1.0 if classify else 1 / max(2 * found.min(), 1e-12)
    q = np.exp(-rows * scale * (found - found.min()))
    return float(q @ np.asarray(WEIGHTS) / q.sum())


class KeepBest(Callback):
    """Keeps each kind's weights of the epoch after which its members say most of the folds they did not see.

    The members of a kind have one best epoch in common. A kind that has not got better for ``patience`` epochs
    learns no more; when none learns the training ends. At the end the best weights come back, and the mixture is
    chosen on what the members say of their own folds:

        w1 = sum_v q_v v over v in {0, 1/4, 1/2, 3/4, 1}, w2 = 1 - w1        q_v ~ likelihood of v, see `share`
        a = clip(sum p y / (sum p^2 + 2 mean y^2), 0, 1)                    for numbers, p being the mixture

    Args:
        patience: Epochs.

    Attributes:
        best: The least loss of each kind.
        best_epoch: Its epoch; 0 is before the first.
    """

    steers = True

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self._reset()

    def _reset(self) -> None:
        self.best = [np.inf, np.inf]
        self.best_epoch = [0, 0]
        self._last = [np.inf, np.inf]
        self._net: TableNet | None = None
        self._weights: list[dict[str, np.ndarray]] = [{}, {}]
        self._rows: list[np.ndarray] = []

    def on_fit_begin(self, run: Run) -> None:
        self._reset()
        self._net = net = run.model
        net.learning = (True, True)
        folds = run.source.x[1].numpy()  # type: ignore[attr-defined]
        self._rows = [np.flatnonzero(folds == k) for k in range(net.members)]
        for kind in (0, 1):
            self._look(run, kind)

    def on_epoch_end(self, run: Run) -> None:
        net: TableNet = run.model
        for kind in (0, 1):
            if net.learning[kind]:
                self._look(run, kind)
                learns = run.epoch - self.best_epoch[kind] < self.patience
                net.learning = (learns, net.learning[1]) if kind == 0 else (net.learning[0], learns)
        name = "val_loss" if run.valid is None else "fold_loss"
        run.log(name, min(self._last))
        if not any(net.learning):
            net.learning = (True, True)  # so that the model is complete; no step comes any more
            run.stop(
                f"the {KINDS[0]} networks were best in epoch {self.best_epoch[0]} and the {KINDS[1]} ones in "
                f"epoch {self.best_epoch[1]}, and have not got better since"
            )

    def on_fit_end(self, run: Run) -> None:
        net: TableNet = run.model
        net.learning = (True, True)
        if not all(self._weights):  # the training did not even begin
            return
        for kind in (0, 1):
            net.kinds[kind].load_state_dict(self._weights[kind])
        self._mix(run)

    # -- what the members say of their own folds ------------------------------------------------------------------

    def _own(self, run: Run, kind: int) -> Tensor:
        """The outputs of each member for the rows of its fold, one member after another."""
        net: TableNet = run.model
        x = run.source.x[0].numpy()  # type: ignore[attr-defined]
        parts: list[list[np.ndarray]] = [[] for _ in self._rows]
        longest = max(map(len, self._rows))
        width = max(1, 4096 // net.members)
        training = net.training
        net.eval()
        with no_grad():
            for i in range(0, longest, width):
                some = [rows[i : i + width] for rows in self._rows]
                size = max(map(len, some))
                index = np.stack([np.resize(rows, size) if len(rows) else np.zeros(size, np.int64) for rows in some])
                y = net.of_kind(kind, from_numpy(x[index])).numpy()
                for k, rows in enumerate(some):
                    parts[k].append(y[k, : len(rows)])
        net.train(training)
        return from_numpy(np.concatenate([p for part in parts for p in part]))

    def _truth(self, run: Run) -> Tensor:
        return run.source.y.index_select(0, from_numpy(np.concatenate(self._rows)))  # type: ignore[attr-defined]

    def _loss(self, run: Run, outputs: Tensor) -> float:
        return run.step.objective.function.each(outputs, self._truth(run)).mean().item()

    def _look(self, run: Run, kind: int) -> None:
        """Measure a kind, and keep its weights if it is at its best."""
        net: TableNet = run.model
        loss = self._loss(run, self._own(run, kind))
        self._last[kind] = loss
        if loss < self.best[kind]:
            self.best[kind], self.best_epoch[kind] = loss, run.epoch
            state = net.kinds[kind].state_dict()
            self._weights[kind] = {name: np.array(x.numpy()) for name, x in state.items()}

    def _mix(self, run: Run) -> None:
        net: TableNet = run.model
        outputs = [self._own(run, kind) for kind in (0, 1)]
        loss = run.step.objective.function
        truth = self._truth(run)
        with no_grad():
            if loss.classify:
                outputs = [y.softmax(-1) for y in outputs]
            losses = []
            for w in WEIGHTS:
                y = outputs[0] * w + outputs[1] * (1 - w)
                y = y.clamp(min=1e-9).log() if loss.classify else y
                losses.append(loss.each(y, truth).mean().item())
            w = share(losses, len(truth), loss.classify)
            net.weights.copy_(from_numpy(np.array([w, 1 - w], np.float32)))
            if not loss.classify:
                p = (outputs[0] * w + outputs[1] * (1 - w)).numpy().astype(np.float64)
                t = truth.numpy().reshape(p.shape).astype(np.float64)
                below = np.square(p).sum() + 2 * np.square(t).mean()
                net.shrink.fill_(float(np.clip((p * t).sum() / max(below, 1e-12), 0, 1)))

    # -- state ------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": list(self.best),
            "best_epoch": list(self.best_epoch),
            "last": list(self._last),
            "learning": [True, True] if self._net is None else list(self._net.learning),
            "weights": self._weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best = [float(v) for v in state["best"]]
        self.best_epoch = [int(v) for v in state["best_epoch"]]
        self._last = [float(v) for v in state["last"]]
        if self._net is not None:
            smooth, stepwise = state["learning"]
            self._net.learning = (bool(smooth), bool(stepwise))
        self._weights = [{k: np.array(v) for k, v in w.items()} for w in state["weights"]]
