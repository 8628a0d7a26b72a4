"""The pictures: what stands in them, and that nothing stands over anything else."""

import io
import itertools

import matplotlib
import numpy as np
import pytest
from inspecting import FunctionalNet, cnn
from matplotlib.text import Text
from PIL import Image

import haema as hm
from haema import drawing, nn
from haema.inspect import pictures
from haema.inspect.pictures.features import thinned
from haema.inspect.pictures.sheet import grey_or_colour, shortened

RNG = np.random.default_rng(0)


def texts(figure):
    """All texts that can be seen, title and subtitle first."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            slack = 1e-9 * (high - low)
            beyond = [t for t in axis.get_major_ticks() if not low - slack <= t.get_loc() <= high + slack]
            hidden |= {id(t.label1) for t in beyond}
    found = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible() and id(t) not in hidden]
    return sorted(found, key=lambda t: t not in figure.texts)


def drawn(figure, tmp_path):
    """Write the figure, read it back, and check that its texts overlap neither each other nor its edge."""
    drawing.save(figure, tmp_path / "picture.png")
    first = (tmp_path / "picture.png").read_bytes()
    with Image.open(io.BytesIO(first)) as picture:
        picture.load()
        np.testing.assert_allclose(picture.size, figure.get_size_inches() * 150, atol=1)
        assert len(picture.convert("L").getcolors()) > 20
    renderer = figure.canvas.get_renderer()
    boxes = []
    for t in texts(figure):
        if t.get_rotation() == 0:
            boxes.append((t.get_text(), t.get_window_extent(renderer)))
    width, height = figure.bbox.width, figure.bbox.height
    for words, box in boxes:
        assert box.x0 >= 0, words
        assert box.y0 >= 0, words
        assert box.x1 <= width, words
        assert box.y1 <= height, words
    for (a, one), (b, other) in itertools.combinations(boxes, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        down = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert across <= 1 or down <= 2, (a, b)
    return [t.get_text() for t in texts(figure)]


@pytest.mark.parametrize("shape", [(6, 1, 3, 3), (80, 1, 5, 9), (5, 3, 7, 7), (9, 2, 3, 5), (3, 7, 1, 1)])
def test_filters(tmp_path, shape):
    w = RNG.normal(size=shape).astype(np.float32)
    figure = pictures.draw_filters(hm.tensor(w), "Conv2d conv1")
    words = drawn(figure, tmp_path)
    assert words[0] == "Filters of Conv2d conv1"
    tiles = sum(len(a.get_images()) for a in figure.axes)
    assert tiles == min(len(w), 64) * (1 if shape[1] in (1, 3) else min(shape[1], 4))
    if shape[0] == 80:
        strongest = np.sort(np.argsort(-(w**2).sum((1, 2, 3)))[:64])
        assert [n for n in words if n.isdigit()][:64] == [str(k) for k in strongest]


def test_the_colours_of_filters_are_symmetric():
    w = hm.tensor([[[[-2.0, 1.0], [0.0, 1.0]]]])
    (image,) = pictures.draw_filters(w).axes[0].get_images()
    assert image.get_clim()[0] == -image.get_clim()[1]
    np.testing.assert_array_equal(image.get_array(), w.numpy()[0, 0])
    (image,) = pictures.draw_filters(hm.tensor(np.array([[[[0.0]], [[1.0]], [[-1.0]]]]))).axes[0].get_images()
    np.testing.assert_allclose(image.get_array()[0, 0], [0.5, 1, 0], atol=0.01)


def test_features(tmp_path):
    model = cnn()
    image = RNG.integers(0, 256, (1, 3, 8, 6)).astype(np.uint8)
    maps = hm.inspect.feature_maps(model, hm.tensor(image), hm.inspect.stages(model))
    types = {name: hm.inspect.type_of(model, name) for name in maps}
    names = [f"class {k}" for k in range(10)]
    figure = pictures.draw_features(hm.tensor(image[0]), maps, types, names, "cat/1.jpg")
    words = drawn(figure, tmp_path)
    for expected in ("Feature maps of cat/1.jpg", "Conv2d", "4 x 8 x 6", "layer 1.2", "MaxPool2d", "Linear", "class 0"):
        assert expected in words
    shown = [i.get_array() for a in figure.axes for i in a.get_images()]
    assert len(shown) == 1 + 3 * 4 + 1
    np.testing.assert_allclose(shown[1], maps["1.0"].numpy()[0, 0])
    np.testing.assert_allclose(shown[-1][0], maps["5"].numpy()[0])


def test_features_of_many_layers_and_channels(tmp_path):
    maps = {f"stage.{k}.a_module_with_a_long_name": hm.randn(1, 20, 9, 30) for k in range(40)}
    figure = pictures.draw_features(hm.randn(2, 9, 30), maps, dict.fromkeys(maps, "AdaptiveAveragePoolingOfMine"))
    words = drawn(figure, tmp_path)
    assert any(w.startswith("12 of 40 layers") for w in words)
    assert len([i for a in figure.axes for i in a.get_images()]) == 1 + 12 * 8


def test_thinned_keeps_the_ends():
    assert thinned(list("abcdefgh"), 3) == ["a", "e", "h"]
    assert thinned(["a"], 3) == ["a"]


def test_activations(tmp_path):
    model = cnn()
    found = hm.inspect.activation_statistics(model, hm.tensor(RNG.integers(0, 256, (4, 3, 8, 6)).astype(np.uint8)))
    figure = pictures.draw_activations(found, dict.fromkeys(found, "Layer"), 4)
    words = drawn(figure, tmp_path)
    assert len(figure.axes) == len(found)
    d = found["1.2"]
    dead = f", {d.dead} of 4 dead" if d.dead else ""
    assert f"mean {d.mean:.3g}, sd {d.std:.3g}, {100 * d.zeros:.0f} % zeros{dead}" in words
    assert "for 4 images" in words[1]


def test_activations_that_are_all_the_same_or_not_finite(tmp_path):
    found = {"a": hm.zeros(2, 3), "b": hm.full((2, 3), float("inf")), "c": hm.full((2, 3), 1e-30)}
    figure = pictures.draw_activations({name: hm.inspect.distribution(x) for name, x in found.items()})
    words = drawn(figure, tmp_path)
    assert "mean 0, sd 0, 100 % zeros, 3 of 3 dead" in words


@pytest.mark.parametrize("layers", [1, 3, 30])
def test_gradients(tmp_path, layers):
    found = {}
    for k in range(layers):
        found[f"stage.{k}.weight"] = hm.randn(8, 9) * 10.0**-k
        found[f"stage.{k}.bias"] = hm.zeros(8)
    figure = pictures.draw_gradients(found, {f"stage.{k}": "Linear" for k in range(layers)}, 64)
    words = drawn(figure, tmp_path)
    assert len(figure.axes) == 1 + min(layers, 12)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    expected = [np.linalg.norm(found[f"stage.{k}.weight"].numpy()) for k in range(layers)]
    np.testing.assert_allclose(heights, expected, rtol=1e-5)
    assert f"norm: weight {expected[0]:.2g}, bias 0" in words


@pytest.mark.parametrize(("classes", "wide"), [(2, False), (10, True), (20, False), (100, True)])
def test_confusion(tmp_path, classes, wide):
    n = 3 * classes
    truth = np.arange(n) % classes
    p = RNG.dirichlet(np.ones(classes), n)
    found = p.argmax(1)
    names = [f"a class with the long name {k}" if wide else f"{k}" for k in range(classes)]
    files = [f"folder with the long name {k}/{k}.jpg" for k in range(n)]
    images = RNG.integers(0, 256, (n, 3, 9, 12)).astype(np.uint8)
    figure = pictures.draw_confusion(p, truth, names, images, files)
    words = drawn(figure, tmp_path)
    right = int((found == truth).sum())
    assert words[0] == f"Confusion matrix: {right} of {n} right ({100 * right / n:.2f} %)"
    counts = np.zeros((classes, classes))
    np.add.at(counts, (truth, found), 1)
    np.testing.assert_allclose(figure.axes[0].get_images()[0].get_array(), counts / 3)
    cells = len(figure.axes[0].texts)
    assert cells == (np.count_nonzero(counts) if classes <= 20 else 0)
    assert len(figure.axes[0].get_yticks()) <= 25
    tiles = figure.axes[-1].get_images()
    worst = hm.inspect.worst_mistakes(p, truth)
    assert len(tiles) == len(worst)
    np.testing.assert_allclose(tiles[0].get_array(), images[worst[0]].transpose(1, 2, 0) / 255)
    assert f"is {shortened(names[truth[worst[0]]], 15)}" in words


def test_confusion_without_mistakes(tmp_path):
    figure = pictures.draw_confusion(np.eye(2), np.arange(2), ["a", "b"], np.zeros((2, 1, 4, 4), np.uint8))
    words = drawn(figure, tmp_path)
    assert "No mistakes" in words
    assert words[0] == "Confusion matrix: 2 of 2 right (100.00 %)"


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 8, 8)), (6, (3, 40, 20)), (2, (4, 5, 90))])
def test_saliency(tmp_path, count, shape):
    images = RNG.normal(size=(count, *shape)).astype(np.float32)
    maps = [("|gradient|", hm.rand(count, *shape[1:])), ("SmoothGrad\n25 noisy copies", hm.zeros(count, *shape[1:]))]
    figure = pictures.draw_saliency(images, maps, [("is a", "predicted b, 99 %", True)] * count, "of each pixel")
    words = drawn(figure, tmp_path)
    assert words.count("predicted b, 99 %") == count
    tiles = figure.axes[0].get_images()
    assert len(tiles) == 3 * count
    s = maps[0][1].numpy()[0].astype(np.float64)
    np.testing.assert_allclose(tiles[count].get_array(), s / np.percentile(s, 99.5))


def test_names_of_any_kind_can_stand_in_a_picture(tmp_path):
    names = ["\ud45c\ubcf8 $x_1$", "a$\\frac{x$", "\udcff"]
    images = np.zeros((3, 1, 4, 4), np.uint8)
    rcparams = dict(matplotlib.rcParams)
    figure = pictures.draw_confusion(np.eye(3)[[1, 2, 0]], np.arange(3), names, images, ["\udcff.png", "$.png", "b"])
    drawing.save(figure, tmp_path / "a.png")
    drawing.save(figure, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert dict(matplotlib.rcParams) == rcparams


def test_texts_are_cut_by_their_width():
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde\u2026"
    assert shortened("abcdefg", 6, end=True) == "\u2026cdefg"
    assert shortened("\ud45c\ubcf8\ud45c\ubcf8", 6) == "\ud45c\ubcf8\u2026"


def test_brightness_of_images():
    few = np.array([[[[0, 16]]]], np.uint8)
    assert grey_or_colour(few)[1] == {"cmap": "gray", "vmin": 0.0, "vmax": 16.0}
    assert grey_or_colour(few + 200)[1]["vmax"] == 255.0
    np.testing.assert_allclose(grey_or_colour(np.full((1, 3, 1, 1), 255, np.uint8))[0], np.ones((1, 1, 1, 3)))
    pixels, how = grey_or_colour(np.array([[[[-1.0]], [[3.0]]]]))
    assert pixels.tolist() == [[[1.0]]]
    assert (how["vmin"], how["vmax"]) == (-1.0, 3.0)


def test_a_network_with_functions_between_its_modules(tmp_path):
    model, x = FunctionalNet(), hm.randn(1, 1, 5, 5)
    maps = hm.inspect.feature_maps(model, x)
    assert list(maps) == ["conv", "norm", "dense"]
    assert "layer norm" in drawn(pictures.draw_features(x[0], maps, {n: n for n in maps}), tmp_path)
    assert isinstance(model.conv, nn.Conv2d)
