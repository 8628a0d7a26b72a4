"""The perceptron and its learning rule (Rosenblatt, 1958)."""

from __future__ import annotations

from typing import Any, NamedTuple

from haema.autograd import no_grad
from haema.creation import as_tensor, zeros
from haema.errors import InputError
from haema.functions import elementwise
from haema.nn.module import Module
from haema.nn.parameter import Parameter
from haema.tensor import Tensor

__all__ = ["Perceptron", "PerceptronResult"]

_VALUES = {"binary": (0.0, 1.0), "bipolar": (-1.0, 1.0)}


class PerceptronResult(NamedTuple):
    """How learning went.

    Attributes:
        converged: Whether the last pass through the samples was without error.
        updates: Number of samples, over all passes, after which the weights were changed.
        epochs: Number of passes.
        cycles: Whether the weights came back to what they were at the start of an earlier pass, so that going on
            would repeat the same passes for ever: the samples are not linearly separable.
    """

    converged: bool
    updates: int
    epochs: int
    cycles: bool


class Perceptron(Module):
    """Units with a step activation.

        s = w . x + b,    o = upper if s >= 0 else lower

    The boundary s = 0 is a hyperplane: a point, a line, a plane.

    Args:
        in_features: Number of inputs.
        out_features: Number of units; 1 by default.
        bias: Whether there is a b (the negated threshold).
        form: "binary": lower, upper = 0, 1; "bipolar": lower, upper = -1, +1.

    Attributes:
        weight: (out_features, in_features), zeros at first.
        bias: (out_features,), zeros at first, or None.

    Raises:
        ValueError: a size is below 1, or ``form`` is another word.

    Source:
        F. Rosenblatt, "The perceptron: a probabilistic model for information storage and organization in the brain",
        Psychological Review 65 (1958).
    """

    bias: Parameter | None

    def __init__(self, in_features: int, out_features: int = 1, bias: bool = True, form: str = "binary") -> None:
        super().__init__()
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Perceptron: it takes at least 1 input and 1 unit, not {in_features} and {out_features}")
        if form not in _VALUES:
            raise ValueError(f"Perceptron: form must be 'binary' (0, 1) or 'bipolar' (-1, 1), not {form!r}")
        self.in_features = in_features
        self.out_features = out_features
        self.form = form
        self.weight = Parameter(zeros(out_features, in_features))
        self.bias = Parameter(zeros(out_features)) if bias else None

    @property
    def lower(self) -> float:
        """The output below the boundary: 0 or -1."""
        return _VALUES[self.form][0]

    @property
    def upper(self) -> float:
        """The output on and above the boundary: 1."""
        return _VALUES[self.form][1]

    def score(self, input: Tensor) -> Tensor:
        """s = w . x + b.

        Args:
            input: (..., in_features).

        Returns:
            (..., out_features).
        """
        s = input @ self.weight.T
        return s if self.bias is None else s + self.bias

    def forward(self, input: Tensor) -> Tensor:
        """o = upper where s >= 0, else lower; (..., in_features) -> (..., out_features)."""
        s = self.score(input)
        return elementwise.where(s >= 0, s.new_full((), self.upper), s.new_full((), self.lower))

    def learn(self, x: Any, y: Any, epochs: int = 1000, lr: float = 1.0) -> PerceptronResult:
        """The perceptron rule, sample by sample, until a pass through the samples is without error.

            w <- w + lr (y - o) x,    b <- b + lr (y - o)

        If a hyperplane separates the samples this ends after finitely many updates (Novikoff, 1962). If none does,
        as for XOR, it ends once the weights repeat themselves, or after ``epochs`` passes.

        Args:
            x: Samples, (N, in_features).
            y: Targets, each ``lower`` or ``upper``, (N,) or (N, out_features).
            epochs: Passes at most.
            lr: Learning rate.

        Returns:
            ``(converged, updates, epochs, cycles)``.

        Raises:
            InputError: the shapes do not fit, or a target is neither of the two values.
        """
        dtype = self.weight.dtype
        xs, given = as_tensor(x).detach().to(dtype), as_tensor(y).detach().to(dtype)
        if xs.ndim != 2 or xs.shape[1] != self.in_features:
            raise InputError(f"Perceptron.learn: x has shape {xs.shape}, where (samples, {self.in_features}) is right")
        ys = given.reshape(-1, 1) if given.ndim == 1 and self.out_features == 1 else given
        right = (xs.shape[0], self.out_features)
        if ys.shape != right:
            raise InputError(f"Perceptron.learn: y has shape {given.shape}, where {right} is right")
        strange = ((ys != self.lower) & (ys != self.upper)).numpy()
        if strange.any():
            row = int(strange.any(1).argmax())
            value = ys.numpy()[row][strange[row]][0]
            raise InputError(
                f"Perceptron.learn: y holds {value:g} in row {row}, and in {self.form} form the targets are "
                f"{self.lower:g} and {self.upper:g}"
            )
        updates, epoch, seen = 0, 0, set()
        with no_grad():
            for epoch in range(1, epochs + 1):
                state = self.weight.detach().numpy().tobytes()
                state += b"" if self.bias is None else self.bias.detach().numpy().tobytes()
                if state in seen:
                    return PerceptronResult(False, updates, epoch - 1, True)
                seen.add(state)
                wrong = 0
                for i in range(xs.shape[0]):
                    error = ys[i] - self(xs[i])  # (out_features,)
                    if bool((error != 0).any()):
                        wrong += 1
                        self.weight.add_(lr * error.unsqueeze(1) * xs[i])
                        if self.bias is not None:
                            self.bias.add_(lr * error)
                updates += wrong
                if not wrong:
                    return PerceptronResult(True, updates, epoch, False)
        return PerceptronResult(False, updates, epoch, False)

    fit = learn

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}, "
            f"form={self.form!r}"
        )
