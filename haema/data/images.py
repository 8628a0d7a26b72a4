"""Images from files: a folder of class folders, a folder of images, or single ones.

The rules:

- PNG and JPEG, told by the name's ending; whether it is the one or the other, by the content. Hidden files and other
  endings are passed over.
- Grey images have one channel; where any image has colour, all have three. Transparency is dropped, 16-bit
  grey becomes 8-bit, of an animation the first picture counts, and a photo is turned the way its EXIF orientation says.
- All images get one size: the one given, else the one that most of them have (of equally frequent ones the
  larger), made smaller if its longer side exceeds 224. Images of another size are resized to it (bilinear,
  antialiased), height and width each for itself. A JPEG more than twice as large is decoded at a half, a quarter or an
  eighth of its size first.
- ``train`` and ``test`` folders, each of class folders, are a training part and its official test part.
- Images that would take more than a third of the free memory stay in their files, and are decoded as they are needed.
- All images that cannot be read are named at once; they are left out only if that is asked for.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from haema.data.decoding import Decoders
from haema.data.imagerows import ImageFiles, ImageRows, digests_of, moments_of, select
from haema.data.memory import available_memory
from haema.data.reading import missing
from haema.errors import InputError, suggest

__all__ = ["LONGEST_SIDE", "check_class_folders", "expanded", "is_image", "list_images", "read_images"]

LONGEST_SIDE = 224
"""Pixels of the longer side beyond which images of no stated size are made smaller."""

SHARE = 1 / 3
"""Share of the free memory that decoded images may take; what is taken of them for training is a copy."""

NAMED = 10
"""Broken images named in one message at most."""

_ENDINGS = (".png", ".jpg", ".jpeg")


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a visible file with an image's ending, or a link that should lead to one."""
    name = os.path.basename(os.fspath(path))
    if not name.lower().endswith(_ENDINGS) or name.startswith("."):
        return False
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return os.path.islink(path)  # a link to nothing: named with the images that cannot be read


def list_images(folder: Path) -> tuple[list[str], list[str] | None]:
    """The images of a folder, by their names within it, and, where they lie in class folders, the class of each.

    Raises:
        InputError: the folder has no images or cannot be listed, a class folder is empty or its name is no text, or
            images lie beside the class folders.
    """
    folders, loose, _ = _listed(os.fspath(folder))
    if not folders:
        if not loose:
            raise InputError(f"{folder} holds no PNG or JPEG images and no class folders of them")
        return loose, None
    if loose:
        raise InputError(
            f"{folder} holds the image {loose[0]} beside class folders such as {folders[0]}; "
            "move it into the folder of its class"
        )
    names, labels = [], []
    for name in folders:
        place = os.path.join(folder, name)
        inner, found, others = _listed(place)
        if not found:
            inside = next(iter(sorted([*inner, *others])), None)
            holds = "is empty" if inside is None else f"holds no PNG or JPEG images (but {inside})"
            raise InputError(f"the class folder {place} {holds}; put the class's images into it or remove it")
        names += [f"{name}/{image}" for image in found]
        labels += [name] * len(found)
    return names, labels


def check_class_folders(labels: list[str], folder: str, classes: Sequence[str] | None) -> None:
    """Refuse class folders that cannot be right.

    Args:
        labels: their names, each once.
        folder: where they are.
        classes: those that a model knows, or None.

    Raises:
        InputError: the name of one is no text, there is a single one, or the model does not know one.
    """
    unwritable = next((label for label in labels if any("\ud800" <= c <= "\udfff" for c in label)), None)
    if unwritable is not None:
        raise InputError(f"the class folder {unwritable!a} in {folder} has a name that is no text; rename it")
    if classes is None and len(labels) == 1:
        raise InputError(f"{folder} holds the single class folder {labels[0]}, where two or more classes are needed")
    other = next((label for label in labels if classes is not None and label not in classes), None)
    if other is not None:
        raise InputError(
            f"the folder {os.path.join(folder, other)} is no class of the model; {suggest(other, classes or ())}"
        )


def expanded(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Image files, and those in the place of each folder.

    Raises:
        InputError: there are none, or a path is no image and no folder of such.
    """
    names: list[str] = []
    for given in paths:
        path = os.fspath(given)
        if os.path.isdir(path):
            names += [os.path.join(path, name) for name in list_images(Path(path))[0]]
        elif is_image(path):
            names.append(path)
        elif os.path.exists(path):
            raise InputError(f"{path} is no image; files named .png, .jpg or .jpeg, or folders of such, are right")
        else:
            raise InputError(missing(path))
    if not names:
        raise InputError("there are no paths of images; one or more are needed")
    return names


def _listed(folder: str) -> tuple[list[str], list[str], list[str]]:
    """The visible folders, images and other files in a folder, each in order of their names."""
    folders, found, others = [], [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(name)
                elif name.lower().endswith(_ENDINGS) and (
                    entry.is_file(follow_symlinks=False) or (entry.is_symlink() and is_image(entry.path))
                ):
                    found.append(name)
                else:
                    others.append(name)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be listed ({error.strerror})") from None
    return sorted(folders), sorted(found), sorted(others)


def read_images(
    paths: Sequence[str | os.PathLike[str]],
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    *,
    stream: bool | None = None,
    memory_limit: int | None = None,
    skip_broken: bool = False,
) -> tuple[np.ndarray | ImageRows, np.ndarray, list[str]]:
    """Images as one array, by the rules at the head of this file.

    Args:
        paths: the files, one or more.
        size: (height, width) in pixels; default by the rule.
        channels: 1 or 3; default by the rule.
        stream: whether they stay in their files; default by the rule.
        memory_limit: bytes that decoded images may take before they stay in their files; default by the rule.
        skip_broken: whether to leave out images that cannot be read; default False.

    Returns:
        x: (N, C, H, W) uint8, in memory or in files.
        kept: the numbers of the paths that it holds.
        notes: a sentence for each thing that was changed about the images.

    Raises:
        InputError: files are no images or broken ones, or a size or number of channels makes no sense.
    """
    if size is not None and min(size) < 1:
        raise InputError(f"the images' size is {size}; a height and a width of at least one pixel are right")
    if channels not in (None, 1, 3):
        raise InputError(f"the images' number of channels is {channels}; 1 (grey) or 3 (colour) is right")
    reader = _Reader([os.fspath(p) for p in paths], stream, memory_limit, skip_broken)
    return reader.read(size, channels)


class _Reader:
    """Reads some files."""

    def __init__(self, paths: list[str], stream: bool | None, memory_limit: int | None, skip_broken: bool) -> None:
        self.paths, self.stream, self.skip_broken, self.limit = paths, stream, skip_broken, memory_limit
        self.decoders = Decoders()
        self.broken: dict[int, str] = {}
        self.notes: list[str] = []

    def read(
        self, size: tuple[int, int] | None, channels: int | None
    ) -> tuple[np.ndarray | ImageRows, np.ndarray, list[str]]:
        rows = np.arange(len(self.paths))
        like_first = self._like_first(size, channels)
        # Mostly all are like the first, and need not be opened twice to find that out.
        x = None if like_first is None else self._decode(rows, *like_first, exact=True)
        if x is None:
            self.broken.clear()
            rows, size, channels = self._common(size, channels)
            x = self._decode(rows, size, channels, exact=False)
            assert x is not None, "only exact decoding can find that an image does not fit"
        self._tell_broken()
        good = np.array([i not in self.broken for i in rows])
        if not good.all():
            x, rows = select(x, good), rows[good]
        if isinstance(x, ImageRows):
            self.notes.append(note_of_stay(x))
        return x, rows, self.notes

    def _like_first(self, size: tuple[int, int] | None, channels: int | None) -> tuple[tuple[int, int], int] | None:
        """The size and channels that all have if they are like the first one that can be read, and it may stay so."""
        head = next((h for h in self.decoders.heads(self.paths[:16]) if not isinstance(h, str)), None)
        if head is None:
            return None
        own = head[:2], 1 if head[2] else 3
        return own if own == (size or _shrunk(*head[:2]), channels or own[1]) else None

    def _common(self, size: tuple[int, int] | None, channels: int | None) -> tuple[np.ndarray, tuple[int, int], int]:
        """Which files have the heads of images, and the size and channels for all of them."""
        heads = list(self.decoders.heads(self.paths))
        self.broken = {i: h for i, h in enumerate(heads) if isinstance(h, str)}
        good = [h for h in heads if not isinstance(h, str)]
        if not good:
            self._tell_broken()
        sizes = Counter(h[:2] for h in good)
        size = size or _common_size(sizes)
        if channels is None:
            grey = sum(h[2] for h in good)
            channels = 1 if grey == len(good) else 3
            if 0 < grey < len(good):
                self.notes.append(f"{grey} of {len(good)} images are grey and were given three equal channels")
        others = len(good) - sizes[size]
        if others:
            self.notes.append(f"{others} of {len(good)} images were resized to {size[0]} x {size[1]} pixels")
        return np.array([i for i, h in enumerate(heads) if not isinstance(h, str)]), size, channels

    def _decode(
        self, rows: np.ndarray, size: tuple[int, int], channels: int, exact: bool
    ) -> np.ndarray | ImageRows | None:
        """Some of the files, the broken ones as zeros; None where ``exact`` is asked for and one does not fit."""
        paths = [self.paths[i] for i in rows]
        shape = (len(paths), channels, *size)
        stays = stay(int(np.prod(shape, dtype=np.int64)), self.stream, self.limit)
        moments, digests = [], []
        x = None if stays else np.empty(shape, np.uint8)
        at = 0
        for portion in self.decoders.decode(paths, size, channels, exact):
            if portion.x is None:
                return None
            part = portion.x.transpose(0, 3, 1, 2)  # (n, H, W, C) -> (n, C, H, W)
            if x is None:
                moments.append(moments_of(part))
                digests.append(digests_of(part))
            else:
                x[at : at + len(part)] = part
            self.broken |= {int(rows[at + i]): reason for i, reason in portion.broken.items()}
            at += len(part)
        if x is not None:
            return x
        files = ImageFiles(np.array(paths, dtype=object), size, channels, self.decoders)
        return ImageRows(files, np.arange(len(paths)), np.concatenate(moments), np.concatenate(digests))

    def _tell_broken(self) -> None:
        """Note what cannot be read, if it is to be left out.

        Raises:
            InputError: it is not, or nothing is left.
        """
        if not self.broken:
            return
        count, n, first = len(self.broken), len(self.paths), min(self.broken)
        named = [f"{self.paths[i]} ({self.broken[i]})" for i in sorted(self.broken)]
        listed = ", ".join(named[:NAMED]) + (f" and {count - NAMED} more" if count > NAMED else "")
        if self.skip_broken and count < n:
            self.notes.append(f"{count} of {n} images cannot be read and were left out: {listed}")
        elif self.skip_broken:
            raise InputError(f"none of the {n} images can be read: {listed}; replace them")
        elif count == 1:
            raise InputError(
                f"the image {self.paths[first]} cannot be read ({self.broken[first]}); replace or remove it, or skip "
                "it with --skip-broken (skip_broken=True)"
            )
        else:
            raise InputError(
                f"{count} of {n} images cannot be read: {listed}; replace or remove them, or skip them with "
                "--skip-broken (skip_broken=True)"
            )


def _common_size(sizes: Counter[tuple[int, int]]) -> tuple[int, int]:
    """The size of most images (of equally frequent ones the larger), made small enough to learn from."""
    return _shrunk(*max(sizes, key=lambda s: (sizes[s], s[0] * s[1], s)))


def _shrunk(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def stay(size: int, stream: bool | None, memory_limit: int | None) -> bool:
    """Whether images of so many bytes stay in their files; the other arguments as of `read_images`."""
    if stream is not None:
        return stream
    return size > (available_memory() * SHARE if memory_limit is None else memory_limit)


def note_of_stay(x: ImageRows) -> str:
    """What is said of images that do."""
    return f"the images, {_bytes(x.nbytes)} in memory, stay in their files and are read as needed"


def _bytes(n: int) -> str:
    return f"{n / (1 << 30):,.1f} GiB" if n >= 1 << 30 else f"{n / (1 << 20):,.1f} MiB"
