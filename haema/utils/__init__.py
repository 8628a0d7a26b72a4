"""PyTorch's place for ``data``; the room itself is `haema.data`."""

from haema.utils import data

__all__ = ["data"]
