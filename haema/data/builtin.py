"""The data that comes with the package: 1,797 handwritten digits of 8x8 pixels.

``digits.npz`` holds the test set of "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak
(1998), from the UCI Machine Learning Repository, licensed CC BY 4.0, in the order of scikit-learn's
``load_digits``. 13 people wrote the digits on preprinted forms; each of the 8x8 values counts the dark pixels
in a 4x4 block of a 32x32 bitmap, hence 0..16.

Sources:
    https://archive.ics.uci.edu/ml/datasets/Optical+Recognition+of+Handwritten+Digits
    C. Kaynak (1995), Methods of Combining Multiple Classifiers and Their Applications to Handwritten Digit
    Recognition, MSc thesis, Institute of Graduate Studies in Science and Engineering, Bogazici University.
    E. Alpaydin, C. Kaynak (1998), Cascading Classifiers, Kybernetika.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["digits"]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The 8x8 handwritten digits.

    Returns:
        x: (1797, 1, 8, 8) uint8, from 0 (paper) to 16 (ink).
        y: (1797,) int64, the digits 0..9.

    Source: E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI ML Repository.
    """
    with np.load(Path(__file__).parent / "digits.npz") as stored:
        return stored["x"], stored["y"].astype(np.int64)
