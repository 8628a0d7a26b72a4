"""The wider map that the lecture draws: nothing shuts it out.

Autoencoders, recurrent networks, stochastic networks and reinforcement learning, written with what is public.
"""

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import nn, optim


def test_map_an_autoencoder_reduces_dimensions_and_spots_anomalies():
    digits, y = hm.data.digits()
    x = hm.from_numpy(digits[y < 2]).flatten(1).float() / 16
    hm.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(64, 24), nn.Tanh(), nn.Linear(24, 3))
    decoder = nn.Sequential(nn.Linear(3, 24), nn.Tanh(), nn.Linear(24, 64), nn.Sigmoid())
    trainer = hm.Trainer(nn.Sequential(encoder, decoder), "mse", "adam", [], lr=0.01, seed=0)
    history = trainer.fit(x, x, epochs=20, batch_size=32, progress=False)
    assert history["loss"][-1] < history["loss"][0] / 3
    assert encoder(x).shape == (len(x), 3)
    strange = hm.from_numpy(digits[y == 7]).flatten(1).float() / 16

    def error(images):
        return F.mse_loss(trainer.model(images), images, reduction="none").mean(1)

    assert error(strange).median() > error(x).topk(len(x) // 20)[0].min(), "worse than 95 % of what it knows"


class Cell(nn.Module):
    """h' = tanh(W x + U h + b)."""

    def __init__(self, inputs, hidden):
        super().__init__()
        self.hidden = hidden
        self.of_input = nn.Linear(inputs, hidden)
        self.of_state = nn.Linear(hidden, hidden, bias=False)

    def forward(self, x, h):
        return F.tanh(self.of_input(x) + self.of_state(h))


class Recurrent(nn.Module):
    """A cell through time, and a decision at the end: (N, T, D) -> (N,)."""

    def __init__(self, inputs, hidden):
        super().__init__()
        self.cell = Cell(inputs, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        h = x.new_zeros(x.shape[0], self.cell.hidden)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return self.out(h)[:, 0]


def test_map_a_recurrent_network_remembers(tmp_path):
    hm.manual_seed(0)
    x = hm.randint(0, 2, (256, 6, 1)).float() * 2 - 1
    y = (x[:, 0, 0] > 0).long()  # what was first, to be said at the end
    network = Recurrent(1, 8)
    trainer = hm.Trainer(network, "bce_with_logits", "adam", lr=0.02, clip_norm=1.0, seed=0)
    history = trainer.fit(x, y, epochs=15, batch_size=32, progress=False)
    assert history["accuracy"][-1] > 0.98
    assert network(x[:3, :2]).shape == (3,), "a sequence of another length"
    hm.save(network, tmp_path / "rnn.safetensors")
    again = hm.load(tmp_path / "rnn.safetensors", classes=[Recurrent, Cell])
    assert hm.equal(again(x), network(x))


class LSTM(nn.Module):
    """Long short-term memory from its four gates: (N, T, D) -> (N, H)."""

    def __init__(self, inputs, hidden):
        super().__init__()
        self.hidden = hidden
        self.gates = nn.Linear(inputs + hidden, 4 * hidden)

    def forward(self, x):
        h = c = x.new_zeros(x.shape[0], self.hidden)
        for t in range(x.shape[1]):
            i, f, g, o = self.gates(hm.cat([x[:, t], h], dim=1)).chunk(4, dim=1)
            c = F.sigmoid(f) * c + F.sigmoid(i) * F.tanh(g)
            h = F.sigmoid(o) * F.tanh(c)
        return h


def test_map_an_lstm_has_gradients_through_time():
    hm.manual_seed(0)
    network = LSTM(2, 5).double()
    x = hm.randn(3, 4, 2, dtype=hm.float64, requires_grad=True)
    assert network(x).shape == (3, 5)
    assert hm.autograd.gradcheck(network, (x,))


def test_map_a_stochastic_network_draws_its_units_again_each_time():
    class Belief(nn.Module):
        """z = mean + deviation * noise: the draw of a variational autoencoder."""

        def __init__(self):
            super().__init__()
            self.both = nn.Linear(3, 4)

        def forward(self, x):
            mean, log_deviation = self.both(x).chunk(2, dim=-1)
            return mean + log_deviation.exp() * hm.randn_like(mean)

    hm.manual_seed(0)
    network, x = Belief(), hm.ones(5, 3)
    first, second = network(x), network(x)
    assert not hm.equal(first, second)
    first.square().mean().backward()
    assert network.both.weight.grad.abs().sum() > 0
    hm.manual_seed(7)
    a = network(x)
    hm.manual_seed(7)
    assert hm.equal(a, network(x))


class Corridor:
    """Five cells in a row; a reward of 1 at the right end, an episode of at most 12 moves."""

    size = 5

    def reset(self):
        self.place, self.moves = 0, 0
        return self.place

    def step(self, action):
        self.place = min(max(self.place + (1 if action == 1 else -1), 0), self.size - 1)
        self.moves += 1
        won = self.place == self.size - 1
        return self.place, float(won), won or self.moves == 12


def one_hot(places):
    return F.one_hot(hm.tensor(places), Corridor.size).float()


def test_map_reinforce_learns_a_policy():
    hm.manual_seed(0)
    policy, world = nn.Linear(Corridor.size, 2), Corridor()
    optimizer = optim.Adam(policy.parameters(), lr=0.1)
    returns = []
    for _ in range(60):
        places, actions, rewards, done = [world.reset()], [], [], False
        while not done:
            chances = F.softmax(policy(one_hot(places[-1:])), dim=1)
            actions.append(hm.multinomial(chances.detach(), 1).item())
            place, reward, done = world.step(actions[-1])
            places.append(place)
            rewards.append(reward)
        gain = hm.tensor(
            [sum(0.9 ** (k - t) * r for k, r in enumerate(rewards) if k >= t) for t in range(len(rewards))]
        )
        logs = F.log_softmax(policy(one_hot(places[:-1])), dim=1)
        loss = -(logs.gather(1, hm.tensor(actions)[:, None])[:, 0] * gain).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        returns.append(0.9 ** len(rewards) * sum(rewards))
    assert sum(returns[-10:]) > 1.3 * sum(returns[:10])
    assert policy(one_hot(range(4))).argmax(dim=1).tolist() == [1, 1, 1, 1], "always to the right"


def test_map_dqn_learns_the_value_of_moves():
    hm.manual_seed(0)
    rng = np.random.default_rng(0)
    q, target, world = nn.Linear(Corridor.size, 2), nn.Linear(Corridor.size, 2), Corridor()
    optimizer = optim.Adam(q.parameters(), lr=0.05)
    memory = []
    for _ in range(60):
        place, done = world.reset(), False
        while not done:
            action = int(rng.integers(2))
            after, reward, done = world.step(action)
            memory.append((place, action, reward, after, float(after == Corridor.size - 1)))
            place = after
    columns = [hm.tensor(column) for column in zip(*memory, strict=True)]
    for step in range(250):
        if step % 10 == 0:
            target.load_state_dict(q.state_dict())
        rows = hm.randint(0, len(memory), (64,))
        place, action, reward, after, won = (c[rows] for c in columns)
        with hm.no_grad():
            best = target(F.one_hot(after, Corridor.size).float()).amax(dim=1)
        value = q(F.one_hot(place, Corridor.size).float()).gather(1, action[:, None])[:, 0]
        loss = F.smooth_l1_loss(value, reward + 0.9 * best * (1 - won))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    values = q(one_hot(range(4)))
    assert values.argmax(dim=1).tolist() == [1, 1, 1, 1]
    assert values[:, 1].tolist() == pytest.approx([0.9**3, 0.9**2, 0.9, 1.0], abs=0.1)
