"""Small modules that several tests use."""

import haema as hm
from haema import nn


class Affine(nn.Module):
    def __init__(self, n, m, bias=True):
        super().__init__()
        self.weight = nn.Parameter(hm.arange(n * m).reshape(m, n).float())
        if bias:
            self.bias = nn.Parameter(hm.ones(m))
        else:
            self.register_parameter("bias", None)

    def forward(self, x):
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias


class Net(nn.Module):
    def __init__(self, hidden=3):
        super().__init__()
        self.first = Affine(2, hidden)
        self.second = Affine(hidden, 1, bias=False)
        self.register_buffer("count", hm.tensor(0))
        self.register_buffer("scratch", hm.zeros(2), persistent=False)

    def forward(self, x):
        return self.second(self.first(x))
