"""Every row of the lecture's checklist has a test that is named after it."""

import re
from pathlib import Path

ROWS = {"p": 7, "a": 2, "l": 5, "b": 6, "t": 10, "c": 6}


def test_every_row_has_a_test():
    text = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    tested = set(re.findall(r"^def test_([a-z]\d+)_", text, flags=re.MULTILINE))
    rows = {f"{letter}{i}" for letter, count in ROWS.items() for i in range(1, count + 1)}
    assert tested == rows
