"""Images that stay in their files: an array to look at, and the same training bit for bit."""

import numpy as np
import pytest
from PIL import Image

import haema as hm
from haema import nn
from haema.data import ImageRows, load, load_images
from haema.data.idx import write_idx
from haema.data.imagerows import channel_moments, digests_of, moments_of, update_digest
from haema.errors import InputError
from haema.train import sources

N = 61


@pytest.fixture(scope="module")
def pngs(tmp_path_factory):
    """Two classes of small colour images, one a little brighter."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(N):
        name = "dark" if i % 2 else "bright"
        (root / name).mkdir(exist_ok=True)
        pixels = rng.integers(0, 200, (6, 5, 3)) + (0 if i % 2 else 30)
        Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{i:02}.png")
    return root


@pytest.fixture(scope="module", params=["png", "idx", "npz"])
def folder(request, pngs, tmp_path_factory):
    """The same as files of one image each, and in files with all of them."""
    if request.param == "png":
        return pngs
    root, data = tmp_path_factory.mktemp("stored"), load(pngs)
    if request.param == "idx":
        write_idx(root / "train-images-idx4-ubyte", data.x)
        write_idx(root / "train-labels-idx1-ubyte", data.y.astype(np.uint8))
        return root
    np.savez(root / "images.npz", x=np.ascontiguousarray(data.x.transpose(0, 2, 3, 1)), y=data.y)  # (N, H, W, C)
    return root / "images.npz"


@pytest.fixture(params=[400, 10_000], ids=["many slices", "few slices"])
def slices(request, monkeypatch):
    monkeypatch.setattr(sources, "SLICE", request.param)


def network(data):
    hm.manual_seed(3)
    return nn.Sequential(
        nn.Standardize.of(data.x), nn.Flatten(), nn.Linear(90, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(8, 2),
    )  # fmt: skip


def trained(data, compile=True, epochs=3, **options):
    trainer = hm.Trainer(network(data), lr=1e-2, seed=0, compile=compile)
    history = trainer.fit(data, epochs=epochs, batch_size=8, progress=False, **options)
    return trainer, {k: v for k, v in history.values.items() if k != "seconds"}


def test_when_images_stay_in_their_files(folder):
    size = N * 3 * 6 * 5
    assert isinstance(load(folder, memory_limit=size).x, np.ndarray)
    d = load(folder, memory_limit=size - 1)
    assert isinstance(d.x, ImageRows)
    assert "stay in their files" in d.notes[0]
    assert isinstance(load(folder, memory_limit=0, stream=False).x, np.ndarray)
    assert isinstance(load(folder, stream=True).x, ImageRows)


def test_it_is_like_an_array(folder):
    x, rows = load(folder).x, load(folder, stream=True).x
    assert (rows.shape, rows.dtype, rows.ndim, rows.size, rows.nbytes, len(rows)) == (
        (x.shape, x.dtype, x.ndim, x.size, x.nbytes, len(x))
    )
    for index in (0, -1, slice(3, 9), slice(None, None, -7), [5, 2, 2], np.arange(N) % 3 == 0, (4, 1), (slice(2), 0)):
        np.testing.assert_array_equal(rows[index], x[index])
    np.testing.assert_array_equal(np.asarray(rows), x)
    assert rows[5:5].shape == (0, 3, 6, 5)
    with pytest.raises(IndexError):
        rows[N]
    chosen = rows.select([7, 1]).astype(np.float32)
    assert (chosen.dtype, chosen[0].dtype) == (np.float32, np.float32)
    np.testing.assert_array_equal(chosen[:], x[[7, 1]])
    order = np.random.default_rng(0).permutation(N)
    parts = list(rows.parts(10, order))
    assert [len(p) for p in parts] == [10] * 6 + [1]
    np.testing.assert_array_equal(np.concatenate(parts), x[order])


def test_sums_and_digests_are_those_of_the_array(folder):
    import hashlib

    x, rows = load(folder).x, load(folder, stream=True).x
    wide = x.astype(np.int64)
    expected = np.stack([wide.sum(axis=(0, 2, 3)), (wide**2).sum(axis=(0, 2, 3))])
    np.testing.assert_array_equal(channel_moments(x), expected)
    np.testing.assert_array_equal(channel_moments(rows), expected)
    np.testing.assert_array_equal(rows.moments, moments_of(x))
    np.testing.assert_array_equal(rows.digests, digests_of(x))
    first = nn.Standardize.of(rows)
    np.testing.assert_allclose(first.mean.numpy(), x.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(first.std.numpy(), x.std(axis=(0, 2, 3)), rtol=1e-6)
    texts = []
    changed = x.copy()
    changed[N - 1, 2, 5, 4] ^= 1
    for each in (x, rows, changed):
        digest = hashlib.blake2b()
        update_digest(digest, each)
        texts.append(digest.hexdigest())
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("compile", [True, False], ids=["compiled", "eager"])
@pytest.mark.usefixtures("slices")
def test_training_gives_the_same_bits(folder, compile):
    held, streamed = load(folder), load(folder, stream=True)
    one, values = trained(held, compile, validation=0.2)
    other, streamed_values = trained(streamed, compile, validation=0.2)
    assert streamed_values == values
    for (name, a), b in zip(one.model.state_dict().items(), other.model.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=name)
    assert other.evaluate(streamed) == one.evaluate(held)
    np.testing.assert_array_equal(other.predict_proba(streamed, 16), one.predict_proba(held, 16))
    counts = [{k: p.count for k, p in t.engine.programs.items()} for t in (one, other)]
    assert counts[0] == counts[1]  # no program for each slice


@pytest.mark.usefixtures("slices")
def test_with_weights_and_a_callback_after_each_batch(folder):
    class Watch(hm.Callback):
        def on_batch_end(self, run):
            seen.append(run.loss)

    weights = np.linspace(0.5, 2, N)
    losses = []
    for stream in (False, True):
        seen = []
        trained(load(folder, stream=stream), sample_weight=weights, callbacks=[Watch()])
        losses.append(seen)
    assert len(losses[0]) == 3 * 8
    assert losses[0] == losses[1]


def test_a_batch_by_its_row_numbers(folder):
    held, streamed = load(folder), load(folder, stream=True)
    w = np.arange(N, dtype=np.float32)
    one = sources.Rows((held.x,), held.y, held.y, w).take(np.array([9, 3, 3]))
    other = sources.Streamed((streamed.x,), held.y, held.y, w).take(np.array([9, 3, 3]))
    for a, b in zip((*one[0], one[1], one[2]), (*other[0], other[1], other[2]), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    np.testing.assert_array_equal(one[3], other[3])


def test_a_model_that_takes_no_whole_numbers(folder):
    held, streamed = load(folder), load(folder, stream=True)
    outputs = []
    for data in (held, streamed):
        hm.manual_seed(0)
        trainer = hm.Trainer(nn.Sequential(nn.Flatten(), nn.Linear(90, 2)), lr=1e-4, seed=0)
        trainer.fit(data, epochs=1, progress=False)
        outputs.append(trainer.outputs(data))
    np.testing.assert_array_equal(*outputs)


def test_a_checkpoint_is_of_the_same_data(folder, tmp_path):
    """A run may go on where memory has become scarce meanwhile."""
    path = str(tmp_path / "run.checkpoint")
    _, whole = trained(load(folder), compile=False)
    trained(load(folder), compile=False, epochs=1, callbacks=[hm.Checkpoint(path)])
    _, resumed = trained(load(folder, stream=True), compile=False, resume=path)
    assert resumed == whole


def test_only_so_many_are_decoded_ahead(pngs, monkeypatch):
    from haema.data import decoding

    monkeypatch.setattr(decoding, "PATIENCE", 0.0)
    taken = []

    def paths():
        for i in range(50):
            taken.append(i)
            yield {"paths": [str(pngs / "dark" / "01.png")], "size": (6, 5), "channels": 3, "exact": False}

    answers = decoding.Decoders()._answers(paths(), ahead=4)
    next(answers)  # done here
    for k in range(5):
        next(answers)
        assert len(taken) <= 1 + k + 1 + 4
    answers.close()


def test_an_image_that_breaks_meanwhile(tmp_path):
    for i in range(3):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{i}.png")
    rows = load_images([tmp_path], stream=True).x
    (tmp_path / "1.png").write_bytes(b"")
    assert rows[[0, 2]].shape == (2, 3, 4, 4)
    with pytest.raises(
        InputError, match=r"the image .*1\.png cannot be read any more \(an empty file\); leave the files"
    ):
        rows[:]


def test_what_cannot_be_read_one_by_one(tmp_path):
    x, y = np.zeros((4, 5, 5), np.uint8), np.arange(4) % 2
    np.savez_compressed(tmp_path / "small.npz", x=x, y=y)
    np.savez(tmp_path / "columns.npz", x=np.asfortranarray(x), y=y)
    np.savez(tmp_path / "numbers.npz", x=x.astype(np.float32), y=y)
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", x)
    write_idx(tmp_path / "train-labels-idx1-ubyte", y.astype(np.uint8))
    for name in ("small.npz", "columns.npz", "train-images-idx3-ubyte.gz"):
        assert load(tmp_path / name).x.shape == load(tmp_path / name, memory_limit=0).x.shape == (4, 1, 5, 5)
        with pytest.raises(
            InputError, match=rf"{name} is compressed, or .* cannot be read one by one; write it plainly"
        ):
            load(tmp_path / name, stream=True)
    assert isinstance(load(tmp_path / "numbers.npz", memory_limit=0).x, np.ndarray)
    with pytest.raises(InputError, match=r"stream is for images in files, and .*numbers\.npz is none"):
        load(tmp_path / "numbers.npz", stream=True)


def test_a_file_of_images_that_is_or_becomes_damaged(tmp_path):
    path = tmp_path / "images.npz"
    np.savez(path, x=np.random.default_rng(0).integers(0, 256, (9, 8, 8), np.uint8), y=np.arange(9) % 3)
    whole = path.read_bytes()
    rows = load(path, stream=True).x
    path.write_bytes(whole[:300])
    with pytest.raises(InputError, match=r"images\.npz has become shorter; leave the files as they are"):
        rows[:]
    path.unlink()
    with pytest.raises(InputError, match=r"cannot read .*images\.npz: no such file"):
        rows[:]
    path.write_bytes(whole[:400] + bytes([whole[400] ^ 1]) + whole[401:])
    with pytest.raises(InputError, match=r"images\.npz is no NPZ file or damaged \(Bad CRC-32"):
        load(path, stream=True)
