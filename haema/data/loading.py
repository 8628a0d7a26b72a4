"""One entrance for data of every kind: ``load``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from haema.data import arrays, builtin, csvfile, idx, images
from haema.data.columns import infer_column
from haema.data.imagerows import ImageRows, select
from haema.data.reading import missing
from haema.data.stored import Stored, StoredImages, axes_of_images
from haema.data.task import Task, encode_target
from haema.errors import InputError, suggest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Data", "load", "load_images"]

_TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".tab")
_EMPTY = "in a file NA, None and ? are empty, too"


@dataclass(frozen=True)
class Data:
    """What ``load`` returns: the inputs, the target, and what is known about them.

    Fields:
        kind: ``"images"``, ``"table"`` or ``"arrays"``.
        x: (N, C, H, W) uint8 for images (an array, or an `ImageRows` of images that stay in their files), a pandas
            DataFrame for tables, an array (N, ...) otherwise.
        y: (N,) int64 class ids; (N,) or (N, K) float64 for regression; None where there is no target.
        classes: the classes' names in the order of their ids, or None.
        target: the name of the target's column or array, or None.
        task: ``"classification"``, ``"regression"`` or None.
        source: where the data came from.
        test: the source's own official test part, or None.
        names: the rows' names (the files within a folder of images; of a single image its path), or None.
        notes: a sentence for each thing that was changed on the way.
    """

    kind: Literal["images", "table", "arrays"]
    x: Any
    y: np.ndarray | None = None
    classes: list[str] | None = None
    target: str | None = None
    task: Task | None = None
    source: str = ""
    test: Data | None = None
    names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: np.ndarray) -> Data:
        """The given rows, by their number from 0, as ``split`` returns them; the test part stays behind."""
        return replace(
            self,
            x=self.x.iloc[rows] if self.kind == "table" else select(self.x, rows),
            y=None if self.y is None else self.y[rows],
            names=None if self.names is None else tuple(self.names[i] for i in rows),
            test=None,
        )


@dataclass(frozen=True)
class _Request:
    """The arguments of ``load`` that every reader may need."""

    target: Any
    task: Task | None
    classes: Sequence[str] | None
    labels: bool
    size: tuple[int, int] | None
    channels: int | None
    encoding: str | None
    stream: bool | None
    memory_limit: int | None
    skip_broken: bool


def load(
    source: Any,
    target: Any = None,
    *,
    task: Task | None = None,
    classes: Sequence[str] | None = None,
    labels: bool = True,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    encoding: str | None = None,
    stream: bool | None = None,
    memory_limit: int | None = None,
    skip_broken: bool = False,
) -> Data:
    """Loads data from whatever it is in.

    Args:
        source: ``"digits"``; a CSV, NPZ, IDX, PNG or JPEG file; a folder of class folders of images, of
            images, or of IDX files; a pandas DataFrame; an array or tensor; a pair (x, y) of such.
        target: the name of a table's target column or of an NPZ file's array of labels, or the labels
            themselves for data in memory. Default: a file's own labels; none for a table.
        task: ``"classification"`` or ``"regression"``; default: told by the rule in ``haema.data.task``.
        classes: the classes in order, where a model already knows them: their ids are used, and other
            classes are errors. Default: those in the data.
        labels: False leaves the labels of images, files and pairs alone, as for prediction. Default True.
        size: (height, width) in pixels that image files are resized to; default by the rule in
            ``haema.data.images``.
        channels: 1 or 3 for image files; default: as many as they have.
        encoding: of a CSV file that is not UTF-8.
        stream: whether images stay in their files and are read as they are needed, to the same results. IDX and NPZ
            files must not be compressed for that. Default: where they would take more than ``memory_limit``.
        memory_limit: bytes that images may take in memory; default: a third of the free memory.
        skip_broken: whether to leave out images that cannot be read, and note which; default False.

    Returns:
        The data; its ``test`` is the source's official test part, where it has one.

    Raises:
        InputError: in one sentence, what is wrong with the source and what would be right.

    Example::

        data = load("iris.csv", target="species")
        train, test = (data.take(rows) for rows in split(data.y))
    """
    request = _Request(
        target if labels else None, task, classes, labels, size, channels, encoding, stream, memory_limit, skip_broken
    )
    data = _load(source, target, request)
    if skip_broken and data.names is None:
        raise InputError(f"skip_broken is for image files, and {data.source or 'the source'} is none; leave it out")
    if stream and not isinstance(data.x, ImageRows):
        raise InputError(f"stream is for images in files, and {data.source or 'the source'} is none; leave it out")
    return data


def _load(source: Any, target: Any, request: _Request) -> Data:
    if isinstance(source, tuple):
        if len(source) != 2 or target is not None:
            raise InputError("load: a tuple of arrays is a pair (x, y) without a further target")
        source, request = source[0], replace(request, target=source[1] if request.labels else None)
    if isinstance(source, (str, os.PathLike)):
        return _load_path(source, request)
    if type(source).__name__ == "DataFrame":
        return _from_frame(source.rename(columns=str), "the table", request)
    if hasattr(source, "__array__") or isinstance(source, list):
        if isinstance(request.target, str):
            raise InputError(f"load: target is {target!r}, but an array has no column names; pass the labels")
        return _from_arrays(source, "x", request.target, "y", "arrays", request)
    raise InputError(
        f"load: the source is a {type(source).__name__}, where a path, a DataFrame, an array or a pair (x, y) is right"
    )


def load_images(
    paths: Sequence[str | os.PathLike[str]],
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    stream: bool | None = None,
    memory_limit: int | None = None,
    skip_broken: bool = False,
) -> Data:
    """Loads image files, and all images of folders, without labels.

    Args:
        paths: PNG and JPEG files, and folders of such or of class folders.
        size, channels, stream, memory_limit, skip_broken: as of ``load``.

    Returns:
        The data; its ``names`` are the paths.

    Raises:
        InputError: in one sentence, what is wrong with a path and what would be right.
    """
    names = images.expanded(paths)
    request = _Request(None, None, None, False, size, channels, None, stream, memory_limit, skip_broken)
    source = names[0] if len(names) == 1 else f"{len(names)} images"
    return _from_images("", names, None, source, request)


def _load_path(source: str | os.PathLike[str], request: _Request) -> Data:
    name, path = os.fspath(source), Path(source)
    if name == "digits":
        _no_target(request, "the digits have their own labels")
        x, y = builtin.digits()
        return _from_arrays(x, "digits", y, "the labels of digits", "digits", request)
    if not path.exists():
        raise InputError(missing(name))
    if path.is_dir():
        return _load_folder(path, request)
    endings = [s.lower() for s in path.suffixes]
    if idx.looks_like_idx(path):
        return _load_idx(path, request)
    if endings[-1:] == [".gz"] and set(endings[-2:-1]) & set(_TEXT_ENDINGS):
        endings.pop()
    if endings and endings[-1] in _TEXT_ENDINGS:
        return _from_frame(csvfile.read_csv(path, request.encoding), name, request)
    if endings and endings[-1] == ".npz":
        return _load_npz(path, request)
    if images.is_image(path):
        _no_target(request, "an image has no columns")
        return _from_images("", [name], None, name, request)
    raise InputError(
        f"{name} is of no known kind; a file named .csv, .npz, .png, .jpg or as MNIST's are, or a folder of "
        "images is right"
    )


def _load_folder(folder: Path, request: _Request) -> Data:
    name = str(folder)
    pairs = idx.find_pairs(folder)
    if pairs:
        train = _load_idx(pairs.get("train", pairs.get("test", folder)), request)
        test = None
        if len(pairs) == 2:
            test = _load_idx(pairs["test"], replace(request, classes=train.classes))
        return replace(train, source=name, test=test)
    _no_target(request, "images have the classes of their folders")
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        train = _load_class_folders(folder / "train", request)
        shape = train.x.shape
        fixed = replace(request, classes=train.classes, size=shape[2:], channels=shape[1])
        return replace(train, source=name, test=_load_class_folders(folder / "test", fixed))
    tables = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in (*_TEXT_ENDINGS, ".npz"))
    if tables and not any(p.is_dir() or images.is_image(p) for p in folder.iterdir()):
        raise InputError(f"{name} is a folder of files such as {tables[0]}; name the file itself")
    return _load_class_folders(folder, request)


def _load_class_folders(folder: Path, request: _Request) -> Data:
    names, labels = images.list_images(folder)
    return _from_images(str(folder), names, labels, str(folder), request)


def _from_images(folder: str, names: list[str], labels: list[str] | None, source: str, request: _Request) -> Data:
    # The labels first: whatever is wrong with them is found before thousands of images are read.
    if labels is not None and request.labels:
        images.check_class_folders(sorted(set(labels)), folder, request.classes)
    y, classes, task = _target(None if labels is None else np.array(labels), f"the folder {folder}", request)
    x, kept, notes = images.read_images(
        [os.path.join(folder, name) for name in names],
        request.size,
        request.channels,
        stream=request.stream,
        memory_limit=request.memory_limit,
        skip_broken=request.skip_broken,
    )
    if y is not None and classes is not None and len(kept) < len(y):
        lost = np.setdiff1d(y, y[kept])
        if len(lost):
            raise InputError(f"no image of the class folder {os.path.join(folder, classes[lost[0]])} can be read")
        y = y[kept]
    found = tuple(names[i] for i in kept)
    return Data("images", x, y, classes, None, task, source, names=found, notes=tuple(notes))


def _load_idx(path: Path, request: _Request) -> Data:
    _no_target(request, "IDX files have their labels in a file beside them")
    other = idx.partner(path)
    image_path, label_path = (path, other) if "images" in path.name.lower() else (other, path)
    if image_path is None:
        raise InputError(f"{path} holds labels, but the file of images that belongs beside it is missing")
    stored = idx.find_stored(image_path)
    x = stored if _stays(stored, image_path, request) and stored else idx.read_idx(image_path)
    if len(x.shape) == 1:
        raise InputError(f"{image_path} has one dimension, {x.shape[0]}, as labels have, where images have three")
    y = idx.read_idx(label_path) if label_path is not None and request.labels else None
    if y is not None and (y.ndim != 1 or y.dtype.kind == "f"):
        raise InputError(f"{label_path} has shape {y.shape} and type {y.dtype}, where labels are integers")
    data = _from_arrays(x, str(image_path), y, str(label_path), str(path), request)
    if label_path is None:
        note = f"{image_path.name} has no file of labels beside it, so its images have no labels"
        data = replace(data, notes=(*data.notes, note))
    return data


def _load_npz(path: Path, request: _Request) -> Data:
    name = str(path)
    if request.target is not None and not isinstance(request.target, str):
        raise InputError(f"load: target is an array, but {name} is a file; name the array of labels in it")
    parts: dict[str, Data] = {}
    found = arrays.read_npz(path, request.target, lambda stored: _stays(stored, path, request))
    for part, (x, x_key, y, y_key) in found.items():
        known = request if part == "train" else replace(request, classes=parts["train"].classes)
        parts[part] = _from_arrays(x, f"{x_key!r} in {name}", y, f"{y_key!r} in {name}", name, known)
    return replace(parts["train"], target=request.target, test=parts.get("test"))


def _stays(stored: Stored | None, path: Path, request: _Request) -> bool:
    """Whether an array stays in its file; ``stored`` is None where it cannot.

    Raises:
        InputError: it shall and cannot.
    """
    if stored is None:
        if request.stream:
            raise InputError(
                f"{path} is compressed, or its first axis varies fastest, so its images cannot be read one by one; "
                "write it plainly, or leave stream out"
            )
        return False
    holds = axes_of_images(stored.shape, stored.dtype) is not None and stored.shape[0] > 0
    return holds and images.stay(stored.nbytes, request.stream, request.memory_limit)


def _from_arrays(x: Any, x_name: str, y: Any, y_name: str, source: str, request: _Request) -> Data:
    notes: tuple[str, ...] = ()
    kind: str
    features: Any
    if isinstance(x, Stored):
        kind, features = "images", ImageRows.of(StoredImages(x), x.shape[0])
        notes = (images.note_of_stay(features),)
    else:
        kind, features = arrays.as_features(_plain(x), x_name)
    if len(features) == 0:
        raise InputError(f"{x_name} has no rows; at least one is needed")
    values = None
    if y is not None and request.labels:
        values = arrays.as_labels(_plain(y), y_name, len(features), x_name)
        if kind == "images" and values.dtype.kind in "iu" and request.task is None:
            request = replace(request, task="classification")
    target, classes, task = _target(values, y_name, request)
    return Data(kind, features, target, classes, None, task, source, notes=notes)  # type: ignore[arg-type]


def _from_frame(frame: pd.DataFrame, source: str, request: _Request) -> Data:
    target = request.target
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InputError(f"{source} has several columns called {twice!r}; give every column its own name")
    if len(frame) == 0:
        raise InputError(f"{source} has no rows; at least one is needed")
    if target is None:
        return Data("table", frame, source=source)
    line = csvfile.line_namer(frame)
    order = None
    if isinstance(target, str):
        if target not in frame.columns:
            raise InputError(f"{source} has no column {target!r}; {suggest(target, frame.columns)}")
        values, order = _column_values(frame[target], f"column {target!r} of {source}", line)
        if values.dtype == object and request.task is None and request.classes is None:
            _check_classes(frame[target], target, f"column {target!r} of {source}", line)
        frame, label = frame.drop(columns=target), f"column {target!r} of {source}"
        if frame.shape[1] == 0:
            raise InputError(f"{source} has no column beside {target!r}; there is nothing to predict it from")
    else:
        values, label = arrays.as_labels(_plain(target), "y", len(frame), source), "y"
    y, classes, task = _target(values, label, request, line, order)
    return Data("table", frame, y, classes, target if isinstance(target, str) else None, task, source)


def _column_values(column: pd.Series, name: str, line: Callable[[int], str]) -> tuple[np.ndarray, list[Any] | None]:
    """A target column's values without pandas' types, and the order of its categories where it has one."""
    from pandas.api import types

    holes = np.flatnonzero(column.isna().to_numpy())
    if len(holes) == len(column):
        raise InputError(f"{name} is empty in all {len(column)} rows; choose a column with values ({_EMPTY})")
    if len(holes):
        more = f" and in {len(holes) - 1} more rows" if len(holes) > 1 else ""
        raise InputError(f"{name} is empty on {line(int(holes[0]))}{more}; fill it in or delete the row ({_EMPTY})")
    if types.is_datetime64_any_dtype(column) or types.is_timedelta64_dtype(column):
        raise InputError(_dates(name))
    if isinstance(column.dtype, _categorical()):
        return column.astype(object).to_numpy(), list(column.cat.categories)
    if types.is_bool_dtype(column):
        return column.to_numpy(dtype=bool), None
    if types.is_integer_dtype(column):
        return column.to_numpy(dtype=column.dtype.name.lower()), None  # "Int64" holds plain int64
    if types.is_float_dtype(column):
        return column.to_numpy(dtype=np.float64), None
    return column.to_numpy(dtype=object), None


def _check_classes(column: pd.Series, target: str, name: str, line: Callable[[int], str]) -> None:
    """Refuses texts that no one would call classes.

    Raises:
        InputError: nearly all of them are numbers, or all are dates.
    """
    if infer_column(column, target, name, line).kind == "date":
        raise InputError(_dates(name))


def _dates(name: str) -> str:
    return f"{name} holds dates, where classes or numbers to predict are right"


def _categorical() -> type:
    import pandas as pd

    return pd.CategoricalDtype


def _target(
    values: np.ndarray | None,
    name: str,
    request: _Request,
    line: Callable[[int], str] = "row {}".format,
    order: list[Any] | None = None,
) -> tuple[np.ndarray | None, list[str] | None, Task | None]:
    """The target in its final form; nothing where there is none or none is wanted."""
    if values is None or not request.labels:
        return None, None, None
    if values.ndim == 2:
        if request.task == "classification" or request.classes is not None:
            raise InputError(f"{name} has shape {values.shape}, where a classification needs class ids, (n,)")
        return values, None, "regression"
    return encode_target(values, name, line, request.task, request.classes, order)


def _no_target(request: _Request, why: str) -> None:
    if request.target is not None:
        raise InputError(f"target is {request.target!r}, but {why}; leave it out")


def _plain(values: Any) -> Any:
    """An array of a tensor that may be part of a graph; everything else as it is."""
    return values.detach().numpy() if hasattr(values, "detach") else values
