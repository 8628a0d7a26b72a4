"""Functions called around the forward and backward pass."""

import pytest
from nn_modules import Affine, Net

import haema as hm
from haema import nn
from haema.nn.hooks import RemovableHandle


class TwoInTwoOut(nn.Module):
    def forward(self, a, b, scale=1.0):
        return a * b * scale, a + b


def test_forward_hook_sees_and_replaces():
    net, calls = Net(), []
    handle = net.register_forward_hook(lambda m, args, y: calls.append((m, args, y)))
    assert isinstance(handle, RemovableHandle)
    x = hm.ones(1, 2)
    y = net(x)
    assert calls == [(net, (x,), y)]
    handle.remove()
    handle.remove()
    net(x)
    assert len(calls) == 1
    net.register_forward_hook(lambda m, args, y: y * 0)
    assert net(x).item() == 0


def test_forward_pre_hook_sees_and_replaces():
    net = Net()
    x = hm.ones(1, 2)
    expected = net(x * 3)
    with net.register_forward_pre_hook(lambda m, args: args[0] * 3):
        assert net(x).item() == expected.item()
    assert net(x).item() != expected.item()
    with net.register_forward_pre_hook(lambda m, args: (args[0] * 3,)):
        assert net(x).item() == expected.item()


def test_keyword_arguments():
    m = TwoInTwoOut()
    a, b = hm.tensor(2.0), hm.tensor(3.0)
    seen = []
    m.register_forward_pre_hook(lambda m, args, kwargs: (args, {"scale": kwargs["scale"] * 2}), with_kwargs=True)
    m.register_forward_hook(lambda m, args, kwargs, y: seen.append(kwargs), with_kwargs=True)
    assert m(a, b, scale=5.0)[0].item() == 60
    assert seen == [{"scale": 10.0}]


def test_pre_hook_with_keyword_arguments_returns_a_pair():
    m = TwoInTwoOut()
    m.register_forward_pre_hook(lambda m, args, kwargs: args[0], with_kwargs=True)
    with pytest.raises(TypeError, match=r"must return None or \(args, kwargs\)"):
        m(hm.tensor(1.0), hm.tensor(1.0))


def test_order():
    net, order = Affine(1, 1), []
    net.register_forward_hook(lambda *_: order.append("a"))
    net.register_forward_hook(lambda *_: order.append("b"))
    net.register_forward_hook(lambda *_: order.append("first"), prepend=True)
    net(hm.ones(1, 1))
    assert order == ["first", "a", "b"]


def test_backward_hook_sees_gradients_on_both_sides():
    layer, seen = Affine(2, 3), []
    layer.register_full_backward_hook(lambda m, gx, gy: seen.append((m, gx, gy)))
    x = hm.ones(4, 2, requires_grad=True)
    (layer(x) * 2).sum().backward()
    ((m, gx, gy),) = seen
    assert m is layer
    assert gy[0].tolist() == [[2.0] * 3] * 4
    assert gx[0].tolist() == (2 * layer.weight.sum(0)).expand(4, 2).tolist()
    assert x.grad.tolist() == gx[0].tolist()


def test_backward_hook_replaces_the_gradient_of_every_input():
    m = TwoInTwoOut()
    seen = []

    def hook(module, gx, gy):
        seen.append((gx, gy))
        return tuple(g * 10 for g in gx)

    m.register_full_backward_hook(hook)
    a, b = hm.tensor(2.0, requires_grad=True), hm.tensor(3.0, requires_grad=True)
    product, total = m(a, b)
    (product + 4 * total).backward()
    ((gx, gy),) = seen
    assert [g.item() for g in gy] == [1, 4]
    assert [g.item() for g in gx] == [3 + 4, 2 + 4]
    assert (a.grad.item(), b.grad.item()) == (70, 60)


def test_backward_hook_where_only_one_input_and_one_output_take_part():
    m = TwoInTwoOut()
    seen = []
    m.register_full_backward_hook(lambda m, gx, gy: seen.append((gx, gy)))
    a = hm.tensor(2.0, requires_grad=True)
    m(a, hm.tensor(3.0))[0].backward()
    ((gx, gy),) = seen
    assert gx[0].item() == 3
    assert gx[1] is None
    assert gy[0].item() == 1
    assert gy[1] is None


def test_backward_hook_of_a_layer_whose_input_needs_no_gradient():
    layer, seen = Affine(2, 3), []
    layer.register_full_backward_hook(lambda m, gx, gy: seen.append((gx, gy)))
    layer(hm.ones(1, 2)).sum().backward()
    ((gx, gy),) = seen
    assert gx == (None,)
    assert gy[0].tolist() == [[1, 1, 1]]


def test_backward_pre_hook_replaces_the_gradient_of_the_output():
    layer, seen = Affine(2, 3), []
    layer.register_full_backward_pre_hook(lambda m, gy: gy[0] * 5)
    layer.register_full_backward_pre_hook(lambda m, gy: seen.append(gy))
    layer(hm.ones(1, 2)).sum().backward()
    assert layer.bias.grad.tolist() == [5, 5, 5]
    assert seen[0][0].tolist() == [[5, 5, 5]]


def test_backward_hooks_run_again_in_a_second_walk():
    layer, seen = Affine(2, 3), []
    layer.register_full_backward_hook(lambda m, gx, gy: seen.append(gy[0].sum().item()))
    x = hm.ones(1, 2, requires_grad=True)
    y = layer(x).sum()
    y.backward(retain_graph=True)
    (y * 2).backward()
    assert seen == [3, 6]


def test_backward_hook_with_the_wrong_number_of_gradients():
    layer = Affine(2, 3)
    layer.register_full_backward_hook(lambda m, gx, gy: (gx[0], gx[0]))
    with pytest.raises(ValueError, match="a backward hook returned 2 gradients for a module with 1 inputs"):
        layer(hm.ones(1, 2, requires_grad=True)).sum().backward()
    layer = Affine(2, 3)
    layer.register_full_backward_pre_hook(lambda m, gy: ())
    with pytest.raises(ValueError, match="a backward pre-hook returned 0 gradients for a module with 1 outputs"):
        layer(hm.ones(1, 2)).sum().backward()


@pytest.mark.parametrize("kind", [tuple, list])
def test_the_container_of_outputs_stays_what_it_is(kind):
    class Several(nn.Module):
        def forward(self, x):
            return kind([x * 2, 7])

    m = Several()
    m.register_full_backward_hook(lambda m, gx, gy: None)
    y = m(hm.ones(1, requires_grad=True))
    assert type(y) is kind
    assert y[1] == 7


def test_named_tuples_too():
    class Extremes(nn.Module):
        def forward(self, x):
            return x.max(1)

    m = Extremes()
    m.register_full_backward_hook(lambda m, gx, gy: None)
    y = m(hm.rand(2, 3, requires_grad=True))
    assert y.indices.shape == (2,)
    assert y.values.requires_grad


def test_backward_hooks_do_nothing_without_a_tape():
    layer, seen = Affine(2, 3), []
    layer.register_full_backward_hook(lambda *_: seen.append(1))
    with hm.no_grad():
        layer(hm.ones(1, 2))
    assert not seen


def test_gradients_of_gradients_through_hooks():
    layer, seen = Affine(1, 1), []
    layer.register_full_backward_hook(lambda m, gx, gy: seen.append(1))
    x = hm.ones(1, 1, requires_grad=True)
    (g,) = hm.autograd.grad((layer(x) ** 3).sum(), [x], create_graph=True)
    g.sum().backward()
    # y = w x + b with w = 0, b = 1: dy^3/dx = 3 y^2 w, and its derivative by w is 3 y^2 + 6 y w x = 3
    assert layer.weight.grad.item() == pytest.approx(3)
    assert seen
