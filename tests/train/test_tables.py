"""Learning from tables by the default plan: what it learns, from how little, and that the saved model is all of it."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from train.problems import weights

import haema as hm
from haema import InputError, io
from haema.data import load
from haema.train import Checkpoint, LambdaCallback
from haema.train.plans import plan_for
from haema.train.plans.plan import even_batch
from haema.train.tables import KeepBest, MembersLoss, TablePlan, fold_numbers, learn_table
from haema.train.tables.learning import share


def mixed(n=80, seed=0):
    """A table of every kind of column, and a target that depends on three of them."""
    rng = np.random.default_rng(seed)
    kind, size = rng.choice(["a", "b", "c"], n), rng.normal(size=n)
    frame = pd.DataFrame({
        "size": np.where(rng.random(n) < 0.1, np.nan, size), "kind": kind,
        "shop": [f"s{i}" for i in rng.integers(0, 15, n)],
        "new": rng.random(n) < 0.5, "at": [f"{i % 24:02d}:30" for i in range(n)],
    })  # fmt: skip
    return frame, 2 * size + (kind == "a") + 0.1 * rng.normal(size=n)


def r2(y, p):
    return 1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum()


# -- what it learns ------------------------------------------------------------------


def test_learns_a_line():
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(250, 4)), columns=list("abcd"))
    y = x.to_numpy() @ [3.0, -2, 0, 0] + 100
    trainer = learn_table(x[:150], y[:150], epochs=40, progress=False)
    assert r2(y[150:], trainer.predict(x[150:])[:, 0]) > 0.97


def test_learns_steps():
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.uniform(size=(600, 3)), columns=list("abc"))
    y = np.where(x["a"] > 0.3, np.where(x["b"] > 0.6, "high", "middle"), "low")
    trainer = learn_table(x[:400], y[:400], epochs=12, progress=False)
    assert trainer.classes == ["high", "low", "middle"]
    assert (trainer.predict(x[400:]) == y[400:]).mean() > 0.93
    assert trainer.predict_proba(x[400:]).sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert trainer.model[2].weights.numpy()[1] >= 0.5  # the stepwise networks are the right ones here


def test_hopeless_table_gives_the_mean():
    rng = np.random.default_rng(0)
    x, y = pd.DataFrame({"a": rng.normal(size=60)}), rng.normal(size=60)
    p = learn_table(x, y, epochs=20, progress=False).predict(x)[:, 0]
    assert np.abs(p - y.mean()).max() < 0.5 * y.std()


@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize("rows", [2, 3, 5, 21])
def test_tiny_tables(rows, task):
    x = pd.DataFrame({"a": [1.5, 2, np.nan, 4, 7.5, 3, 9] * 3, "b": list("xyxyzzz") * 3})[:rows]
    y = np.arange(rows) % 2 if task == "classification" else np.arange(rows) * 1.0
    trainer = learn_table(x, y.astype(str) if task == "classification" else y, task=task, epochs=3, progress=False)
    assert len(trainer.predict(x)) == rows
    assert np.isfinite(trainer.outputs(x)).all()


def test_a_class_with_one_row_and_one_value_of_the_target():
    x = pd.DataFrame({"a": np.arange(30.0)})
    y = np.array(["p", "q"] * 14 + ["p", "rare"])
    trainer = learn_table(x, y, epochs=3, progress=False)
    assert trainer.predict_proba(x).shape == (30, 3)
    same = learn_table(x, np.full(30, 7.5), task="regression", epochs=3, progress=False)
    np.testing.assert_allclose(same.predict(x), 7.5)


def test_columns_of_which_nothing_is_left():
    x = pd.DataFrame({"a": [1.0] * 20, "b": [None] * 20, "c": list("abcdefghij") * 2})
    assert learn_table(x, np.arange(20.0), epochs=2, progress=False).predict(x).shape == (20, 1)
    with pytest.raises(InputError, match="no column to learn from"):
        learn_table(x[["a", "b"]], np.arange(20.0), progress=False)


def test_several_numbers_at_once():
    x, y = mixed()
    trainer = learn_table(x, np.stack([y, -y, 3 + 0 * y], axis=1), epochs=8, progress=False)
    p = trainer.predict(x)
    assert p.shape == (80, 3)
    assert np.corrcoef(p[:, 0], p[:, 1])[0, 1] < -0.9
    np.testing.assert_allclose(p[:, 2], 3, atol=1e-3)


# -- the model is all of it ------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    x, y = mixed()
    return learn_table(x, np.where(y > 0.5, "yes", "no"), epochs=6, progress=False), x


def test_saved_model_predicts_the_same(trained, tmp_path):
    trainer, x = trained
    hm.save(trainer.model, tmp_path / "m.haema")
    again = hm.Trainer(hm.load(tmp_path / "m.haema"))
    np.testing.assert_array_equal(again.predict_proba(x), trainer.predict_proba(x))
    np.testing.assert_array_equal(again.predict(x), trainer.predict(x))
    assert again.classes == ["no", "yes"]


def test_unknown_categories_holes_and_other_orders(trained):
    trainer, x = trained
    odd = x.head(4).copy()
    odd["kind"], odd["shop"], odd["size"] = ["?new", None, "a", "b"], None, [np.nan, 1e200, -5, 0]
    odd["new"], odd["at"] = None, None
    p = trainer.predict_proba(odd[odd.columns[::-1]].assign(more=1))
    assert np.isfinite(p).all()
    np.testing.assert_array_equal(p, trainer.predict_proba(odd))


def test_columns_of_other_types_of_pandas():
    x, y = mixed(40)
    x["at"], x["kind"] = x["at"].astype("category"), x["kind"].astype("category")
    x["shop"] = x["shop"].astype("string")
    x["count"] = pd.array([None, *range(39)], dtype="Int64")
    x["day"] = pd.date_range("2024-01-01", periods=40, freq="7h", tz="Asia/Seoul")
    x["flag"] = pd.array([None, True, False, True] * 10, dtype="boolean")
    trainer = learn_table(x, y, epochs=1, progress=False)
    assert np.isfinite(trainer.predict(x)).all()
    assert {"at (sin)", "count", "flag", "day (hour) (cos)"} <= set(trainer.model[0].numbers)


def test_seed_makes_the_model(trained):
    trainer, x = trained
    y = mixed()[1]
    again = learn_table(x, np.where(y > 0.5, "yes", "no"), epochs=6, progress=False)
    assert weights(again.model) == weights(trainer.model)
    other = learn_table(x, np.where(y > 0.5, "yes", "no"), epochs=6, progress=False, seed=1)
    assert weights(other.model) != weights(trainer.model)


def test_a_table_is_needed():
    with pytest.raises(InputError, match=r"learn_table: the rows are arrays"):
        learn_table(np.ones((4, 2)), [1.0, 2, 3, 4])


def test_model_table_is_for_tables():
    with pytest.raises(InputError, match=r"digits is no table, and model 'table' is for tables"):
        plan_for(load("digits"), "table")


def test_other_rows_may_be_validated_with():
    x, y = mixed()
    data, other = load((x[:60], y[:60])), load((x[60:], y[60:]))
    plan = plan_for(data, epochs=2)
    model = plan.build()
    learner = plan.learner(model)
    trainer = hm.Trainer(learner, plan.loss, plan.make_optimizer(learner), metrics=(), seed=0)
    callbacks = [*plan.callbacks(), plan.schedule(60)]
    trainer.fit(
        plan.training_part(data, model), epochs=2, batch_size=plan.batch_size, callbacks=callbacks,
        validation=plan.validation_part(other, model), progress=False,
    )  # fmt: skip
    assert {"fold_loss", "val_loss"} <= trainer.history.values.keys()
    assert trainer.history["val_loss"] != trainer.history["fold_loss"]
    model.meta = trainer.model.meta
    p = model.eval()(hm.from_numpy(model[0].prepare(other.x))).detach().numpy()
    assert p.shape == (20, 1)


def test_too_large_numbers():
    with pytest.raises(InputError, match=r"too large a number to be learned"):
        learn_table(pd.DataFrame({"a": [1.0, 2, 3]}), np.array([1e31, 0.5, 1]), progress=False)


# -- folds and the best epoch ------------------------------------------------------------------


def test_folds_hold_every_class_evenly():
    hm.manual_seed(0)
    y = np.repeat([0, 1, 2], [50, 23, 3])
    folds = fold_numbers(y, 5, classify=True)
    counts = np.array([np.bincount(folds[y == c], minlength=5) for c in range(3)])
    assert (np.ptp(counts, axis=1) <= 1).all()
    assert np.ptp(np.bincount(fold_numbers(y, 7, classify=False))) <= 1


def test_batches_come_out_nearly_even():
    assert even_batch(10, 32) == 10
    assert 1000 % even_batch(1000, 32) == 0
    for rows in range(33, 400, 7):
        size = even_batch(rows, 32)
        assert 25 <= size <= 40
        assert rows % size == 0 or rows % size >= 0.6 * size


def test_members_learn_nothing_from_their_own_fold():
    hm.manual_seed(0)
    net = hm.nn.TableNet([0, 1], [0, 1], 4, 1, members=3, classify=False)
    loss = MembersLoss(False)
    x, y = hm.randn(9, 5), hm.randn(9, 1)
    fold = hm.tensor([0, 1, 1, 0, 1, 1, 0, 1, 1])
    alone = hm.tensor([0] * 9)

    def gradient(folds):
        net.zero_grad()
        loss(net(x, folds), y).backward()
        return [p.grad.numpy() for p in net.parameters()]

    for g in gradient(alone):
        assert not g[0].any()
    assert all(g[2].any() for g in gradient(fold) if g.any())


def test_loss_of_members_by_hand():
    hm.manual_seed(0)
    output, y = hm.randn(2, 4, 4), hm.tensor([0, 2, 1, 1])
    output[..., 3] = hm.tensor([[1.0, 1, 0, 1], [0.0, 1, 1, 1]])
    logs = output[..., :3].log_softmax(-1).numpy()
    target = np.eye(3)[y.numpy()] * 0.95 + 0.05 / 3
    each = -(target * logs).sum(axis=-1)
    counts = output[..., 3].numpy()
    assert MembersLoss(True)(output, y).item() == pytest.approx((each * counts).sum() / counts.sum(), rel=1e-5)
    loss = MembersLoss(True, sparsity=0.5)
    loss.net = hm.nn.TableNet([0, 1], [], 4, 3, members=1, classify=True)
    assert loss(output, y).item() == pytest.approx((each * counts).sum() / counts.sum() + 0.5 * 4 / 2, rel=1e-5)
    plain = -logs[0][np.arange(4), y.numpy()].mean()
    assert MembersLoss(True)(output[0, :, :3], y).item() == pytest.approx(plain, rel=1e-5)


def test_best_epochs_come_back():
    x, y = mixed()
    losses = []
    keep = KeepBest(patience=1000)
    plan = plan_for(load((x, y)), epochs=5, batch_size=16)
    assert isinstance(plan, TablePlan)
    model = plan.build()
    learner = plan.learner(model)
    trainer = hm.Trainer(learner, plan.loss, plan.make_optimizer(learner), metrics=(), seed=3)
    watch = LambdaCallback(on_epoch_end=lambda run: losses.append(list(keep._last)))
    callbacks = [keep, plan.schedule(80), watch]
    trainer.fit(plan.training_part(load((x, y)), model), epochs=5, batch_size=16, callbacks=callbacks, progress=False)
    assert keep.best == [min(column) for column in zip(*losses, strict=True)]
    assert keep.best_epoch == [1 + int(np.argmin(column)) for column in zip(*losses, strict=True)]
    assert trainer.history["val_loss"][-1] == min(losses[-1])
    w = trainer.model.weights.numpy()
    assert w.sum() == pytest.approx(1)
    assert (w >= 0).all()
    assert 0 <= trainer.model.shrink.item() <= 1


def test_share_of_the_kinds_by_hand():
    losses = [0.5, 0.4, 0.3, 0.4, 0.5]
    assert share(losses, 0, classify=True) == 0.5  # no rows say nothing
    q = np.exp(-4 * np.array([0.3, 0.2, 0.1]))
    expected = q @ [0, 0.25, 0.5] / q.sum()
    assert share([0.3, 0.2, 0.1, np.inf, np.inf], 4, classify=True) == pytest.approx(expected)
    q = np.exp(-4 * np.array([0.3, 0.2, 0.1]) / 0.2)
    expected = q @ [0, 0.25, 0.5] / q.sum()
    assert share([0.3, 0.2, 0.1, np.inf, np.inf], 4, classify=False) == pytest.approx(expected)
    assert share([0.3, 0.2, 0.1, 0.2, 0.4], 100_000, classify=True) == 0.5  # many rows: the best
    assert share([0.0, 0.1, 0.2, 0.3, 0.4], 50, classify=False) == 0


def test_few_rows_do_not_leave_one_kind_alone():
    """The mixture that happened to fit 21 rows best, often one kind alone, did worse on others than an even one."""
    x = pd.DataFrame({"a": np.random.default_rng(0).normal(size=21)})
    y = np.array(["p", "q", "r"] * 7)
    w = learn_table(x, y, epochs=3, progress=False).model[2].weights.numpy()
    assert 0.4 < w[0] < 0.6


def test_a_small_table_is_looked_at_after_every_epoch():
    """With a look only every fortieth part of the training the best epoch of a table soon learned was missed."""
    x, y = mixed(40)
    seen = []
    keep = LambdaCallback(on_epoch_end=lambda run: seen.append(run.logs["val_loss"]))
    plan_epochs = plan_for(load((x, y))).epochs
    learn_table(x, y, callbacks=[keep], progress=False)
    assert plan_epochs > 80
    assert len(set(seen[:10])) == 10


def test_a_kind_that_gets_no_better_learns_no_more():
    x, y = mixed()
    noise = np.random.default_rng(0).normal(size=80)
    history = learn_table(x, noise, epochs=200, progress=False).history
    assert len(history) < 200
    assert "have not got better since" in history.stopped
    assert len(learn_table(x, y, epochs=3, progress=False).history) == 3


# -- going on ------------------------------------------------------------------

PROGRAM = """
import sys, time
sys.path[:0] = {path!r}
from train.test_tables import mixed
import haema as hm
from haema.train import Checkpoint, LambdaCallback
from haema.train.tables import learn_table

x, y = mixed()
slow = LambdaCallback(on_epoch_end=lambda run: (print(run.epoch, flush=True), time.sleep(float(sys.argv[2]))))
trainer = learn_table(x, y, epochs=9, progress=False, callbacks=[slow, Checkpoint(sys.argv[1] + "/c")], resume=True)
hm.save(trainer.model, sys.argv[1] + "/model")
"""


def run_program(folder, pause, kill=False):
    text = PROGRAM.format(path=[p for p in sys.path if p])
    command = [sys.executable, "-c", text, str(folder), str(pause)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if kill:
        for _ in range(4):
            process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), errors


def test_a_killed_run_ends_with_the_same_bits(tmp_path):
    for name in ("whole", "killed"):
        os.mkdir(tmp_path / name)
    run_program(tmp_path / "whole", 0)
    run_program(tmp_path / "killed", 0.3, kill=True)
    assert not os.path.exists(tmp_path / "killed/model")
    assert 3 <= io.load_checkpoint(tmp_path / "killed/c")["epoch"] < 9
    run_program(tmp_path / "killed", 0)
    assert (tmp_path / "whole/model").read_bytes() == (tmp_path / "killed/model").read_bytes()


def test_going_on_after_one_kind_has_finished(tmp_path):
    x, _ = mixed()
    noise = np.random.default_rng(1).normal(size=80)
    path = tmp_path / "c"
    whole = learn_table(x, noise, epochs=60, progress=False, callbacks=[Checkpoint(tmp_path / "c{epoch}")])
    last = len(whole.history)
    assert last < 60
    for epoch in (last - 1, last):
        start = tmp_path / f"c{epoch}"
        again = learn_table(x, noise, epochs=60, progress=False, callbacks=[Checkpoint(path)], resume=start)
        assert weights(again.model) == weights(whole.model)
        assert again.history.stopped == whole.history.stopped
