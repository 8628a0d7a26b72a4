"""Models, tensors and training runs in files."""

from haema.atomic import atomic_write
from haema.io.checkpoints import load_checkpoint, save_checkpoint
from haema.io.models import load, load_state_dict, save

__all__ = ["atomic_write", "load", "load_checkpoint", "load_state_dict", "save", "save_checkpoint"]
