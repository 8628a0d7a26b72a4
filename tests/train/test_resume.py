"""Going on where a run ended: after a kill, after Ctrl-C, in two goes; and refusing to go on with something else."""

import inspect
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from train.problems import blobs, net, weights

import haema as hm
from haema import InputError, io, nn, optim
from haema.train import Callback, Checkpoint, EarlyStopping, LambdaCallback, LearningRateSchedule, Trainer

PROGRAM = """
import sys, time
sys.path[:0] = {path!r}
from train.problems import blobs, net
from haema import io
from haema.train import Checkpoint, EarlyStopping, LambdaCallback, LearningRateSchedule, Trainer

x, y = blobs(200)
pause = float(sys.argv[2])
slow = LambdaCallback(on_batch_end=lambda run: time.sleep(pause), on_fit_begin=lambda run: print("go", flush=True))
trainer = Trainer(net(dropout=0.3), optimizer="adam", lr=0.02, seed=7, clip_norm=1.0)
trainer.fit(
    x, y, epochs=8, batch_size=16, validation=0.25, progress=False, resume=True,
    callbacks=[
        slow,
        EarlyStopping(patience=3),
        LearningRateSchedule("StepLR", step_size=2, gamma=0.5),
        Checkpoint(sys.argv[1] + "/run.checkpoint"),
    ],
)
h = trainer.history
io.save_checkpoint(
    dict(model=trainer.model.state_dict(), optimizer=trainer.optimizer.state_dict(), epochs=trainer.epochs,
         history=dict((k, v) for k, v in h.values.items() if k != "seconds")),
    sys.argv[1] + "/end",
)
"""


def run_program(folder, pause, kill_after=None):
    """Run the program to its end, or kill it; whether it got to its end."""
    text = PROGRAM.format(path=[p for p in sys.path if p])
    process = subprocess.Popen(
        [sys.executable, "-c", text, str(folder), str(pause)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    if kill_after is not None:
        time.sleep(kill_after)
        process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), errors
    return process.returncode == 0


def same(a, b):
    """Whether two nests are equal to the last bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(p, q) for p, q in zip(a, b, strict=True))
    if hasattr(a, "detach"):
        return a.numpy().tobytes() == b.numpy().tobytes()
    return a == b


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_killed_at_any_moment_ends_with_the_same_bits(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    assert run_program(whole, 0)
    moments = random.Random(0)
    kills = 0
    while not run_program(broken, 0.003 if kills < 4 else 0, moments.uniform(0.02, 0.2) if kills < 4 else None):
        kills += 1
        assert kills <= 4
    assert kills >= 2
    assert same(io.load_checkpoint(whole / "end"), io.load_checkpoint(broken / "end"))
    seen = [name for name in os.listdir(broken) if not name.endswith(".tmp")]  # a kill may leave its unfinished file
    assert sorted(seen) == ["end", "run.checkpoint"]


def fit(model, epochs, callbacks=(), **more):
    x, y = blobs()
    arguments = {"batch_size": 16, "validation": 0.2, "progress": False, **more}
    trainer = Trainer(model, optimizer="adam", lr=0.02, seed=3)
    trainer.fit(x, y, epochs=epochs, callbacks=callbacks, **arguments)
    return trainer


def test_two_goes_equal_one():
    x, y = blobs()
    one = fit(net(dropout=0.2), 6)
    two = fit(net(dropout=0.2), 2)
    two.fit(x, y, epochs=4, batch_size=16, validation=0.2, progress=False)
    assert weights(one.model) == weights(two.model)
    assert one.history["val_loss"] == two.history["val_loss"]
    assert two.epochs == 6
    assert two.history.epochs == 6


def test_resuming_equals_never_stopping(tmp_path):
    path = tmp_path / "run"
    schedule = {"scheduler": "OneCycleLR", "per": "step", "max_lr": 0.05, "total_steps": 40}
    one = fit(net(dropout=0.2), 8, [LearningRateSchedule(**schedule), EarlyStopping(patience=2)])
    stop = LambdaCallback(on_epoch_begin=lambda run: 1 / 0 if run.epoch == 4 else None)
    with pytest.raises(ZeroDivisionError):
        fit(net(dropout=0.2), 8, [LearningRateSchedule(**schedule), EarlyStopping(patience=2), Checkpoint(path), stop])
    hm.manual_seed(99)
    two = fit(net(seed=5, dropout=0.2), 8, [LearningRateSchedule(**schedule), EarlyStopping(patience=2)], resume=path)
    assert weights(one.model) == weights(two.model)
    assert one.history["loss"] == two.history["loss"]
    assert one.history["lr"] == two.history["lr"]


def test_a_finished_run_is_not_trained_further(tmp_path):
    path = tmp_path / "run"
    one = fit(net(), 3, [Checkpoint(path)])
    two = fit(net(seed=5), 3, resume=path)
    assert weights(one.model) == weights(two.model)
    longer = fit(net(seed=5), 5, resume=path)
    assert longer.epochs == 5
    assert weights(longer.model) == weights(fit(net(), 5).model)


def test_a_run_that_stopped_early_is_not_trained_further(tmp_path):
    path = tmp_path / "run"
    stop = [EarlyStopping(patience=1, min_delta=10)]
    one = fit(net(), 9, [*stop, Checkpoint(path)])
    assert one.epochs == 2
    two = fit(net(seed=5), 9, stop, resume=path)
    assert two.epochs == 2
    assert weights(one.model) == weights(two.model)
    assert "has not got better" in two.history.stopped


def test_resume_true_begins_where_there_is_no_checkpoint(tmp_path):
    path = tmp_path / "run"
    fit(net(), 2, [Checkpoint(path)], resume=True)
    assert path.exists()
    with pytest.raises(InputError, match="no Checkpoint callback says where"):
        fit(net(), 2, resume=True)


class Noise(nn.Module):
    """Adds noise from a generator of its own."""

    def __init__(self):
        super().__init__()
        self.generator = hm.Generator(3)

    def forward(self, x):
        return x + 0.1 * hm.randn(*x.shape, generator=self.generator) if self.training else x


def test_generators_of_layers_are_part_of_it(tmp_path):
    def noisy(seed=1):
        return nn.Sequential(Noise(), *net(seed=seed))

    fit(noisy(), 2, [Checkpoint(tmp_path / "run")])
    assert weights(fit(noisy(5), 4, resume=tmp_path / "run").model) == weights(fit(noisy(), 4).model)


def test_datasets_go_on_too(tmp_path):
    from haema.data import ConcatDataset, TensorDataset

    def go(epochs, seed=1, callbacks=(), **more):
        trainer = Trainer(net(seed=seed), seed=0)
        served = ConcatDataset([TensorDataset(*blobs())])
        trainer.fit(served, epochs=epochs, callbacks=callbacks, progress=False, **more)
        return weights(trainer.model)

    go(1, callbacks=[Checkpoint(tmp_path / "run")])
    assert go(3, seed=6, resume=tmp_path / "run") == go(3)


def test_sources_must_say_what_they_are():
    from haema.train.sources import Source

    with pytest.raises(NotImplementedError, match="defines no batches"):
        Source().batches(1, False)
    with pytest.raises(NotImplementedError, match="defines no fingerprint"):
        Source().fingerprint()


def test_generators_of_loaders_are_part_of_it(tmp_path):
    from haema.data import DataLoader, TensorDataset

    x, y = blobs()

    def go(epochs, callbacks=(), **more):
        generator = hm.Generator(5)
        loader = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True, generator=generator)
        trainer = Trainer(net(), seed=0)
        trainer.fit(loader, epochs=epochs, callbacks=callbacks, progress=False, **more)
        return trainer

    go(2, [Checkpoint(tmp_path / "run")])
    assert weights(go(5, resume=tmp_path / "run").model) == weights(go(5).model)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 8}, r"batch_size = 16, and now it is 8"),
        ({"shuffle": False}, r"shuffle = True, and now it is False"),
        ({"validation": 0.3}, r"validation = 0.2, and now it is 0.3"),
        ({"validation": None}, r"validation = 0.2, and now it is None"),
        ({"callbacks": [EarlyStopping()]}, "steer it were: none; and now they are: EarlyStopping"),
    ],
)
def test_other_settings_are_refused(tmp_path, change, words):
    path = tmp_path / "run"
    fit(net(), 1, [Checkpoint(path)])
    with pytest.raises(InputError, match=words):
        fit(net(), 2, resume=path, **change)


def test_other_data_models_and_optimizers_are_refused(tmp_path):
    path = tmp_path / "run"
    fit(net(), 1, [Checkpoint(path)])
    x, y = blobs(seed=1)
    common = {"batch_size": 16, "validation": 0.2, "progress": False, "resume": path}
    with pytest.raises(InputError, match="other data"):
        Trainer(net(), optimizer="adam", lr=0.02, seed=3).fit(x, y, epochs=2, **common)
    x, y = blobs()
    with pytest.raises(InputError, match="a model of other layers or shapes"):
        Trainer(net(hidden=9), optimizer="adam", lr=0.02, seed=3).fit(x, y, epochs=2, **common)
    with pytest.raises(InputError, match=r"optimizer.lr = 0.02, and now it is 0.01"):
        Trainer(net(), optimizer="adam", lr=0.01, seed=3).fit(x, y, epochs=2, **common)
    with pytest.raises(InputError, match="seed = 3, and now it is 4"):
        Trainer(net(), optimizer="adam", lr=0.02, seed=4).fit(x, y, epochs=2, **common)
    with pytest.raises(InputError, match=r"optimizer.name|optimizer.alpha"):
        Trainer(net(), optimizer="rmsprop", lr=0.02, seed=3).fit(x, y, epochs=2, **common)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        fit(net(), 2, resume=tmp_path / "nothing")
    io.save_checkpoint({"a": 1}, tmp_path / "other")
    with pytest.raises(InputError, match="no checkpoint of a training"):
        fit(net(), 2, resume=tmp_path / "other")
    io.save_checkpoint({"format": "haema training checkpoint", "version": 99}, tmp_path / "newer")
    with pytest.raises(InputError, match="version 99"):
        fit(net(), 2, resume=tmp_path / "newer")


class CtrlC(Callback):
    """Interrupts at a batch of an epoch."""

    def __init__(self, epoch, batch):
        self.epoch, self.batch = epoch, batch

    def on_batch_end(self, run):
        if (run.epoch, run.batch) == (self.epoch, self.batch):
            raise KeyboardInterrupt


def test_ctrl_c_leaves_the_last_finished_epoch(tmp_path, capsys):
    path = tmp_path / "run"
    trainer = fit(net(dropout=0.2), 6, [Checkpoint(path, every=5), CtrlC(4, 2)])
    said = capsys.readouterr().err
    assert "interrupted in epoch 4; the model is as after epoch 3" in said
    assert f"resume={str(path)!r}" in said
    assert trainer.history.interrupted
    assert trainer.epochs == trainer.history.epochs == 3
    assert weights(trainer.model) == weights(fit(net(dropout=0.2), 3).model)
    resumed = fit(net(dropout=0.2, seed=8), 6, resume=path)
    assert weights(resumed.model) == weights(fit(net(dropout=0.2), 6).model)
    assert not resumed.history.interrupted
    assert resumed.history.stopped is None


def test_ctrl_c_in_the_first_epoch(tmp_path, capsys):
    path = tmp_path / "run"
    model = net()
    before = weights(model)
    trainer = fit(model, 6, [Checkpoint(path), CtrlC(1, 2)])
    assert "as after epoch 0" in capsys.readouterr().err
    assert not path.exists()
    assert weights(trainer.model) == before
    assert trainer.history.epochs == 0


def test_an_error_leaves_the_last_finished_epoch():
    x, y = blobs()
    trainer = Trainer(net(dropout=0.2), optimizer="adam", lr=0.02, seed=3)
    common = {"batch_size": 16, "validation": 0.2, "progress": False}
    fail = LambdaCallback(on_batch_end=lambda run: 1 / 0 if (run.epoch, run.batch) == (3, 2) else None)
    with pytest.raises(ZeroDivisionError):
        trainer.fit(x, y, epochs=5, callbacks=[fail], **common)
    assert trainer.epochs == trainer.history.epochs == 2
    trainer.fit(x, y, epochs=3, **common)
    assert weights(trainer.model) == weights(fit(net(dropout=0.2), 5).model)


def test_checkpoints_by_epoch_and_of_the_best(tmp_path):
    x, y = blobs()
    numbered = Checkpoint(tmp_path / "epoch{epoch}", every=2)
    best = Checkpoint(tmp_path / "best", keep="best", monitor="val_accuracy")
    trainer = Trainer(net(), seed=0)
    trainer.fit(x, y, epochs=5, validation=0.2, callbacks=[numbered, best], progress=False)
    assert {p.name for p in tmp_path.iterdir()} == {"epoch2", "epoch4", "epoch5", "best"}
    state = io.load_checkpoint(tmp_path / "best")
    assert state["epoch"] == trainer.history.best_epoch("val_accuracy")
    assert np.isfinite(state["callbacks"]["Checkpoint"]["best"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: Checkpoint(folder / "a", every=0), "every is 0"),
        (lambda folder: Checkpoint(folder / "a", keep="first"), "keep is 'first'"),
        (lambda folder: fit(net(), 1, [Checkpoint(folder / "no" / "a")]), "there is no folder"),
    ],
)
def test_bad_checkpoints(tmp_path, make, words):
    with pytest.raises(InputError, match=words):
        make(tmp_path)


def test_a_folder_without_write_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match="is not writable"):
        fit(net(), 1, [Checkpoint(tmp_path / "a")])


OPTIMIZERS = [n for n, c in vars(optim).items() if inspect.isclass(c) and optim.Optimizer in c.__mro__[1:]]
SCHEDULES = {
    "LambdaLR": lambda o: optim.lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "MultiplicativeLR": lambda o: optim.lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.9),
    "MultiStepLR": lambda o: optim.lr_scheduler.MultiStepLR(o, [1, 3]),
    "CyclicLR": lambda o: optim.lr_scheduler.CyclicLR(o, 1e-3, 1e-2, step_size_up=3, cycle_momentum=False),
    "CosineAnnealingWarmRestarts": lambda o: optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 2),
    "ReduceLROnPlateau": lambda o: optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, threshold=0.5),
    "SequentialLR": lambda o: optim.lr_scheduler.SequentialLR(
        o, [optim.lr_scheduler.LinearLR(o, 0.1), optim.lr_scheduler.ExponentialLR(o, 0.5)], milestones=[2]
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_go_on(tmp_path, name):
    one = fit(net(), 5, [LearningRateSchedule(SCHEDULES[name])])
    fit(net(), 3, [LearningRateSchedule(SCHEDULES[name]), Checkpoint(tmp_path / "run")])
    two = fit(net(seed=5), 5, [LearningRateSchedule(SCHEDULES[name])], resume=tmp_path / "run")
    assert one.history["lr"] == two.history["lr"]
    assert weights(one.model) == weights(two.model)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_go_on(tmp_path, name):
    def go(epochs, seed=1, callbacks=(), **more):
        x, y = blobs()
        trainer = Trainer(net(seed=seed), optimizer=name, lr=0.01, seed=0)
        trainer.fit(x, y, epochs=epochs, callbacks=callbacks, progress=False, **more)
        return weights(trainer.model)

    go(2, callbacks=[Checkpoint(tmp_path / "run")])
    assert go(4, seed=5, resume=tmp_path / "run") == go(4)
