"""Reading between pixels; values and gradients are compared with PyTorch's in ``tests/parity``."""

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema.autograd.gradcheck import gradcheck


def test_an_affine_map_that_changes_nothing():
    x = hm.rand(2, 3, 5, 4)
    same = hm.tensor([[[1.0, 0, 0], [0, 1, 0]]]).expand(2, 2, 3)
    for align_corners in (False, True):
        y = F.grid_sample(x, F.affine_grid(same, (2, 3, 5, 4), align_corners), align_corners=align_corners)
        assert np.allclose(y.numpy(), x.numpy(), atol=1e-6)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_compiled_as_eager_with_gradients(mode):
    x, theta = hm.rand(3, 2, 6, 5, requires_grad=True), hm.randn(3, 2, 3, requires_grad=True)

    def f(x, theta):
        y = F.grid_sample(x, F.affine_grid(theta, (3, 2, 4, 4)), mode)
        y.square().sum().backward()
        return y.detach(), x.grad

    eager = [t.numpy() for t in f(x, theta)]
    x.grad = theta.grad = None
    for a, b in zip(hm.compile(f)(x, theta), eager, strict=True):
        assert np.allclose(a.numpy(), b, atol=1e-5)


def test_gradients():
    hm.manual_seed(0)
    x = hm.rand(1, 2, 4, 3, dtype=hm.float64, requires_grad=True)
    grid = (hm.rand(1, 3, 3, 2, dtype=hm.float64) * 2 - 1).requires_grad_()
    assert gradcheck(lambda x, g: F.grid_sample(x, g), (x, grid))


def test_far_outside_is_border():
    x = hm.ones(1, 1, 3, 3)
    far = hm.tensor([[[[1e9, 0.0], [-1e9, 0.0], [0.0, float("inf")], [0.0, 0.0]]]])
    assert F.grid_sample(x, far).numpy().ravel().tolist() == [0, 0, 0, 1]
    assert F.grid_sample(x, far, padding_mode="border").numpy().ravel().tolist() == [1, 1, 1, 1]


def test_refuses():
    x, grid = hm.ones(2, 1, 3, 3), hm.zeros(2, 4, 4, 2)
    with pytest.raises(ValueError, match="mode: 'bilinear' or 'nearest' is right, not 'bicubic'"):
        F.grid_sample(x, grid, "bicubic")
    with pytest.raises(ValueError, match="padding_mode must be 'zeros' or 'border', not 'reflection'"):
        F.grid_sample(x, grid, padding_mode="reflection")
    with pytest.raises(hm.ShapeError, match=r"shapes \(2, 1, 3, 3\) and \(1, 4, 4, 2\) came; .* are right"):
        F.grid_sample(x, grid[:1])
    with pytest.raises(hm.DTypeError, match="grid_sample: needs a floating tensor, not uint8"):
        F.grid_sample(x.to(hm.uint8), grid)
    with pytest.raises(hm.ShapeError, match=r"theta \(N, 2, 3\) and size \(N, C, H, W\) are right"):
        F.affine_grid(hm.zeros(2, 2, 3), (3, 1, 4, 4))
