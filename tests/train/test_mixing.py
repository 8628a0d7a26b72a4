"""Layers that mix samples, and the trainer."""

import numpy as np
import pytest
from train.problems import blobs, net, weights

import haema as hm
import haema.nn.functional as F
from haema import nn


def model_with(mixer):
    return nn.Sequential(mixer, *net().children())


@pytest.mark.parametrize("weight", [None, np.linspace(0.5, 2, 90)], ids=["plain", "weighted"])
def test_the_step_is_that_of_the_mixed_targets(weight):
    """One step on the whole batch, by the trainer and by hand with soft targets."""
    x, y = blobs()
    model = model_with(nn.MixUp(1.0))
    trainer = hm.Trainer(model, optimizer="sgd", lr=0.5, seed=3, compile=True)
    history = trainer.fit(x, y, epochs=1, batch_size=90, shuffle=False, sample_weight=weight, progress=False)
    assert trainer.engine.compiled
    share = model[0].share.item()
    assert 0 < share < 1

    other = net()
    optimizer = hm.optim.SGD(other.parameters(), lr=0.5)
    mixed = hm.tensor(share * x + (1 - share) * np.roll(x, 1, 0)).float()
    w = hm.ones(90) if weight is None else hm.tensor(weight).float()
    output = other(mixed)
    loss = 0
    for part, rows in ((share, np.arange(90)), (1 - share, (np.arange(90) - 1) % 90)):
        each = F.cross_entropy(output, hm.tensor(y[rows]), reduction="none")
        loss = loss + part * (each * w[rows]).sum() / w[rows].sum()
    loss.backward()
    optimizer.step()
    assert np.isclose(history["loss"][0], loss.item(), rtol=1e-5)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert np.allclose(a.detach().numpy(), b.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("mixer", [nn.MixUp, nn.CutMix])
def test_compiled_as_eager(mixer):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (70, 1, 6, 6)).astype(np.uint8)
    y = (x[:, 0, :3].mean((1, 2)) > x[:, 0, 3:].mean((1, 2))).astype(int)
    ends = []
    for compiled in (True, False):
        hm.manual_seed(1)
        model = nn.Sequential(
            nn.RandomCrop(6, 1),
            nn.AlternatingFlip(70),
            mixer(0.5),
            nn.Standardize.of(x),
            nn.Flatten(),
            nn.Linear(36, 2),
        )
        trainer = hm.Trainer(model, lr=0.01, seed=0, compile=compiled)
        history = trainer.fit(x, y, epochs=3, batch_size=16, progress=False)
        assert trainer.engine.compiled == compiled
        ends.append((history["loss"], [p.detach().numpy() for p in model.parameters()]))
        assert model[1].seen == 210
    assert np.allclose(ends[0][0], ends[1][0], rtol=1e-4)
    for a, b in zip(ends[0][1], ends[1][1], strict=True):
        assert np.allclose(a, b, atol=1e-4)


def test_a_run_goes_on_with_the_same_bits(tmp_path):
    x, y = blobs()
    images = (x.reshape(90, 1, 1, 2) * 40 + 128).clip(0, 255).astype(np.uint8)

    def trainer():
        layers = [nn.AlternatingFlip(90), nn.RandomErasing(0.5), nn.MixUp(0.4), nn.Standardize([128.0], [40.0])]
        return hm.Trainer(nn.Sequential(*layers, nn.Flatten(), *net().children()), seed=0)

    whole = trainer()
    whole.fit(images, y, epochs=4, progress=False)
    half = trainer()
    half.fit(images, y, epochs=2, progress=False, callbacks=[hm.Checkpoint(tmp_path / "c")])
    again = trainer()
    again.fit(images, y, epochs=4, progress=False, callbacks=[hm.Checkpoint(tmp_path / "c")], resume=True)
    assert weights(again.model) == weights(whole.model)


def test_evaluation_does_not_mix():
    x, y = blobs()
    model = model_with(nn.MixUp(1.0))
    trainer = hm.Trainer(model, seed=0)
    trainer.fit(x, y, epochs=2, progress=False)
    plain = nn.Sequential(*list(model.children())[1:])
    expected = F.cross_entropy(plain(hm.tensor(x)), hm.tensor(y)).item()
    assert np.isclose(trainer.evaluate(x, y)["loss"], expected, rtol=1e-5)


def test_two_layers_that_mix_are_refused():
    x, y = blobs()
    with pytest.raises(hm.InputError, match=r"mixes samples in 2 layers; one nn\.MixUp or nn\.CutMix is right"):
        hm.Trainer(nn.Sequential(nn.MixUp(), *model_with(nn.MixUp())), seed=0).fit(x, y, progress=False)
