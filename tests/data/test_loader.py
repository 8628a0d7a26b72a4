"""Datasets, samplers, collating and DataLoader, with PyTorch's semantics."""

from __future__ import annotations

import itertools
from collections import Counter, namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import haema as hm
from haema.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    random_split,
)
from haema.data.collate import default_convert
from haema.errors import DTypeError, InputError, ShapeError


class Squares(Dataset):
    """Sample i is (i, i^2) as Python numbers."""

    def __init__(self, n=10):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return i, float(i) ** 2


def rows(n=10):
    return TensorDataset(hm.arange(n), hm.arange(2 * n).reshape(n, 2) / 2)


def seeded(seed=0):
    return hm.Generator(seed)


# -- datasets ----------------------------------------------------------------------------------


def test_tensor_dataset():
    d = rows()
    a, b = d[3]
    assert (len(d), a.item(), b.tolist()) == (10, 3, [3.0, 3.5])
    a, b = d[np.array([1, 1, 9])]
    assert (a.tolist(), tuple(b.shape)) == ([1, 1, 9], (3, 2))
    assert d[2:4][0].tolist() == [2, 3]
    array = np.zeros(3, np.float32)
    assert np.shares_memory(TensorDataset(array).tensors[0].numpy(), array)


def test_tensor_dataset_names_what_is_wrong():
    with pytest.raises(InputError, match="TensorDataset: it was given no tensors"):
        TensorDataset()
    with pytest.raises(ShapeError, match=r"tensors of shapes \(2,\), \(3, 1\) do not have equally many rows"):
        TensorDataset(hm.zeros(2), hm.zeros(3, 1))
    with pytest.raises(ShapeError, match=r"tensors of shapes \(\) do not"):
        TensorDataset(hm.tensor(1.0))


def test_subset_and_concat():
    d = Squares(4) + Squares(3) + Subset(Squares(), [5, 7])
    assert isinstance(d, ConcatDataset)
    assert [d[i][0] for i in range(len(d))] == [0, 1, 2, 3, 0, 1, 2, 5, 7]
    assert (d[-1][0], d[-9][0]) == (7, 0)
    for i in (9, -10):
        with pytest.raises(IndexError, match=f"there is no sample {i} among 9"):
            d[i]
    with pytest.raises(InputError, match="ConcatDataset: it was given no datasets"):
        ConcatDataset([])


def test_abstract_datasets_and_samplers_say_what_is_missing():
    with pytest.raises(NotImplementedError, match="Dataset defines no __getitem__"):
        Dataset()[0]
    with pytest.raises(NotImplementedError, match="Dataset defines no __len__"):
        len(Dataset())
    with pytest.raises(NotImplementedError, match="Sampler defines no __iter__"):
        iter(Sampler())
    with pytest.raises(NotImplementedError, match="Sampler defines no __len__"):
        len(Sampler())


@settings(max_examples=40, deadline=None)
@given(n=st.integers(0, 40), fractions=st.sampled_from([(0.8, 0.2), (0.7, 0.2, 0.1), (1.0,), (1 / 3,) * 3]))
def test_random_split_by_fractions(n, fractions):
    parts = random_split(Squares(n), fractions, generator=seeded())
    assert sorted(p[i][0] for p in parts for i in range(len(p))) == list(range(n))
    assert all(abs(len(p) - n * f) < len(fractions) for p, f in zip(parts, fractions, strict=True))


def test_random_split_by_lengths():
    a, b = random_split(rows(), [7, 3], generator=seeded(1))
    again = random_split(rows(), [7, 3], generator=seeded(1))
    assert (len(a), len(b)) == (7, 3)
    assert [i.item() for i, _ in a] == [i.item() for i, _ in again[0]]
    assert [len(p) for p in random_split(Squares(1), [1])] == [1]
    for lengths in ([7, 4], [0.5, 0.6], [7.5, 2.5], [0.5, 0.4]):
        with pytest.raises(InputError, match=r"random_split: the lengths .* sum to .*, where whole numbers that sum"):
            random_split(Squares(), lengths)
    with pytest.raises(InputError, match=r"the lengths are \[-1, 11\]; none may be negative"):
        random_split(Squares(), [-1, 11])


# -- samplers ----------------------------------------------------------------------------------


def test_sequential():
    assert list(SequentialSampler(Squares(4))) == [0, 1, 2, 3]
    assert len(SequentialSampler(Squares(4))) == 4


def test_random_without_replacement():
    s = RandomSampler(Squares(20), generator=seeded())
    first, second = list(s), list(s)
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    assert list(RandomSampler(Squares(20), generator=seeded())) == first
    more = list(RandomSampler(Squares(5), num_samples=12, generator=seeded()))
    assert sorted(more[:5]) == sorted(more[5:10]) == list(range(5))
    assert (len(more), len(set(more[10:]))) == (12, 2)


def test_random_with_replacement():
    s = RandomSampler(Squares(5), replacement=True, num_samples=1000, generator=seeded())
    counts = Counter(s)
    assert len(s) == sum(counts.values()) == 1000
    assert all(140 < counts[i] < 260 for i in range(5))
    assert list(RandomSampler(Squares(0))) == list(RandomSampler(Squares(0), replacement=True)) == []


def test_the_default_generator_is_used_and_seeded_by_manual_seed():
    hm.manual_seed(3)
    first = list(RandomSampler(Squares(20)))
    hm.manual_seed(3)
    assert list(RandomSampler(Squares(20))) == first


def test_weighted():
    s = WeightedRandomSampler([1, 0, 3], 4000, generator=seeded())
    counts = Counter(s)
    assert (len(s), counts[1]) == (4000, 0)
    assert abs(counts[2] / counts[0] - 3) < 0.4
    assert set(WeightedRandomSampler(hm.tensor([0.0, 2.0]), 5)) == {1}


def test_weighted_without_replacement():
    first = Counter()
    for seed in range(400):
        drawn = list(WeightedRandomSampler([1.0, 0.0, 3.0, 1e-300], 3, replacement=False, generator=seeded(seed)))
        assert sorted(drawn) == [0, 2, 3]
        first[drawn[0]] += 1
    assert abs(first[2] / 400 - 0.75) < 0.08


@pytest.mark.parametrize("weights", [[[1.0]], [1.0, -1.0], [np.nan], [np.inf], [0.0, 0.0], []])
def test_weighted_names_bad_weights(weights):
    with pytest.raises(InputError, match="are not one finite number per sample, none negative and some positive"):
        WeightedRandomSampler(weights, 1)


def test_samplers_name_bad_numbers():
    with pytest.raises(InputError, match="RandomSampler: num_samples is 0; a positive number is right"):
        RandomSampler(Squares(), num_samples=0)
    with pytest.raises(InputError, match="WeightedRandomSampler: num_samples is 0; 1 or more is right"):
        WeightedRandomSampler([1.0], 0)
    with pytest.raises(InputError, match="num_samples is 2, but without replacement only 1 samples have a weight"):
        WeightedRandomSampler([1.0, 0.0], 2, replacement=False)
    for size in (0, -1, 1.5, True):
        with pytest.raises(InputError, match=f"batch_size is {size}; a positive whole number is right"):
            BatchSampler(SequentialSampler(Squares()), size, False)


def test_batches_of_numbers():
    s = SequentialSampler(Squares(7))
    assert list(BatchSampler(s, 3, False)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(BatchSampler(s, 3, True)) == [[0, 1, 2], [3, 4, 5]]
    assert [len(BatchSampler(s, n, last)) for n, last in ((3, False), (3, True), (7, False))] == [3, 2, 1]


# -- collating ---------------------------------------------------------------------------------

Point = namedtuple("Point", "x y")


def test_collate_keeps_structure_and_types():
    batch = default_collate(
        [
            {"t": hm.zeros(2), "a": np.ones(3, np.float32), "i": 1, "f": 0.1, "b": True, "s": "x", "n": np.int32(4)},
            {"t": hm.ones(2), "a": np.ones(3, np.float32), "i": 2, "f": 0.2, "b": False, "s": "y", "n": np.int32(5)},
        ]
    )
    shapes = {k: (tuple(v.shape), v.dtype) for k, v in batch.items() if k != "s"}
    assert shapes == {
        "t": ((2, 2), hm.float32),
        "a": ((2, 3), hm.float32),
        "i": ((2,), hm.int64),
        "f": ((2,), hm.float64),
        "b": ((2,), hm.bool),
        "n": ((2,), hm.int32),
    }
    assert (batch["s"], batch["f"].tolist(), batch["b"].tolist()) == (["x", "y"], [0.1, 0.2], [True, False])
    pairs = default_collate([(1, [2.0, "a"]), (3, [4.0, "b"])])
    assert (pairs[0].tolist(), pairs[1][0].tolist(), pairs[1][1]) == ([1, 3], [2.0, 4.0], ["a", "b"])
    points = default_collate([Point(1, 2.0), Point(3, 4.0)])
    assert isinstance(points, Point)
    assert points.y.tolist() == [2.0, 4.0]
    assert default_collate([np.float64(0.5)]).dtype == hm.float64


def test_collate_names_what_does_not_fit_together():
    for make in (np.zeros, hm.zeros):
        with pytest.raises(ShapeError, match=r"samples of shapes \(2,\) and \(3,\) do not make a batch"):
            default_collate([make(2), make(3)])
    with pytest.raises(ShapeError, match=r"samples have \[1, 2\] parts; equally many are right"):
        default_collate([(1,), (1, 2)])
    with pytest.raises(DTypeError, match="default_collate: a sample holds a NoneType; tensors, arrays, numbers"):
        default_collate([None, None])
    with pytest.raises(DTypeError, match="arrays of <U1 are not numbers"):
        default_collate([np.array(["a"])])


def test_convert_a_sample():
    got = default_convert({"a": (np.zeros(2, np.float32), "x", Point(np.int64(3), None))})
    assert isinstance(got["a"][0], hm.Tensor)
    assert got["a"][1] == "x"
    assert (got["a"][2].x.item(), got["a"][2].y) == (3, None)


# -- DataLoader --------------------------------------------------------------------------------


def test_batches_in_order():
    loader = DataLoader(rows(), batch_size=4)
    batches = list(loader)
    assert len(loader) == len(batches) == 3
    assert [b[0].tolist() for b in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [tuple(b[1].shape) for b in batches] == [(4, 2), (4, 2), (2, 2)]
    assert all(isinstance(b, list) for b in batches)
    assert len(DataLoader(rows(), batch_size=4, drop_last=True)) == 2
    assert [b[0].tolist() for b in DataLoader(rows(3))] == [[0], [1], [2]]


def test_a_thousand_samples_in_batches_of_a_hundred_are_ten_iterations():
    assert len(list(DataLoader(rows(1000), batch_size=100))) == 10


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(0, 30),
    size=st.integers(1, 9),
    drop_last=st.booleans(),
    shuffle=st.booleans(),
    workers=st.sampled_from([0, 0, 2]),
)
def test_whole_batches_are_what_collating_samples_gives(n, size, drop_last, shuffle, workers):
    options = {"batch_size": size, "drop_last": drop_last, "shuffle": shuffle, "num_workers": workers}
    fast = DataLoader(rows(n), **options, generator=seeded(n))
    slow = DataLoader(rows(n), **options, generator=seeded(n), collate_fn=default_collate)
    assert len(fast) == len(slow)
    count = 0
    for a, b in itertools.zip_longest(fast, slow):
        count += 1
        assert type(a) is type(b)
        for s, t in zip(a, b, strict=True):
            assert s.dtype == t.dtype
            assert s.tolist() == t.tolist()
    assert count == len(fast)


def test_a_subset_of_tensors_is_taken_a_batch_at_a_time():
    part = Subset(Subset(rows(), [9, 8, 7, 6]), np.array([0, 2, 3]))
    assert [b[0].tolist() for b in DataLoader(part, batch_size=2)] == [[9, 7], [6]]


def test_shuffling_is_drawn_anew_each_epoch_and_reproducible():
    loader = DataLoader(rows(20), batch_size=20, shuffle=True, generator=seeded())
    one, two = next(iter(loader))[0].tolist(), next(iter(loader))[0].tolist()
    assert sorted(one) == sorted(two) == list(range(20))
    assert one != two
    again = DataLoader(rows(20), batch_size=20, shuffle=True, generator=seeded())
    assert next(iter(again))[0].tolist() == one


def test_samplers_of_ones_own():
    assert [b[0].tolist() for b in DataLoader(rows(), batch_size=2, sampler=[5, 4, 3])] == [[5, 4], [3]]
    assert [b[0].tolist() for b in DataLoader(rows(), batch_sampler=[[1], [2, 3]])] == [[1], [2, 3]]
    assert len(DataLoader(rows(), batch_sampler=[[1], [2, 3]])) == 2


def test_collate_fn_and_no_batches():
    loader = DataLoader(Squares(4), batch_size=2, collate_fn=lambda samples: [i for i, _ in samples])
    assert list(loader) == [[0, 1], [2, 3]]
    assert list(DataLoader(Squares(3), batch_size=None)) == [[0, 0.0], [1, 1.0], [2, 4.0]]
    assert len(DataLoader(Squares(3), batch_size=None)) == 3


def test_any_sequence_is_a_dataset():
    assert [b.tolist() for b in DataLoader([1.5, 2.5, 3.5], batch_size=2)] == [[1.5, 2.5], [3.5]]


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_keep_the_order_and_raise_the_samples_error(workers):
    class Breaks(Squares):
        def __getitem__(self, i):
            if i == 25:
                raise KeyError("sample 25")
            return i

    loader = DataLoader(Breaks(40), batch_size=2, num_workers=workers)
    seen = []
    with pytest.raises(KeyError, match="sample 25"):
        seen.extend(b.tolist() for b in loader)
    assert seen == [[2 * i, 2 * i + 1] for i in range(12)]
    # leaving early leaves no thread behind
    assert next(iter(loader)).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_workers": -1}, "num_workers is -1; 0 or a number of threads is right"),
        ({"sampler": [1], "shuffle": True}, "sampler and shuffle=True exclude each other"),
        ({"batch_sampler": [[1]], "batch_size": 2}, "batch_sampler excludes batch_size, shuffle, sampler and"),
        ({"batch_sampler": [[1]], "shuffle": True}, "batch_sampler excludes"),
        ({"batch_size": None, "drop_last": True}, "drop_last needs a batch_size, which is None"),
        ({"batch_size": 0}, "batch_size is 0; a positive whole number is right"),
    ],
)
def test_names_arguments_that_make_no_sense(options, message):
    with pytest.raises(InputError, match=message):
        DataLoader(rows(), **options)
