"""Where tensors are: on the CPU. Programs written for several devices ask for others here, and go on without them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from haema.errors import HaemaError

__all__ = ["Accelerator", "accelerator", "backends", "cuda", "device"]


class device(str):
    """A place for tensors; the one there is, is "cpu". Equal to its name.

    Args:
        name: "cpu", with or without a number, or a device.

    Attributes:
        type: "cpu".
        index: The number in the name, or None.

    Raises:
        HaemaError: another device is asked for.
    """

    type: str
    index: int | None  # type: ignore[assignment]

    def __new__(cls, name: Any) -> device:
        kind, colon, index = str(name).partition(":")
        if kind != "cpu" or (colon and not index.isdecimal()):
            raise HaemaError(f"there is no device {str(name)!r}: haema computes on the CPU, device 'cpu'")
        x = super().__new__(cls, name)
        x.type = kind
        x.index = int(index) if colon else None
        return x

    def __repr__(self) -> str:
        number = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{number})"


class Accelerator:
    """A kind of device that haema does not have, so that a program that asks for it goes on without.

    Attributes may be set freely (``backends.cudnn.benchmark = True``); they set nothing.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<{self._name}: not used>"

    def is_available(self) -> bool:
        """False."""
        return False

    def device_count(self) -> int:
        """0."""
        return 0

    def current_accelerator(self) -> None:
        """None."""

    def manual_seed(self, seed: int) -> None:
        """Nothing: there are no random numbers but those of ``hm.manual_seed``."""

    def manual_seed_all(self, seed: int) -> None:
        """Nothing, as ``manual_seed``."""

    def empty_cache(self) -> None:
        """Nothing: no memory is held back."""

    def synchronize(self) -> None:
        """Nothing: every operation has ended when it returns."""


cuda = Accelerator("cuda")
accelerator = Accelerator("accelerator")
backends = SimpleNamespace(cudnn=Accelerator("cudnn"), mps=Accelerator("mps"), cuda=cuda)
