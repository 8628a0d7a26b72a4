"""haema augment: a contact sheet of what augmentation makes of images."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from haema import creation, random
from haema.autograd import no_grad
from haema.errors import InputError, suggest
from haema.tensor import Tensor

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["NAMES", "augment"]

ENDINGS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
DRAWS = 7
CELL, LEAST, GAP, LABEL, MARGIN, HEAD = 104, 56, 8, 300, 24, 24
PAPER, INK, FAINT = (255, 255, 255), (40, 40, 40), (120, 120, 120)

ROWS: dict[str, Callable[[Any, np.ndarray], Any]] = {
    "translation": lambda nn, x: nn.RandomAffine(0, translate=(0.15, 0.15)),
    "rotation": lambda nn, x: nn.RandomRotation(20),
    "zoom": lambda nn, x: nn.RandomAffine(0, scale=(0.7, 1.4)),
    "shear": lambda nn, x: nn.RandomAffine(0, shear=25),
    "affine": lambda nn, x: nn.RandomAffine(15, (0.1, 0.1), (0.8, 1.2), 10, hflip=0.5),
    "elastic": lambda nn, x: nn.ElasticTransform(*_elastic(_side(x))),
    "flip": lambda nn, x: nn.RandomHorizontalFlip(),
    "vertical-flip": lambda nn, x: nn.RandomVerticalFlip(),
    "crop": lambda nn, x: nn.RandomCrop(tuple(-(-n * 7 // 8) for n in x.shape[2:])),
    "padded-crop": lambda nn, x: nn.RandomCrop(x.shape[2:], _padding(x)),
    "reflected-crop": lambda nn, x: nn.RandomCrop(x.shape[2:], _padding(x), padding_mode="reflect"),
    "invert": lambda nn, x: nn.RandomInvert(),
    "brightness": lambda nn, x: nn.ColorJitter(brightness=0.5),
    "contrast": lambda nn, x: nn.ColorJitter(contrast=0.7),
    "saturation": lambda nn, x: nn.ColorJitter(saturation=0.9),
    "pca": lambda nn, x: nn.PCAColorShift.of(x, std=0.5),
    "noise": lambda nn, x: nn.GaussianNoise(0.1),
    "erasing": lambda nn, x: nn.RandomErasing(p=1),
    "mixup": lambda nn, x: nn.MixUp(1.0),
    "cutmix": lambda nn, x: nn.CutMix(1.0),
}
"""A layer for each name, of ``haema.nn`` and the image (1, C, H, W)."""
NAMES = [*ROWS]


def _side(x: np.ndarray) -> int:
    return min(x.shape[2:])


def _padding(x: np.ndarray) -> int:
    """An eighth of the image's shorter side."""
    return min(-(-_side(x) // 8), _side(x) - 1)


def _elastic(side: int) -> tuple[float, float]:
    """alpha and sigma: hills an eighth of the side wide, displacements of about a thirtieth of it."""
    sigma = max(side / 8, 0.5)
    return round(12 * sigma * side / 30, 1), sigma


def augment(path: str, out: str | None, seed: int, only: Sequence[str]) -> tuple[str, int]:
    """Draw the contact sheet.

    Args:
        path: An image, or a folder with images, also in folders below.
        out: The picture; None: the input's name with ``-augmented.png``, in this folder.
        seed: Of the random numbers.
        only: Names of what is wanted; all if empty.

    Returns:
        Where it is, and how many rows it has.

    Raises:
        InputError: a name is unknown, the images cannot be read, or the picture cannot be written.
    """
    from haema.atomic import atomic_write
    from haema.cli.guard import writing

    names = [name for name in NAMES if not only or name in only]
    for name in only:
        if name not in NAMES:
            raise InputError(f"--only is {name!r}; {suggest(name, NAMES, limit=len(NAMES))}")
    if seed < 0:
        raise InputError(f"--seed is {seed}; a whole number from 0 upwards is right")
    if out is None:
        out = f"{Path(os.path.abspath(path)).stem}-augmented.png"
    ending = os.path.splitext(out)[1].lower()
    if ending not in ENDINGS:
        raise InputError(f"--out is {out!r}, where the name of a picture ending in .png or .jpg is right")
    paths = _images_at(path, out)
    sheet = _sheet([_drawn(name, k, paths, seed) for k, name in enumerate(names)])
    with writing(out), atomic_write(out) as file:
        sheet.save(file, ENDINGS[ending])
    return out, len(names)


def _images_at(path: str, out: str) -> list[Path]:
    """The image, or those of a folder and below but an earlier sheet; of many, as many as rows, from all over it."""
    from haema.data.images import is_image

    if not os.path.isdir(path):
        if not os.path.exists(path):
            raise InputError(f"there is no file or folder {path}")
        if os.path.realpath(path) == os.path.realpath(out):
            raise InputError(f"--out is {out}, which is read and would be overwritten; another name is right")
        return [Path(path)]
    found = sorted(p for p in Path(path).rglob("*") if is_image(p) and os.path.realpath(p) != os.path.realpath(out))
    if not found:
        raise InputError(f"{path} holds no PNG or JPEG images")
    wanted = min(len(found), len(ROWS) + 1)
    return [found[k * len(found) // wanted] for k in range(wanted)]


def _drawn(name: str, k: int, paths: list[Path], seed: int) -> tuple[str, str, list[np.ndarray]]:
    """Name, layer, and the original with what becomes of it, each (H, W, C) uint8."""
    from haema import nn
    from haema.nn.augmentation.mixing import Mixing

    x = _read(paths[k % len(paths)])
    _, channels, height, width = x.shape
    layer = ROWS[name](nn, x)
    random.manual_seed(seed)
    with no_grad():
        if isinstance(layer, Mixing):
            if len(paths) > 1:
                other = _read(paths[(k + 1) % len(paths)], (height, width), channels)
            else:
                other = x[:, :, ::-1, ::-1]  # a single image is mixed with itself upside down
            both = creation.tensor(np.concatenate([x, other]))
            made = [layer(both).numpy()[0] for _ in range(DRAWS)]
        else:
            batch = creation.tensor(np.repeat(x, DRAWS, 0))
            made = [*_pixels(layer, batch)]
    return name, f"nn.{layer!r}", [image.transpose(1, 2, 0) for image in (x[0], *made)]


def _read(path: Path, size: tuple[int, int] | None = None, channels: int | None = None) -> np.ndarray:
    """An image, (1, C, H, W) uint8."""
    from haema.data.images import read_images

    try:
        return np.asarray(read_images([path], size, channels, stream=False)[0])
    except InputError as error:  # whose sentence names an option that this command has not
        raise InputError(f"{str(error).partition(';')[0]}; replace or remove it") from None


def _pixels(layer: Callable[[Tensor], Tensor], batch: Tensor) -> np.ndarray:
    """What a layer makes of a batch, as pixels."""
    from haema import nn

    if isinstance(layer, nn.GaussianNoise):  # which also serves hidden units, and so takes fractional numbers only
        return ((layer(batch.float() / 255) * 255).round().clamp(0, 255)).numpy().astype(np.uint8)
    return layer(batch).numpy()


def _sheet(rows: list[tuple[str, str, list[np.ndarray]]]) -> Image.Image:
    """Labels at the left, the original beside them, then the draws."""
    from PIL import Image, ImageDraw, ImageFont

    cells = [[_fitted(image) for image in images] for _, _, images in rows]
    heights = [max(LEAST, *(cell.height for cell in row)) for row in cells]
    width = 2 * MARGIN + LABEL + (DRAWS + 1) * (CELL + GAP)
    sheet = Image.new("RGB", (width, 2 * MARGIN + HEAD + sum(heights) + GAP * (len(rows) - 1)), PAPER)
    pen = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(17), ImageFont.load_default(11)
    left = MARGIN + LABEL
    pen.text((left, MARGIN), "original", FAINT, small)
    pen.text((left + CELL + 2 * GAP, MARGIN), f"{DRAWS} draws", FAINT, small)
    top = MARGIN + HEAD
    for (name, code, _), row, height in zip(rows, cells, heights, strict=True):
        pen.text((MARGIN, top + height / 2 - 24), name.replace("-", " "), INK, large)
        for line, words in enumerate(_wrapped(code, LABEL - 2 * GAP, small)):
            pen.text((MARGIN, top + height / 2 + 2 + 14 * line), words, FAINT, small)
        for j, cell in enumerate(row):
            x = left + j * (CELL + GAP) + (GAP if j else 0)
            sheet.paste(cell, (x + (CELL - cell.width) // 2, top + (height - cell.height) // 2))
        top += height + GAP
    return sheet


def _wrapped(text: str, width: int, font: Any) -> list[str]:
    """Lines that are not wider than that."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer if lines[-1] else word
    return lines


def _fitted(image: np.ndarray) -> Image.Image:
    """An image as large as its cell: small ones with their pixels to be seen, large ones smoothly."""
    from PIL import Image

    height, width = image.shape[:2]
    scale = CELL / max(height, width)
    picture = Image.fromarray(np.ascontiguousarray(image[:, :, 0] if image.shape[2] == 1 else image)).convert("RGB")
    way = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return picture.resize((max(1, round(width * scale)), max(1, round(height * scale))), way)
