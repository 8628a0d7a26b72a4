"""Preprocessing modules: their numbers, and that they go through a file."""

import numpy as np
import pandas as pd
import pytest

import haema as hm
from haema import nn


def test_standardize_centres_and_scales():
    rng = np.random.default_rng(0)
    x = rng.normal([5, -2, 1e4], [2, 0.1, 30], (500, 3))
    y = nn.Standardize.of(x)(hm.tensor(x)).numpy()
    assert np.allclose(y.mean(axis=0), 0, atol=1e-3)
    assert np.allclose(y.std(axis=0), 1, atol=1e-3)


def test_standardize_images_by_channel():
    x = np.random.default_rng(0).integers(0, 255, (7, 3, 4, 5)).astype(np.uint8)
    stage = nn.Standardize.of(x)
    y = stage(hm.from_numpy(x)).numpy()
    expected = (x - x.mean(axis=(0, 2, 3), keepdims=True)) / x.std(axis=(0, 2, 3), keepdims=True)
    assert y.dtype == np.float32
    assert np.allclose(y, expected, atol=1e-5)
    assert "3 features" in repr(stage)
    assert not stage.state_dict()


def test_standardize_leaves_constants_finite():
    y = nn.Standardize.of(np.full((4, 2), 7.0))(hm.full((4, 2), 7.0))
    assert y.numpy().tolist() == [[0, 0]] * 4


def test_min_max_scale():
    x = np.array([[2.0, 5.0, -1.0], [4.0, 5.0, 1.0], [3.0, 5.0, 0.0]])
    layer = nn.MinMaxScale.of(x)
    assert layer(hm.tensor(x)).tolist() == [[0, 0, 0], [1, 0, 1], [0.5, 0, 0.5]]
    assert layer(hm.tensor([[6.0, 6.0, -2.0]])).tolist() == [[2, 1, -0.5]]
    pixels = nn.MinMaxScale([0], [255])(hm.tensor(np.array([[[[0, 51, 255]]]], np.uint8)))
    assert pixels.reshape(-1).tolist() == pytest.approx([0, 0.2, 1])
    for low, high in (([0.0], [1.0, 2.0]), ([1.0], [0.0])):
        with pytest.raises(ValueError, match="MinMaxScale: "):
            nn.MinMaxScale(low, high)


def test_standardize_refuses():
    with pytest.raises(ValueError, match="1 means and 2 deviations"):
        nn.Standardize([0.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="none 0"):
        nn.Standardize([0.0], [0.0])


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "a": [1.0, 2.0, np.nan, 5.0],
            "b": ["x", "y", "x", None],
            "c": [1e9, 1e9 + 1, 1e9 + 2, 1e9 + 3],
            "d": [1, 1, 1, 1],
        }
    )


def test_table_becomes_numbers_without_holes(frame):
    stage = nn.PrepareTable.of(frame)
    x = stage.prepare(frame)
    assert x.dtype == np.float32
    y = stage(hm.from_numpy(x)).numpy()
    assert y.shape == (4, stage.features)
    assert np.isfinite(y).all()
    numbers = y[:, :2]
    assert numbers[2, 0] == 0  # a hole lies in the centre
    assert np.allclose(numbers[:, 1], (np.arange(4) - 1.5) / np.std(np.arange(4)))  # no digit of 1e9 + i is lost
    assert y[:, 2].tolist() == [0, 0, 1, 0]  # where the holes were
    assert y[:, 3:].tolist() == [[0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]]
    assert "2 numbers, 1 categories -> 7" in repr(stage)


def test_table_with_unknown_categories_and_columns(frame):
    stage = nn.PrepareTable.of(frame)
    new = pd.DataFrame({"z": [0], "c": [1e9], "b": ["new"], "a": [3.0]})
    y = stage(hm.from_numpy(stage.prepare(new))).numpy()
    assert y[0, 3:].tolist() == [0, 1, 0, 0]
    with pytest.raises(hm.InputError, match="lacks the column 'a'"):
        stage.prepare(new.drop(columns="a"))


def test_table_refuses(frame):
    schema = nn.PrepareTable.of(frame).schema.to_json()
    with pytest.raises(ValueError, match="1 centres and 2 scales for 2 features"):
        nn.PrepareTable(schema, [0.0], [1.0, 1.0], [])
    with pytest.raises(ValueError, match="holed"):
        nn.PrepareTable(schema, [0.0, 0.0], [1.0, 1.0], [5])


def test_restore_scale():
    stage = nn.RestoreScale([10.0, 0.0], [2.0, 3.0])
    assert stage(hm.tensor([[1.0, 1.0]])).numpy().tolist() == [[12, 3]]
    assert "2 outputs" in repr(stage)


def test_they_go_through_a_file(frame, tmp_path):
    model = nn.Sequential(nn.PrepareTable.of(frame), nn.Linear(7, 2), nn.RestoreScale([1.0, 2.0], [3.0, 4.0]))
    hm.save(model, tmp_path / "m.haema")
    again = hm.load(tmp_path / "m.haema")
    x = hm.from_numpy(again[0].prepare(frame))
    with hm.no_grad():
        assert again(x).numpy().tobytes() == model.eval()(x).numpy().tobytes()
