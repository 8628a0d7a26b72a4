"""Models for the tests of haema.inspect, and all that looking at them must leave as it was."""

import haema as hm
import haema.nn.functional as F
from haema import nn


def cnn():
    """Preprocessing first, a nested stage, a ReLU that writes into its input, dropout."""
    return nn.Sequential(
        nn.Standardize([120.0, 130.0, 110.0], [60.0, 50.0, 70.0]),
        nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(4 * 4 * 3, 10),
    )


class FunctionalNet(nn.Module):
    """A network with functions between its modules, as people write them."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.dense = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Linear(3, 2)

    def forward(self, x):
        return self.dense(F.relu(self.norm(self.conv(x))).mean((2, 3)))


def state_of(model):
    """Modes, values, gradients, what is learned, and the random numbers' state."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return (
        [(name, m.training, bool(m._hooks)) for name, m in model.named_modules()],
        [(name, x.detach().numpy().tobytes(), x.requires_grad) for name, x in tensors],
        [(name, None if p.grad is None else p.grad.numpy().tobytes()) for name, p in model.named_parameters()],
        hm.get_rng_state().numpy().tobytes(),
    )
