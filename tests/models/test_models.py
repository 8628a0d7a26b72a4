"""The ready networks: sizes, numbers of parameters, names, and that they are saved, compiled and learned."""

import subprocess
import sys

import numpy as np
import pytest

import haema as hm
from haema import io, models, nn
from haema.models import MODELS
from haema.shapes import shapes_only


def count(model):
    return sum(p.numel() for p in model.parameters())


def multiply_adds(model, *shape):
    return nn.summary(model, shape, show=False).multiply_adds


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("channels", "size", "classes"),
    [(1, 8, 3), (3, (8, 13), 2), (1, 16, 1), (1, 28, 10), (3, 32, 10), (2, (65, 40), 5)],
)
def test_takes_images_of_every_size(name, channels, size, classes):
    shape = (2, channels, *(size if isinstance(size, tuple) else (size, size)))
    if name == "resnet18" and size != 16:  # drawing its weights takes a second
        with shapes_only():
            assert MODELS[name].build(channels, size, classes)(hm.zeros(shape)).shape == (2, classes)
        return
    model = MODELS[name].build(channels, size, classes).eval()
    x = hm.randn(*shape)
    y = model(x)
    assert y.shape == (2, classes)
    assert np.isfinite(y.detach().numpy()).all()
    np.testing.assert_allclose(model(x[:1]).detach().numpy(), y[:1].detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_refuses_what_makes_no_network(name):
    for arguments, part in (
        ((0, 32, 10), "in_channels is 0"),
        ((3, 32, 1.5), "classes is 1.5"),
        ((3, (32, 0), 10), r"size is \(32, 0\)"),
        ((3, (32, 32, 32), 10), "a height and a width"),
    ):
        with pytest.raises(hm.InputError, match=part):
            MODELS[name].build(*arguments)
    if name != "cnn":
        with pytest.raises(hm.InputError, match="8 pixels or more"):
            MODELS[name].build(3, 7, 10)


def test_registry_describes_each_network():
    assert {*MODELS} == {"lenet5", "stack", "vgg", "resnet20", "resnet18", "fast", "cnn"}
    assert all(entry.summary and "\n" not in entry.summary for entry in MODELS.values())


def test_numbers_of_parameters_are_the_published_ones():
    assert count(models.lenet5(1, 28, 10)) == count(models.lenet5(1, 32, 10)) == 61_706
    assert count(models.resnet20(3, 32, 10)) == 269_722  # 0.27 M in table 6 of the paper
    assert count(models.resnet18(3, 32, 10)) == 11_173_962
    with shapes_only():
        assert count(models.resnet18()) == 11_689_512  # torchvision's
        assert count(models.resnet18(3, 224, 1000, stem="cifar")) == 11_689_512 - 64 * 3 * (49 - 9)


def test_work_is_the_published_one():
    assert multiply_adds(models.resnet20(3, 32, 10), 3, 32, 32) == pytest.approx(41e6, rel=0.02)
    assert multiply_adds(models.resnet18(3, 32, 10), 3, 32, 32) == pytest.approx(556e6, rel=0.02)


def test_resnet18_has_torchvisions_names_and_shapes():
    expected = {"conv1.weight": (64, 3, 7, 7)}

    def norm(name, n):
        expected.update({f"{name}.{k}": (n,) for k in ("weight", "bias", "running_mean", "running_var")})
        expected[f"{name}.num_batches_tracked"] = ()

    norm("bn1", 64)
    before = 64
    for stage, width in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            name = f"layer{stage}.{block}"
            expected[f"{name}.conv1.weight"] = (width, before, 3, 3)
            norm(f"{name}.bn1", width)
            expected[f"{name}.conv2.weight"] = (width, width, 3, 3)
            norm(f"{name}.bn2", width)
            if before != width:
                expected[f"{name}.downsample.0.weight"] = (width, before, 1, 1)
                norm(f"{name}.downsample.1", width)
            before = width
    expected |= {"fc.weight": (1000, 512), "fc.bias": (1000,)}
    with shapes_only():
        found = {k: tuple(v.shape) for k, v in models.resnet18().state_dict().items()}
    assert found == expected
    assert [*found] == [*expected]
    assert len(found) == 122


def test_resnet18_begins_by_the_size_of_the_images():
    with shapes_only():
        assert models.resnet18(3, 64, 10).conv1.kernel_size == (3, 3)
        assert models.resnet18(3, (64, 65), 10).conv1.kernel_size == (7, 7)
        assert models.resnet18(3, 64, 10, stem="imagenet").conv1.kernel_size == (7, 7)
    with pytest.raises(hm.InputError, match="stem is 'none'"):
        models.resnet18(3, 64, 10, stem="none")


def test_padded_shortcut_takes_every_second_pixel_and_zero_channels():
    past = models.resnet20(3, 32, 10).layer2[0].downsample
    x = hm.randn(2, 16, 6, 5)
    y = past(x).numpy()
    assert y.shape == (2, 32, 3, 3)
    np.testing.assert_array_equal(y[:, 8:24], x.numpy()[:, :, ::2, ::2])
    assert not y[:, :8].any()
    assert not y[:, 24:].any()


def test_fast_begins_by_handing_its_input_on():
    model = models.fast(3, 32, 10, widths=(32, 48))
    x = hm.randn(2, 24, 9, 9)
    y = model.block1.conv1(x).detach().numpy()
    np.testing.assert_allclose(y[:, :24], x.numpy(), atol=1e-6)
    assert y[:, 24:].std() > 0.1
    learned = {name for name, p in model.named_parameters() if p.requires_grad}
    assert "whiten.bias" not in learned
    assert "block1.norm1.bias" in learned
    assert not any(name.endswith(("norm1.weight", "norm2.weight", "norm3.weight")) for name in learned)
    assert "whiten.weight" in model.state_dict()
    assert "whiten.weight" not in dict(model.named_parameters())
    with pytest.raises(hm.InputError, match="widths"):
        models.fast(3, 32, 10, widths=())


@pytest.mark.parametrize("name", MODELS)
def test_is_saved_and_loaded_without_this_room(name, tmp_path):
    model = MODELS[name].build(1, 8, 3)
    x = hm.randn(4, 1, 8, 8)
    if name == "fast":
        model.whiten.fit(x.numpy())
    model.train()(x)  # so that running statistics are no longer the first ones
    io.save(model, tmp_path / "m.haema")
    again = io.load(tmp_path / "m.haema")
    assert repr(again) == repr(model)
    expected = model.eval()(x).detach().numpy()
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_array_equal(again(x).detach().numpy(), expected)
    assert not any(name.startswith("haema.models") for name in {type(m).__module__ for m in model.modules()})


def small(name):
    """A network that compiles quickly, and in which each kind of layer is."""
    if name == "fast":
        model = models.fast(1, 8, 3, widths=(8, 8))
        model.whiten.fit(np.random.default_rng(0).normal(size=(9, 1, 8, 8)))
        return model
    if name == "resnet20":
        whole = models.resnet20(1, 8, 3)
        return nn.Sequential(whole.conv1, whole.layer2[0], whole.avgpool, whole.flatten, nn.Linear(32, 3))
    return MODELS[name].build(1, 8, 3)


@pytest.mark.parametrize("name", ["lenet5", "stack", "resnet20", "fast"])
def test_compiled_step_agrees_with_the_eager_one(name):
    def trained(compiled):
        hm.manual_seed(1)
        model = small(name)
        optimizer = hm.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05, momentum=0.9)
        rng = np.random.default_rng(2)
        x, y = hm.tensor(rng.normal(size=(16, 1, 8, 8)).astype(np.float32)), hm.tensor(rng.integers(0, 3, 16))

        def step(x, y):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        step = hm.compile(step) if compiled else step
        return [step(x, y).item() for _ in range(3)]

    np.testing.assert_allclose(trained(True), trained(False), rtol=2e-4)


def test_networks_are_there_without_an_import_of_their_own():
    """``hm.models`` was there only where something else had loaded it."""
    words = "import haema as hm; print(type(hm.models.lenet5()).__name__)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True)
    assert done.stdout == "Sequential\n", done.stderr
