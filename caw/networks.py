"""Generator and critic of one scale (Greshler et al. 2021, section 3.2 and supplementary A)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

LEAK = 0.2
PRE_EMPHASIS = 0.97
ROW = 1024  # samples of a row in `rows`: what a core's cache holds


def reach(dilations: tuple[int, ...], kernel: int) -> int:
    """Samples of context a stack of unpadded convolutions eats on each side."""
    return sum(dilations) * (kernel - 1) // 2


def pre_emphasis(signal: Tensor) -> Tensor:
    """y[n] = x[n] - 0.97 x[n-1] along the last axis, with x[-1] = 0; same shape."""
    return signal - PRE_EMPHASIS * functional.pad(signal, (1, 0))[..., :-1]


class DilatedConvolution(nn.Module):
    """Unpadded convolution: exactly what `nn.Conv1d(..., dilation=d)` does, faster on a CPU.

    Input [B, in, N], output [B, out, N - (kernel - 1) * dilation]. fold: whether a CPU takes `Convolution`.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int, fold: bool = True) -> None:
        super().__init__()
        self.fold = fold
        self.dilation = dilation
        self.conv = weight_norm(nn.Conv1d(inputs, outputs, kernel))

    def forward(self, x: Tensor) -> Tensor:
        return convolve(x, self.conv, self.dilation, fold=self.fold)


def convolve(x: Tensor, conv: nn.Conv1d, dilation: int = 1, *, fold: bool = True) -> Tensor:
    """`x` [B, in, N] by the weights of `conv`, unpadded."""
    if not fold or x.is_cuda:
        return functional.conv1d(x, conv.weight, conv.bias, dilation=dilation)
    return Convolution.apply(x.transpose(1, 2), conv.weight, conv.bias, dilation).transpose(1, 2)


class Convolution(Function):
    """x [B, N, in] by weight [out, in, kernel] -> [B, N - (kernel - 1) * dilation, out].

    Channels lie side by side in memory, and each of the `dilation` interleaved signals is cut into rows, so
    that neither memory nor a dilated kernel's backward pass holds the processor up. Differentiable any number
    of times: the gradients are convolutions again (torch's own second derivative, which the gradient penalty
    needs, is several times slower).
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation
        kernel, count = weight.shape[-1], x.shape[1] - (weight.shape[-1] - 1) * dilation
        found = functional.conv2d(as_image(rows(x, count, dilation, kernel)), as_image_weight(weight), bias)
        return unrows(found.squeeze(2).transpose(1, 2), len(x), count, dilation)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, weight = ctx.saved_tensors
        need_x, need_weight, need_bias, _ = ctx.needs_input_grad
        of_x = of_weight = None
        if need_x:
            margin = (weight.shape[-1] - 1) * ctx.dilation
            turned = weight.flip(-1).transpose(0, 1)
            padded = functional.pad(grad, (0, 0, margin, margin))
            of_x = Convolution.apply(padded, turned, None, ctx.dilation)
        if need_weight:
            of_weight = Correlation.apply(x, grad, ctx.dilation)
        return of_x, of_weight, grad.sum((0, 1)) if need_bias else None, None


class Correlation(Function):
    """The gradient of `Convolution` by its weight: x [B, N, in], grad [B, N', out] -> [out, in, kernel]."""

    @staticmethod
    def forward(ctx, x: Tensor, grad: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(x, grad)
        ctx.dilation = dilation
        count = grad.shape[1]
        kernel = (x.shape[1] - count) // dilation + 1
        inputs, outputs = (
            as_image(rows(a, count, dilation, length)) for a, length in ((x, kernel), (grad, 1))
        )
        weight = as_image_weight(x.new_empty(grad.shape[2], x.shape[2], kernel))
        found = torch.ops.aten.convolution_backward(
            outputs, inputs, weight, [0], [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [False, True, False]
        )
        return found[1].squeeze(2)

    @staticmethod
    def backward(ctx, weight: Tensor):
        x, grad = ctx.saved_tensors
        margin = (weight.shape[-1] - 1) * ctx.dilation
        turned = weight.flip(-1).transpose(0, 1)
        padded = functional.pad(grad, (0, 0, margin, margin))
        of_x = Convolution.apply(padded, turned, None, ctx.dilation)
        return of_x, Convolution.apply(x, weight, None, ctx.dilation), None


def rows(x: Tensor, count: int, dilation: int, kernel: int) -> Tensor:
    """[B, N, C] -> [B * parts * dilation, samples + kernel - 1, C]: what `count` outputs need, row by row.

    A row holds neighbours at a distance of `dilation`; the last ones are filled up with zeros.
    """
    parts, samples = parts_of(count, dilation)
    needed = (parts * samples + kernel - 1) * dilation
    x = functional.pad(x, (0, 0, 0, needed - x.shape[1]))  # or cut
    cut = x.reshape(len(x), -1, dilation, x.shape[2]).unfold(1, samples + kernel - 1, samples)
    return cut.permute(0, 1, 2, 4, 3).reshape(-1, samples + kernel - 1, x.shape[2])


def unrows(x: Tensor, batch: int, count: int, dilation: int) -> Tensor:
    """The outputs [B * parts * dilation, samples, C] of the rows in their order, [B, count, C]."""
    parts, samples = parts_of(count, dilation)
    x = x.reshape(batch, parts, dilation, samples, -1).transpose(2, 3)
    return x.reshape(batch, parts * samples * dilation, -1)[:, :count]


def parts_of(count: int, dilation: int) -> tuple[int, int]:
    """Into how many rows each interleaved signal is cut, and the outputs of a row."""
    each = -(-count // dilation)
    parts = -(-each // ROW)
    return parts, -(-each // parts)


def as_image(x: Tensor) -> Tensor:
    """[B, N, C] -> [B, C, 1, N], channels last in memory as before."""
    return x.transpose(1, 2).unsqueeze(2)


def as_image_weight(weight: Tensor) -> Tensor:
    return weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)


class Block(nn.Module):
    """Dilated convolution -> normalisation -> LeakyReLU(0.2)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.conv = DilatedConvolution(inputs, outputs, kernel, dilation)
        self.norm = nn.BatchNorm2d(outputs)  # of one line: only images are normalised channels last

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.norm(self.conv(x).unsqueeze(2)), LEAK).squeeze(2)


def body(channels: int, outputs: int, dilations: tuple[int, ...], kernel: int) -> nn.Sequential:
    """What generator and critic share: a block for each dilation, and a bare convolution for the last one."""
    sizes = [1] + [channels] * (len(dilations) - 1)
    blocks = [Block(a, b, kernel, d) for a, b, d in zip(sizes[:-1], sizes[1:], dilations[:-1], strict=True)]
    return nn.Sequential(*blocks, DilatedConvolution(channels, outputs, kernel, dilations[-1]))


class Generator(nn.Module):
    """What one scale adds to the signal of the scale below.

    Input [B, 1, N + 2 * reach] (noise plus the lower scale's signal, with its context);
    output [B, 1, N]. `dilations` are those of the body and, last, of the convolution before
    the gate: (1, 2, 4, ..., 64, 128) has reach 1020 at kernel 9, a receptive field of 2041.
    """

    def __init__(self, channels: int, dilations: tuple[int, ...], *, kernel: int = 9) -> None:
        super().__init__()
        self.reach = reach(dilations, kernel)
        self.body = body(channels, channels, dilations, kernel)
        self.padding = kernel // 2
        self.content = weight_norm(nn.Conv1d(channels, channels, kernel))
        self.gate = weight_norm(nn.Conv1d(channels, channels, kernel))
        self.mix = weight_norm(nn.Conv1d(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(self.body(x), (self.padding, self.padding))
        x = torch.tanh(convolve(x, self.content)) * torch.sigmoid(convolve(x, self.gate))
        return pre_emphasis(convolve(x, self.mix))


class Critic(nn.Module):
    """Scores every sample of a signal: [B, 1, N] -> [B, 1, N - 2 * reach].

    A signal shorter than the receptive field is surrounded by zeros and scored at all N samples, so
    that short clips train too.
    """

    def __init__(self, channels: int, dilations: tuple[int, ...], *, kernel: int = 9) -> None:
        super().__init__()
        self.reach = reach(dilations, kernel)
        self.body = body(channels, 1, dilations, kernel)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] <= 2 * self.reach:
            x = functional.pad(x, (self.reach, self.reach))
        return pre_emphasis(self.body(x))
