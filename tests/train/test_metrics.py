"""Metrics against scikit-learn's, on random labels with ties, missing classes and weights."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from haema import InputError
from haema.train import metrics

RTOL = 1e-12  # both sum in float64


def quietly(function, *args, **kwargs):
    """scikit-learn's value without its warnings about undefined quotients."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def labelled(classes):
    rows = st.integers(1, 40)
    return rows.flatmap(
        lambda n: st.tuples(
            st.lists(st.integers(0, classes - 1), min_size=n, max_size=n),
            st.lists(st.integers(0, classes - 1), min_size=n, max_size=n),
            st.lists(st.integers(1, 8), min_size=n, max_size=n),
        )
    ).map(lambda t: (np.array(t[0]), np.array(t[1]), np.array(t[2]) / 4))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(labelled(4), st.sampled_from(["macro", "micro", "weighted", None]), st.sampled_from([0.0, 1.0, np.nan]))
def test_precision_recall_f1_equal_scikit_learn(data, average, zero):
    y, p, w = data
    for name, other in (("precision", "precision_score"), ("recall", "recall_score"), ("f1", "f1_score")):
        for weight in (None, w):
            ours = getattr(metrics, name)(y, p, average=average, zero_division=zero, sample_weight=weight)
            theirs = quietly(getattr(sk, other), y, p, average=average, zero_division=zero, sample_weight=weight)
            np.testing.assert_allclose(ours, theirs, rtol=RTOL, err_msg=name)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(labelled(2), st.sampled_from([0.0, 1.0]))
def test_binary_averages_equal_scikit_learn(data, zero):
    y, p, w = data
    for name, other in (("precision", "precision_score"), ("recall", "recall_score"), ("f1", "f1_score")):
        ours = getattr(metrics, name)(y, p, zero_division=zero, sample_weight=w)
        theirs = quietly(getattr(sk, other), y, p, zero_division=zero, sample_weight=w)
        np.testing.assert_allclose(ours, theirs, rtol=RTOL, err_msg=name)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(labelled(3), st.sampled_from([None, "true", "pred", "all"]))
def test_accuracy_and_confusion_matrix_equal_scikit_learn(data, normalize):
    y, p, w = data
    for weight in (None, w):
        assert metrics.accuracy(y, p, sample_weight=weight) == pytest.approx(
            sk.accuracy_score(y, p, sample_weight=weight), rel=RTOL
        )
        ours = metrics.confusion_matrix(y, p, labels=[2, 0, 1], normalize=normalize, sample_weight=weight)
        theirs = quietly(sk.confusion_matrix, y, p, labels=[2, 0, 1], normalize=normalize, sample_weight=weight)
        np.testing.assert_allclose(ours, theirs, rtol=RTOL)


def test_weighted_average_where_the_counted_classes_do_not_occur():
    """Was nan: the one class of nonzero support has no value, and those left have no weight."""
    found = metrics.precision([0], [1], average="weighted", zero_division=np.nan)
    assert found == quietly(sk.precision_score, [0], [1], average="weighted", zero_division=np.nan) == 0


def test_averages_over_classes_that_do_not_occur():
    for zero in (0.0, 1.0):
        ours = metrics.recall([0, 1], [0, 1], labels=[5, 6], average="weighted", zero_division=zero)
        theirs = quietly(sk.recall_score, [0, 1], [0, 1], labels=[5, 6], average="weighted", zero_division=zero)
        assert ours == theirs
    assert metrics.log_loss([0, 1], [[1, 0], [0, 1]]) == pytest.approx(0, abs=1e-12)


def test_confusion_matrix_of_texts():
    matrix = metrics.confusion_matrix(["cat", "dog", "cat"], ["cat", "cat", "dog"])
    assert matrix.tolist() == [[1, 1], [1, 0]]
    assert matrix.dtype == np.int64
    assert metrics.confusion_matrix(["cat", "dog"], ["cat", "cow"], labels=["dog", "cat"]).tolist() == [[0, 0], [0, 1]]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(labelled(2), st.integers(1, 6))
def test_roc_auc_equals_scikit_learn_with_ties(data, levels):
    y, p, w = data
    score = (p * 7 + np.arange(len(p))) % levels / levels  # few levels: many ties
    ours = metrics.roc_auc(y, score, sample_weight=w)
    if len(set(y.tolist())) == 1:
        assert np.isnan(ours)
    else:
        assert ours == pytest.approx(sk.roc_auc_score(y, score, sample_weight=w), rel=1e-9)


def test_roc_auc_one_against_the_rest():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 200)
    p = rng.random((200, 4)).round(1) + 0.01
    p /= p.sum(axis=1, keepdims=True)
    assert metrics.roc_auc(y, p) == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr"), rel=1e-12)
    two = np.stack([1 - p[:, 0], p[:, 0]], axis=1)
    assert metrics.roc_auc(y == 0, two) == pytest.approx(sk.roc_auc_score(y == 0, p[:, 0]), rel=1e-12)
    assert metrics.roc_auc(np.minimum(y, 2), p) > 0  # class 3 does not occur and is left out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_and_top_k_equal_scikit_learn(dtype):
    rng = np.random.default_rng(1)
    y = rng.integers(0, 5, 100)
    p = rng.random((100, 5)).astype(dtype)
    p[::7] = 0
    p[np.arange(0, 100, 7), (y[::7] + 1) % 5] = 1  # certain and wrong: probability 0 of the truth
    p /= p.sum(axis=1, keepdims=True)
    w = rng.random(100)
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    theirs = sk.log_loss(y, p, labels=range(5), sample_weight=w)
    assert metrics.log_loss(y, p, sample_weight=w) == pytest.approx(theirs, rel=rtol)
    theirs = sk.log_loss(y > 2, p[:, 0])
    assert metrics.log_loss(y > 2, p[:, 0]) == pytest.approx(theirs, rel=rtol)
    for k in (1, 2, 4):
        theirs = sk.top_k_accuracy_score(y, p, k=k, labels=range(5), sample_weight=w)
        assert metrics.top_k_accuracy(y, p, k, sample_weight=w) == pytest.approx(theirs, rel=1e-12)
    assert metrics.top_k_accuracy(y, p, 9) == 1


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(2, 30), st.integers(1, 3), st.integers(0, 5), st.booleans())
def test_regression_metrics_equal_scikit_learn(n, k, seed, constant):
    rng = np.random.default_rng(seed)
    y, p, w = rng.normal(size=(n, k)), rng.normal(size=(n, k)), rng.random(n) + 0.1
    if constant:
        y[:, 0] = 2.0
    for weight in (None, w):
        pairs = (
            (metrics.mae, sk.mean_absolute_error),
            (metrics.mse, sk.mean_squared_error),
            (metrics.rmse, sk.root_mean_squared_error),
            (metrics.r2, sk.r2_score),
        )
        for ours, theirs in pairs:
            assert ours(y, p, sample_weight=weight) == pytest.approx(theirs(y, p, sample_weight=weight), rel=1e-9)


def test_r2_of_one_row_and_of_a_constant():
    assert np.isnan(metrics.r2([1.0], [2.0]))
    assert metrics.r2([3.0, 3.0], [3.0, 3.0]) == 1
    assert metrics.r2([3.0, 3.0], [3.0, 4.0]) == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: metrics.accuracy([1, 2], [1]), "y_true has shape"),
        (lambda: metrics.accuracy([], []), "no rows"),
        (lambda: metrics.accuracy([1], [1], sample_weight=[1, 2]), "one weight per row"),
        (lambda: metrics.mae([1], [1], sample_weight=[0]), "adds up to 0"),
        (lambda: metrics.f1([0, 1, 2], [0, 1, 2]), "for two classes, and there are 3"),
        (lambda: metrics.f1([0, 2], [0, 2]), "pos_label is 1"),
        (lambda: metrics.f1([0, 1], [0, 1], average="mean"), "average is 'mean'"),
        (lambda: metrics.confusion_matrix([0], [0], normalize="row"), "normalize is 'row'"),
        (lambda: metrics.roc_auc([0, 1], [0.1]), "shapes"),
        (lambda: metrics.roc_auc([0, 1], [0.1, np.nan]), "row 1 is nan"),
        (lambda: metrics.log_loss([0, 1], [0.1]), "shapes"),
        (lambda: metrics.log_loss([0, 5], [[0.1, 0.9], [0.5, 0.5]]), "0 to 5"),
        (lambda: metrics.top_k_accuracy([0], [0.1]), "shapes"),
        (lambda: metrics.top_k_accuracy([0], [[0.1, 0.2]], k=0), "k is 0"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(InputError, match=words):
        call()
