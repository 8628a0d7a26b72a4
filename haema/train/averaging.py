"""An average of a model over its training, by a decay or as it is given."""

from __future__ import annotations

from typing import Any

from haema.errors import InputError

__all__ = ["make_average"]


def make_average(average: Any, model: Any) -> Any:
    """The average that is meant, an ``AveragedModel``, or None.

    With a decay it is, for weights, biases and running statistics theta after the n-th step, n = 0, 1, ...

        a_0 = theta_0,  a_n = d_n a_(n-1) + (1 - d_n) theta_n,  d_n = min(decay, (1 + n) / (10 + n))

    Args:
        average: The decay, from 0 to below 1, an ``AveragedModel``, or None.
        model: The module that is learned.

    Raises:
        InputError: it is another number, the average of a model of other layers, or something else.

    Source: the warm-up of the decay is that of TensorFlow's ``ExponentialMovingAverage`` with ``num_updates``.
    """
    from haema.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    if isinstance(average, AveragedModel):
        own, other = ({k: v.shape for k, v in m.state_dict().items()} for m in (model, average.module))
        if own != other:
            name = next(k for k in {**own, **other} if own.get(k) != other.get(k))
            raise InputError(
                f"average is an AveragedModel of another model: {name!r} has shape {other.get(name)} there and "
                f"{own.get(name)} in the model that is learned; AveragedModel(model) is right"
            )
    if average is None or isinstance(average, AveragedModel):
        return average
    if isinstance(average, bool) or not isinstance(average, (int, float)) or not 0 <= average < 1:
        raise InputError(f"average is {average!r}; a decay from 0 to below 1, such as 0.999, is right")
    average = get_ema_multi_avg_fn(float(average), warmup=True)
    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)
