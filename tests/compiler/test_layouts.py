"""How buffers lie in memory."""

import haema as hm
import haema.nn.functional as F
from haema.compiler import program, target
from tests.compiler.checking import recorded

WIDE = target.describe("x86_64-unknown-linux-gnu", "skylake-avx512", "")


def test_a_buffer_that_is_written_in_parts_lies_as_all_of_them_are_quickest():
    """The first part alone decided, a border four pixels wide: the batch lay innermost, and all else took ten times as
    long."""

    def cropped(x):
        wide = F.pad(x, (4, 4, 4, 4), "reflect")
        return wide.unfold(2, 32, 1).unfold(3, 32, 1)[hm.arange(64), :, hm.arange(64) % 9, hm.arange(64) % 5]

    p = program.build(recorded(cropped, hm.zeros(64, 3, 32, 32, dtype=hm.uint8)), WIDE, check=True)
    images = {s.buffer for n in p.nests for s in n.stores if len(s.buffer.shape) == 4 and s.buffer.shape[3] == 40}
    assert {b.shape for b in images} == {(64, 3, 32, 40), (64, 3, 40, 40)}
    for b in images:
        _, c, h, w = b.shape
        assert b.strides == (c * h * w, h * w, w, 1)


def test_copies_of_weights_take_memory_only_where_they_are_read():
    def deep(x, *weights):
        for w in weights:
            x = F.relu(x @ w.T)
        return x

    p = program.build(recorded(deep, hm.zeros(256, 512), *[hm.zeros(512, 512) for _ in range(6)]), WIDE, check=True)
    copies = {s.buffer for n in p.nests for s in n.stores if s.buffer.name.startswith("p")}
    assert len(copies) >= 6
    assert p.arena < sum(b.nbytes for b in copies) / 2
