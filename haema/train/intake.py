"""Taking in data: from whatever the user has to a source of batches, with everything checked on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from haema.creation import from_numpy
from haema.data.imagerows import ImageRows, rows_in_parts, select
from haema.errors import HaemaError, InputError, suggest
from haema.tensor import Tensor
from haema.train.metrics import as_array
from haema.train.objective import Objective
from haema.train.sources import Batch, Rows, Samples, Source, Stream, Streamed, input_arrays
from haema.train.step import evaluating
from haema.train.targets import Targets, infer_targets, label_array

__all__ = ["Intake", "share_of_most_frequent"]


class Intake:
    """Data for one model.

    Args:
        model: The module.
        loss: The loss, if it is chosen already.
        targets: What is learned, if that is known already; else it is told from the first data.
        task: "classification" or "regression", where it is not to be told.
        class_vector: The weight of each class, (C,), or None.

    Attributes:
        last: Class name of the model's last layer.
        targets, class_vector: What became known.
    """

    def __init__(
        self,
        model: Any,
        loss: Objective | None,
        targets: Targets | None,
        task: str | None,
        class_vector: np.ndarray | None = None,
    ) -> None:
        self.model, self.loss, self.targets, self.task, self.class_vector = model, loss, targets, task, class_vector
        self.last = type(_last_stage(model)).__name__
        self.dtype = next((p.dtype for p in model.parameters() if p.dtype.kind == "f"), np.dtype(np.float32))
        self._cast = False
        self._tail: tuple[int, ...] | None = None
        self._classes: list[Any] | None = None

    # -- whole sources ------------------------------------------------------------------

    def training(
        self, x: Any, y: Any, validation: Any, sample_weight: Any, class_weight: Any, seed: int
    ) -> tuple[Source, Source | None]:
        """The sources to train and to validate with; arguments as of ``Trainer.fit``."""
        x, y, sample_weight = self._unpack(x, y, sample_weight)
        given = validation
        share = isinstance(given, (int, float, np.number)) and not isinstance(given, bool)
        if share and not 0 < given < 1:
            raise InputError(f"validation is {given}; a share between 0 and 1, a pair (X, Y) or None is right")
        if not _in_memory(x):
            if share:
                raise InputError(
                    f"validation is {given}, and a {type(x).__name__} cannot be divided; give a pair (X, Y), "
                    "a Dataset or a DataLoader"
                )
            source = self._serving(x, y, sample_weight)
            self._set_class_vector(class_weight, None)
            return source, self._validation(given)
        arrays, truth, encoded, w = self._rows(x, y, sample_weight)
        train = np.arange(len(truth))
        held = train[:0]
        if share:
            from haema.data import split

            assert self.targets is not None
            classes = truth if self.targets.task == "classification" and truth.ndim == 1 else len(truth)
            train, held = split(classes, (1 - given, given), seed=seed)
            if not len(train) or not len(held):
                raise InputError(
                    f"validation is {given}, which of {len(truth)} rows leaves {len(train)} to learn from and "
                    f"{len(held)} to validate with; one or more of each are needed"
                )
        self._set_class_vector(class_weight, truth[train])
        whole = (arrays, truth, encoded, w)
        source = self._part(whole, train if share else None)
        return source, self._part(whole, held) if share else self._validation(given)

    def source(self, x: Any, y: Any, sample_weight: Any = None) -> Source:
        """The source to evaluate with."""
        x, y, sample_weight = self._unpack(x, y, sample_weight)
        if not _in_memory(x):
            return self._serving(x, y, sample_weight)
        return self._part(self._rows(x, y, sample_weight), None)

    def inputs(self, x: Any, batch_size: int) -> Iterator[tuple[Tensor, ...]]:
        """Batches of inputs alone, to predict with."""
        x, _, _ = self._unpack(x, None, None)
        if _in_memory(x):
            arrays = self._fitting(input_arrays(x, self.model))
            for parts in zip(*(rows_in_parts(a, batch_size) for a in arrays), strict=True):
                yield tuple(from_numpy(a) for a in parts)
            return
        from haema.data import Dataset, default_collate

        if isinstance(x, Dataset):
            parts = (range(i, min(i + batch_size, len(x))) for i in range(0, len(x), batch_size))
            served: Any = (default_collate([x[i] for i in part]) for part in parts)
        else:
            served = x
        for given in served:
            first = given[0] if isinstance(given, (list, tuple)) else given
            yield tuple(from_numpy(a) for a in self._fitting(input_arrays(first, self.model)))

    # -- steps on the way ------------------------------------------------------------------

    def _unpack(self, x: Any, y: Any, w: Any) -> tuple[Any, Any, Any]:
        """``Data`` and datasets of tensors as what they consist of."""
        from haema.data import Data, Subset, TensorDataset

        if isinstance(x, Data):
            if y is None:
                self._classes, self.task = x.classes, self.task or x.task
                y = x.y
            return x.x, y, w
        if type(x) is Subset and type(x.dataset) is TensorDataset:
            x = TensorDataset(*x[np.arange(len(x))])
        if type(x) is TensorDataset:
            if len(x.tensors) > 3 or (len(x.tensors) > 1 and y is not None):
                raise InputError(
                    f"the TensorDataset has {len(x.tensors)} tensors{' beside Y' if y is not None else ''}; "
                    "inputs, truth and perhaps weights are right"
                )
            parts = x.tensors
            x, y, w = parts[0], parts[1] if len(parts) > 1 else y, parts[2] if len(parts) > 2 else w
        return x, y, w

    def _rows(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray | None]:
        """Rows in memory: inputs, truth, what the loss gets, weights."""
        arrays = self._fitting(input_arrays(x, self.model))
        if y is None:
            raise InputError("Y is missing; give the truth for each row of X (an autoencoder's is X itself)")
        rows = len(arrays[0])
        size = len(label_array(y))
        if size != rows:
            raise InputError(f"X has {rows} rows and Y has {size}; they must have equally many")
        truth = self._known_targets(y).truth(y)
        encoded = self._known_targets(y).encode(y, truth, self.dtype)
        return arrays, truth, encoded, self._weights(sample_weight, rows)

    def _part(self, whole: tuple[Any, np.ndarray, np.ndarray, np.ndarray | None], rows: np.ndarray | None) -> Rows:
        """Some of the rows, or all, with the weights of their classes."""
        arrays, truth, encoded, w = whole
        if rows is not None:
            arrays, truth, encoded = tuple(select(a, rows) for a in arrays), truth[rows], encoded[rows]
            w = None if w is None else w[rows]
        kind = Streamed if any(isinstance(a, ImageRows) for a in arrays) else Rows
        return kind(arrays, encoded, truth, self._by_class(truth, w))

    def _validation(self, given: Any) -> Source | None:
        if given is None:
            return None
        if isinstance(given, (tuple, list)):
            if len(given) not in (2, 3):
                raise InputError(f"validation is a {type(given).__name__} of {len(given)}; a pair (X, Y) is right")
            return self.source(*given)
        if isinstance(given, (bool, str)):
            raise InputError(f"validation is {given!r}; a share between 0 and 1, a pair (X, Y) or None is right")
        return self.source(given, None)

    def _serving(self, x: Any, y: Any, sample_weight: Any) -> Source:
        """A dataset or a loader."""
        from haema.data import Dataset

        kind = type(x).__name__
        if y is not None or sample_weight is not None:
            what = "Y" if y is not None else "sample_weight"
            raise InputError(f"{what} came beside a {kind}, which gives pairs (x, y) itself; leave {what} out")
        source = Samples(x, self._batch) if isinstance(x, Dataset) else Stream(x, self._batch)
        if self.targets is None:
            self._peek(source)
        return source

    def _peek(self, source: Source) -> None:
        """Tell the targets from a first batch, leaving the random generators as they are."""
        from haema import random

        held = [(g, g.get_state()) for g in (random.default_generator, *source.generators())]
        for _ in source.batches(32, shuffle=True):
            break
        for generator, state in held:
            generator.set_state(state)
        if self.targets is None:
            raise InputError("the loader gave no batches; there is nothing to learn from")

    def _batch(self, given: Any) -> Batch:
        """What a loader gives, (x, y) or (x, y, w), as a batch."""
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            came = f"{len(given)} parts" if isinstance(given, (tuple, list)) else f"a {type(given).__name__}"
            raise InputError(f"the loader gave {came}, where pairs (x, y) or triples (x, y, weight) are right")
        arrays, truth, encoded, w = self._rows(given[0], given[1], given[2] if len(given) == 3 else None)
        w = self._by_class(truth, w)
        weights = None if w is None else from_numpy(w)
        return tuple(from_numpy(a) for a in arrays), from_numpy(np.ascontiguousarray(encoded)), weights, truth

    def _fitting(self, arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """Inputs of types that the model takes: whole numbers become fractional if it does not take them."""
        if self._tail is None:
            try:
                self._tail = self._try(arrays)
            except (HaemaError, TypeError) as error:
                if isinstance(error, InputError) or all(a.dtype.kind == "f" for a in arrays):
                    raise self._refused(arrays, error) from error
                try:
                    self._tail = self._try(self._as_floats(arrays))
                except HaemaError as second:
                    raise self._refused(arrays, second) from second
                self._cast = True
        return self._as_floats(arrays) if self._cast else arrays

    def _as_floats(self, arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        return tuple(a.astype(self.dtype, copy=False) for a in arrays)

    @staticmethod
    def _refused(arrays: tuple[np.ndarray, ...], error: Exception) -> InputError:
        if isinstance(error, InputError):
            return error
        shapes = " and ".join(f"{a.shape}" for a in arrays)
        return InputError(f"the model does not take X of shape {shapes}: {error}")

    def _try(self, arrays: tuple[np.ndarray, ...]) -> tuple[int, ...]:
        """The shape of the output for one row."""
        with evaluating(self.model):
            output = self.model(*(from_numpy(a[:1]) for a in arrays))
        if not isinstance(output, Tensor) or output.ndim == 0 or output.shape[0] != 1:
            came = f"shape {output.shape}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
            raise InputError(f"the model makes {came} of one row; one tensor with a row for each row of X is right")
        return output.shape[1:]

    def _known_targets(self, y: Any) -> Targets:
        if self.targets is None or self.targets.tail != self._tail:  # of a model whose head was exchanged, too
            assert self._tail is not None
            kind = None if self.loss is None else self.loss.kind
            self.targets = infer_targets(y, self._tail, kind, last=self.last, task=self.task, classes=self._classes)
        return self.targets

    # -- weights ------------------------------------------------------------------

    def _weights(self, sample_weight: Any, rows: int) -> np.ndarray | None:
        if sample_weight is None:
            return None
        w = as_array(sample_weight)
        if w.dtype.kind not in "biuf" or w.shape != (rows,):
            raise InputError(
                f"sample_weight has shape {w.shape} and type {w.dtype}; one number per row, ({rows},), is right"
            )
        w = w.astype(self.dtype)
        bad = np.flatnonzero(~(np.isfinite(w) & (w >= 0)))
        if len(bad):
            raise InputError(f"sample_weight[{bad[0]}] is {w[bad[0]]}, where a finite number from 0 upwards is right")
        if not w.any():
            raise InputError("sample_weight is 0 for all rows; there is nothing to learn from")
        return w

    def _by_class(self, truth: np.ndarray, w: np.ndarray | None) -> np.ndarray | None:
        """The weights of rows times those of their classes."""
        if self.class_vector is None:
            return w
        own = self.class_vector[truth].astype(self.dtype)
        return own if w is None else own * w

    def _set_class_vector(self, class_weight: Any, ids: np.ndarray | None) -> None:
        """The weight of each class, from the ``class_weight`` argument and the training rows' classes."""
        self.class_vector = None
        if class_weight is None:
            return
        targets = self.targets
        assert targets is not None
        if targets.task != "classification" or (ids is not None and ids.ndim > 1):
            raise InputError("class_weight is for a classification with one class per row, and this is another task")
        size = targets.size
        if isinstance(class_weight, str):
            if ids is None:
                raise InputError("class_weight 'balanced' needs all rows in memory; give a dict or a list of weights")
            counts = np.bincount(ids, minlength=size)
            present = int((counts > 0).sum())
            self.class_vector = np.where(counts > 0, len(ids) / (present * np.maximum(counts, 1)), 0.0)
            return
        if isinstance(class_weight, Mapping):
            names = {str(n): i for i, n in enumerate(targets.names())}
            weights = np.ones(size)
            for label, value in class_weight.items():
                if str(label) not in names:
                    raise InputError(f"class_weight names {label!r}, which is no class; {suggest(label, names)}")
                weights[names[str(label)]] = value
        else:
            weights = as_array(class_weight).astype(np.float64)
        if weights.shape != (size,) or not np.isfinite(weights).all() or (weights < 0).any():
            raise InputError(
                f"class_weight must be {size} finite numbers from 0 upwards, one per class, not {class_weight!r}"
            )
        self.class_vector = weights


def _last_stage(model: Any) -> Any:
    """The module that says what the outputs are: the last of a Sequential, and what is averaged over several views."""
    from haema.nn import TestTimeAugmentation

    while True:
        if type(model).__name__ == "Sequential" and len(model):
            model = list(model.children())[-1]
        elif isinstance(model, TestTimeAugmentation):
            inner = _last_stage(model.module)
            # of probabilities the average is a log probability, whatever they are themselves
            return model if model.average == "probabilities" and type(inner).__name__ == "Softmax" else inner
        else:
            return model


def _in_memory(x: Any) -> bool:
    """Whether ``x`` is rows, and not something that serves them."""
    from haema.data import Dataset

    if isinstance(x, Dataset):
        return False
    return isinstance(x, (list, tuple)) or hasattr(x, "__array__") or not hasattr(x, "__iter__")


def share_of_most_frequent(source: Source, targets: Targets) -> float:
    """How often always naming the most frequent class would be right; 0 if that is not known."""
    if targets.task != "classification" or not isinstance(source, Rows) or not source.truth.size:
        return 0.0
    return float(np.bincount(source.truth.reshape(-1)).max() / source.truth.size)
