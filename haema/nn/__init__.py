"""Neural-network modules, under PyTorch's names.

from haema import nn
"""

from haema.nn import functional, init, utils
from haema.nn.activation import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    BipolarSigmoid,
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    RReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softmax2d,
    Softmin,
    Softplus,
    Softshrink,
    Softsign,
    Step,
    Tanh,
    Tanhshrink,
    Threshold,
)
from haema.nn.architecture import build, describe, register
from haema.nn.augmentation import (
    AlternatingFlip,
    ColorJitter,
    CutMix,
    ElasticTransform,
    MixUp,
    PCAColorShift,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomInvert,
    RandomRotation,
    RandomVerticalFlip,
    TestTimeAugmentation,
)
from haema.nn.containers import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from haema.nn.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, Fold, Unfold
from haema.nn.dropout import AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d, GaussianNoise
from haema.nn.embedding import Embedding, EmbeddingBag
from haema.nn.linear import Bilinear, Identity, Linear, Scale
from haema.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CosineSimilarity,
    CrossEntropyLoss,
    GaussianNLLLoss,
    HalfSquaredError,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    PoissonNLLLoss,
    RMSELoss,
    SmoothL1Loss,
)
from haema.nn.module import IncompatibleKeys, Module, StateDictError
from haema.nn.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LayerNorm,
    RMSNorm,
)
from haema.nn.padding import (
    CircularPad1d,
    CircularPad2d,
    CircularPad3d,
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from haema.nn.parameter import Parameter
from haema.nn.perceptron import Perceptron
from haema.nn.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    StochasticPool1d,
    StochasticPool2d,
)
from haema.nn.preprocessing import MinMaxScale, PrepareTable, RestoreScale, Standardize
from haema.nn.residual import BasicBlock, Residual
from haema.nn.shape import Flatten, PixelShuffle, PixelUnshuffle, Unflatten, Upsample, UpsamplingNearest2d
from haema.nn.summary import summary
from haema.nn.tables import (
    HoleIndicator,
    OneHot,
    ParallelLinear,
    ParallelMLP,
    PiecewiseLinear,
    SoftClip,
    TableColumns,
    TableFeatures,
    TableNet,
    TargetStatistics,
)
from haema.nn.whitening import PatchWhitening

__all__ = [
    "build", "describe", "register",
    "IncompatibleKeys", "Module", "StateDictError",
    "Parameter",
    "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential",
    "Perceptron",
    "Bilinear", "Identity", "Linear", "Scale",
    "BasicBlock", "Residual", "PatchWhitening",
    "Embedding", "EmbeddingBag",
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Fold", "Unfold",
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AvgPool1d",
    "AvgPool2d", "AvgPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d", "StochasticPool1d", "StochasticPool2d",
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d",
    "InstanceNorm3d", "LayerNorm", "RMSNorm",
    "AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "GaussianNoise",
    "AlternatingFlip", "ColorJitter", "CutMix", "ElasticTransform", "MixUp", "PCAColorShift", "RandomAffine",
    "RandomCrop", "RandomErasing", "RandomHorizontalFlip", "RandomInvert", "RandomRotation", "RandomVerticalFlip",
    "TestTimeAugmentation",
    "BipolarSigmoid", "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh",
    "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU",
    "Sigmoid", "Softmax", "Softmax2d", "Softmin", "Softplus", "Softshrink", "Softsign", "Step", "Tanh",
    "Tanhshrink", "Threshold",
    "BCELoss", "BCEWithLogitsLoss", "CosineSimilarity", "CrossEntropyLoss", "GaussianNLLLoss",
    "HalfSquaredError", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "NLLLoss", "PoissonNLLLoss",
    "RMSELoss", "SmoothL1Loss",
    "Flatten", "PixelShuffle", "PixelUnshuffle", "Unflatten", "Upsample", "UpsamplingNearest2d",
    "MinMaxScale", "PrepareTable", "RestoreScale", "Standardize",
    "HoleIndicator", "OneHot", "ParallelLinear", "ParallelMLP", "PiecewiseLinear", "SoftClip", "TableColumns",
    "TableFeatures", "TableNet", "TargetStatistics",
    "summary",
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d",
    "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
    "functional", "init", "utils",
]  # fmt: skip
