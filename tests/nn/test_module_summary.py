"""The table of a model."""

import io

import pytest
from nn_modules import Affine, Net

import haema as hm
from haema import nn

TABLE = """\
Layer          Output shape  Parameters  Multiply-adds
------------------------------------------------------
Sequential     (1, 10)                -              -
  0: Linear    (1, 32)            2,080          2,048
  1: Identity  (1, 32)                -              -
  2: Linear    (1, 10)              330            320
------------------------------------------------------
Input:                  (1, 64)
Parameters:             2,410
  learned:              2,410
  fixed:                0
Multiply-adds:          2,368
Memory of parameters:   9.4 KiB
Memory of buffers:      0 bytes
Memory of outputs:      296 bytes"""


class Moody(nn.Module):
    """Changes its buffer and draws random numbers, even in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", hm.tensor(0))
        self.register_buffer("nothing", None)

    def forward(self, x):
        self.calls += 1
        assert not self.training
        return x + hm.rand(1)


def mlp():
    return nn.Sequential(nn.Linear(64, 32), nn.Identity(), nn.Linear(32, 10))


def test_table(capsys):
    found = nn.summary(mlp(), (64,))
    assert str(found) == TABLE
    assert capsys.readouterr().out == TABLE + "\n"
    assert repr(found) == "<Summary: 4 modules, 2,410 parameters>"


def test_without_printing(capsys):
    found = mlp().summary(64, show=False, batch_size=5)
    assert found.rows[1].output == (5, 32)
    assert capsys.readouterr().out == ""


def test_in_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    mlp().summary((64,), show=False).show(out)
    assert "2: Linear" in out.getvalue()
    assert "─" in out.getvalue() or "━" in out.getvalue()


def test_convolution():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ConvTranspose2d(8, 4, 2, stride=2))
    found = net.summary((3, 10, 10), show=False)
    assert found.rows[1].output == (1, 8, 10, 10)
    assert found.rows[1].multiply_adds == 8 * 100 * 3 * 9
    assert found.rows[2].output == (1, 4, 20, 20)
    assert found.rows[2].multiply_adds == 8 * 100 * 4 * 4


def test_leaves_everything_as_it_was():
    net = nn.Sequential(Moody(), Moody().eval())
    state, modes = hm.get_rng_state().tolist(), [m.training for m in net.modules()]
    before = net[0].calls
    net.summary((3,), show=False)
    assert hm.get_rng_state().tolist() == state
    assert [m.training for m in net.modules()] == modes
    assert net[0].calls is before
    assert net[0].calls.item() == 0
    assert not any(m._hooks for m in net.modules())


def test_takes_its_hooks_away_even_after_an_error():
    net = mlp()
    with pytest.raises(RuntimeError):
        net.summary((63,))
    assert not any(m._hooks for m in net.modules())
    assert net.training


def test_shared_and_frozen_parameters_and_modules_not_called():
    net = Net()
    net.first.requires_grad_(False)
    net.second.tied = net.first.weight
    net.idle = Affine(1, 1)
    found = net.summary((2,), show=False)
    assert found.parameters == 9 + 3 + 2
    assert found.trainable == 3 + 2
    assert "idle: Affine    not called" in str(found)
    assert found.buffer_bytes == 8 + 8


def test_several_inputs_and_outputs_types_and_tensors():
    class Two(nn.Module):
        def forward(self, a, b):
            return a, b, None

    found = nn.summary(Two(), [(2,), (3, 4)], show=False)
    assert found.rows[0].output == [(1, 2), (1, 3, 4)]
    assert "(1, 2), (1, 3, 4)" in str(found)
    found = nn.summary(nn.Embedding(10, 3), (4,), dtype=hm.int64, show=False)
    assert found.rows[0].output == (1, 4, 3)
    assert nn.summary(Net().double(), (2,), show=False).rows[0].output == (1, 1)
    assert nn.summary(Net(), hm.ones(7, 2), show=False).rows[0].output == (7, 1)
    assert nn.summary(nn.Identity(), (), show=False).rows[0].output == (1,)


def test_no_tensor_comes_out():
    class Words(nn.Module):
        def forward(self, x):
            return "none"

    assert "no tensor" in str(nn.summary(Words(), (1,), show=False))


def test_wrong_shapes():
    with pytest.raises(TypeError, match=r"input_shape is a tuple such as \(1, 28, 28\), not a str"):
        mlp().summary("64")
    with pytest.raises(TypeError, match="the sizes in input_shape are whole numbers"):
        mlp().summary((6.4,))


@pytest.mark.parametrize(("n", "text"), [(1023, "1,023 bytes"), (1 << 20, "1.0 MiB"), (3 << 40, "3,072.0 GiB")])
def test_bytes(n, text):
    from haema.nn.summary import _bytes

    assert _bytes(n) == text
