"""Read handwritten digits: load, train, stop in time, save, load, use.    python digits.py [FOLDER]"""

import sys

import haema as hm
from haema import nn

folder = sys.argv[1] if len(sys.argv) > 1 else "."
data = hm.data.load("digits")
train, test = (data.take(rows) for rows in hm.data.split(data.y))
hm.manual_seed(0)
layers = [nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10)]
model = nn.Sequential(nn.Standardize.of(train.x), *layers)
trainer = hm.Trainer(model, optimizer="adam", lr=3e-3, seed=0)
history = trainer.fit(train, epochs=20, validation=0.1, callbacks=[hm.EarlyStopping()])
print(history, history.diagnosis(), trainer.evaluate(test), sep="\n\n")
history.plot(f"{folder}/digits.png")
hm.save(model, f"{folder}/digits.safetensors")
print(hm.Trainer(hm.load(f"{folder}/digits.safetensors")).predict(test.x[-10:]), test.y[-10:])
