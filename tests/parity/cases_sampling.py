"""Warped images: grids and reading at their places, with gradients."""

from __future__ import annotations

from tests.parity.harness import case, refused


@case
def grid_sample(T, rng):
    F = T.nn.functional
    x, grid, weight = rng.normal(size=(3, 2, 7, 5)), rng.uniform(-1.4, 1.4, (3, 4, 6, 2)), rng.normal(size=(3, 2, 4, 6))
    result = {}
    for mode in ("bilinear", "nearest"):
        for padding_mode in ("zeros", "border"):
            for align_corners in (False, True):
                a, g = T.tensor(x, requires_grad=True), T.tensor(grid, requires_grad=True)
                y = F.grid_sample(a, g, mode=mode, padding_mode=padding_mode, align_corners=align_corners)
                (y * T.tensor(weight)).sum().backward()
                key = f"{mode}/{padding_mode}/{align_corners}"
                result |= {f"{key}/y": y, f"{key}/gx": a.grad}
                if mode == "bilinear":
                    result[f"{key}/ggrid"] = g.grad
    return result


@case
def affine_grid(T, rng):
    F = T.nn.functional
    theta = rng.normal(size=(2, 2, 3))
    result = {}
    for align_corners in (False, True):
        t = T.tensor(theta, requires_grad=True)
        grid = F.affine_grid(t, (2, 3, 4, 5), align_corners=align_corners)
        (grid**2).sum().backward()
        result |= {f"{align_corners}/grid": grid, f"{align_corners}/gtheta": t.grad}
    return result


@case
def refusals(T, rng):
    F = T.nn.functional
    x, grid = T.zeros(2, 3, 4, 4), T.zeros(2, 5, 5, 2)
    return {
        "rows": refused(lambda: F.grid_sample(x, grid[:1], align_corners=False)),
        "coordinates": refused(lambda: F.grid_sample(x, T.zeros(2, 5, 5, 3), align_corners=False)),
        "mode": refused(lambda: F.grid_sample(x, grid, mode="sharp", align_corners=False)),
        "padding": refused(lambda: F.grid_sample(x, grid, padding_mode="ones", align_corners=False)),
        "theta": refused(lambda: F.affine_grid(T.zeros(2, 3, 3), (2, 3, 4, 4), align_corners=False)),
        "size": refused(lambda: F.affine_grid(T.zeros(2, 2, 3), (3, 3, 4, 4), align_corners=False)),
    }
