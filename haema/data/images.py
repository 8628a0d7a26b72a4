"""Images from files: a folder of class folders, a folder of images, or a single one.

The rules:

- PNG and JPEG, told by the name's ending. Hidden files and other endings are passed over.
- Grey images have one channel; where any image has colour, all have three. Transparency is dropped, 16-bit
  grey becomes 8-bit, and a photo is turned the way its EXIF orientation says.
- All images get one size: the one given, else the one that most of them have (of equally frequent ones the
  larger), made smaller if its longer side exceeds 224. Images of another size are resized to it (bilinear,
  antialiased).
- ``train`` and ``test`` folders, each of class folders, are a training part and its official test part.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from haema.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["LONGEST_SIDE", "is_image", "list_images", "read_images"]

LONGEST_SIDE = 224
"""Pixels of the longer side beyond which images of no stated size are made smaller."""

_ENDINGS = (".png", ".jpg", ".jpeg")
_GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")


def is_image(path: Path) -> bool:
    """Whether a path is a visible file with an image's ending."""
    return path.suffix.lower() in _ENDINGS and not path.name.startswith(".") and path.is_file()


def list_images(folder: Path) -> tuple[list[Path], list[str] | None]:
    """The images of a folder and, where they lie in class folders, the class of each.

    Raises:
        InputError: the folder has no images, a class folder is empty, there is a single class, or images lie
            beside the class folders.
    """
    folders = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    loose = sorted(filter(is_image, folder.iterdir()))
    if not folders:
        if not loose:
            raise InputError(f"{folder} holds no PNG or JPEG images and no class folders of them")
        return loose, None
    if loose:
        raise InputError(
            f"{folder} holds the image {loose[0].name} beside class folders such as {folders[0].name}; "
            "move it into the folder of its class"
        )
    paths, labels = [], []
    for place in folders:
        found = sorted(filter(is_image, place.iterdir()))
        if not found:
            inside = next((p.name for p in sorted(place.iterdir()) if not p.name.startswith(".")), None)
            holds = "is empty" if inside is None else f"holds no PNG or JPEG images (but {inside})"
            raise InputError(f"the class folder {place} {holds}; put the class's images into it or remove it")
        paths += found
        labels += [place.name] * len(found)
    return paths, labels


def read_images(
    paths: Sequence[Path], size: tuple[int, int] | None = None, channels: int | None = None
) -> tuple[np.ndarray, list[str]]:
    """Images as one array, by the rules at the head of this file.

    Args:
        paths: the files.
        size: (height, width) in pixels; default by the rule.
        channels: 1 or 3; default by the rule.

    Returns:
        x: (N, C, H, W) uint8.
        notes: a sentence for each thing that was changed about the images.

    Raises:
        InputError: a file is no image or a broken one, or a size or number of channels makes no sense.
    """
    if size is not None and min(size) < 1:
        raise InputError(f"the images' size is {size}; a height and a width of at least one pixel are right")
    if channels not in (None, 1, 3):
        raise InputError(f"the images' number of channels is {channels}; 1 (grey) or 3 (colour) is right")
    # A filter of warnings, which are about metadata not used here, is one for all threads: so it stands outside.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first_size, first_grey = _head(paths[0])
        like_first = (size or _shrunk(*first_size), channels or (1 if first_grey else 3))
        if like_first == (first_size, 1 if first_grey else 3):
            # Mostly all are like the first, and need not be opened twice to find that out.
            x = _decode(paths, *like_first, exact=True)
            if x is not None:
                return x, []
        notes: list[str] = []
        heads = _in_threads(_head, paths)
        sizes = Counter(s for s, _ in heads)
        size = size or _common_size(sizes)
        if channels is None:
            grey = sum(g for _, g in heads)
            channels = 1 if grey == len(heads) else 3
            if 0 < grey < len(heads):
                notes.append(f"{grey} of {len(heads)} images are grey and were given three equal channels")
        others = len(heads) - sizes[size]
        if others:
            notes.append(f"{others} of {len(heads)} images were resized to {size[0]} x {size[1]} pixels")
        x = _decode(paths, size, channels, exact=False)
    assert x is not None, "only exact decoding can find that an image does not fit"
    return x, notes


def _decode(paths: Sequence[Path], size: tuple[int, int], channels: int, exact: bool) -> np.ndarray | None:
    """(N, C, H, W) uint8; None where ``exact`` is asked for and an image is of another size or colour."""
    x = np.empty((len(paths), *size, channels), dtype=np.uint8)  # (N, H, W, C)

    def fill(i: int) -> bool:
        pixels = _pixels(paths[i], size, channels, exact)
        if pixels is None:
            return False
        x[i] = pixels
        return True

    for start in range(0, len(paths), 1024):  # in portions, to give up early where one does not fit
        rows = range(start, min(start + 1024, len(paths)))
        if not all(_in_threads(fill, rows)):
            return None
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))  # (N, C, H, W)


def _in_threads(function: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    """The function of each value, in order. Pillow decodes outside Python's lock, so threads help."""
    from concurrent.futures import ThreadPoolExecutor

    workers = min(4, os.cpu_count() or 1)
    portions = [values[i : i + 64] for i in range(0, len(values), 64)]
    with ThreadPoolExecutor(workers) as pool:
        return [y for ys in pool.map(lambda part: [function(v) for v in part], portions) for y in ys]


def _common_size(sizes: Counter[tuple[int, int]]) -> tuple[int, int]:
    """The size of most images (of equally frequent ones the larger), made small enough to learn from."""
    return _shrunk(*max(sizes, key=lambda s: (sizes[s], s[0] * s[1], s)))


def _shrunk(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A PNG or JPEG, with whatever goes wrong inside the block told as a broken file."""
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
                raise InputError(f"{path} has {image.width} x {image.height} pixels; make it smaller")
            yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"there is no image {path}") from None
    except Exception as error:  # Pillow's decoders raise whatever they meet: SyntaxError, struct.error, ...
        reason = " ".join(str(error).split()).replace(f" {str(path)!r}", "") or type(error).__name__
        raise InputError(f"the image {path} cannot be read ({reason}); replace or remove it") from None


def _head(path: Path) -> tuple[tuple[int, int], bool]:
    """(height, width) as it will be seen, and whether the image is grey."""
    with _opened(path) as image:
        height, width = image.height, image.width
        if _orientation(image) >= 5:  # those that swap height and width
            height, width = width, height
        return (height, width), _is_grey(image)


def _is_grey(image: Image.Image) -> bool:
    return image.mode in _GREY_MODES


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, without decoding the image (as Pillow does to find a PNG's)."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    value = image.getexif().get(0x0112, 1)
    return value if value in range(1, 9) else 1


def _pixels(path: Path, size: tuple[int, int], channels: int, exact: bool) -> np.ndarray | None:
    """(H, W, C) uint8; None where ``exact`` is asked for and the image is of another size or colour."""
    from PIL import Image, ImageOps

    with _opened(path) as image:
        turned = _orientation(image) != 1
        if exact and (turned or (image.height, image.width) != size or _is_grey(image) != (channels == 1)):
            return None
        image.load()
        upright = ImageOps.exif_transpose(image) if turned else image
        if upright.mode.startswith("I"):  # 16-bit grey, which Pillow would clip at 255
            high = np.asarray(upright).astype(np.int64) >> 8
            upright = Image.fromarray(high.clip(0, 255).astype(np.uint8))
        upright = upright.convert("L" if channels == 1 else "RGB")
        if (upright.height, upright.width) != size:
            upright = upright.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        return np.asarray(upright, dtype=np.uint8).reshape(*size, channels)
