"""Batch norm over the samples of all processes.

torch's own for this works on CUDA cards alone, and has no second derivative, which gradient matching needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gannotate.training import distributed


def shared_batch_norm(
    x: Float[Tensor, "n c ..."],
    running_mean: Float[Tensor, " c"] | None,
    running_var: Float[Tensor, " c"] | None,
    weight: Float[Tensor, " c"] | None,
    bias: Float[Tensor, " c"] | None,
    momentum: float,
    eps: float,
    counts: Sequence[int],
) -> Float[Tensor, "n c ..."]:
    """`F.batch_norm` in training, with mean and deviation over all processes, which have `counts` samples each.

    A sample may stand in `x` several times, as often in each process.
    """
    with torch.no_grad():
        mean, variance = _moments(x, counts)
        if running_mean is not None and running_var is not None:
            number = _values(x, counts)
            running_mean.lerp_(mean.to(running_mean), momentum)
            running_var.lerp_((variance * (number / max(1, number - 1))).to(running_var), momentum)
    return _SharedNorm.apply(x, weight, bias, mean, variance, eps, counts)  # pyright: ignore[reportReturnType]


class _SharedNorm(torch.autograd.Function):
    """`_normed`, with torch's fused kernels forwards and backwards: twice as fast on a CPU.

    The derivative of the derivative, where it is asked for, is that of the steps.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        eps: float,
        counts: Sequence[int],
    ) -> Tensor:
        ctx.save_for_backward(x, weight, bias, mean, variance)
        ctx.eps, ctx.counts = eps, counts
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight, bias, mean, variance = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is to be differentiated
            inputs = [given for given, needed in zip((x, weight, bias), ctx.needs_input_grad, strict=False) if needed]
            y = _normed(x, weight, bias, ctx.eps, ctx.counts)
            found = iter(torch.autograd.grad(y, inputs, gradients[0].to(y.dtype), create_graph=True))
            return *(next(found) if needed else None for needed in ctx.needs_input_grad[:3]), None, None, None, None
        # as if mean and variance were constants, then what they add, which is linear in x
        constant, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradients[0], x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        inverse = (variance + ctx.eps).rsqrt()
        scale = inverse if weight is None else inverse * weight
        sums = distributed.total(torch.stack([of_weight, of_bias])) / _values(x, ctx.counts)
        slope = scale * inverse * sums[0]
        of_x = constant - torch.addcmul(_across(scale * sums[1] - slope * mean, x), x, _across(slope, x))
        return (
            of_x,
            of_weight if weight is not None else None,
            of_bias if bias is not None else None,
            None,
            None,
            None,
            None,
        )


def _normed(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, counts: Sequence[int]) -> Tensor:
    """Batch norm over all processes, differentiable any number of times, step by step."""
    mean, variance = _moments(x, counts)
    scale = (variance + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return torch.addcmul(_across(shift, x), x, _across(scale, x))


def _moments(x: Float[Tensor, "n c ..."], counts: Sequence[int]) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Mean and (biased) variance of each channel over all processes.

    From each process's own mean and variance, in one message: differences of large sums would lose the digits.
    """
    axes = [axis for axis in range(x.ndim) if axis != 1]
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    mean = wide.mean(axes)
    variance = (wide - _across(mean, wide)).square().mean(axes)  # var_mean takes ten times as long
    own, others = distributed.rank(), len(counts) - distributed.rank() - 1
    moments = F.pad(torch.stack([mean, variance])[None], (0, 0, 0, 0, own, others))
    means, variances = distributed.total(moments).unbind(1)
    weights = torch.tensor(counts, dtype=means.dtype, device=means.device)[:, None] / sum(counts)
    mean = (weights * means).sum(0)
    return mean, (weights * (variances + (means - mean).square())).sum(0)


def _values(x: Tensor, counts: Sequence[int]) -> int:
    """Values of a channel in all processes."""
    return x.numel() // (x.shape[1] * counts[distributed.rank()]) * sum(counts)


def _across(channels: Float[Tensor, " c"], x: Float[Tensor, "n c ..."]) -> Tensor:
    """A number a channel, to be broadcast to `x`, in its precision."""
    return channels.to(x.dtype).view(1, -1, *(1,) * (x.ndim - 2))
