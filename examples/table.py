"""Learn from a table as tables are: numbers, texts and dates, with holes in them.

A file of used bicycles is made first, so that there is something to learn. A model is trained on it that takes the
table as it is, because what the columns mean, how numbers are scaled and what stands in for a hole is part of the
model. It is saved, loaded, and asked for the price of bicycles that it has not seen, one of them of an unknown brand.

    python table.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

import haema as hm
from haema import nn

COLUMNS = ["brand", "frame", "gears", "kilometres", "bought"]


def bicycles(rows=600):
    """Used bicycles and their prices; every tenth cell or so is empty."""
    rng = np.random.default_rng(0)
    names = {"Falter": 1.0, "Hirsch": 1.3, "Krone": 1.8}
    frame = pd.DataFrame({
        "brand": rng.choice(list(names), rows),
        "frame": rng.choice(["steel", "aluminium", "carbon"], rows, p=[0.4, 0.45, 0.15]),
        "gears": rng.choice([1, 3, 7, 8, 24], rows).astype(float),
        "kilometres": rng.gamma(2.0, 2500.0, rows).round(-1),
        "bought": pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 3650, rows), unit="D"),
    })  # fmt: skip
    years = (pd.Timestamp("2025-01-01") - frame["bought"]).dt.days / 365.25
    worth = 250 * frame["brand"].map(names) * frame["frame"].map({"steel": 1.0, "aluminium": 1.4, "carbon": 3.0})
    worth = worth * (1 + 0.02 * frame["gears"]) * np.exp(-0.09 * years - frame["kilometres"] / 25_000)
    frame["bought"] = frame["bought"].dt.strftime("%Y-%m-%d")
    for column in ("frame", "gears", "kilometres"):
        frame.loc[rng.random(rows) < 0.1, column] = None
    frame["price"] = (worth * rng.normal(1, 0.05, rows)).round(0)
    return frame


def main(folder):
    file = Path(folder) / "bicycles.csv"
    bicycles().to_csv(file, index=False)
    print(pd.read_csv(file).head(), "\n")

    data = hm.data.load(file, target="price")
    train, test = (data.take(rows) for rows in hm.data.split(len(data)))
    prepare = nn.PrepareTable.of(train.x)  # what it must know of the table, from the training rows alone
    print(f"{len(prepare.names)} numbers and {len(prepare.sizes)} categories become {prepare.features} inputs")

    mean, std = [train.y.mean()], [train.y.std()]
    hm.manual_seed(0)
    layers = [nn.Linear(prepare.features, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1)]
    model = nn.Sequential(prepare, *layers, nn.RestoreScale(mean, std))
    trainer = hm.Trainer(model, loss="mae", optimizer="adam", metrics=["mae", "r2"], lr=3e-3, seed=0)
    stop = hm.EarlyStopping(patience=15)
    history = trainer.fit(train, epochs=120, validation=0.15, callbacks=[stop])
    print(f"best after {stop.best_epoch} of {history.epochs} epochs")
    found = trainer.evaluate(test)
    print(f"on {len(test)} other bicycles: off by {found['mae']:.0f} on average, R2 {found['r2']:.3f}\n")

    hm.save(model, Path(folder) / "bicycles.safetensors")
    model = hm.load(Path(folder) / "bicycles.safetensors")
    offers = pd.DataFrame([
        ["Krone", "carbon", 24, 1200, "2024-05-01"],
        ["Falter", "steel", 3, 8500, "2016-06-15"],
        ["Hirsch", None, 8, None, "2021-03-03"],
        ["Nobody", "aluminium", 7, 4000, "2020-09-09"],
    ], columns=COLUMNS)  # fmt: skip
    offers["price"] = hm.Trainer(model).predict(offers).round(0)
    print(offers.to_string(index=False))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".")
