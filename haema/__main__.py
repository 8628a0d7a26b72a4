"""``python -m haema`` is the command ``haema``."""

import sys

from haema.cli import main

if __name__ == "__main__":
    sys.exit(main())
