"""Layers: values, gradients of inputs and of parameters, keys of state dicts, and how they are printed."""

from __future__ import annotations

import numpy as np

from tests.parity.harness import case, fill, refused


def _run(T, rng, module, *shapes, positive=False):
    """Output, gradients with a fixed irregular seed, and the names and shapes of what is stored."""
    fill(T, module, rng)
    module.zero_grad()
    xs = []
    for shape in shapes:
        a = rng.normal(size=shape).astype(np.float32)
        xs.append(T.tensor(np.abs(a) if positive else a, requires_grad=True))
    y = module(*xs)
    y.backward(T.tensor(rng.normal(size=tuple(y.shape)).astype(np.float32)))
    result = {"y": y, "repr": repr(module), "keys": [str(k) for k in module.state_dict()]}
    result |= {f"gx{i}": x.grad for i, x in enumerate(xs)}
    result |= {f"g.{name}": p.grad.clone() for name, p in module.named_parameters()}
    return result


def _layers(name, make, *shapes, **options):
    """A case of one layer."""

    def function(T, rng):
        return _run(T, rng, make(T.nn), *shapes, **options)

    function.__module__ = __name__
    function.__code__ = function.__code__.replace(co_name=name)
    case(function, name=name, tolerance=10)  # sums of up to 300 products of float32


# -- fully connected

_layers("linear", lambda nn: nn.Linear(5, 3), (4, 5))
_layers("linear_no_bias", lambda nn: nn.Linear(5, 3, bias=False), (2, 3, 5))
_layers("linear_vector", lambda nn: nn.Linear(5, 3), (5,))
_layers("linear_empty", lambda nn: nn.Linear(5, 3), (0, 5))
_layers("bilinear", lambda nn: nn.Bilinear(3, 4, 5), (2, 6, 3), (2, 6, 4))

# -- convolutions

_layers("conv1d", lambda nn: nn.Conv1d(3, 4, 3, stride=2, padding=1, dilation=2), (2, 3, 11))
_layers("conv1d_unbatched", lambda nn: nn.Conv1d(3, 4, 3), (3, 7))
_layers("conv2d", lambda nn: nn.Conv2d(3, 4, 3), (2, 3, 6, 7))
_layers("conv2d_unbatched", lambda nn: nn.Conv2d(3, 4, 3), (3, 6, 7))
_layers("conv2d_stride", lambda nn: nn.Conv2d(2, 3, (3, 2), (2, 3), (1, 0), bias=False), (2, 2, 7, 9))
_layers("conv2d_dilation", lambda nn: nn.Conv2d(2, 3, (2, 3), padding=2, dilation=(3, 2)), (1, 2, 8, 7))
_layers("conv2d_groups", lambda nn: nn.Conv2d(4, 6, 3, padding=1, groups=2), (2, 4, 5, 5))
_layers("conv2d_depthwise", lambda nn: nn.Conv2d(3, 6, 3, padding=1, groups=3), (2, 3, 5, 4))
_layers("conv2d_same", lambda nn: nn.Conv2d(2, 3, (4, 3), padding="same", dilation=(1, 2)), (2, 2, 7, 6))
_layers("conv2d_valid", lambda nn: nn.Conv2d(2, 3, 2, padding="valid"), (2, 2, 5, 4))
_layers("conv2d_1x1", lambda nn: nn.Conv2d(5, 3, 1), (2, 5, 4, 3))
_layers("conv2d_whole", lambda nn: nn.Conv2d(2, 3, (4, 3)), (2, 2, 4, 3))
for _m in ("reflect", "replicate", "circular"):
    _layers(f"conv2d_{_m}", lambda nn, m=_m: nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode=m), (2, 2, 5, 4))
    _layers(f"conv2d_{_m}_same", lambda nn, m=_m: nn.Conv2d(2, 2, 4, padding="same", padding_mode=m), (1, 2, 5, 4))
_layers("conv3d", lambda nn: nn.Conv3d(2, 3, (2, 3, 1), stride=(1, 2, 1), padding=(1, 0, 1)), (2, 2, 3, 5, 3))
_layers("conv_transpose1d", lambda nn: nn.ConvTranspose1d(3, 4, 3, 2, 1, 1), (2, 3, 5))
_layers("conv_transpose2d", lambda nn: nn.ConvTranspose2d(3, 4, 3), (2, 3, 4, 5))
_layers(
    "conv_transpose2d_all",
    lambda nn: nn.ConvTranspose2d(4, 6, (3, 2), (3, 2), (2, 1), (2, 1), 2, False, 2),
    (2, 4, 4, 3),
)
_layers("conv_transpose3d", lambda nn: nn.ConvTranspose3d(2, 2, 2, 2), (1, 2, 2, 3, 2))
_layers("unfold", lambda nn: nn.Unfold((2, 3), dilation=2, padding=1, stride=(1, 2)), (2, 3, 6, 7))
_layers("fold", lambda nn: nn.Fold((4, 5), (2, 3), padding=1, stride=2), (2, 12, 9))

# -- pooling

_layers("max_pool1d", lambda nn: nn.MaxPool1d(3, 2, 1), (2, 3, 9))
_layers("max_pool2d", lambda nn: nn.MaxPool2d(2), (2, 3, 6, 7))
_layers("max_pool2d_all", lambda nn: nn.MaxPool2d((3, 2), (2, 1), (1, 0), (1, 2), ceil_mode=True), (2, 2, 8, 7))
_layers("max_pool2d_large", lambda nn: nn.MaxPool2d((9, 11), 2, 3), (2, 2, 12, 14))
_layers("max_pool2d_large_dilated", lambda nn: nn.MaxPool2d((8, 1), 1, 0, (2, 1)), (1, 2, 18, 2))
_layers("max_pool3d", lambda nn: nn.MaxPool3d(2), (1, 2, 4, 4, 5))
_layers("avg_pool1d", lambda nn: nn.AvgPool1d(3, 2, 1), (2, 3, 9))
_layers("avg_pool2d", lambda nn: nn.AvgPool2d(2), (2, 3, 6, 7))
_layers("avg_pool2d_ceil", lambda nn: nn.AvgPool2d((3, 2), 2, 1, True), (2, 3, 6, 7))
_layers("avg_pool2d_exclude", lambda nn: nn.AvgPool2d(3, 2, 1, True, False), (2, 3, 6, 7))
_layers("avg_pool2d_divisor", lambda nn: nn.AvgPool2d(3, 1, 1, divisor_override=5), (3, 6, 7))
_layers("avg_pool2d_large", lambda nn: nn.AvgPool2d((9, 3), 2, (4, 0)), (1, 2, 12, 8))
_layers("avg_pool3d", lambda nn: nn.AvgPool3d(2), (1, 2, 4, 4, 5))
_layers("adaptive_avg_pool1d", lambda nn: nn.AdaptiveAvgPool1d(3), (2, 3, 7))
_layers("adaptive_avg_pool2d", lambda nn: nn.AdaptiveAvgPool2d((3, None)), (2, 3, 7, 5))
_layers("adaptive_avg_pool2d_one", lambda nn: nn.AdaptiveAvgPool2d(1), (2, 3, 7, 5))
_layers("adaptive_avg_pool2d_larger", lambda nn: nn.AdaptiveAvgPool2d(4), (2, 3, 3, 8))
_layers("adaptive_max_pool1d", lambda nn: nn.AdaptiveMaxPool1d(3), (2, 3, 7))
_layers("adaptive_max_pool2d", lambda nn: nn.AdaptiveMaxPool2d((3, 2)), (2, 3, 7, 4))


@case
def max_pool_ties_and_positions(T, rng):
    F = T.nn.functional
    result = {}
    values = rng.integers(0, 3, (2, 2, 6, 7)).astype(np.float32)
    for k, options in enumerate(({}, {"stride": 1}, {"padding": 1, "stride": 2}, {"ceil_mode": True})):
        x = T.tensor(values, requires_grad=True)
        y, at = F.max_pool2d(x, 3, return_indices=True, **options)
        (y * y).sum().backward()
        result |= {f"y{k}": y, f"at{k}": at, f"gx{k}": x.grad}
    x = T.tensor(values, requires_grad=True)
    y, at = F.adaptive_max_pool2d(x, (4, 3), return_indices=True)
    (y * y).sum().backward()
    result |= {"ya": y, "ata": at, "gxa": x.grad}
    x = T.tensor(np.float32([[[1, np.nan, 3, 2, 5, -np.inf]]]))
    result["nan"] = F.max_pool1d(x, 2)
    return result


# -- normalisation

_layers("layer_norm", lambda nn: nn.LayerNorm(5), (4, 3, 5))
_layers("layer_norm_two", lambda nn: nn.LayerNorm([3, 5], bias=False), (4, 3, 5))
_layers("layer_norm_plain", lambda nn: nn.LayerNorm(5, elementwise_affine=False), (4, 5))
_layers("rms_norm", lambda nn: nn.RMSNorm([3, 5]), (4, 3, 5))
_layers("group_norm", lambda nn: nn.GroupNorm(2, 6), (3, 6, 4))
_layers("group_norm_plain", lambda nn: nn.GroupNorm(3, 6, affine=False), (3, 6, 2, 3))
_layers("instance_norm2d", lambda nn: nn.InstanceNorm2d(3, affine=True), (2, 3, 4, 3))
_layers("instance_norm1d", lambda nn: nn.InstanceNorm1d(3), (3, 6))


def _batch_norm(name, make, shape):
    def function(T, rng):
        layer = make(T.nn)
        result = {f"train/{k}": v for k, v in _run(T, rng, layer, shape).items()}
        result |= {f"after1/{k}": v for k, v in layer.state_dict().items()}
        layer(T.tensor(rng.normal(2, 3, shape).astype(np.float32)))
        result |= {f"after2/{k}": v for k, v in layer.state_dict().items()}
        layer.eval()
        result |= {f"eval/{k}": v for k, v in _run(T, rng, layer, shape).items()}
        return result | {f"after3/{k}": v for k, v in layer.state_dict().items()}

    function.__module__ = __name__
    function.__code__ = function.__code__.replace(co_name=name)
    case(function, name=name, tolerance=20)  # differences of nearly equal numbers


_batch_norm("batch_norm1d", lambda nn: nn.BatchNorm1d(3), (5, 3))
_batch_norm("batch_norm1d_length", lambda nn: nn.BatchNorm1d(3, eps=0.1, momentum=0.3), (4, 3, 5))
_batch_norm("batch_norm2d", lambda nn: nn.BatchNorm2d(3), (2, 3, 4, 5))
_batch_norm("batch_norm2d_cumulative", lambda nn: nn.BatchNorm2d(3, momentum=None), (2, 3, 4, 5))
_batch_norm("batch_norm2d_untracked", lambda nn: nn.BatchNorm2d(3, track_running_stats=False), (2, 3, 4, 5))
_batch_norm("batch_norm2d_plain", lambda nn: nn.BatchNorm2d(3, affine=False), (2, 3, 4, 5))
_batch_norm("batch_norm2d_no_bias", lambda nn: nn.BatchNorm2d(3, bias=False), (2, 3, 4, 5))
_batch_norm("batch_norm3d", lambda nn: nn.BatchNorm3d(2), (2, 2, 3, 2, 2))
_batch_norm("instance_norm2d_tracked", lambda nn: nn.InstanceNorm2d(3, track_running_stats=True), (2, 3, 4, 5))

# -- activations: random points, kinks, and far out

_ACTIVATIONS = {
    "sigmoid": lambda nn: nn.Sigmoid(),
    "tanh": lambda nn: nn.Tanh(),
    "relu": lambda nn: nn.ReLU(),
    "relu6": lambda nn: nn.ReLU6(),
    "leaky_relu": lambda nn: nn.LeakyReLU(),
    "leaky_relu_slope": lambda nn: nn.LeakyReLU(0.3),
    "prelu": lambda nn: nn.PReLU(),
    "rrelu": lambda nn: nn.RReLU().eval(),
    "elu": lambda nn: nn.ELU(),
    "elu_alpha": lambda nn: nn.ELU(0.7),
    "celu": lambda nn: nn.CELU(),
    "celu_alpha": lambda nn: nn.CELU(0.5),
    "selu": lambda nn: nn.SELU(),
    "gelu": lambda nn: nn.GELU(),
    "gelu_tanh": lambda nn: nn.GELU("tanh"),
    "silu": lambda nn: nn.SiLU(),
    "mish": lambda nn: nn.Mish(),
    "softplus": lambda nn: nn.Softplus(),
    "softplus_beta": lambda nn: nn.Softplus(2.0, 5.0),
    "softsign": lambda nn: nn.Softsign(),
    "hardtanh": lambda nn: nn.Hardtanh(),
    "hardtanh_limits": lambda nn: nn.Hardtanh(-3.0, 0.5),
    "hardsigmoid": lambda nn: nn.Hardsigmoid(),
    "hardswish": lambda nn: nn.Hardswish(),
    "log_sigmoid": lambda nn: nn.LogSigmoid(),
    "threshold": lambda nn: nn.Threshold(0.5, -2.0),
    "hardshrink": lambda nn: nn.Hardshrink(),
    "softshrink": lambda nn: nn.Softshrink(),
    "tanhshrink": lambda nn: nn.Tanhshrink(),
}


def _activation(name, make):
    def function(T, rng):
        result = {"repr": repr(make(T.nn))}
        for dtype in ("float32",) if name == "hardsigmoid" else ("float32", "float64"):  # PyTorch's 1/6 is float32
            kinks = [-6.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0]
            a = np.concatenate([rng.normal(0, 3, 20), kinks, [30, -30, 1e3, -1e3]]).astype(dtype)
            x = T.tensor(a, requires_grad=True)
            layer = make(T.nn).to(getattr(T, dtype))
            y = layer(x)
            y.sum().backward()
            result |= {f"{dtype}/y": y, f"{dtype}/gx": x.grad}
            result |= {f"{dtype}/g.{k}": p.grad for k, p in layer.named_parameters()}
        return result

    function.__module__ = __name__
    function.__code__ = function.__code__.replace(co_name=name)
    case(function, name=name)


for _name, _make in _ACTIVATIONS.items():
    _activation(_name, _make)

_layers("prelu_channels", lambda nn: nn.PReLU(3, init=0.1), (2, 3, 4))
_layers("glu", lambda nn: nn.GLU(1), (2, 6, 4))
_layers("softmax", lambda nn: nn.Softmax(1), (3, 5, 2))
_layers("log_softmax", lambda nn: nn.LogSoftmax(-1), (3, 5))
_layers("softmin", lambda nn: nn.Softmin(0), (3, 5))
_layers("softmax2d", lambda nn: nn.Softmax2d(), (2, 3, 2, 2))


@case
def far_out_softmax(T, rng):
    F = T.nn.functional
    x = T.tensor(np.float32([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [1e4, 1e4, 1e4 - 1]]), requires_grad=True)
    y, z = F.softmax(x, dim=1), F.log_softmax(x, dim=1)
    (y[:, 0].sum() + z[:, 1].sum()).backward()
    return {"y": y, "z": z, "gx": x.grad, "by_default": F.softmax(T.tensor(np.float32([1, 2])), dim=0)}


@case
def in_place(T, rng):
    nn = T.nn
    result = {}
    layers = nn.ReLU(True), nn.LeakyReLU(0.2, True), nn.ELU(inplace=True), nn.Hardtanh(inplace=True), nn.SiLU(True)
    for layer in layers:
        x = T.tensor(rng.normal(size=(3, 4)), requires_grad=True)
        h = x * 2
        y = layer(h)
        y.sum().backward()
        result |= {f"{layer}/y": y, f"{layer}/h": h, f"{layer}/gx": x.grad}
    return result


# -- the rest

_layers("flatten", lambda nn: nn.Flatten(), (2, 3, 4, 2))
_layers("flatten_some", lambda nn: nn.Flatten(0, 2), (2, 3, 4, 2))
_layers("unflatten", lambda nn: nn.Unflatten(1, (2, -1)), (2, 6, 2))
_layers("pixel_shuffle", lambda nn: nn.PixelShuffle(2), (2, 8, 3, 2))
_layers("pixel_unshuffle", lambda nn: nn.PixelUnshuffle(2), (2, 2, 4, 6))
_layers("upsample", lambda nn: nn.Upsample(scale_factor=2), (2, 3, 2, 3))
_layers("upsample_size", lambda nn: nn.Upsample(size=(5, 4)), (2, 3, 3, 7))
_layers("upsample_fraction", lambda nn: nn.Upsample(scale_factor=1.5), (2, 3, 7))
_layers("constant_pad1d", lambda nn: nn.ConstantPad1d((1, 2), 0.5), (2, 3, 4))
_layers("zero_pad2d", lambda nn: nn.ZeroPad2d((1, 0, -1, 2)), (2, 3, 4, 5))
_layers("constant_pad3d", lambda nn: nn.ConstantPad3d(1, 2.0), (1, 2, 2, 2, 2))
_layers("reflection_pad1d", lambda nn: nn.ReflectionPad1d(2), (2, 3, 4))
_layers("reflection_pad2d", lambda nn: nn.ReflectionPad2d((1, 2, 3, 0)), (2, 3, 4, 5))
_layers("replication_pad2d", lambda nn: nn.ReplicationPad2d((3, 2, 1, 0)), (2, 3, 2, 2))
_layers("replication_pad3d", lambda nn: nn.ReplicationPad3d(1), (1, 2, 2, 2, 2))
_layers("circular_pad2d", lambda nn: nn.CircularPad2d((1, 2, 3, 0)), (2, 3, 4, 5))
_layers("cosine_similarity", lambda nn: nn.CosineSimilarity(), (4, 5, 2), (4, 5, 2))


@case
def embedding(T, rng):
    result = {}
    for k, padding in enumerate((None, 2, -1)):
        layer = fill(T, T.nn.Embedding(6, 3, padding_idx=padding), rng)
        y = layer(T.tensor(rng.integers(0, 6, (4, 5))))
        (y * y).sum().backward()
        result |= {f"y{k}": y, f"g{k}": layer.weight.grad, f"repr{k}": repr(layer)}
    return result


@case
def attention(T, rng):
    F = T.nn.functional
    result = {}
    keys = {"mask": T.tensor(rng.random((4, 5)) < 0.7), "bias": T.tensor(rng.normal(size=(4, 5)))}
    for name, options in {
        "plain": {},
        "causal": {"is_causal": True},
        "scale": {"scale": 0.3},
        "mask": {"attn_mask": keys["mask"]},
        "bias": {"attn_mask": keys["bias"]},
    }.items():
        q, k, v = (T.tensor(rng.normal(size=(2, n, 3)), requires_grad=True) for n in (4, 5, 5))
        y = F.scaled_dot_product_attention(q, k, v, **options)
        (y * y).sum().backward()
        result |= {f"{name}/y": y, f"{name}/gq": q.grad, f"{name}/gk": k.grad, f"{name}/gv": v.grad}
    return result


@case
def normalize(T, rng):
    F = T.nn.functional
    a = rng.normal(size=(3, 4))
    a[1] = 0
    x = T.tensor(a, requires_grad=True)
    y = F.normalize(x)
    (y**3).sum().backward()
    return {"y": y, "gx": x.grad, "p1": F.normalize(x, p=1, dim=0), "one_hot": F.one_hot(T.tensor([2, 0, 1]), 4)}


@case
def gradient_penalty(T, rng):
    """The gradient of the norm of a gradient, through a small network."""
    nn = T.nn
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 1)
    )
    fill(T, net.double(), rng)
    x = T.tensor(rng.normal(size=(3, 2, 4, 4)), requires_grad=True)
    (gx,) = T.autograd.grad(net(x).sum(), x, create_graph=True)
    ((gx * gx).sum(dim=(1, 2, 3)) - 1).square().sum().backward()
    return {"gx": gx, "x": x.grad, **{k: p.grad for k, p in net.named_parameters() if k != "0.bias"}}  # it has none


@case
def starting_values(T, rng):
    """Bounds and spread of the default initialisation, which is drawn from other numbers in each framework."""
    nn = T.nn
    T.manual_seed(3)
    result = {}
    for layer in (nn.Linear(50, 400), nn.Conv2d(10, 100, 5), nn.ConvTranspose2d(100, 10, 5), nn.Bilinear(20, 20, 30)):
        for name, p in layer.named_parameters():
            a = p.detach().numpy()
            result[f"{type(layer).__name__}.{name}"] = [float(np.round(np.abs(a).max(), 2))]
    for name in ("tanh", "relu", "selu", "sigmoid", "conv2d", "linear"):
        result[name] = float(nn.init.calculate_gain(name))
    result["leaky"] = nn.init.calculate_gain("leaky_relu", 0.3)
    return result


@case
def refusals(T, rng):
    nn, F = T.nn, T.nn.functional
    x = T.zeros(2, 3, 4, 4)
    return {
        "channels": refused(lambda: nn.Conv2d(4, 2, 3)(x)),
        "too small": refused(lambda: nn.Conv2d(3, 2, 5)(x)),
        "axes": refused(lambda: nn.Conv2d(3, 2, 3)(T.zeros(4, 4))),
        "groups": refused(lambda: nn.Conv2d(3, 4, 3, groups=2)),
        "same": refused(lambda: nn.Conv2d(3, 4, 3, padding="same", stride=2)),
        "mode": refused(lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror")),
        "features": refused(lambda: nn.Linear(3, 2)(T.zeros(2, 4))),
        "pool": refused(lambda: nn.MaxPool2d(5)(x)),
        "pool padding": refused(lambda: nn.MaxPool2d(2, padding=2)(x)),
        "one value": refused(lambda: nn.BatchNorm1d(3)(T.zeros(1, 3))),
        "norm axes": refused(lambda: nn.BatchNorm2d(3)(T.zeros(2, 3))),
        "norm channels": refused(lambda: nn.BatchNorm2d(4)(x)),
        "group norm": refused(lambda: nn.GroupNorm(2, 5)),
        "layer norm": refused(lambda: nn.LayerNorm(3)(x)),
        "p": refused(lambda: nn.Dropout(1.5)),
        "glu": refused(lambda: nn.GLU(1)(x)),
        "reflect": refused(lambda: F.pad(x, (4, 0), mode="reflect")),
        "embedding": refused(lambda: nn.Embedding(3, 2)(T.tensor([3]))),
        "embedding type": refused(lambda: nn.Embedding(3, 2)(T.tensor([1.0]))),
    }


# -- the residual block, which PyTorch has in torchvision only; so it is written out here


def _block(T, inplanes, planes, stride, downsample):
    nn = T.nn
    if hasattr(nn, "BasicBlock"):
        return nn.BasicBlock(inplanes, planes, stride, downsample)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(planes)
            self.relu = nn.ReLU()
            self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(planes)
            self.downsample = downsample

        def forward(self, x):
            y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            return self.relu(y + (x if self.downsample is None else self.downsample(x)))

    return Block()


def _block_results(T, rng, block, *shape):
    result = _run(T, rng, block, shape)
    del result["repr"]
    return result | {"mean": block.bn2.running_mean, "var": block.bn2.running_var}


@case(tolerance=10)  # sums of some hundred products of float32
def basic_block(T, rng):
    return _block_results(T, rng, _block(T, 3, 3, 1, None), 4, 3, 6, 5)


@case(tolerance=10)
def basic_block_stride(T, rng):
    nn = T.nn
    past = nn.Sequential(nn.Conv2d(3, 5, 1, 2, bias=False), nn.BatchNorm2d(5))
    return _block_results(T, rng, _block(T, 3, 5, 2, past), 4, 3, 7, 6)
