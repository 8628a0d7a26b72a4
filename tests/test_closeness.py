"""``isclose`` where a difference is not of the operands' dtype, and probabilities that are none."""

import numpy as np
import pytest

import haema as hm


def test_bools_are_compared():
    a, b = hm.tensor([True, False, True]), hm.tensor([True, True, False])
    assert a.isclose(b).tolist() == [True, False, False]
    assert a.allclose(a)
    assert a.isclose(b, atol=1.0).tolist() == [True, True, True]


def test_the_difference_of_whole_numbers_does_not_wrap_around():
    far = np.iinfo(np.int64)
    assert not hm.tensor([far.min]).allclose(hm.tensor([far.max]))
    assert not hm.tensor([0], dtype="uint8").allclose(hm.tensor([1], dtype="uint8"))
    assert hm.tensor([2**53]).isclose(hm.tensor([2**53 + 1]), rtol=0.0, atol=0.5).tolist() == [True]
    assert hm.tensor([-5]).isclose(hm.tensor([5]), rtol=2.0).tolist() == [True]


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_what_is_no_probability_is_refused(p):
    x = hm.zeros(3)
    with pytest.raises(ValueError, match="from 0 to 1 is right"):
        x.bernoulli_(p)
    with pytest.raises(ValueError, match="from 0 to 1 is right"):
        x.bernoulli(p)
    assert x.tolist() == [0.0, 0.0, 0.0]


def test_a_number_has_its_one_axis_where_it_is():
    x = hm.tensor(3.0)
    assert x.transpose(0, -1).item() == x.swapdims(-1, 0).item() == x.moveaxis(0, -1).item() == 3.0
    with pytest.raises(IndexError, match="out of range"):
        x.transpose(0, 1)
