"""Averages of the weights over the training: the formula, where they are used, and going on where a run ended."""

import numpy as np
import pytest
from train.problems import blobs, net, weights

import haema as hm
from haema import nn, optim
from haema.optim.swa_utils import AveragedModel
from haema.train import Callback, Checkpoint, EarlyStopping, LambdaCallback, Trainer


def normed(seed=1):
    """A network with running statistics and a count among its buffers."""
    hm.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 3))


def state(model):
    return {k: np.array(v.detach().numpy()) for k, v in model.state_dict().items()}


class Remember(Callback):
    """All states after the steps; being asked after each batch, it makes steps run one by one."""

    def __init__(self):
        self.states = []

    def on_batch_end(self, run):
        self.states.append(state(run.model))


@pytest.mark.parametrize("compiled", [False, True])
def test_is_the_formula_step_by_step(compiled):
    x, y = blobs(60)
    decay, seen = 0.6, Remember()
    trainer = Trainer(normed(), optimizer="sgd", lr=0.3, seed=0, average=decay, compile=compiled)
    trainer.fit(x, y, epochs=3, batch_size=10, callbacks=[seen], progress=False)
    assert len(seen.states) == 18
    expected = {k: v.astype(np.float64) for k, v in seen.states[0].items()}
    for n, now in enumerate(seen.states[1:], 1):
        d = min(decay, (1 + n) / (10 + n))
        expected = {k: d * a + (1 - d) * now[k] for k, a in expected.items()}
    found = state(trainer.model)
    assert found["1.num_batches_tracked"] == 18
    for k, a in expected.items():
        if k != "1.num_batches_tracked":
            np.testing.assert_allclose(found[k], a, rtol=1e-4, atol=1e-6, err_msg=k)
            moved = np.abs(found[k] - seen.states[-1][k]).max()
            assert moved > 1e-4 or k == "0.bias", k  # which batch normalisation takes away again


def test_steps_in_one_native_call_give_the_same_as_one_by_one():
    x, y = blobs(60)

    def trained(callbacks):
        trainer = Trainer(normed(), optimizer="sgd", lr=0.3, seed=0, average=0.9, compile=True)
        trainer.fit(x, y, epochs=3, batch_size=10, callbacks=callbacks, progress=False)
        assert trainer.engine.reason is None
        return state(trainer.model)

    together, alone = trained([]), trained([Remember()])
    for k in together:
        np.testing.assert_allclose(together[k], alone[k], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_validates_and_ends_with_the_averages(compiled):
    x, y = blobs(60)
    trainer = Trainer(normed(), optimizer="sgd", lr=0.5, seed=0, average=0.95, compile=compiled)
    seen = Remember()
    history = trainer.fit(x, y, epochs=2, batch_size=10, validation=(x[:30], y[:30]), progress=False, callbacks=[seen])
    after = trainer.evaluate(x[:30], y[:30])
    assert history.values["val_loss"][-1] == pytest.approx(after["loss"], rel=1e-5)
    trainer.model.load_state_dict(seen.states[-1])
    last = trainer.evaluate(x[:30], y[:30])["loss"]
    assert abs(last - after["loss"]) > 1e-3
    assert trainer.hyperparameters["average"] == 0.95


def test_early_stopping_brings_back_the_best_average():
    x, y = blobs(60)
    kept = {}
    trainer = Trainer(net(), optimizer="sgd", lr=0.5, seed=0, average=0.9)
    keep = LambdaCallback(on_epoch_end=lambda run: kept.update({run.epoch: run.weights()}))
    stop = EarlyStopping(monitor="val_accuracy", patience=2, mode="min")
    trainer.fit(x, y, epochs=8, batch_size=10, validation=(x, y), callbacks=[keep, stop], progress=False)
    best = kept[stop.best_epoch]
    assert stop.best_epoch < max(kept)
    for k, v in state(trainer.model).items():
        np.testing.assert_array_equal(v, best[k])


class Stop(Exception):
    """What kills the run."""


@pytest.mark.parametrize("compiled", [False, True])
def test_killed_run_ends_with_the_same_bits(tmp_path, compiled):
    x, y = blobs(70)

    def run(path, kill=None, resume=None):
        def die(run):
            if run.epoch == kill:
                raise Stop

        trainer = Trainer(
            normed(), optimizer=lambda p: optim.SGD(p, lr=0.2, momentum=0.9, nesterov=True), seed=3,
            average=0.9, compile=compiled,
        )  # fmt: skip
        callbacks = [Checkpoint(path), LambdaCallback(on_epoch_begin=die)]
        try:
            trainer.fit(x, y, 6, 16, validation=0.2, callbacks=callbacks, progress=False, resume=resume)
        except Stop:
            return None
        return weights(trainer.model), trainer.history.values["val_loss"]

    whole = run(tmp_path / "whole")
    assert run(tmp_path / "broken", kill=4) is None
    assert run(tmp_path / "broken", resume=tmp_path / "broken") == whole
    with pytest.raises(hm.InputError, match=r"average = 0\.9, and now it is None"):
        Trainer(normed(), "cross_entropy", lambda p: optim.SGD(p, lr=0.2, momentum=0.9, nesterov=True), seed=3).fit(
            x, y, 6, 16, validation=0.2, progress=False, resume=tmp_path / "broken"
        )


def test_checkpoint_written_at_the_end_holds_the_weights_that_are_learned(tmp_path):
    x, y = blobs(60)
    seen = Remember()
    late = Checkpoint(tmp_path / "c", seconds=1e9)  # written at the end and not before
    trainer = Trainer(net(), optimizer="sgd", lr=0.5, seed=0, average=0.9)
    trainer.fit(x, y, epochs=2, batch_size=10, callbacks=[seen, late], progress=False)
    saved = hm.load(tmp_path / "c")
    for k, v in saved["model"].items():
        np.testing.assert_array_equal(v, seen.states[-1][k])
        np.testing.assert_array_equal(saved["average"][f"module.{k}"], state(trainer.model)[k])


def test_an_average_of_ones_own():
    x, y = blobs(60)
    model = net()
    seen = Remember()
    trainer = Trainer(model, optimizer="sgd", lr=0.5, seed=0, average=AveragedModel(model))
    trainer.fit(x, y, epochs=1, batch_size=10, callbacks=[seen], progress=False)
    for k, v in state(model).items():
        np.testing.assert_allclose(v, np.mean([s[k] for s in seen.states], axis=0), rtol=1e-4, atol=1e-6)
    assert trainer.hyperparameters["average"] == "given"


@pytest.mark.parametrize("value", [1.0, -0.1, "ema", True, float("nan")])
def test_refuses_what_is_no_decay(value):
    with pytest.raises(hm.InputError, match="a decay from 0 to below 1"):
        Trainer(net(), average=value)


@pytest.mark.parametrize("other", [nn.Linear(2, 4), nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3))])
def test_refuses_the_average_of_another_model(other):
    """It was only found in the first step, as shapes that do not broadcast."""
    with pytest.raises(hm.InputError, match="average is an AveragedModel of another model"):
        Trainer(nn.Linear(2, 3), average=AveragedModel(other))
