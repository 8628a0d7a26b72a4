"""The layers in front of a network for tables, each against its formula in plain Python."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest

import haema as hm
from haema import InputError, nn
from haema.train.tables.statistics import category_means, fit_statistics, out_of_fold

NAN = float("nan")


def close(found, expected):
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-6)


def test_soft_clip():
    x = [-1000.0, -4.0, -0.1, 0.0, 0.5, 4.0, 1e15]
    expected = [v / math.sqrt(1 + (v / 4) ** 2) for v in x]
    close(nn.SoftClip()(hm.tensor([*x, NAN])), [*expected, 0.0])


def test_hole_indicator():
    x = hm.tensor([[1.0, NAN, NAN], [NAN, 2.0, 3.0]])
    close(nn.HoleIndicator([0, 2])(x), [[0, 1], [1, 0]])
    assert nn.HoleIndicator([])(x).shape == (2, 0)


def test_piecewise_linear():
    layer = nn.PiecewiseLinear([2, 0, 1])
    layer.left.copy_(hm.tensor([0.0, 1.0, -1.0]))
    layer.width.copy_(hm.tensor([1.0, 3.0, 2.0]))
    x = [[-5.0, 9.0, 0.0], [0.5, NAN, NAN], [2.5, 0.0, 7.0]]

    def encode(v, edges):
        v = 0.0 if math.isnan(v) else v
        return [min(max((v - a) / (b - a), 0), 1) - 0.5 for a, b in itertools.pairwise(edges)]

    close(layer(hm.tensor(x)), [encode(a, [0, 1, 4]) + encode(c, [-1, 1]) for a, _, c in x])


def test_bins_have_equally_many_rows():
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=1000) ** 3, rng.integers(0, 5, 1000), rng.random(1000) < 0.5], axis=1)
    x[::7, 0] = NAN
    layer = nn.PiecewiseLinear.of(x, most=10, most_levels=8)
    assert layer.bins == [10, 4, 0]  # quantiles; an edge at each level; nothing for yes and no
    edges = np.append(layer.left.numpy()[:10], layer.left.numpy()[9] + layer.width.numpy()[9])
    counts = np.histogram(x[:, 0][~np.isnan(x[:, 0])], edges)[0]
    assert counts.min() > 80
    np.testing.assert_array_equal(layer.left.numpy()[10:], [0, 1, 2, 3])


def test_one_hot():
    x = hm.tensor([[0.0, 2.0], [1.0, 0.0], [2.0, 1.0]])
    expected = [[1, 0, 0, 0, 0, 1], [0, 1, 0, 1, 0, 0], [0, 0, 1, 0, 1, 0]]
    close(nn.OneHot([3, 3], [0, 1])(x), expected)
    assert nn.OneHot([], [])(x).shape == (3, 0)
    layer = nn.OneHot([3, 2], [0, 1])
    layer.see(np.array([[0, 1], [2, 1]]))
    close(layer(hm.tensor([[0, 1], [1, 0], [2, 1]])), [[1, 0, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 1, 0, 1]])
    with pytest.raises(ValueError, match=r"OneHot: 1 columns have 2 sizes"):
        nn.OneHot([3, 3], [0])


def test_category_means_are_shrunken_to_the_mean():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 6, 400)
    y = rng.normal(size=400) + 0.5 * codes
    found = category_means(codes, y[:, None], size=8)
    counts = np.array([(codes == c).sum() for c in range(8)])
    means = np.array([y[codes == c].mean() if (codes == c).any() else 0 for c in range(8)])
    within = sum(((y[codes == c] - means[c]) ** 2).sum() for c in range(6)) / (400 - 6)
    between = sum(counts[c] * (means[c] - y.mean()) ** 2 for c in range(6)) / 400 - within * 6 / 400
    m = min(max(within / between, 1), 100)
    np.testing.assert_allclose(found[:, 0], (counts * means + m * y.mean()) / (counts + m))
    np.testing.assert_allclose(found[:, 1], np.log(1 + counts) / np.log(401))


def test_a_row_does_not_see_its_own_fold():
    rng = np.random.default_rng(2)
    codes, folds, y = rng.integers(0, 5, 60), rng.integers(0, 3, 60), rng.normal(size=(60, 2))
    before = out_of_fold(codes, y, 5, folds)
    changed = y.copy()
    changed[folds == 1] = 1e6
    after = out_of_fold(codes, changed, 5, folds)
    np.testing.assert_array_equal(after[folds == 1], before[folds == 1])
    assert (after[folds != 1, 0] > 1).all()
    expected = category_means(codes[folds != 2], y[folds != 2], 5)[codes[folds == 2]]
    np.testing.assert_array_equal(before[folds == 2], expected)
    alone = out_of_fold(codes, y, 5, np.zeros(60, np.int64))
    np.testing.assert_allclose(alone, np.tile([*y.mean(axis=0), 0], (60, 1)))


def test_target_statistics_of_new_and_of_training_rows():
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 4, (200, 3))
    y = (codes[:, 2:] == 1) + 0.1 * rng.normal(size=(200, 1))
    folds = np.arange(200) % 5
    layer = nn.TargetStatistics([4, 4], [0, 2], outputs=1)
    own = fit_statistics(layer, codes, y, folds)
    assert own.shape == (200, layer.features) == (200, 4)
    scale = max(out_of_fold(codes[:, 2], y, 4, folds)[:, 0].std(), 0.1 * y.std())
    table = (category_means(codes[:, 2], y, 4)[:, 0] - y.mean()) / scale
    close(layer(hm.tensor(codes.astype(np.float32)))[:, 2], table[codes[:, 2]])
    np.testing.assert_allclose(own[:, 2], (out_of_fold(codes[:, 2], y, 4, folds)[:, 0] - y.mean()) / scale)
    assert np.abs(own[:, 0]).max() < 3  # a column that says nothing is not blown up
    with pytest.raises(ValueError, match=r"TargetStatistics: 3 columns have 1 sizes"):
        nn.TargetStatistics([4], [0, 1, 2], 1)


# -- the columns ------------------------------------------------------------------


def table(n=60):
    rng = np.random.default_rng(4)
    titles = ["red bike", "blue bike", "old red lamp", "new lamp", "big blue sofa"]
    return pd.DataFrame(
        {
            "size": np.append(rng.normal(size=n - 1) * 10 + 50, NAN),
            "kind": rng.choice(["a", "b", "c"], n),
            "at": [f"{i % 24:02d}:{i % 60:02d}" for i in range(n - 1)] + [None],
            "sold": [f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(n)],
            "title": [f"{titles[i % 5]} no {i}" for i in range(n)],
            "new": rng.random(n) < 0.5,
        }
    )


def test_columns_of_every_kind():
    frame = table()
    columns = nn.TableColumns.of(frame)
    assert columns.clocks == ["at"]
    assert columns.words.keys() == {"title"}
    assert {"bike", "red", "blue", "lamp", "sofa"} <= set(columns.words["title"])
    assert "at (cos)" in columns.names
    assert "sold (day of year) (sin)" in columns.names
    x = columns.prepare(frame)
    assert x.dtype == np.float32
    assert x.shape == (60, len(columns.names) + len(columns.sizes))
    size = frame["size"].dropna()
    low, middle, high = np.quantile(size, [0.25, 0.5, 0.75])
    np.testing.assert_allclose(x[:-1, 0], (size - middle) / ((high - low) / 1.349), rtol=1e-5)
    assert np.isnan(x[-1, 0])
    at = x[:, columns.names.index("at (cos)")] * columns.scale[columns.numbers.index("at (cos)")]
    at += columns.center[columns.numbers.index("at (cos)")]
    hours = np.array([i % 24 + i % 60 / 60 for i in range(59)])
    np.testing.assert_allclose(at[:59], np.cos(2 * np.pi * hours / 24), atol=1e-5)
    word = len(columns.numbers) + len(columns.sizes) + columns.words["title"].index("bike")
    np.testing.assert_array_equal(x[:, word], ["bike" in t for t in frame["title"]])
    assert columns(hm.from_numpy(x)) is not None


def test_columns_are_rebuilt_from_their_description():
    frame = table()
    columns = nn.TableColumns.of(frame)
    again = nn.build(json.loads(json.dumps(columns.config(), allow_nan=False)))
    np.testing.assert_array_equal(again.prepare(frame), columns.prepare(frame))
    assert repr(again) == repr(columns)
    assert "numbers" in repr(columns)


def test_new_rows_may_hold_what_was_never_seen():
    columns = nn.TableColumns.of(table())
    frame = table().iloc[:3].copy()
    frame["kind"] = ["z", None, "a"]
    frame["size"] = [1e300, NAN, 0.0]
    frame["title"] = [None, "", "?"]
    frame["at"] = [None, "", "23:59:59"]
    frame["sold"] = [None, "1999-12-31", "2040-01-01"]
    x = columns.prepare(frame[frame.columns[::-1]])
    kind = len(columns.numbers) + columns.schema.category_names.index("kind")
    np.testing.assert_array_equal(x[:, kind], [1, 0, 2])
    assert not np.isinf(x).any()


def test_what_is_wrong_with_a_table_is_said():
    columns = nn.TableColumns.of(table())
    frame = table()
    frame.loc[4, "at"] = "25:00"
    with pytest.raises(InputError, match=r"column 'at' of the table holds '25:00' on row 4, where a time such as"):
        columns.prepare(frame)
    with pytest.raises(InputError, match=r"the table lacks the column 'at' that the model learned from"):
        columns.prepare(table().drop(columns="at"))
    with pytest.raises(InputError, match=r"no column to learn from"):
        nn.TableColumns.of(pd.DataFrame({"a": [1, 1], "b": [None, None]}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keep": [0, 99]}, "keep"),
        ({"cycles": [[50, 24.0]]}, "cycles"),
        ({"scale": [0.0]}, "none of them 0"),
        ({"center": []}, "0 centers"),
    ],
)
def test_columns_refuse_what_does_not_fit(changes, message):
    frame = pd.DataFrame({"a": [1.0, 2.0, 4.0]})
    good = nn.TableColumns.of(frame)
    args = {name: getattr(good, name) for name in ("clocks", "words", "cycles", "keep", "center", "scale")}
    with pytest.raises(ValueError, match=message):
        nn.TableColumns(good.schema.to_json(), **{**args, **changes})


def test_constant_columns_and_columns_with_one_value_and_holes():
    frame = pd.DataFrame({"a": [1.0, 1, 1, NAN], "b": [2, 2, 2, 2], "c": [NAN] * 4, "d": [1e9, 1e9 + 1, 1e9 + 2, 0]})
    columns = nn.TableColumns.of(frame)
    assert columns.numbers == ["a", "d"]
    x = columns.prepare(frame)
    np.testing.assert_array_equal(x[:3, 0], 0)
    assert x[1, 1] != x[2, 1]


def test_features_side_by_side():
    hm.manual_seed(0)
    features = nn.TableFeatures(2, [3, 14, 80], [1], [1], [2, 0], 1)
    assert features.statistics.columns == [1, 2]
    assert features.one_hot.columns == [0, 1]
    assert features.smooth == 1 + 2 + 1 + 2 * 2 + 3 + 14 + 1
    assert features.steps == 2
    y = features(hm.tensor([[0.5, NAN, 2.0, 5.0, 70.0, 1.0]])).numpy()[0]
    assert len(y) == features.smooth + features.steps
    assert features.groups == ([0, 1, 1, 3, 3, 4, 4, *[2] * 3, *[3] * 14, 5], [0, 0])
    assert y[0] == 1
    assert y[3] == 1  # the hole
    assert y[4:8].tolist() == [0, 0, 0, 0]  # no statistics yet
    assert y[8:11].tolist() == [0, 0, 1]
    assert "->" in repr(features)


# -- the networks ------------------------------------------------------------------


def test_parallel_linear_is_many_linear_layers():
    hm.manual_seed(0)
    layer = nn.ParallelLinear(3, 4, 5)
    assert np.abs(layer.weight.detach().numpy()).max() <= math.sqrt(3 / 4)
    for x in (hm.randn(7, 4), hm.randn(3, 7, 4)):
        parts = [x if x.ndim == 2 else x[k] for k in range(3)]
        expected = [p @ layer.weight[k].T + layer.bias[k] for k, p in enumerate(parts)]
        close(layer(x).detach(), hm.stack(expected).detach().numpy())
    with pytest.raises(hm.errors.ShapeError, match=r"ParallelLinear: x has shape"):
        layer(hm.randn(4))
    with pytest.raises(ValueError, match="members"):
        nn.ParallelLinear(0, 1, 1)


def test_parallel_mlp_by_hand():
    hm.manual_seed(0)
    net = nn.ParallelMLP(2, [0, 1], 4, 2, depth=2)
    assert not net(hm.randn(5, 3)).detach().numpy().any()
    with hm.no_grad():
        net.last.weight.normal_()
        net.straight.weight.normal_()
        net.gate.normal_()
    x = hm.randn(5, 3)
    kept = hm.ones(5, 4)
    kept[:, 1] = 0
    for k in range(2):
        gated = x.numpy() * np.append(1, net.gate[k].detach().numpy())
        h = gated
        for layer in net.hidden:
            s = h @ layer.weight[k].detach().numpy().T
            h = s / (1 + np.exp(-s)) * kept.numpy()
        expected = h @ net.last.weight[k].detach().numpy().T + gated @ net.straight.weight[k].detach().numpy().T
        close(net(x, kept)[k].detach(), expected)


def test_table_net_says_the_mixture_and_in_training_everything():
    hm.manual_seed(0)
    net = nn.TableNet([0], [0, 0, 0], 4, 3, members=2, classify=True, dropout=0.0)
    with hm.no_grad():
        for p in net.parameters():
            p.normal_()
        net.weights.copy_(hm.tensor([0.25, 0.75]))
    x, fold = hm.randn(6, 5), hm.tensor([0, 1, 2, 0, 1, 2])
    members = net(x, fold)
    assert members.shape == (4, 6, 4)
    np.testing.assert_array_equal(members[:, :, 3].detach().numpy(), [[0, 1, 1] * 2, [1, 0, 1] * 2] * 2)
    with pytest.raises(InputError, match="folds are needed"):
        net(x)
    p = members[:, :, :3].softmax(-1).detach().numpy()
    net.eval()
    close(net(x).exp().detach(), 0.25 * p[:2].mean(axis=0) + 0.75 * p[2:].mean(axis=0))
    numbers = nn.TableNet([0], [0, 0, 0], 4, 1, members=2, classify=False).eval()
    with hm.no_grad():
        for q in numbers.parameters():
            q.normal_()
        numbers.shrink.fill_(0.5)
        numbers.mean.fill_(10.0)
        numbers.std.fill_(2.0)
    parts = [numbers.of_kind(k, x).detach().numpy().mean(axis=0) for k in (0, 1)]
    close(numbers(x).detach(), 10 + 2 * 0.5 * (parts[0] + parts[1]) / 2)
