"""The plans for images: what they are made of, that each network learns, and going on where a run was killed."""

from dataclasses import replace

import numpy as np
import pytest

import haema as hm
from haema import io, nn
from haema.data import Data
from haema.errors import InputError
from haema.models import MODELS
from haema.models.fast import fast, multiply_adds
from haema.train import Checkpoint, LambdaCallback, Trainer
from haema.train.plans import ImagePlan, augmentation_for, images, plan_for
from haema.train.plans.images import IN_TILES, SIZES


def stripes(n=96, channels=1, size=12, seed=0, task="classification"):
    """Images of horizontal, vertical and diagonal stripes at random places, with noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    i, j = np.mgrid[:size, :size]
    ways = np.stack([i, j, i + j])[y]  # (n, size, size)
    wave = np.sin(ways * 1.6 + rng.uniform(0, 6, (n, 1, 1)))
    x = 128 + 60 * wave[:, None] + 25 * rng.normal(size=(n, channels, size, size))
    y, classes = (y, ["across", "down", "askew"]) if task == "classification" else (y / 2, None)
    return Data("images", x.clip(0, 255).astype(np.uint8), y, classes, None, task, "stripes")


def trained(data, model=None, epochs=None, recipe=None, **options):
    hm.manual_seed(0)
    plan = plan_for(data, model, epochs, recipe=recipe)
    network = plan.build()
    trainer = Trainer(
        network, plan.loss, plan.make_optimizer(network), plan.metrics, seed=0, task=data.task, average=plan.average
    )
    callbacks = [plan.schedule(len(data)), *options.pop("callbacks", [])]
    trainer.fit(data, None, plan.epochs, plan.batch_size, callbacks=callbacks, progress=False, **options)
    return trainer


@pytest.mark.parametrize("model", [m for m in MODELS if m != "resnet18"])  # which is made like resnet20
def test_each_network_learns(model):
    trainer = trained(stripes(), model, epochs=5 if model in ("resnet20", "stack") else 10)
    new = stripes(60, seed=1)
    assert trainer.evaluate(new.x, new.y)["accuracy"] > 0.9


@pytest.mark.parametrize(("channels", "recipe"), [(3, "default"), (3, "best"), (2, "default")])
def test_default_network_learns_images_of_any_channels(channels, recipe, tmp_path):
    trainer = trained(stripes(channels=channels), epochs=3 if recipe == "best" else 6, recipe=recipe)
    new = stripes(60, channels, seed=1)
    assert trainer.evaluate(new.x, new.y)["accuracy"] > 0.9
    assert trainer.model[-1].flip == (channels > 1)
    io.save(trainer.model, tmp_path / "m.haema")
    again = io.load(tmp_path / "m.haema")
    np.testing.assert_array_equal(Trainer(again).outputs(new.x), trainer.outputs(new.x))


def test_numbers_are_learned_from_images_too():
    data = stripes(task="regression")
    trainer = trained(data, epochs=15)
    assert trainer.evaluate(data.x, data.y)["r2"] > 0.8
    assert plan_for(data).optimizer == "AdamW"
    assert augmentation_for(data) == []


def test_numbers_are_learned_from_images_by_convolutions():
    """The fast network was left without its first convolution, and so gave the same number for every image."""
    data = stripes(channels=3, task="regression")
    assert plan_for(data).model == "cnn"
    whiten = plan_for(data, "fast").build()[1].whiten
    assert np.abs(whiten.weight.numpy()).max() > 0.1
    for model in ("cnn", "fast"):
        trainer = trained(data, model, epochs=8)
        assert trainer.evaluate(data.x, data.y)["r2"] > 0.5, model


def test_a_line_of_pixels_is_learned_too():
    """Its reflected border failed."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (40, 3, 1, 9)).astype(np.uint8)
    data = Data("images", x, np.arange(40) % 2, ["a", "b"], None, "classification", "lines")
    assert trained(data, epochs=1).history.values["loss"]


class Stop(Exception):
    """What kills the run."""


def test_killed_run_of_the_default_plan_ends_with_the_same_bits(tmp_path):
    data = stripes(48)

    def run(path, kill=None, resume=None):
        def die(run):
            if run.epoch == kill:
                raise Stop

        callbacks = [Checkpoint(path), LambdaCallback(on_epoch_begin=die)]
        try:
            trainer = trained(data, "fast", epochs=4, callbacks=callbacks, validation=0.2, resume=resume)
        except Stop:
            return None
        return {k: v.numpy().tobytes() for k, v in trainer.model.state_dict().items()}

    whole = run(tmp_path / "whole")
    assert run(tmp_path / "broken", kill=3) is None
    assert run(tmp_path / "broken", resume=tmp_path / "broken") == whole


def test_optimizer_of_the_fast_network():
    data = stripes(channels=3)
    plan = plan_for(data)
    model = plan.build()
    optimizer = plan.make_optimizer(model)
    weights, norms = optimizer.param_groups
    assert type(optimizer).__name__ == "SGD"
    assert all(g["nesterov"] and g["momentum"] == 0.85 for g in optimizer.param_groups)
    assert {p.ndim for p in weights["params"]} == {2, 4}
    assert weights["weight_decay"] > 0
    assert len(norms["params"]) == 9
    assert norms["weight_decay"] == 0
    assert norms["lr"] == 64 * weights["lr"] == 64 * plan.lr
    assert plan.lr == pytest.approx(0.75 * (plan.batch_size / 512) ** 0.5)
    held = [p for g in optimizer.param_groups for p in g["params"]]
    assert {id(p) for p in held} == {id(p) for p in model.parameters() if p.requires_grad}


def test_optimizer_of_the_others_spares_biases_and_norms():
    plan = plan_for(stripes(), "resnet20")
    model = plan.build()
    weights, rest = plan.make_optimizer(model).param_groups
    assert {p.ndim for p in weights["params"]} == {2, 4}
    assert {p.ndim for p in rest["params"]} == {1}
    assert (weights["weight_decay"], rest["weight_decay"]) == (plan.weight_decay, 0)


def test_rate_goes_up_and_down_along_straight_lines():
    data = stripes(16, size=8)
    plan = plan_for(data, "fast", epochs=20)
    model = plan.build()
    rates = []
    note = LambdaCallback(on_batch_end=lambda run: rates.append([g["lr"] for g in run.optimizer.param_groups]))
    note.order = -1  # before the schedule has set the next one
    steps = 20
    Trainer(model, plan.loss, plan.make_optimizer(model)).fit(
        data, epochs=20, batch_size=plan.batch_size, callbacks=[note, plan.schedule(16)], progress=False
    )
    rates = np.array(rates) / plan.lr
    assert rates.shape == (steps, 2)
    np.testing.assert_allclose(rates[:, 1], 64 * rates[:, 0])
    peak = 0.23 * steps - 1
    expected = np.interp(np.arange(steps), [0, peak, steps - 1], [0.2, 1, 0.01])
    np.testing.assert_allclose(rates[:, 0], expected, rtol=1e-6)


def test_whitening_is_of_the_training_images():
    data = stripes(200)
    model = plan_for(data, "fast").build()
    first, network = next(m for m in model if isinstance(m, nn.Standardize)), model[-1].module
    with hm.no_grad():
        y = network.whiten(first(hm.from_numpy(data.x))).numpy()[:, :4]
    found = np.cov(y.transpose(1, 0, 2, 3).reshape(4, -1))
    np.testing.assert_allclose(found, np.eye(4), atol=0.02)


def test_work_is_counted_and_bounded():
    for shape, widths in (((3, 32, 32), (64, 256, 256)), ((1, 28, 20), (8, 16, 24))):
        network = fast(shape[0], shape[1:], 10, widths)
        assert multiply_adds(shape[0], shape[1:], 10, widths) == nn.summary(network, shape, show=False).multiply_adds
    for size in (*SIZES.values(), IN_TILES):
        shape = (1, 28, 28) if size.rows == 57_500 else (3, 32, 32)
        assert size.fitted(size.rows, shape, 10) == size  # what the table at the head of the plans says
        few, many = size.fitted(100, shape, 10), size.fitted(300_000, shape, 10)
        assert (few.widths, few.epochs) == (size.widths, 60)
        assert many.epochs < size.epochs
        work = 6 * multiply_adds(shape[0], shape[1:], 10, many.widths) * 300_000 * many.epochs
        assert work <= size.budget
        larger = size.fitted(size.rows, (shape[0], 64, 64), 10)
        assert (larger.widths, larger.epochs) < (size.widths, size.epochs)


@pytest.mark.parametrize(("channels", "views"), [(1, 5), (3, 10)])
def test_fast_network_validates_with_few_views_and_predicts_with_many(channels, views):
    plan = plan_for(stripes(32, channels=channels), "fast")
    model = plan.build().eval()
    x = hm.randn(2, channels, 12, 12)
    assert len(model[-1].views(x)) == (1 if channels == 1 else 2)
    network = model[-1].module
    plan.finish(model)
    seen = model[-1].views(x)
    assert len(seen) == views
    assert model[-1].module is network
    assert not model[-1].training
    np.testing.assert_array_equal(seen[0].numpy(), x.numpy())
    np.testing.assert_array_equal(seen[1].numpy()[:, :, 1:, 1:], x.numpy()[:, :, :-1, :-1])
    other = plan_for(stripes(channels=3), "resnet20", recipe="best")
    trained = other.build()
    other.finish(trained)
    assert len(trained[-1].views(x)) == 2


def test_best_recipe_erases_squares_of_coloured_images():
    x = np.full((6, 3, 16, 16), 200, np.uint8)
    x[:, :, :8] = 50
    data = replace(stripes(6, channels=3, size=16), x=x)
    for recipe, erased in (("default", 0), ("best", 16)):
        model = plan_for(data, "fast", recipe=recipe).build().train()
        y = nn.Sequential(*list(model)[:-1])(hm.from_numpy(x)).numpy()
        assert ((abs(y) < 1e-6).all(1).sum((1, 2)) == erased).all()
        kept = nn.Sequential(*list(model)[:-1]).eval()(hm.from_numpy(x)).numpy()
        assert (abs(kept) > 0.5).all()


def test_recipes_differ_in_what_they_say():
    data = stripes(channels=3)
    plain, best = plan_for(data), plan_for(data, recipe="best")
    assert isinstance(best, ImagePlan)
    assert best.widths > plain.widths
    assert plain.tta
    assert best.tta
    assert not plan_for(stripes(), "fast", recipe="best").tta  # the mirror image of a digit is none
    assert best.hyperparameters()["label_smoothing"] == best.loss.label_smoothing == 0.2
    assert best.hyperparameters()["recipe"] == "best"
    other, longer = plan_for(data, "vgg"), plan_for(data, "vgg", recipe="best")
    assert longer.epochs == 2 * other.epochs
    assert (other.average, longer.loss.label_smoothing) == (None, 0.1)


def test_products_are_of_bfloat16_where_wished_or_worth_it(monkeypatch):
    data = stripes(channels=3)
    for has in (False, True):
        monkeypatch.setattr(images, "_has_tiles", lambda has=has: has)
        assert plan_for(data).precision == "float32"
        plans = [plan_for(data, recipe="best", precision=p) for p in (None, "float32", "bf16")]
        assert [p.widths == IN_TILES.widths for p in plans] == [has, False, True]
        assert [p.precision for p in plans] == ["bf16" if has else "float32", "float32", "bf16"]
        assert plan_for(stripes(), "fast", recipe="best").precision == "float32"
        assert plan_for(data, "vgg", precision="bf16").hyperparameters()["precision"] == "bf16"
    with pytest.raises(InputError, match="precision is 'bf61', which is unknown; did you mean 'bf16'"):
        plan_for(data, precision="bf61")


def test_augmentation_comes_first():
    crop, flip = augmentation_for(stripes(channels=3, size=32))
    assert isinstance(crop, nn.RandomCrop)
    assert "padding=2, padding_mode='reflect'" in repr(crop)
    assert isinstance(flip, nn.RandomHorizontalFlip)
    (turned,) = augmentation_for(stripes())
    assert "degrees" in repr(turned)
    network = plan_for(stripes(), "lenet5").build()
    assert [type(m).__name__ for m in network] == ["RandomAffine", "Standardize", "Sequential"]
