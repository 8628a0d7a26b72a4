"""Compiled steps in the trainer: the same as eager ones, and eager ones where there can be no program."""

import math

import numpy as np
import pytest
from train.problems import blobs, line, net, weights

import haema as hm
from haema import nn, optim
from haema.data import DataLoader, Dataset
from haema.errors import InputError
from haema.train import (
    Callback,
    GradientNorms,
    LambdaCallback,
    LearningRateSchedule,
    NonFiniteLoss,
    StopOnNonFinite,
    Trainer,
)


def cnn(channels=4, size=4):
    hm.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.25), nn.Linear(channels * (size // 2) ** 2, 3),
    )  # fmt: skip


def images(n=50, size=4):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    return (rng.normal(size=(n, 1, size, size)) + y[:, None, None, None]).astype(np.float32), y


class Pairs(Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class Two(nn.Module):
    """Two inputs."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 3), nn.Linear(2, 3)

    def forward(self, x, z):
        return self.a(x) + self.b(z)


def fitted(model, *data, compile, fit=None, **options):
    trainer = Trainer(model, seed=3, compile=compile, **options)
    trainer.fit(*data, **{"epochs": 3, "batch_size": 16, "progress": False, **(fit or {})})
    return trainer


def agree(make, *data, rtol=2e-4, **options):
    """Both ways: the histories and the weights are the same up to rounding; the compiled trainer."""
    a, b = (fitted(make(), *data, compile=c, **options) for c in (True, False))
    assert a.engine.compiled, a.engine.reason
    assert not b.engine.compiled
    for name in b.history:
        if name != "seconds":
            np.testing.assert_allclose(a.history[name], b.history[name], rtol=rtol, atol=1e-5, err_msg=name)
    for (name, p), q in zip(a.model.state_dict().items(), b.model.state_dict().values(), strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=rtol, atol=1e-4, err_msg=name)
    return a


# -- the same as eager ------------------------------------------------------------------


def test_a_perceptron():
    x, y = blobs(90)
    once = {"fit": {"validation": 0.2}, "lr": 0.01}
    trainer = agree(lambda: net(dropout=0.3), x, y, **once)
    assert trainer.engine.programs["step"].count == 2  # full batches, and the last smaller one


def test_a_convolutional_network_with_batch_norm_and_dropout():
    agree(cnn, *images(), fit={"validation": 0.2}, clip_norm=1.0)


def test_weights_schedule_and_regression():
    x, y = line()
    w = np.linspace(0.1, 2, len(x))
    fit = {
        "sample_weight": w,
        "callbacks": [LearningRateSchedule("OneCycleLR", per="step", max_lr=0.1, total_steps=15)],
    }
    agree(lambda: net(3, outputs=1), x, y, optimizer="sgd", lr=0.1, fit=fit)


def test_class_weights_and_clipped_values():
    agree(net, *blobs(40), class_weight="balanced", clip_value=0.1, metrics=())


def test_several_inputs():
    x, y = blobs(40)

    def make():
        hm.manual_seed(1)
        return Two()

    agree(make, (x, x[:, ::-1].copy()), y)


def test_samples_and_a_stream():
    x, y = blobs(40)
    agree(net, Pairs(x, y))
    trainer = agree(net, DataLoader(Pairs(x, y), batch_size=16))
    assert trainer.engine.programs["step"].count == 2


def test_many_rows_are_measured_and_predicted_by_a_program():
    x, y = blobs(100)
    a, b = (fitted(net(), x, y, compile=c) for c in (True, False))
    for trainer in (a, b):
        trainer.found = trainer.evaluate(x, y, batch_size=10), trainer.predict_proba(x, batch_size=11)
    assert {"measure", "output"} <= {*a.engine.programs}
    assert a.found[0] == pytest.approx(b.found[0], rel=1e-4)
    np.testing.assert_allclose(a.found[1], b.found[1], rtol=1e-4, atol=1e-6)
    few = fitted(net(), x, y, compile=True)
    few.evaluate(x[:20], y[:20])
    few.predict(x[:20])
    assert {*few.engine.programs} == {"step"}  # for a batch or two a program would take longer to make


@pytest.mark.usefixtures("threads_as_set")
def test_the_same_bits_for_any_number_of_threads():
    x, y = images(100, 12)
    found = set()
    for n in (1, 2, 3):
        hm.set_num_threads(n)
        trainer = fitted(cnn(32, 12), x, y, compile=True, fit={"batch_size": 64})
        assert trainer.engine.programs["step"]._last.loaded.parallel, "too little work to share"
        found.add(weights(trainer.model))
    assert len(found) == 1


# -- programs are kept ------------------------------------------------------------------


def test_a_second_fit_records_nothing_anew():
    x, y = blobs(40)
    trainer = fitted(net(dropout=0.2), x, y, compile=True, fit={"validation": (x[:8], y[:8])})
    engine = trainer.engine
    before = {name: p.count for name, p in engine.programs.items()}
    trainer.fit(x, y, epochs=2, batch_size=16, progress=False, validation=(x[:8], y[:8]))
    assert trainer.engine is engine
    assert {name: p.count for name, p in engine.programs.items()} == before == {"step": 2, "measure": 1}


def test_a_changed_attribute_of_a_layer_is_noticed():
    x, y = blobs(40)

    def halved(run):
        run.model[2].p = 0.5 if run.epoch == 1 else 0.0

    fit = {"callbacks": [LambdaCallback(on_epoch_end=halved)]}
    trainer = agree(lambda: net(dropout=0.1), x, y, fit=fit)
    assert trainer.engine.programs["step"].count == 6


def test_a_frozen_layer_is_noticed():
    x, y = blobs(40)

    def frozen(run):
        run.model[0].requires_grad_(False)

    trainer = agree(net, x, y, fit={"callbacks": [LambdaCallback(on_epoch_end=frozen)]})
    assert not any(p.requires_grad for p in trainer.model[0].parameters())


def test_clipping_may_be_changed_between_fits():
    x, y = blobs(40)
    trainer = fitted(net(), x, y, compile=True)
    engine = trainer.engine
    trainer.clip_norm = 1e-9
    assert trainer.engine is not engine


# -- callbacks ------------------------------------------------------------------


class Watch(Callback):
    """Notes what there is to see after each batch."""

    def __init__(self):
        self.seen = []

    def on_batch_end(self, run):
        g = run.model[0].weight.grad.numpy()
        self.seen.append([run.epoch, run.batch, run.steps, run.loss, run.lr, float(np.square(g).sum())])


@pytest.mark.parametrize("optimizer", ["sgd", "adam", lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5)])
def test_a_callback_sees_each_batch_with_its_gradients(optimizer):
    seen = []
    for c in (True, False):
        watch, norms = Watch(), GradientNorms()
        schedule = LearningRateSchedule("ExponentialLR", per="step", gamma=0.9)
        fit = {"callbacks": [watch, norms, schedule]}
        trainer = fitted(net(), *blobs(40), compile=c, optimizer=optimizer, fit=fit)
        assert trainer.engine.compiled == c
        seen.append((np.array(watch.seen), [norms.norms[k] for k in norms.norms]))
    assert seen[0][0].shape == (9, 6)
    np.testing.assert_allclose(seen[0][0], seen[1][0], rtol=1e-3)
    np.testing.assert_allclose(seen[0][1], seen[1][1], rtol=1e-3)


def test_velocity_made_of_the_first_gradient():
    agree(net, *blobs(40), optimizer=lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5))


def test_a_callback_may_stop_after_a_batch():
    def stop(run):
        if run.steps == 4:
            run.stop("enough")

    trainer = fitted(net(), *blobs(40), compile=True, fit={"callbacks": [LambdaCallback(on_batch_end=stop)]})
    assert len(trainer.history) == 2
    assert trainer._steps == 4


def test_a_schedule_that_begins_at_0():
    """The learning rate 0 was taken for a constant, and nothing was learned in the first epoch."""
    schedule = LearningRateSchedule("LambdaLR", per="step", lr_lambda=lambda k: k / 10)
    agree(net, *blobs(40), optimizer="sgd", lr=0.1, fit={"callbacks": [schedule]})


@pytest.mark.parametrize("error", [True, False])
def test_a_loss_that_is_not_finite_is_found_in_its_batch(error):
    x, y = line(60)
    x[33] = 1e30  # the third batch of 16
    said = []
    for c in (True, False):
        model = net(3, outputs=1)
        first = weights(model)
        trainer = Trainer(model, "mse", "sgd", lr=1e-3, compile=c)
        schedule = LearningRateSchedule("ExponentialLR", per="step", gamma=0.9)
        fit = {"epochs": 2, "batch_size": 16, "shuffle": False, "progress": False}
        if error:
            with pytest.raises(NonFiniteLoss, match="epoch 1, batch 3") as e:
                trainer.fit(x, y, callbacks=[schedule], **fit)
            said.append(str(e.value))
        else:
            history = trainer.fit(x, y, callbacks=[schedule, StopOnNonFinite(error=False)], **fit)
            said.append(history.stopped)
        assert weights(trainer.model) == first
        assert trainer.optimizer.param_groups[0]["lr"] == 1e-3
    assert said[0] == said[1]
    assert "than 0.00081 " in said[0]


# -- what cannot be compiled ------------------------------------------------------------------


class Odd(nn.Module):
    """A network that does something else besides."""

    def __init__(self, what):
        super().__init__()
        self.inner, self.what, self.calls, self.kept = net(), what, 0, []

    def forward(self, x):
        return self.what(self, self.inner(x))


def decides(self, y):
    return y if y.sum() > 0 else y * 1.5


def counts(self, y):
    self.calls += 1
    return y


def keeps(self, y):
    self.kept.append(y)
    return y


def numpy_inside(self, y):
    return y + hm.from_numpy(np.sign(y.detach().numpy()))


def numpy_draws(self, y):
    return y * float(np.random.rand() < 0.5)  # noqa: NPY002


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (decides, "asks for the values of a tensor of shape"),
        (counts, "the attribute 'calls' of a Odd of the model is changed in each step"),
        (keeps, "the attribute 'kept' of a Odd"),
        (numpy_inside, "asks for the values"),
        (numpy_draws, "random numbers of Python or NumPy"),
    ],
)
def test_what_cannot_be_compiled_runs_eagerly_and_says_so(what, reason, capsys):
    x, y = blobs(40)
    bits = []
    for c in (True, False):
        np.random.seed(0)  # noqa: NPY002
        trainer = fitted(Odd(what), x, y, compile=c, fit={"progress": None, "validation": (x[:9], y[:9])})
        bits.append(
            (weights(trainer.model), trainer.model.calls, len(trainer.model.kept), [*trainer.history["val_loss"]])
        )
        err = capsys.readouterr().err
        if c:
            assert reason in trainer.engine.reason
            assert err.startswith("haema: this runs without the compiler, which is slower: ")
            assert err.count("\n") == 1
            trainer.fit(x, y, epochs=1)
            assert capsys.readouterr().err == ""
        else:
            assert err == ""
    assert bits[0] == bits[1]


def test_hooks_run_in_each_step():
    x, y = blobs(40)
    seen = []
    for c in (False, True):
        model = net()
        model[0].register_forward_hook(lambda m, a, out: seen.append(out.shape))
        trainer = fitted(model, x, y, compile=c)
    assert len(seen) == 2 * 10  # each batch, and the row with which the model was tried first
    assert "hooks" in trainer.engine.reason
    model, seen = net(), []
    model[0].weight.register_hook(lambda g: seen.append(g.shape))
    assert "hook" in fitted(model, x, y, compile=True).engine.reason
    assert len(seen) == 9


def test_a_loss_that_reads_values(capsys):
    def loss(output, y):
        return ((output - y) ** 2).mean() * (2.0 if output.max() > 0 else 1.0)

    x = np.ones((20, 2), np.float32)
    a, b = (fitted(net(outputs=1), x, np.ones((20, 1)), loss=loss, compile=c, fit={"progress": True}) for c in (1, 0))
    assert weights(a.model) == weights(b.model)
    assert "asks for the values" in capsys.readouterr().err


def test_a_mistake_in_the_model_is_told_as_ever(capsys):
    def loss(output, y):
        return (output - y[:, None, None]).nothing()

    for c in (True, False):
        with pytest.raises(AttributeError, match="nothing"):
            fitted(net(), *blobs(40), loss=loss, compile=c, fit={"progress": True})
        assert "compiler" not in capsys.readouterr().err


def test_a_compiler_that_fails_is_no_reason_to_fail(monkeypatch, capsys):
    from haema.compiler import program

    def broken(*args):
        raise KeyError("x")

    monkeypatch.setattr(program, "build", broken)
    trainer = fitted(net(hidden=7), *blobs(41), compile=True, fit={"progress": None})
    assert math.isfinite(trainer.history["loss"][-1])
    assert "the compiler failed (KeyError: 'x')" in capsys.readouterr().err


def test_precision_of_the_products():
    x, y = images(96)
    x = np.repeat(np.repeat(x, 3, 2), 3, 3)  # so large that pairs of bfloat16 are worth it

    def wide():
        hm.manual_seed(2)
        return nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2048, 3)
        )

    fit = {"epochs": 2, "batch_size": 32, "validation": 0.5}
    wide32, narrow, eager = (
        fitted(wide(), x, y, compile=None, fit=fit, precision="float32"),
        fitted(wide(), x, y, compile=None, fit=fit, precision="bf16"),
        fitted(wide(), x, y, compile=False, fit=fit),
    )
    assert narrow.engine.compiled
    assert narrow.hyperparameters["precision"] == "bf16"
    np.testing.assert_allclose(wide32.history["loss"], eager.history["loss"], rtol=1e-4)
    np.testing.assert_allclose(narrow.history["loss"], eager.history["loss"], rtol=2e-2)
    assert abs(narrow.history["loss"][0] / wide32.history["loss"][0] - 1) > 1e-6
    narrow.precision = "float32"
    assert narrow.engine.precision == "float32"


def test_a_precision_that_cannot_be():
    with pytest.raises(InputError, match="precision is 'bf61'; did you mean 'bf16'"):
        Trainer(net(), precision="bf61")
    with pytest.raises(InputError, match="which only compiled steps have, and compile is False"):
        Trainer(net(), precision="bf16", compile=False)


def test_eager_by_argument_and_by_environment(monkeypatch):
    assert not fitted(net(), *blobs(20), compile=False).engine.compiled
    monkeypatch.setenv("HAEMA_EAGER", "1")
    assert not Trainer(net()).compile
    assert Trainer(net(), compile=True).compile
    monkeypatch.setenv("HAEMA_EAGER", "0")
    assert Trainer(net()).compile
