"""The trainer: what it learns, what it tells from the data, weights, clipping, and sentences for bad input."""

import functools
import math

import numpy as np
import pandas as pd
import pytest
from train.problems import blobs, line, net, weights

import haema as hm
import haema.nn.functional as F
from haema import InputError, data, nn, optim
from haema.errors import HaemaError
from haema.train import METRICS, LambdaCallback, NonFiniteLoss, StopOnNonFinite, Trainer, metrics
from haema.train.sources import Rows


def quiet(trainer, x, y=None, **more):
    return trainer.fit(x, y, progress=False, **{"epochs": 2, **more})


# -- it learns ------------------------------------------------------------------


def test_learns_classes_with_all_defaults():
    x, y = blobs()
    trainer = Trainer(net(), seed=0, lr=0.02)
    history = quiet(trainer, x, y, epochs=15, validation=0.2)
    assert trainer.objective.name == "cross_entropy"
    assert history["val_accuracy"][-1] > 0.9
    assert history["loss"][-1] < history["loss"][0] / 2
    assert trainer.evaluate(x, y).keys() == {"loss", "accuracy"}
    assert trainer.evaluate(x, y)["accuracy"] == pytest.approx(float((trainer.predict(x) == y).mean()))
    assert trainer.predict_proba(x).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_learns_numbers_with_all_defaults():
    x, y = line()
    trainer = Trainer(net(3, 16, 1), seed=0, lr=0.02)
    history = quiet(trainer, x, y, epochs=40, validation=0.2)
    assert trainer.objective.name == "mse"
    assert {"rmse", "r2", "val_rmse", "val_r2"} <= set(history)
    assert history["r2"][-1] > 0.9
    assert trainer.predict(x).shape == (80, 1)
    assert trainer.evaluate(x, y)["rmse"] == pytest.approx(math.sqrt(trainer.evaluate(x, y)["loss"]), rel=1e-5)


def test_one_output_of_two_classes():
    x, y = blobs(classes=2)
    for last, loss in ((None, "bce_with_logits"), (nn.Sigmoid(), "bce")):
        model = net(2, 8, 1)
        model = nn.Sequential(model, last) if last else model
        trainer = Trainer(model, seed=0, lr=0.05, metrics=["accuracy", "roc_auc"])
        history = quiet(trainer, x, y, epochs=10)
        assert trainer.objective.name == loss
        assert history["accuracy"][-1] > 0.95
        assert history["roc_auc"][-1] > 0.95
        assert trainer.predict_proba(x).shape == (90, 2)
        assert set(trainer.predict(x).tolist()) == {0, 1}


def test_a_batch_an_epoch_and_an_iteration():
    """1000 samples in batches of 100 are 10 iterations."""
    x, y = blobs(1000)
    counts = []
    count = LambdaCallback(on_epoch_end=lambda run: counts.append((run.batch, run.batches)))
    trainer = Trainer(net(), "cross_entropy", "sgd", seed=0)
    quiet(trainer, x, y, batch_size=100, callbacks=[count])
    quiet(trainer, x[:30], y[:30], batch_size=1, epochs=1, callbacks=[count])
    quiet(trainer, x, y, batch_size=1000, epochs=1, callbacks=[count])
    quiet(trainer, x[:50], y[:50], batch_size=32, epochs=1, callbacks=[count])
    assert counts == [(10, 10), (10, 10), (30, 30), (1, 1), (2, 2)]


def test_an_epoch_is_an_index_array_that_visits_each_row_once():
    x, y = blobs(50)
    rows = Rows((x,), y, y, None)
    hm.manual_seed(0)
    full, last = rows.order(16, shuffle=True, merge_single=False)
    assert (full.shape, full.dtype, last.shape) == ((3, 16), np.int64, (2,))
    assert sorted([*full.reshape(-1).tolist(), *last.tolist()]) == list(range(50))
    again, _ = rows.order(16, shuffle=True, merge_single=False)
    assert not np.array_equal(full, again)
    hm.manual_seed(0)
    assert np.array_equal(rows.order(16, True, False)[0], full)
    assert rows.order(25, shuffle=False, merge_single=False)[1] is None
    (taken,), truth, w, kept = rows.take(full[0])
    assert np.array_equal(taken.numpy(), x[full[0]])
    assert np.array_equal(truth.numpy(), kept)
    assert w is None


def test_a_step_is_that_of_a_loop_written_by_hand():
    x, y = blobs(40)
    trainer = Trainer(net(), "cross_entropy", optim.SGD, lr=0.1, compile=False)
    quiet(trainer, x, y, epochs=1, batch_size=16, shuffle=False)
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for start in (0, 16, 32):
        optimizer.zero_grad()
        F.cross_entropy(model(hm.tensor(x[start : start + 16])), hm.tensor(y[start : start + 16])).backward()
        optimizer.step()
    assert weights(trainer.model) == weights(model)


def test_same_seed_same_bits_and_shuffling_differs():
    x, y = blobs()

    def go(seed, **more):
        trainer = Trainer(net(dropout=0.5), seed=seed)
        quiet(trainer, x, y, **more)
        return weights(trainer.model)

    assert go(1) == go(1)
    assert go(1) != go(2)
    assert go(1, shuffle=False) != go(1)


def test_lone_last_row_joins_its_neighbour_where_batches_are_normalised():
    x, y = blobs(33)
    counts = []
    count = LambdaCallback(on_epoch_end=lambda run: counts.append((run.batch, run.batches)))
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    quiet(Trainer(model), x, y, epochs=1, batch_size=16, callbacks=[count])
    quiet(Trainer(net()), x, y, epochs=1, batch_size=16, callbacks=[count])
    assert counts == [(2, 2), (3, 3)]


# -- what is given, in all its forms ------------------------------------------------------------------


def test_losses_and_optimizers_by_name_class_instance_and_function():
    x, y = blobs()
    results = set()
    for loss in ("cross_entropy", "CrossEntropyLoss", nn.CrossEntropyLoss, nn.CrossEntropyLoss(), F.cross_entropy):
        trainer = Trainer(net(), loss, seed=0)
        quiet(trainer, x, y)
        assert trainer.objective.name == "cross_entropy"
        results.add(weights(trainer.model))
    own = Trainer(net(), lambda output, y: F.cross_entropy(output, y, reduction="none"), seed=0)
    quiet(own, x, y)
    results.add(weights(own.model))
    for optimizer in ("adam", "Adam", optim.Adam, lambda parameters: optim.Adam(parameters)):
        trainer = Trainer(net(), "cross_entropy", optimizer, seed=0)
        quiet(trainer, x, y)
        results.add(weights(trainer.model))
    model = net()
    quiet(Trainer(model, "cross_entropy", optim.Adam(model.parameters()), seed=0), x, y)
    results.add(weights(model))
    assert len(results) == 1


def test_forms_of_labels_give_the_same_training():
    x, y = blobs()
    names = np.array(["red", "blue", "green"])
    order = np.argsort(np.argsort(names))  # ids after sorting the names
    results = {}
    for name, values in {
        "ids": order[y],
        "list": order[y].tolist(),
        "int32": order[y].astype(np.int32),
        "uint8": order[y].astype(np.uint8),
        "column": order[y][:, None],
        "tensor": hm.tensor(order[y]),
        "texts": names[y],
        "series": pd.Series(names[y]),
        "categories": pd.Series(names[y]).astype("category"),
        "one-hot": np.eye(3)[order[y]],
        "one-hot ints": np.eye(3, dtype=int)[order[y]],
    }.items():
        trainer = Trainer(net(), seed=0)
        quiet(trainer, x, values, validation=0.2)
        results[name] = weights(trainer.model)
        if name in ("texts", "series", "categories"):
            assert trainer.classes == ["blue", "green", "red"]
            assert trainer.model.meta["classes"] == ["blue", "green", "red"]
            assert set(trainer.predict(x).tolist()) <= set(names.tolist())
            assert trainer.evaluate(x, values)["accuracy"] == (trainer.predict(x) == names[y]).mean()
        else:
            assert trainer.classes is None
    assert len(set(results.values())) == 1, {k: hash(v) for k, v in results.items()}


def test_forms_of_inputs_give_the_same_training():
    x, y = blobs()
    results = []
    frame = pd.DataFrame(x, columns=["a", "b"])
    for given in ((x, y), (x.tolist(), y), (hm.tensor(x), y), (x.astype(np.float64), y), (frame, y)):
        trainer = Trainer(net(), seed=0)
        quiet(trainer, *given)
        results.append(weights(trainer.model))
    pairs = data.TensorDataset(x, y)
    for served in (pairs, data.Subset(pairs, np.arange(90)), data.ConcatDataset([pairs]), data.load((x, y))):
        trainer = Trainer(net(), seed=0)
        quiet(trainer, served)
        results.append(weights(trainer.model))
    loader = data.DataLoader(pairs, batch_size=32, shuffle=True)
    trainer = Trainer(net(), seed=0)
    quiet(trainer, loader)
    results.append(weights(trainer.model))
    assert len(set(results)) == 1
    assert np.array_equal(trainer.predict(loader).shape, (90,))
    assert np.array_equal(trainer.predict(data.ConcatDataset([pairs])), trainer.predict(x))
    assert trainer.evaluate(data.DataLoader(pairs, batch_size=7)) == pytest.approx(trainer.evaluate(x, y), rel=1e-5)


def test_validation_pairs_datasets_and_loaders_agree():
    x, y = blobs()
    other = blobs(40, seed=5)
    pairs = data.TensorDataset(*other)
    found = []
    for validation in (other, pairs, data.ConcatDataset([pairs]), data.DataLoader(pairs, batch_size=16)):
        trainer = Trainer(net(), seed=0)
        found.append(quiet(trainer, x, y, validation=validation)["val_loss"])
    assert found[1] == found[0]
    assert found[2] == found[0]
    assert found[3] == pytest.approx(found[0], rel=1e-5)


def test_whole_numbers_go_in_as_they_are_or_as_fractions():
    x = np.arange(60, dtype=np.uint8).reshape(30, 2)
    y = (x[:, 0] > 30).astype(int)
    assert quiet(Trainer(net(2, 4, 2)), x, y).epochs == 2
    words = np.arange(60).reshape(30, 2) % 7
    reader = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(8, 2))
    assert quiet(Trainer(reader), words, y).epochs == 2


def test_other_types_of_numbers():
    x, y = blobs()
    for given in (x.astype(np.float16), (x * 10).astype(np.int16), x > 0):
        assert quiet(Trainer(net(), seed=0), given, y).epochs == 2
    mixed = np.array([1, 2.5, True] * 30, dtype=object)
    assert quiet(Trainer(net(2, 4, 1), seed=0), x, mixed).metrics == ["rmse", "r2"]
    assert quiet(Trainer(net(), seed=0), x, np.array([b"a", b"b", b"c"])[y]).metrics == ["accuracy"]
    labels = np.array([1, "a", 2.5], dtype=object)[y]
    trainer = Trainer(net(), seed=0)
    quiet(trainer, x, labels)
    assert trainer.classes == ["1", "2.5", "a"]


def test_probabilities_as_truth():
    x, y = blobs()
    soft = np.full((90, 3), 0.1)
    soft[np.arange(90), y] = 0.8
    trainer = Trainer(net(), "cross_entropy", seed=0, lr=0.05)
    history = quiet(trainer, x, soft, epochs=8, validation=0.2)
    assert history["val_accuracy"][-1] > 0.9
    assert history["loss"][-1] > 0.5  # the entropy of the truth itself is 0.64


def test_own_losses():
    x, y = line()
    seen = []

    def loss(output, truth):
        seen.append((output.shape, truth.shape))
        return ((output - truth) ** 2).mean()

    trainer = Trainer(net(3, 8, 1), loss, seed=0, metrics=["mse"])
    history = quiet(trainer, x, y, batch_size=80)
    assert seen[0] == ((80, 1), (80, 1))
    assert history["mse"] == pytest.approx(history["loss"], rel=1e-5)
    assert quiet(Trainer(net(3, 8, 1), loss), x, np.arange(80)).metrics == []  # whole numbers: still a regression
    wide = Trainer(net(3, 8, 2), lambda output, truth: (output.sum(1) - truth) ** 2)
    assert quiet(wide, x, y).metrics == []
    x, y = blobs(classes=2)
    own = Trainer(net(2, 8, 1), lambda output, truth: F.binary_cross_entropy_with_logits(output, truth), seed=0, lr=0.1)
    assert quiet(own, x, y, epochs=9)["accuracy"][-1] > 0.9
    assert own.predict_proba(x).shape == (90, 2)


def test_several_labels_per_row():
    x, _ = blobs()
    y = (x > 0).astype(np.float32)
    trainer = Trainer(net(2, 8, 2), "bce_with_logits", seed=0, lr=0.1, metrics=[])
    quiet(trainer, x, y, epochs=10)
    p = trainer.predict(x)
    assert p.min() >= 0
    assert p.max() <= 1
    assert ((p > 0.5) == (y > 0.5)).mean() > 0.9


def test_several_inputs():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(2, 3), nn.Linear(1, 3)

        def forward(self, x, z):
            return self.a(x) + self.b(z)

    x, y = blobs()
    trainer = Trainer(Both(), seed=0)
    quiet(trainer, (x, x[:, :1]), y, validation=0.2)
    assert trainer.predict((x, x[:, :1])).shape == (90,)
    with pytest.raises(InputError, match="90, 80 rows"):
        trainer.predict((x, x[:80, :1]))


def test_a_table_goes_through_the_models_first_stage():
    frame = pd.DataFrame({"size": [1.0, 2.0, np.nan, 4.0] * 10, "colour": ["red", "blue", "red", "blue"] * 10})
    y = np.array(["small", "large", "small", "large"] * 10)
    first = nn.PrepareTable.of(frame)
    trainer = Trainer(nn.Sequential(first, nn.Linear(first.features, 2)), seed=0, lr=0.1)
    history = quiet(trainer, frame, y, epochs=20, validation=0.2)
    assert history["val_accuracy"][-1] == 1
    assert trainer.predict(frame).tolist() == y.tolist()
    matrix = first.prepare(frame)  # with nan for holes, which this first stage takes
    assert trainer.predict(matrix).tolist() == trainer.predict(matrix.tolist()).tolist() == y.tolist()
    with pytest.raises(InputError, match="lacks the column"):
        trainer.predict(frame[["size"]])


def test_an_autoencoder_learns_its_input():
    x, _ = blobs()
    trainer = Trainer(net(2, 4, 2), seed=0, lr=0.02)
    history = quiet(trainer, x, x, epochs=5)
    assert history["loss"][-1] < history["loss"][0]
    assert trainer.predict(x).shape == x.shape


def test_elementwise_losses_get_one_hot_rows():
    x, y = blobs()
    a, b = (Trainer(nn.Sequential(net(), nn.Sigmoid()), "mse", seed=0) for _ in range(2))
    quiet(a, x, y)
    quiet(b, x, np.eye(3, dtype=np.float32)[y])
    assert weights(a.model) == weights(b.model)
    assert "accuracy" in a.history


def test_classes_of_every_place():
    """Outputs (N, C, T) with class ids (N, T)."""

    class PerPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Conv1d(1, 2, 3, padding=1)

        def forward(self, x):
            return self.a(x)

    x = np.random.default_rng(0).normal(size=(40, 1, 6)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    trainer = Trainer(PerPlace(), seed=0, lr=0.1)
    history = quiet(trainer, x, y, epochs=10, validation=0.2)
    assert history["val_accuracy"][-1] > 0.9
    assert trainer.predict(x).shape == (40, 6)


def test_metrics_by_name_and_function():
    x, y = blobs()
    asked = ["accuracy", "f1", "f1_weighted", "top2", "roc_auc", "log_loss", metrics.recall]
    asked += [METRICS["precision"], functools.partial(metrics.f1, average="micro"), lambda truth, guess: 7.0]
    trainer = Trainer(net(), metrics=asked, seed=0)
    history = quiet(trainer, x, y)
    assert [m.name for m in trainer.metrics] == [
        "accuracy", "f1", "f1_weighted", "top2", "roc_auc", "log_loss", "recall", "precision", "f1", "<lambda>",
    ]  # fmt: skip
    assert history["<lambda>"] == [7.0, 7.0]
    found = trainer.evaluate(x, y)
    guess, p = trainer.predict(x), trainer.predict_proba(x)
    assert found["f1_weighted"] == metrics.f1(y, guess, average="weighted")
    assert found["top2"] == metrics.top_k_accuracy(y, p, 2)
    assert found["log_loss"] == pytest.approx(found["loss"], rel=1e-5)
    assert Trainer(net(), metrics="accuracy").fit(x, y, epochs=1, progress=False).metrics == ["accuracy"]
    assert quiet(Trainer(net(), metrics=[]), x, y).metrics == []


# -- weights and clipping ------------------------------------------------------------------


def whole_batch(x, y, **more):
    """Two steps of gradient descent on all rows at once."""
    fit = {k: more.pop(k) for k in ("sample_weight",) if k in more}
    trainer = Trainer(net(), more.pop("loss", "cross_entropy"), "sgd", lr=0.5, seed=0, **more)
    history = quiet(trainer, x, y, batch_size=len(y), shuffle=False, **fit)
    return trainer.model, history["loss"]


def close(a, b):
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_sample_weights_equal_repeated_rows():
    x, y = blobs(30)
    times = np.random.default_rng(0).integers(0, 4, 30)
    a, losses = whole_batch(x, y, sample_weight=times)
    b, others = whole_batch(np.repeat(x, times, axis=0), np.repeat(y, times))
    close(a, b)
    assert losses == pytest.approx(others, rel=1e-5)


@pytest.mark.parametrize("weight", [{0: 1, 1: 3, 2: 2}, [1, 3, 2], np.array([1.0, 3.0, 2.0])])
def test_class_weights_equal_repeated_rows(weight):
    x, y = blobs(30)
    times = np.array([1, 3, 2])[y]
    a, losses = whole_batch(x, y, class_weight=weight)
    b, others = whole_batch(np.repeat(x, times, axis=0), np.repeat(y, times))
    close(a, b)
    assert losses == pytest.approx(others, rel=1e-5)


def test_class_and_sample_weights_multiply_and_names_are_known():
    x, y = blobs(30)
    names = np.array(["a", "b", "c"])
    times = np.arange(30) % 2 + 1
    a, _ = whole_batch(x, names[y], class_weight={"b": 2}, sample_weight=times)
    b, _ = whole_batch(x, y, sample_weight=times * np.array([1, 2, 1])[y])
    close(a, b)


def test_balanced_class_weights():
    x, y = blobs(60)
    keep = (y != 1) | (np.arange(60) < 20)
    x, y = x[keep], y[keep]
    counts = np.bincount(y)
    a, _ = whole_batch(x, y, class_weight="balanced")
    b, _ = whole_batch(x, y, class_weight=len(y) / (3 * counts))
    close(a, b)


def test_weights_with_a_sum_and_with_several_outputs():
    x, y = line(30)
    y = np.stack([y, -y], axis=1)
    times = np.random.default_rng(0).integers(1, 4, 30)
    results = []
    for rows, weight in ((np.arange(30), times), (np.repeat(np.arange(30), times), None)):
        trainer = Trainer(net(3, 4, 2), nn.MSELoss(reduction="sum"), "sgd", lr=1e-3)
        quiet(trainer, x[rows], y[rows], batch_size=len(rows), shuffle=False, sample_weight=weight)
        results.append(trainer.model)
    close(*results)


def test_weight_zero_everywhere_in_a_batch():
    x, y = blobs(32)
    weight = np.repeat([0.0, 1.0], 16)
    trainer = Trainer(net(), seed=0)
    history = quiet(trainer, x, y, batch_size=16, shuffle=False, sample_weight=weight)
    assert np.isfinite(history["loss"]).all()


def test_gradients_are_clipped():
    x, y = line()
    sizes = {}

    def look(run):
        g = np.concatenate([p.grad.numpy().reshape(-1) for p in run.model.parameters()])
        sizes.setdefault(name, []).append((float(np.sqrt((g * g).sum())), float(np.abs(g).max())))

    for name, bound in {"free": {}, "norm": {"clip_norm": 0.01}, "value": {"clip_value": 0.002}}.items():  # noqa: B007
        quiet(Trainer(net(3, 4, 1), seed=0, **bound), x, y * 100, callbacks=[LambdaCallback(on_batch_end=look)])
    assert min(norm for norm, _ in sizes["free"]) > 1
    assert max(norm for norm, _ in sizes["norm"]) <= 0.01 * (1 + 1e-5)
    assert max(largest for _, largest in sizes["value"]) <= 0.002 * (1 + 1e-5)


# -- modes ------------------------------------------------------------------


def test_modes_are_restored():
    x, y = blobs()
    model = net(dropout=0.5)
    model[2].eval()  # frozen by the user
    trainer = Trainer(model, seed=0)
    seen = []
    look = LambdaCallback(on_batch_end=lambda run: seen.append(model[2].training))
    quiet(trainer, x, y, validation=0.2, callbacks=[look])
    assert not any(seen)
    assert model.training
    assert not model[2].training
    model.train()
    trainer.evaluate(x, y)
    trainer.predict(x)
    assert all(m.training for m in model.modules())
    model.eval()
    quiet(trainer, x, y, callbacks=[LambdaCallback(on_batch_end=lambda run: seen.append(model.training))])
    assert seen[-1]
    assert not model.training


def test_prediction_draws_nothing_and_repeats():
    x, y = blobs()
    trainer = Trainer(net(dropout=0.5), seed=0)
    quiet(trainer, x, y)
    state = hm.get_rng_state().tolist()
    assert np.array_equal(trainer.predict_proba(x), trainer.predict_proba(x))
    assert hm.get_rng_state().tolist() == state
    assert np.allclose(trainer.predict_proba(x, batch_size=7), trainer.predict_proba(x), atol=1e-6)


def test_predicting_with_a_loaded_model(tmp_path):
    x, y = blobs()
    names = np.array(["red", "blue", "green"])
    trainer = Trainer(net(), seed=0)
    quiet(trainer, x, names[y])
    hm_io = pytest.importorskip("haema.io")
    hm_io.save(trainer.model, tmp_path / "model.safetensors")
    model = hm_io.load(tmp_path / "model.safetensors")
    again = Trainer(model)
    assert again.classes == ["blue", "green", "red"]
    assert again.predict(x).tolist() == trainer.predict(x).tolist()
    assert again.evaluate(x, names[y]) == trainer.evaluate(x, names[y])
    assert model.meta["hyperparameters"]["optimizer"]["name"] == "Adam"
    assert model.meta["task"] == "classification"


def test_a_loaded_model_with_another_head():
    x, y = blobs()
    model = net()
    quiet(Trainer(model, seed=0), x, np.array(["a", "b", "c"])[y])
    model[2] = nn.Linear(8, 4)
    again = Trainer(model, seed=0)
    quiet(again, x, np.array(["k", "l", "m", "n"])[np.arange(90) % 4])
    assert again.classes == ["k", "l", "m", "n"]


def test_predicting_without_having_learned():
    x, _ = blobs()
    assert Trainer(net(), "cross_entropy").predict(x).shape == (90,)
    assert Trainer(net(2, 4, 1), "bce_with_logits").predict_proba(x).shape == (90, 2)
    assert Trainer(net()).predict(x).shape == (90, 3)
    with pytest.raises(HaemaError, match="not known before fit"):
        _ = Trainer(net()).metrics


# -- the loss is no longer finite ------------------------------------------------------------------


def spoil(epoch):
    """Make the weights infinite after the first batch of an epoch."""

    def callback(run):
        if run.epoch == epoch and run.batch == 1:
            with hm.no_grad():
                next(iter(run.model.parameters())).fill_(math.inf)

    return LambdaCallback(on_batch_end=callback)


def test_a_loss_that_is_not_finite_ends_the_training():
    x, y = blobs()
    trainer = Trainer(net(dropout=0.2), seed=0)
    with pytest.raises(NonFiniteLoss, match=r"became nan in epoch 3, batch 2; the weights are those of epoch 2 again"):
        quiet(trainer, x, y, epochs=5, callbacks=[spoil(3)])
    assert trainer.epochs == trainer.history.epochs == 2
    other = Trainer(net(dropout=0.2), seed=0)
    quiet(other, x, y, epochs=2)
    assert weights(trainer.model) == weights(other.model)
    trainer = Trainer(net(), seed=0)
    history = quiet(trainer, x, y, epochs=5, callbacks=[spoil(1), StopOnNonFinite(error=False)])
    assert "the weights are the initial ones again" in history.stopped
    assert weights(trainer.model) == weights(net())


# -- bad input ------------------------------------------------------------------


X, Y = blobs()
NAN = X.copy()
NAN[4, 1] = np.nan
FRAME = pd.DataFrame({"a": X[:, 0], "b": ["?"] * 90})
ONE = net(2, 4, 1)
NOTHING = data.DataLoader(data.Subset(data.ConcatDataset([data.TensorDataset(X, Y)]), []), batch_size=4)
LOADER = data.DataLoader(data.TensorDataset(X, Y))
HOLED = pd.DataFrame({"a": X[:, 0], "b": NAN[:, 1]})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"x": NAN}, "X holds nan in row 4, column 1"),
        ({"x": HOLED}, "X holds nan in row 4, column 'b'"),
        ({"x": FRAME}, "column 'b' of X holds no numbers"),
        ({"x": X[:80]}, "X has 80 rows and Y has 90"),
        ({"x": X[:0], "y": Y[:0]}, "X is empty"),
        ({"x": X, "y": Y[:0]}, "Y is empty"),
        ({"x": [[1.0], [1.0, 2.0]]}, "rows of different lengths"),
        ({"x": 3.0}, "single number"),
        ({"x": np.array([["a"]])}, "where numbers are right"),
        ({"x": X[:, :1]}, r"the model does not take X of shape \(90, 1\)"),
        ({"x": X[:, :1].astype(int)}, r"the model does not take X of shape \(90, 1\)"),
        ({"y": None}, "Y is missing"),
        ({"y": 1}, "single value"),
        ({"y": Y + 1}, "Y holds 4 classes and the model has 3 outputs"),
        ({"y": Y - 1}, r"Y\[0\] is -1, where a class id from 0 to 2 is right"),
        ({"y": np.array(["a", "b", "c", "d"])[np.arange(90) % 4]}, "Y holds 4 classes and the model has 3 outputs"),
        ({"y": np.array(["a", "b"])[Y % 2]}, "Y holds 2 classes and the model has 3 outputs"),
        ({"y": np.where(Y == 1, np.nan, 0.5)}, r"Y\[1\] is nan"),
        ({"y": np.array([None, *["a"] * 89])}, r"Y\[0\] is None"),
        ({"y": Y + 0.5}, r"Y has shape \(90,\) and the model's output \(90, 3\)"),
        ({"y": np.array([1j] * 90)}, "where numbers or texts are right"),
        ({"y": Y + 0.5, "loss": "cross_entropy"}, r"Y\[0\] is 0.5, where a class id"),
        ({"y": Y % 2, "model": ONE, "loss": "cross_entropy"}, "2 classes and the model has 1 output; 2 outputs"),
        ({"y": Y * 0, "model": ONE, "loss": "cross_entropy"}, "1 output, and this loss needs one for each class"),
        ({"y": Y, "model": ONE}, "Y holds 3 classes and the model has 1 output; 3 outputs are right, or task='regr"),
        ({"y": np.array(["a"] * 90), "task": "regression"}, "texts such as 'a', where a regression's"),
        ({"validation": 1.0}, "validation is 1.0; a share between 0 and 1"),
        ({"validation": 0}, "validation is 0; a share between 0 and 1"),
        ({"validation": True}, "validation is True"),
        ({"validation": (X,)}, "a tuple of 1; a pair"),
        ({"validation": (X, Y + 2)}, "where a class id from 0 to 2 is right"),
        ({"validation": 0.2, "x": X[:1], "y": Y[:1]}, "leaves 1 to learn from and 0 to validate with"),
        ({"batch_size": 0}, "batch_size is 0; a whole number from 1 upwards"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"epochs": 0}, "epochs is 0"),
        ({"loss": "crossentropi"}, "loss is 'crossentropi', which is unknown; did you mean 'cross_entropy'"),
        ({"loss": 3}, "loss is of type int"),
        ({"optimizer": "adm"}, "optimizer is 'adm', which is unknown; did you mean 'Adam'"),
        ({"optimizer": 3}, "optimizer is of type int"),
        ({"optimizer": optim.SGD(net().parameters(), lr=1)}, "holds no parameter of this model"),
        ({"optimizer": optim.SGD(net().parameters(), lr=1), "lr": 1}, "lr is given beside an optimizer"),
        ({"metrics": ["acuracy"]}, "metric 'acuracy' is unknown; did you mean 'accuracy'"),
        ({"metrics": ["rmse"]}, "metric 'rmse' is not for classification"),
        ({"metrics": [3]}, "a metric is of type int"),
        ({"task": "regresion"}, "task is 'regresion'; did you mean 'regression'"),
        ({"clip_norm": 0}, "clip_norm is 0"),
        ({"clip_value": -1}, "clip_value is -1"),
        ({"class_weight": "even"}, "class_weight is 'even'"),
        ({"class_weight": {5: 1}}, "class_weight names 5, which is no class"),
        ({"class_weight": [1, 2]}, "3 finite numbers from 0 upwards"),
        ({"class_weight": [1, 2, -1]}, "3 finite numbers from 0 upwards"),
        ({"class_weight": "balanced", "y": X[:, :1] + 0.5, "model": ONE}, "class_weight is for a classification"),
        ({"sample_weight": [1.0]}, r"sample_weight has shape \(1,\)"),
        ({"sample_weight": np.full(90, -1.0)}, r"sample_weight\[0\] is -1.0"),
        ({"sample_weight": np.zeros(90)}, "0 for all rows"),
        ({"sample_weight": np.ones(90), "loss": lambda o, y: F.cross_entropy(o, y)}, "one number for a whole batch"),
        ({"callbacks": [print]}, "callbacks holds a builtin_function_or_method"),
        ({"model": nn.Flatten()}, "no parameters that are to be learned"),
        ({"model": print}, "model is of type builtin"),
        ({"x": iter([1]), "y": None}, "which can be gone through only once"),
        ({"x": LOADER, "y": Y}, "Y came beside a DataLoader"),
        ({"x": LOADER, "y": None, "validation": 0.2}, "cannot be divided"),
        ({"x": data.DataLoader(data.TensorDataset(X)), "y": None}, "the loader gave 1 parts"),
        ({"x": LOADER, "y": None, "class_weight": "balanced"}, "needs all rows in memory"),
        ({"x": NOTHING, "y": None}, "gave no batches"),
        ({"x": data.TensorDataset(X, Y)}, "the TensorDataset has 2 tensors beside Y"),
        ({"x": data.ConcatDataset([data.Subset(data.TensorDataset(X, Y), [])]), "y": None}, "is empty"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence(given, words):
    given = {"x": X, "y": Y, "model": net(), **given}
    fitting = ("validation", "batch_size", "epochs", "sample_weight", "callbacks")
    fit = {"epochs": 1, **{k: given.pop(k) for k in fitting if k in given}}
    x, y = given.pop("x"), given.pop("y")
    with pytest.raises(InputError, match=words) as caught:
        Trainer(**given).fit(x, y, progress=False, **fit)
    assert "\n" not in str(caught.value).split("does not take")[0]


def test_models_that_make_something_else():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(2, 3)

        def forward(self, x):
            return self.a(x), x

    class Mean(Pair):
        def forward(self, x):
            return self.a(x).mean()

    with pytest.raises(InputError, match="makes a tuple of one row"):
        quiet(Trainer(Pair()), X, Y)
    with pytest.raises(InputError, match=r"makes shape \(\) of one row"):
        quiet(Trainer(Mean()), X, Y)


def test_bad_input_after_training():
    trainer = Trainer(net(), seed=0)
    quiet(trainer, X, np.array(["a", "b", "c"])[Y])
    with pytest.raises(InputError, match=r"Y\[0\] is 'd', which is no class"):
        trainer.evaluate(X, ["d"] * 90)
    with pytest.raises(InputError, match="X holds nan in row 4"):
        trainer.predict(NAN)
    numbers = Trainer(net(2, 4, 1), seed=0)
    quiet(numbers, X, X[:, 0])
    with pytest.raises(InputError, match="predict_proba is for classification"):
        numbers.predict_proba(X)
    with pytest.raises(InputError, match="where a regression's target is a number"):
        numbers.evaluate(X, ["a"] * 90)
    ids = Trainer(net(), seed=0)
    quiet(ids, X, Y)
    with pytest.raises(InputError, match="and the classes are numbers here"):
        ids.evaluate(X, ["a"] * 90)
    with pytest.raises(InputError, match="batch_size is 0"):
        ids.predict(X, batch_size=0)
    with pytest.raises(InputError, match="X gave no batches"):
        ids.predict(NOTHING)
    with pytest.raises(InputError, match="the loader gave no batches"):
        quiet(ids, NOTHING)
