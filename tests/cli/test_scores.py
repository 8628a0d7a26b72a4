"""The outputs of a model on many rows, portion by portion."""

import numpy as np
import pytest

import haema as hm
from haema import nn
from haema.cli import scores
from haema.cli.scores import outputs_of
from haema.data import Data


class Deciding(nn.Module):
    """Looks at values, which no program can."""

    def forward(self, x):
        return x * 2 if float(x.sum().item()) > 0 else x


@pytest.mark.parametrize("rows", [1, 16, 127, 128, 133])
def test_many_rows_are_compiled_and_come_out_the_same(rows, monkeypatch):
    made = []
    whole = hm.compile
    monkeypatch.setenv("HAEMA_EAGER", "0")
    monkeypatch.setattr(scores, "PORTION", 16 * 12)
    monkeypatch.setattr("haema.compiler.compile", lambda f: made.append(f) or whole(f))
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3), nn.Tanh())
    x = np.random.default_rng(0).normal(size=(rows, 1, 3, 4)).astype(np.float32)
    found = outputs_of(model, Data("images", x), "m.haema")
    np.testing.assert_allclose(found, model(hm.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6)
    assert made == ([model] if rows >= 128 else [])
    assert model.training


def test_what_cannot_be_compiled_runs_all_the_same(monkeypatch):
    monkeypatch.setenv("HAEMA_EAGER", "0")
    monkeypatch.setattr(scores, "PORTION", 16)
    x = np.arange(1, 131, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(outputs_of(Deciding(), Data("arrays", x), "m.haema"), 2 * x)


def test_wrong_shapes_are_told_in_one_sentence(monkeypatch):
    monkeypatch.setenv("HAEMA_EAGER", "0")
    monkeypatch.setattr(scores, "PORTION", 16)
    with pytest.raises(hm.InputError, match=r"does not take .* whose inputs have shape 5"):
        outputs_of(nn.Linear(4, 2), Data("arrays", np.ones((200, 5), np.float32)), "m.haema")
