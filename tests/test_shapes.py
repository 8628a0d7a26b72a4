"""Running a program for its shapes."""

import threading

import pytest

import haema as hm
from haema.errors import ShapeError
from haema.shapes import shapes_only


def test_large_arrays_take_no_memory_and_small_ones_are_real():
    with shapes_only() as tally:
        x = hm.ones(1 << 20, 1 << 20)
        y = (x @ x).exp().sum(0)
        assert y.shape == (1 << 20,)
        assert (hm.arange(3) + 1).tolist() == [1, 2, 3]
        assert x.T.reshape(-1).shape == (1 << 40,)
    assert tally.bytes == 4 * (3 * (1 << 40) + (1 << 20))
    assert hm.ones(2000).sum().item() == 2000, "afterwards all is computed again"


def test_writing_in_place_writes_nothing_large():
    with shapes_only():
        x = hm.zeros(1 << 20, 1 << 20)
        x.normal_().add_(1)
        x[0] = 2
        small = hm.zeros(2).fill_(3)
    assert small.tolist() == [3, 3]


def test_gradients_have_shapes_too():
    with shapes_only():
        x = hm.ones(1 << 20, 1 << 20, requires_grad=True)
        (x * 2).mean().backward()
        assert x.grad.shape == x.shape


def test_shapes_that_do_not_fit_are_still_refused():
    with shapes_only(), pytest.raises(ShapeError, match=r"matmul|contract"):
        _ = hm.ones(1 << 20, 3) @ hm.ones(1 << 20, 3)


def test_limits():
    with shapes_only(max_arrays=10), pytest.raises(ShapeError, match="more than 10 arrays would be computed"):
        for _ in range(11):
            hm.zeros(1)
    with shapes_only(), pytest.raises(ShapeError, match="would be larger than any memory"):
        hm.zeros(1 << 40, 1 << 40)


def test_only_this_thread_is_affected():
    found = []
    with shapes_only(exact=0):
        thread = threading.Thread(target=lambda: found.append((hm.ones(3) + 1).tolist()))
        thread.start()
        thread.join()
    assert found == [[2, 2, 2]]


def test_all_is_as_before_after_an_error():
    with pytest.raises(KeyError), shapes_only(exact=0):
        raise KeyError
    assert (hm.ones(3) + 1).tolist() == [2, 2, 2]
