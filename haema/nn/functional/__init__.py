"""Layers and losses as functions: ``import haema.nn.functional as F``.

    activation       relu, sigmoid, softmax, ...         linear          linear, embedding, one_hot, attention, ...
    conv             convolutions and their adjoints     pooling         max, average, stochastic, adaptive
    normalization    batch, layer, group, instance       dropout         dropout and noise
    classification   losses for classes                  regression      losses for numbers
    padding          borders                             resampling      images made larger or smaller
    adaptive         pooling into a given size           sampling        images warped

All of them are plain Python over tensor operations, so that they can be differentiated and compiled by what the
primitives know.
"""

from haema.nn.functional.activation import (
    bipolar_sigmoid,
    celu,
    elu,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    rrelu,
    selu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softshrink,
    softsign,
    step,
    tanh,
    tanhshrink,
    threshold,
)
from haema.nn.functional.adaptive import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
)
from haema.nn.functional.classification import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    kl_div,
    nll_loss,
)
from haema.nn.functional.conv import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    fold,
    unfold,
)
from haema.nn.functional.dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    gaussian_noise,
)
from haema.nn.functional.linear import (
    bilinear,
    cosine_similarity,
    embedding,
    embedding_bag,
    linear,
    normalize,
    one_hot,
    scaled_dot_product_attention,
)
from haema.nn.functional.normalization import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    rms_norm,
)
from haema.nn.functional.padding import pad
from haema.nn.functional.pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    stochastic_pool1d,
    stochastic_pool2d,
)
from haema.nn.functional.regression import (
    gaussian_nll_loss,
    half_squared_error,
    huber_loss,
    l1_loss,
    mse_loss,
    poisson_nll_loss,
    rmse_loss,
    smooth_l1_loss,
)
from haema.nn.functional.resampling import interpolate, pixel_shuffle, pixel_unshuffle
from haema.nn.functional.sampling import affine_grid, grid_sample
