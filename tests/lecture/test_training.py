"""Making training work: rows T1 to T8 and T10 (T9, the augmentation of images, has its own room)."""

import math

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import nn, optim


def blobs(n, spread, seed=0):
    """Three classes of points in the plane around the corners of a triangle."""
    hm.manual_seed(seed)
    y = hm.arange(n) % 3
    angle = y.float() * (2 * hm.pi / 3)
    return hm.stack([angle.cos(), angle.sin()], dim=1) + spread * hm.randn(n, 2), y


def fill(layers, weight):
    for layer in layers:
        if isinstance(layer, nn.Linear):
            weight(layer.weight)
            nn.init.zeros_(layer.bias)


def weights(std):
    return lambda w: nn.init.normal_(w, std=std)


def he(w):
    nn.init.kaiming_normal_(w, nonlinearity="relu")


# -- T1: initialisation ------------------------------------------------------------------


def test_t1_initialisers_and_their_spread():
    hm.manual_seed(0)
    w = hm.empty(300, 500)  # m = 300 units, n = 500 inputs
    assert nn.init.zeros_(w).abs().max() == 0
    assert nn.init.ones_(w).min() == nn.init.ones_(w).max() == 1
    assert nn.init.constant_(w, 0.3).std() < 1e-6
    n, m = 500, 300
    # Document 000 prints N(0, 2 / sqrt(n + m)) for Xavier and N(0, sqrt(2 / n)) for He; the standard deviations are
    # sqrt(2 / (n + m)) (Glorot, Bengio 2010, equation 12) and sqrt(2 / n) (He et al. 2015, equation 10).
    for init, std in [
        (lambda w: nn.init.normal_(w, mean=0.0, std=0.01), 0.01),
        (lambda w: nn.init.uniform_(w, -1, 1), 1 / math.sqrt(3)),
        (nn.init.xavier_normal_, math.sqrt(2 / (n + m))),
        (nn.init.xavier_uniform_, math.sqrt(2 / (n + m))),
        (he, math.sqrt(2 / n)),
        (lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"), math.sqrt(2 / n)),
    ]:
        init(w)
        assert w.mean().item() == pytest.approx(0, abs=std / 50)
        assert w.std().item() == pytest.approx(std, rel=0.01)


@pytest.mark.parametrize("same", [nn.init.zeros_, nn.init.ones_, lambda w: nn.init.constant_(w, 0.3)])
def test_t1_equal_weights_never_break_the_symmetry(same):
    x, y = blobs(60, 0.3)
    network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
    fill(network, same)
    hm.Trainer(network, optimizer="adam", lr=0.05, seed=0).fit(x, y, epochs=15, progress=False)
    hidden = network[0].weight
    assert bool((hidden == hidden[:1]).all()), "all hidden units are the same, after training as before"
    random = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
    history = hm.Trainer(random, optimizer="adam", lr=0.05, seed=0).fit(x, y, epochs=15, progress=False)
    assert not bool((random[0].weight == random[0].weight[:1]).all())
    assert history["accuracy"][-1] > 0.9


def activations(activation, weight, depth=5, width=100):
    """What comes out of each layer, 1000 inputs N(0, 1) going in."""
    hm.manual_seed(0)
    h, found = hm.randn(1000, width), []
    for _ in range(depth):
        layer = nn.Sequential(nn.Linear(width, width), activation())
        fill(layer, weight)
        h = layer(h).detach()
        found.append(h)
    return found


def test_t1_sigmoid_saturates_with_large_weights_collapses_with_small_and_keeps_its_spread_with_xavier():
    def edges(h):
        return ((h < 0.1) | (h > 0.9)).float().mean().item()

    large = activations(nn.Sigmoid, weights(1.0))
    small = activations(nn.Sigmoid, weights(0.01))
    xavier = activations(nn.Sigmoid, nn.init.xavier_normal_)
    assert all(edges(h) > 0.5 for h in large)
    assert all(h.std() < 0.03 for h in small)
    assert small[-1].sub(0.5).abs().max() < 0.1
    for h in xavier:
        assert edges(h) < 0.1
        assert h.std() > 0.07
    assert xavier[-1].std() > 0.8 * xavier[1].std(), "from the second layer on it does not shrink"


def test_t1_relu_keeps_its_spread_with_he_and_not_with_xavier():
    spread = {
        name: [h.std().item() for h in activations(nn.ReLU, weight, depth=10)]
        for name, weight in (("he", he), ("xavier", nn.init.xavier_normal_), ("small", weights(0.01)))
    }
    assert spread["he"][-1] > 0.6 * spread["he"][0]
    assert spread["xavier"][-1] < 0.2 * spread["xavier"][0]
    assert spread["small"][-1] < 1e-8


# -- T2: preprocessing ------------------------------------------------------------------


def test_t2_scales_differ_until_they_are_normalised():
    people = hm.tensor([[1.885, 65.5], [1.525, 45.0]], dtype=hm.float64)
    height, mass = (people[0] - people[1]).tolist()
    # Document 001 calls 1.885 m - 1.525 m 33 cm, and the masses 62 times as far apart; it is 36 cm, and 57 times.
    assert height == pytest.approx(0.36)
    assert mass == pytest.approx(20.5)
    assert mass / height == pytest.approx(56.94, abs=0.01)
    scaled = nn.MinMaxScale.of(people.numpy())(people)
    assert scaled.tolist() == [[1, 1], [0, 0]], "min-max: from 0 to 1"


def test_t2_min_max_and_z_score_are_fitted_on_the_training_set_only():
    hm.manual_seed(0)
    train, test = hm.randn(200, 2) * hm.tensor([0.1, 20.0]) + hm.tensor([1.7, 65.0]), hm.tensor([[1.0, 200.0]])
    z = nn.Standardize.of(train.numpy())
    y = z(train)
    assert hm.allclose(y.mean(0), hm.zeros(2), atol=1e-4)
    assert hm.allclose(y.std(0, correction=0), hm.ones(2), atol=1e-4)
    expected = (test - train.mean(0)) / train.std(0, correction=0)
    assert hm.allclose(z(test), expected, rtol=1e-3), "with the training set's numbers"
    minmax = nn.MinMaxScale.of(train.numpy())
    assert minmax(train).amin(0).tolist() == pytest.approx([0, 0], abs=1e-5)
    assert minmax(train).amax(0).tolist() == pytest.approx([1, 1], abs=1e-5)
    assert minmax(test).min() < 0
    assert minmax(test).max() > 1


def test_t2_one_hot():
    # (height, mass, blood pressure, sex 1 of 2, constitution 3 of 4)
    row = hm.tensor([1.755, 65.5, 122.0, 1.0, 3.0])
    sex, constitution = (row[3:] - 1).long().unbind()
    coded = hm.cat([row[:3], F.one_hot(sex, 2).float(), F.one_hot(constitution, 4).float()])
    assert coded.tolist() == pytest.approx([1.755, 65.5, 122, 1, 0, 0, 0, 1, 0])


def test_t2_a_table_is_prepared_by_what_its_training_rows_said():
    import pandas as pd

    train = pd.DataFrame({
        "height": [1.755, 1.885, 1.525, 1.64] * 3,
        "sex": ["male", "male", "female", "female"] * 3,
        "constitution": ["taeyang", "taeeum", "soyang", "soeum"] * 3,
    })  # fmt: skip
    prepare = nn.PrepareTable.of(train)
    assert prepare.features == 1 + (2 + 2) + (2 + 4), "beside the values one place for missing, one for unknown"
    rows = prepare(hm.from_numpy(prepare.prepare(train)))
    assert rows[:, 0].mean().item() == pytest.approx(0, abs=1e-6)
    assert rows[:, 0].std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert bool((rows[:, 1:5].sum(1) == 1).all())
    assert bool((rows[:, 5:].sum(1) == 1).all())
    later = pd.DataFrame({"height": [1.70125 + 0.5], "sex": ["other"], "constitution": [None]})
    x = prepare(hm.from_numpy(prepare.prepare(later)))[0].tolist()
    assert x[0] == pytest.approx(0.5 / train["height"].std(ddof=0), rel=1e-4)
    assert x[1:5] == [0, 1, 0, 0], "unknown"
    assert x[5:] == [1, 0, 0, 0, 0, 0], "missing"


# -- T3, T4: normalisation ------------------------------------------------------------------


def test_t3_batch_normalisation_is_the_four_lines():
    hm.manual_seed(0)
    x = 3 * hm.randn(16, 4, dtype=hm.float64) + 5
    layer = nn.BatchNorm1d(4, eps=1e-5).double()
    gamma, beta = hm.tensor([1.0, 2.0, 0.5, 3.0]), hm.tensor([0.0, 1.0, -1.0, 2.0])
    layer.load_state_dict({"weight": gamma.double(), "bias": beta.double()}, strict=False)
    mean = x.mean(0)
    variance = ((x - mean) ** 2).mean(0)  # divided by n, not by n - 1
    normal = (x - mean) / (variance + 1e-5).sqrt()
    y = gamma * normal + beta
    assert hm.allclose(layer(x), y, rtol=1e-10)
    assert {n for n, p in layer.named_parameters() if p.requires_grad} == {"weight", "bias"}, "gamma, beta are learned"


def test_t3_running_statistics_are_used_at_inference():
    hm.manual_seed(0)
    layer = nn.BatchNorm1d(2)
    batches = [hm.randn(64, 2) * 3 + 10 for _ in range(100)]
    for batch in batches:
        layer(batch)
    assert layer.running_mean.tolist() == pytest.approx([10, 10], abs=0.4)
    assert layer.running_var.tolist() == pytest.approx([9, 9], rel=0.2)
    layer.eval()
    before = layer.running_mean.clone()
    alone, together = layer(batches[0][:1]), layer(batches[0])
    assert hm.allclose(alone, together[:1]), "at inference a row does not depend on its batch"
    expected = (batches[0] - layer.running_mean) / (layer.running_var + layer.eps).sqrt()
    assert hm.allclose(together, expected, atol=1e-5)
    assert hm.equal(layer.running_mean, before)


def test_t3_it_makes_layers_indifferent_to_the_scale_of_their_weights():
    def spread(layers, scale):
        hm.manual_seed(0)
        fill(layers, weights(scale))
        return nn.Sequential(*layers)(hm.randn(200, 50)).std().item()

    plain = [nn.Linear(50, 50), nn.Tanh(), nn.Linear(50, 50)]
    normal = [nn.Linear(50, 50), nn.BatchNorm1d(50), nn.Tanh(), nn.Linear(50, 50), nn.BatchNorm1d(50)]
    assert spread(plain, 1.0) > 50 * spread(plain, 0.01)
    assert spread(normal, 1.0) == pytest.approx(spread(normal, 0.01), rel=0.1)


def test_t4_layer_normalisation_does_not_depend_on_the_batch():
    hm.manual_seed(0)
    x = 3 * hm.randn(8, 6) + 5
    layer = nn.LayerNorm(6)
    assert hm.allclose(layer(x)[2:3], layer(x[2:3]), atol=1e-6)
    y = layer(x)
    assert hm.allclose(y.mean(1), hm.zeros(8), atol=1e-5)
    assert hm.allclose(y.std(1, correction=0), hm.ones(8), atol=1e-4)
    assert not hm.allclose(nn.BatchNorm1d(6)(x)[:4], nn.BatchNorm1d(6)(x[:4]), atol=1e-2), "that of batches does"


def test_t4_nor_on_the_length_of_a_sequence():
    hm.manual_seed(0)
    sequence = hm.randn(2, 9, 6)  # (B, T, D)
    layer = nn.LayerNorm(6)
    assert hm.allclose(layer(sequence)[:, :4], layer(sequence[:, :4]), atol=1e-6)
    assert sum(p.numel() for p in layer.parameters()) == 12, "for any length"


# -- T5 to T8: against overfitting ------------------------------------------------------------------


def test_t5_dropout_keeps_the_mean_and_is_off_at_inference():
    hm.manual_seed(0)
    x = hm.ones(100_000)
    layer = nn.Dropout(0.3)
    y = layer(x)
    assert (y == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert y.max().item() == pytest.approx(1 / 0.7), "inverted scaling"
    assert y.mean().item() == pytest.approx(1, abs=0.01)
    assert not hm.equal(layer(x), y), "other units each time"
    assert hm.equal(layer.eval()(x), x)


def test_t5_dropout_stands_behind_the_activation_and_before_pooling():
    hm.manual_seed(0)
    image = hm.randn(2, 1, 8, 8)
    convolution, rest = nn.Conv2d(1, 4, 3, padding=1), [nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.25), nn.MaxPool2d(2)]
    block = nn.Sequential(convolution, *rest)
    assert block(image).shape == (2, 4, 4, 4)
    block.eval()
    without = nn.Sequential(*(m for m in block if not isinstance(m, nn.Dropout)))
    assert hm.equal(block(image), without(image))


@pytest.mark.parametrize("place", ["inputs", "hidden"])
def test_t5_noise_on_inputs_and_hidden_units(place):
    hm.manual_seed(0)
    noise = nn.GaussianNoise(0.5)
    layers = [noise, nn.Linear(3, 4)] if place == "inputs" else [nn.Linear(3, 4), nn.Tanh(), noise]
    network = nn.Sequential(*layers)
    x = hm.randn(10, 3)
    assert not hm.equal(network(x), network(x))
    network.eval()
    assert hm.equal(network(x), network(x))
    e = noise.train()(hm.zeros(50_000))
    assert e.mean().item() == pytest.approx(0, abs=0.01)
    assert e.std().item() == pytest.approx(0.5, abs=0.01)


def test_t6_norms():
    x = hm.tensor([1.0, 2.0, 3.0, 4.0, 5.0], dtype=hm.float64)
    assert x.norm(p=1) == 15
    assert x.norm().item() == pytest.approx(math.sqrt(55))
    assert round(x.norm(p=2).item(), 4) == 7.4162  # document 001 cuts it off at 7.4161


def test_t6_weight_decay_shrinks_the_weights_in_each_step():
    eta, lam = 0.1, 0.5
    p = nn.Parameter(hm.tensor([1.0, -2.0, 3.0], dtype=hm.float64))
    theta = p.detach().clone()
    optimizer = optim.SGD([p], lr=eta, weight_decay=lam)
    for _ in range(5):
        optimizer.zero_grad()
        (p**3).sum().backward()
        theta = theta * (1 - eta * lam) - eta * p.grad
        optimizer.step()
        assert hm.allclose(p.detach(), theta, rtol=1e-12)


def test_t6_it_is_the_gradient_of_a_penalty():
    def step(penalty, **decay):
        p = nn.Parameter(hm.tensor([1.0, -2.0, 3.0], dtype=hm.float64))
        optimizer = optim.SGD([p], lr=0.1, **decay)
        ((p**3).sum() + penalty(p)).backward()
        optimizer.step()
        return p.detach()

    def nothing(p):
        return 0

    assert hm.allclose(step(nothing, weight_decay=0.3), step(lambda p: 0.3 / 2 * p.norm() ** 2), rtol=1e-12)
    assert hm.allclose(step(nothing, l1_decay=0.3), step(lambda p: 0.3 * p.norm(p=1)), rtol=1e-12)


def test_t6_decay_keeps_the_weights_of_an_overfitting_network_small():
    x, y = blobs(24, 0.6)

    def size(**decay):
        hm.manual_seed(0)
        network = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 3))
        optimizer = optim.AdamW(network.parameters(), lr=0.02, **decay)
        hm.Trainer(network, optimizer=optimizer, seed=0).fit(x, y, epochs=60, progress=False)
        return sum(p.square().sum().item() for p in network.parameters())

    assert size(weight_decay=1.0) < size(weight_decay=0.0) / 2


class Validation(hm.Callback):
    """Plays back a validation curve, and marks the weights with the epoch."""

    order = -1

    def __init__(self, curve):
        self.curve = curve

    def on_epoch_end(self, run):
        run.logs["val_loss"] = self.curve[run.epoch - 1]
        with hm.no_grad():
            run.model.bias.fill_(run.epoch)


def test_t7_early_stopping_bears_a_zigzag_and_brings_the_best_weights_back():
    x, y = hm.linspace(-1, 1, 20).reshape(-1, 1), hm.zeros(20)
    zigzag = [9, 7, 8, 6, 7, 5, 6.5, 6, 5.5, 7, 8, 9, 10, 11]  # it rises twice before its best, the sixth epoch
    line = nn.Linear(1, 1)
    stop = hm.EarlyStopping(monitor="val_loss", patience=4)
    trainer = hm.Trainer(line, "mse", "sgd", [], lr=1e-4, seed=0)
    history = trainer.fit(x, y, epochs=14, callbacks=[Validation(zigzag), stop], progress=False)
    assert history.epochs == 6 + 4
    assert stop.best_epoch == 6
    assert stop.best == 5
    assert line.bias.item() == 6
    assert "epoch 6" in history.stopped
    hasty = hm.EarlyStopping(monitor="val_loss", patience=1)
    trainer = hm.Trainer(nn.Linear(1, 1), "mse", "sgd", [], lr=1e-4, seed=0)
    assert trainer.fit(x, y, epochs=14, callbacks=[Validation(zigzag), hasty], progress=False).epochs == 3


def overfitter():
    x, y = blobs(30, 0.9)
    hm.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 200), nn.ReLU(), nn.Linear(200, 3))
    trainer = hm.Trainer(network, optimizer="adam", lr=0.05, seed=0)
    return trainer, (x, y), blobs(150, 0.9, seed=9)


def test_t7_early_stopping_on_a_real_validation_set():
    trainer, train, valid = overfitter()
    stop = hm.EarlyStopping(patience=5)
    history = trainer.fit(*train, epochs=100, validation=valid, callbacks=[stop], progress=False)
    assert history.epochs < 100
    assert trainer.evaluate(*valid)["loss"] == pytest.approx(min(history["val_loss"]), rel=1e-5)


def test_t8_overfitting_is_told_from_the_curves():
    trainer, train, valid = overfitter()
    history = trainer.fit(*train, epochs=100, validation=valid, progress=False)
    assert history["loss"][-1] < history["val_loss"][-1] / 2
    assert history.diagnosis().verdict == "overfitting"
    assert "stop early" in history.diagnosis().advice


def test_t8_underfitting_and_a_good_fit_are_told_too():
    hm.manual_seed(0)
    x, y = blobs(300, 0.25)
    ring = (x.norm(dim=1) > 1).long()  # no line separates these classes
    line = hm.Trainer(nn.Linear(2, 2), optimizer="adam", lr=0.01, seed=0)
    poor = line.fit(x, ring, epochs=20, validation=0.2, progress=False)
    assert poor.diagnosis().verdict == "underfitting"
    network = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3))
    good = hm.Trainer(network, optimizer="adam", lr=0.01, seed=0).fit(x, y, epochs=30, validation=0.2, progress=False)
    assert good["val_accuracy"][-1] > 0.95
    assert good.diagnosis().verdict == "fine"


# -- T10: hyperparameters ------------------------------------------------------------------


def test_t10_hyperparameters_are_in_one_place_and_saved_with_the_model(tmp_path):
    x, y = blobs(60, 0.3)
    network = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
    trainer = hm.Trainer(network, optimizer=optim.Adam(network.parameters(), lr=0.02, weight_decay=1e-3), seed=3)
    trainer.fit(x, y, epochs=2, batch_size=16, callbacks=[hm.EarlyStopping(patience=7)], progress=False)
    chosen = trainer.hyperparameters
    assert (chosen["epochs"], chosen["batch_size"], chosen["seed"]) == (2, 16, 3)
    assert chosen["loss"] == "cross_entropy"
    assert chosen["optimizer"]["lr"] == 0.02
    assert chosen["optimizer"]["weight_decay"] == 1e-3
    assert chosen["callbacks"]["EarlyStopping"]["patience"] == 7
    parameters = {name for name, _ in network.named_parameters()}
    assert parameters == {"0.weight", "0.bias", "2.weight", "2.bias"}, "what is learned; none of the choices above"
    hm.save(network, tmp_path / "model.safetensors")
    loaded = hm.load(tmp_path / "model.safetensors")
    assert loaded.meta["hyperparameters"] == chosen
    assert np.array_equal(hm.Trainer(loaded).predict(x), trainer.predict(x))
