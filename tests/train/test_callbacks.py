"""Callbacks: a contract that every one of them keeps, and what each does."""

import csv
import inspect
import io as python_io
import json
import time

import numpy as np
import pytest
from train.problems import blobs, net, weights

from haema import InputError, io, nn, optim
from haema import train as train_room
from haema.train import (
    Callback,
    Checkpoint,
    CSVLog,
    EarlyStopping,
    GradientNorms,
    LambdaCallback,
    LearningRateSchedule,
    ProgressBar,
    StopOnNonFinite,
    TimeLimit,
    Trainer,
)

X, Y = blobs()


def fit(callbacks, epochs=4, seed=0, model=None, progress=False, **more):
    trainer = Trainer(model or net(), lr=0.02, seed=seed)
    trainer.fit(X, Y, epochs=epochs, batch_size=16, callbacks=callbacks, progress=progress, **more)
    return trainer


# -- the contract ------------------------------------------------------------------

MAKE = {
    EarlyStopping: lambda folder: EarlyStopping(patience=2),
    Checkpoint: lambda folder: Checkpoint(folder / "run"),
    CSVLog: lambda folder: CSVLog(folder / "log.csv"),
    LearningRateSchedule: lambda folder: LearningRateSchedule("StepLR", step_size=2),
    TimeLimit: lambda folder: TimeLimit(1000),
    ProgressBar: lambda folder: ProgressBar(file=python_io.StringIO()),
}
ALL = [c for c in vars(train_room).values() if inspect.isclass(c) and issubclass(c, Callback) and c is not Callback]


def made(cls, folder):
    return MAKE[cls](folder) if cls in MAKE else cls()


@pytest.mark.parametrize("cls", ALL, ids=lambda c: c.__name__)
def test_contract(cls, tmp_path):
    """Settings are plain data; a callback can be used twice; its state survives a file and makes no difference."""
    callback = made(cls, tmp_path)
    json.dumps(callback.settings())
    assert set(callback.settings()) <= {*inspect.signature(cls.__init__).parameters, *callback.settings()}
    whole = fit([callback], epochs=6)
    again = fit([callback], epochs=6)
    assert weights(whole.model) == weights(again.model)
    json.dumps(whole.hyperparameters)

    first = made(cls, tmp_path)
    fit([first, Checkpoint(tmp_path / "contract")], epochs=3)
    io.save_checkpoint({"state": first.state_dict()}, tmp_path / "state")
    other = made(cls, tmp_path)
    resumed = fit([other], epochs=6, seed=0, model=net(seed=9), resume=tmp_path / "contract")
    assert weights(whole.model) == weights(resumed.model)


@pytest.mark.parametrize("cls", ALL, ids=lambda c: c.__name__)
def test_documented(cls):
    assert cls.__doc__
    assert cls.__init__ is Callback.__init__ or cls.__init__ is object.__init__ or len(cls.__doc__) > 60


def test_moments_come_in_order():
    seen = []
    moments = ("on_fit_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_fit_end")
    fit([LambdaCallback(**{m: lambda run, m=m: seen.append((m, run.epoch, run.batch)) for m in moments})], epochs=2)
    batches = [("on_batch_end", b) for b in range(1, 7)]
    expected = [("on_fit_begin", 0, 0)]
    for e in (1, 2):
        expected += [("on_epoch_begin", e, 0), *((m, e, b) for m, b in batches), ("on_epoch_end", e, 6)]
    assert seen == [*expected, ("on_fit_end", 2, 6)]
    assert LambdaCallback(on_epoch_end=print).settings() == {"on_epoch_end": "print"}


def test_a_callback_can_add_a_value_and_stop():
    def add(run):
        run.log("norm", run.epoch * 2)

    def stop(run):
        if (run.epoch, run.batch) == (2, 3):
            run.stop("enough")

    trainer = fit([LambdaCallback(on_epoch_end=add, on_batch_end=stop)])
    assert trainer.history["norm"] == [2, 4]
    assert trainer.history.stopped == "enough"
    assert trainer.epochs == 2


# -- each ------------------------------------------------------------------


def scripted(values):
    """Replaces val_loss by given numbers."""

    def callback(run):
        run.log("val_loss", values[run.epoch - 1])

    script = LambdaCallback(on_epoch_end=callback)
    script.order = -1
    return script


def test_early_stopping_restores_the_best_weights():
    kept = {}
    keep = LambdaCallback(on_epoch_end=lambda run: kept.update({run.epoch: weights(run.model)}))
    zigzag = [3.0, 2.0, 2.5, 1.0, 1.5, 1.2, 1.1, 0.5]
    stop = EarlyStopping(patience=3)
    trainer = fit([stop, keep, scripted(zigzag)], epochs=8, validation=0.2)
    assert (stop.best, stop.best_epoch, trainer.epochs) == (1.0, 4, 7)
    assert weights(trainer.model) == kept[4] != kept[7]
    assert trainer.history.stopped == "val_loss was best in epoch 4 (1) and has not got better for 3 epochs"
    fit([EarlyStopping(patience=3, restore_best=False), keep, scripted(zigzag)], epochs=8, validation=0.2)
    trainer = fit([EarlyStopping(patience=9), keep, scripted(zigzag[:6])], epochs=6, validation=0.2)
    assert weights(trainer.model) == kept[4]  # also where it did not stop


def test_early_stopping_arguments():
    nan = float("nan")
    assert fit([EarlyStopping(patience=2, min_delta=0.5), scripted([3, 2.8, 2.6, 1])], validation=0.2).epochs == 3
    assert fit([EarlyStopping("val_loss", 1, mode="max"), scripted([1, 2, 3, 2.9, 5])], 5, validation=0.2).epochs == 4
    assert fit([EarlyStopping(patience=1), scripted([nan, 2, 3, 4])], validation=0.2).epochs == 1
    stop = EarlyStopping(monitor="accuracy", patience=1)
    trainer = fit([stop], epochs=30)
    assert stop.best == max(trainer.history["accuracy"])
    with pytest.raises(InputError, match="monitor is 'val_los', which no epoch has; did you mean 'val_loss'"):
        fit([EarlyStopping("val_los")], validation=0.2)
    for bad in ({"patience": 0}, {"mode": "up"}, {"min_delta": -1}):
        with pytest.raises(InputError, match=next(iter(bad))):
            EarlyStopping(**bad)


def test_schedules_per_epoch_and_per_step():
    trainer = fit([LearningRateSchedule("StepLR", step_size=1, gamma=0.5)])
    assert trainer.history["lr"] == pytest.approx([0.02, 0.01, 0.005, 0.0025])
    rates = []
    look = LambdaCallback(on_batch_end=lambda run: rates.append(run.lr))
    look.order = -1
    fit([LearningRateSchedule(optim.lr_scheduler.ExponentialLR, per="step", gamma=0.5), look], epochs=1)
    assert rates == pytest.approx([0.02 * 0.5**i for i in range(6)])
    made_by = LearningRateSchedule(lambda optimizer: optim.lr_scheduler.StepLR(optimizer, 1, 0.1))
    assert fit([made_by], epochs=2).history["lr"] == pytest.approx([0.02, 0.002])
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    finished = LearningRateSchedule(optim.lr_scheduler.StepLR(optimizer, 1, 0.5))
    trainer = Trainer(model, optimizer=optimizer)
    trainer.fit(X, Y, epochs=2, callbacks=[finished], progress=False)
    trainer.fit(X, Y, epochs=1, callbacks=[finished], progress=False)
    assert trainer.history["lr"] == pytest.approx([0.1, 0.05, 0.025])
    with pytest.raises(InputError, match="belongs to another optimizer"):
        fit([finished])


def test_reduce_on_plateau_is_fed_with_the_monitor():
    plateau = LearningRateSchedule("ReduceLROnPlateau", factor=0.1, patience=0)
    trainer = fit([plateau, scripted([1, 2, 0.5, 0.4])], validation=0.2)
    assert trainer.history["lr"] == pytest.approx([0.02, 0.02, 0.002, 0.002])
    with pytest.raises(InputError, match="fed once per epoch"):
        fit([LearningRateSchedule("ReduceLROnPlateau", per="step")])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LearningRateSchedule("StepLr"), "'StepLr' is unknown; did you mean 'StepLR'"),
        (lambda: LearningRateSchedule("StepLR", per="batch"), "per is 'batch'"),
        (lambda: LearningRateSchedule(3), "scheduler is of type int"),
        (lambda: LearningRateSchedule(lambda o: o, gamma=1), "gamma came with a finished scheduler"),
        (lambda: TimeLimit(0), "seconds is 0"),
        (lambda: fit([CSVLog("no/such/folder/log.csv")]), "there is no folder"),
    ],
)
def test_bad_arguments(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_time_limit():
    slow = LambdaCallback(on_epoch_begin=lambda run: time.sleep(0.03))
    trainer = fit([slow, TimeLimit(0.1)], epochs=50)
    assert 1 <= trainer.epochs < 5
    assert "limit of 0.1 s" in trainer.history.stopped
    assert fit([slow, TimeLimit(1e-9)], epochs=50).epochs == 1


def test_a_run_out_of_time_can_go_on(tmp_path):
    path = tmp_path / "run"
    first = fit([TimeLimit(1e-9), Checkpoint(path)], epochs=3)
    assert (first.epochs, first.history.epochs) == (1, 1)
    second = fit([], epochs=3, resume=path)
    assert second.epochs == 3
    assert weights(second.model) == weights(fit([], epochs=3).model)


def test_csv_log_has_each_epoch_once(tmp_path):
    path = tmp_path / "log.csv"
    stop = LambdaCallback(on_epoch_begin=lambda run: 1 / 0 if run.epoch == 4 else None)
    with pytest.raises(ZeroDivisionError):
        fit([CSVLog(path), Checkpoint(tmp_path / "run", every=2), stop], epochs=6)
    trainer = fit([CSVLog(path)], epochs=6, resume=tmp_path / "run")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [int(r["epoch"]) for r in rows] == [1, 2, 3, 4, 5, 6]
    assert [float(r["loss"]) for r in rows] == trainer.history["loss"]


def test_gradients_vanish_in_deep_sigmoid_networks():
    def deep(activation):
        layers = []
        for i in range(6):
            layers += [nn.Linear(2 if i == 0 else 8, 8), activation()]
        return nn.Sequential(*layers, nn.Linear(8, 3))

    norms = GradientNorms()
    fit([norms], epochs=2, model=deep(nn.Sigmoid))
    first, last = norms.norms["0"][0], norms.norms["12"][0]
    assert list(norms.norms) == ["0", "2", "4", "6", "8", "10", "12"]
    assert first < last / 100
    assert len(norms.norms["0"]) == 2
    p = Trainer(net(), seed=0, optimizer="sgd")
    p.fit(X, Y, epochs=1, batch_size=90, callbacks=[norms], progress=False)
    model = net()
    import haema.nn.functional as F
    from haema import tensor

    F.cross_entropy(model(tensor(X)), tensor(Y)).backward()
    by_hand = np.sqrt(sum(float((q.grad.numpy() ** 2).sum()) for q in model[0].parameters()))
    assert norms.norms["0"][0] == pytest.approx(by_hand, rel=1e-5)


class Terminal(python_io.StringIO):
    def isatty(self):
        return True


def test_progress_is_quiet_where_there_is_no_terminal(capfd):
    fit([], progress=None)
    fit([], progress=False)
    assert capfd.readouterr() == ("", "")
    fit([], progress=True, validation=0.2)
    out, err = capfd.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("epoch 1/4  loss ")
    assert "val_accuracy" in lines[0]
    fit([EarlyStopping("loss", 1, min_delta=9)], progress=True)
    assert capfd.readouterr().err.splitlines()[-1].startswith("stopped: loss was best in epoch 1")


def test_progress_on_a_terminal():
    screen = Terminal()
    slow = LambdaCallback(on_batch_end=lambda run: time.sleep(0.02))
    fit([ProgressBar(file=screen), slow], epochs=2)
    text = screen.getvalue()
    assert "epoch 2/2" in text
    assert "steps/s" in text
    assert text.count("accuracy") == 2


def test_stop_on_non_finite_is_always_there():
    assert StopOnNonFinite().error
    assert StopOnNonFinite(error=False).settings() == {"error": False}
