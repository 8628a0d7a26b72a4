"""One image file -> its pixels; and a program that does that for another process.

The program reads requests from standard input, a line of JSON each, and answers with a line of JSON and the pixels. It
needs Pillow and nothing of haema, so that it starts in a few hundredths of a second; it ends with its standard input.

    {"paths": [...]}                                           -> {"heads": [[height, width, grey] or reason, ...]}
    {"paths": [...], "size": [h, w], "channels": c, "exact": false} -> {"broken": {"3": reason}}, N h w c bytes
    ... "exact": true, and an image is of another size or colour    -> {"misfit": true}
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Broken", "answer", "head", "main", "pixels", "settings"]

_GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_FINER = 2  # how many times finer than the size asked for a JPEG is decoded at least, before it is resized


class Broken(Exception):
    """The file is no image that can be read; says why in a clause."""


def answer(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The answer to a request; see the head of this file."""
    if "size" not in request:
        return {"heads": [_head_or_reason(path) for path in request["paths"]]}, b""
    height, width = request["size"]
    channels, exact = request["channels"], request["exact"]
    parts, broken = [], {}
    for i, path in enumerate(request["paths"]):
        try:
            part = pixels(path, (height, width), channels, exact)
        except Broken as error:
            broken[str(i)] = str(error)
            part = bytes(height * width * channels)
        if part is None:
            return {"misfit": True}, b""
        parts.append(part)
    return {"broken": broken}, b"".join(parts)


def _head_or_reason(path: str) -> tuple[int, int, bool] | str:
    try:
        return head(path)
    except Broken as error:
        return str(error)


def head(path: str) -> tuple[int, int, bool]:
    """Height and width as the image will be seen, and whether it is grey; the pixels are not decoded.

    Raises:
        Broken: the file is no image.
    """
    with _opened(path) as image:
        height, width = image.height, image.width
        if _orientation(image) >= 5:  # those that swap height and width
            height, width = width, height
        return height, width, image.mode in _GREY_MODES


def pixels(path: str, size: Sequence[int], channels: int, exact: bool = False) -> bytes | None:
    """(H, W, C) uint8, by the rules at the head of `haema.data.images`.

    Args:
        path: the file.
        size: H and W.
        channels: C, 1 or 3.
        exact: whether to give up, with None, where the image is of another size or colour.

    Raises:
        Broken: the file is no image, or a damaged one.
    """
    from PIL import Image, ImageOps

    height, width = size
    with _opened(path) as image:
        turn = _orientation(image)
        if exact and (turn != 1 or image.size != (width, height) or (image.mode in _GREY_MODES) != (channels == 1)):
            return None
        if image.size != (width, height):
            w, h = (width, height) if turn < 5 else (height, width)
            image.draft(None, (_FINER * w, _FINER * h))  # type: ignore[arg-type]  # None keeps the mode
        image.load()
        upright = image if turn == 1 else ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):  # 16-bit grey, which Pillow would clip at 255
            upright = Image.frombytes("L", upright.size, upright.tobytes("raw", "I;16B")[::2])
        mode = "L" if channels == 1 else "RGB"
        if upright.mode != mode:
            upright = upright.convert(mode)
        if upright.size != (width, height):
            upright = upright.resize((width, height), Image.Resampling.BILINEAR)
        return upright.tobytes()


@contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    """A PNG or JPEG, with whatever goes wrong inside the block told as a broken file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with open(path, "rb") as file, Image.open(file, formats=("JPEG", "PNG")) as image:
            most = Image.MAX_IMAGE_PIXELS
            if most and image.width * image.height > most:
                raise Broken(f"{image.width} x {image.height} pixels, where {most:,} are the most")
            yield image
    except Broken:
        raise
    except FileNotFoundError:
        raise Broken("a link to nothing" if os.path.islink(path) else "there is no such file") from None
    except UnidentifiedImageError:
        raise Broken("no PNG or JPEG" if os.path.getsize(path) else "an empty file") from None
    except Exception as error:  # Pillow's decoders raise whatever they meet: SyntaxError, struct.error, ...
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise Broken(" ".join(reason.split()) or type(error).__name__) from None


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, without decoding the image (as Pillow does to find a PNG's)."""
    if "exif" not in image.info and "xmp" not in image.info:
        return 1
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata around a good image
        return 1
    return value if value in range(1, 9) else 1


def settings() -> dict[str, Any]:
    """What the program must be told, in JSON as its argument, to do as this process would."""
    from PIL import Image, ImageFile

    return {"path": sys.path, "most": Image.MAX_IMAGE_PIXELS, "truncated": ImageFile.LOAD_TRUNCATED_IMAGES}


def main(told: dict[str, Any]) -> None:
    """The program: answer requests until there are no more."""
    sys.path[:] = told["path"]
    from PIL import Image, ImageFile

    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = told["most"], told["truncated"]
    warnings.simplefilter("ignore")  # about metadata not used here, or sizes that are checked
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        said, content = answer(json.loads(line))
        out.write(json.dumps(said).encode() + b"\n")
        out.write(content)
        out.flush()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
