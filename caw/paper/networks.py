"""Generator and critic of one scale (Greshler et al. 2021, section 3.2 and supplementary A)."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

LEAK = 0.2
PRE_EMPHASIS = 0.97
ROWS = 64  # that a thread transforms at a time


def reach(dilations: tuple[int, ...], kernel: int) -> int:
    """Samples by which a stack of unpadded convolutions shortens a signal on each side."""
    return sum(dilations) * (kernel - 1) // 2


def pre_emphasis(signal: Tensor) -> Tensor:
    """y[n] = x[n] - 0.97 x[n-1] along the last axis, with x[-1] = 0; same shape."""
    return signal - PRE_EMPHASIS * functional.pad(signal, (1, 0))[..., :-1]


class DilatedConvolution(nn.Module):
    """Unpadded convolution: what `nn.Conv1d(..., dilation=d)` does, faster on a CPU.

    Input [B, in, N], output [B, out, N - (kernel - 1) * dilation]. fold: use `Convolution` on a CPU.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int, fold: bool = True) -> None:
        super().__init__()
        self.fold = fold
        self.dilation = dilation
        self.conv = weight_norm(nn.Conv1d(inputs, outputs, kernel))

    def forward(self, x: Tensor) -> Tensor:
        return convolve(x, self.conv, self.dilation, fold=self.fold)


def convolve(x: Tensor, conv: nn.Conv1d, dilation: int = 1, *, fold: bool = True) -> Tensor:
    """Convolve `x` [B, in, N] with the weights of `conv`, unpadded."""
    if conv.kernel_size == (1,):
        return functional.linear(x.transpose(1, 2), conv.weight[:, :, 0], conv.bias).transpose(1, 2)
    if not fold or x.is_cuda:
        return functional.conv1d(x, conv.weight, conv.bias, dilation=dilation)
    return Convolution.apply(x.transpose(1, 2), conv.weight, conv.bias, dilation).transpose(1, 2)


class Convolution(Function):
    """x [B, N, in] by weight [out, in, kernel] -> [B, N - (kernel - 1) * dilation, out].

    It works by overlap-save: each of the `dilation` interleaved signals is cut into rows, and the sums over
    the kernel become products of the rows' `transforms`, which takes a third of the multiplications. Channels
    lie side by side in memory. It can be differentiated any number of times, as its gradients are
    convolutions again (torch's own second derivative, which the gradient penalty needs, is several times
    slower).
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation
        outputs, inputs, kernel = weight.shape
        count = x.shape[1] - (kernel - 1) * dilation
        samples, parts = cut(count, dilation, kernel)
        of_input, of_weight, inverse = transforms(samples + kernel - 1, x.dtype)
        taps = of_weight[:, :kernel] @ weight.permute(2, 1, 0).reshape(kernel, -1)
        taps = taps.view(-1, inputs, outputs)
        rows = rows_of(x, samples + kernel - 1, samples, parts, dilation)
        result = x.new_empty(samples, rows.shape[1], outputs)
        for part in slices(rows.shape[1]):
            products = torch.bmm(transformed(rows[:, part], of_input), taps)
            torch.mm(inverse[:samples], products.view(len(inverse[0]), -1), out=result[:, part].flatten(1))
        if bias is not None:
            result += bias
        result = result.view(samples, len(x), parts, dilation, outputs).permute(1, 2, 0, 3, 4)
        return result.reshape(len(x), -1, outputs)[:, :count]

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, weight = ctx.saved_tensors
        need_x, need_weight, need_bias, _ = ctx.needs_input_grad
        return (
            input_gradient(grad, weight, ctx.dilation) if need_x else None,
            Correlation.apply(x, grad, ctx.dilation) if need_weight else None,
            grad.sum((0, 1)) if need_bias else None,
            None,
        )


class Correlation(Function):
    """The gradient of `Convolution` by its weight: x [B, N, in], grad [B, N', out] -> [out, in, kernel]."""

    @staticmethod
    def forward(ctx, x: Tensor, grad: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(x, grad)
        ctx.dilation = dilation
        kernel = (x.shape[1] - grad.shape[1]) // dilation + 1
        samples, parts = cut(grad.shape[1], dilation, kernel)
        of_input, of_weight, inverse = transforms(samples + kernel - 1, x.dtype)
        inputs = rows_of(x, samples + kernel - 1, samples, parts, dilation)
        outputs = rows_of(grad, samples, samples, parts, dilation)
        products = x.new_zeros(len(of_input), grad.shape[2], x.shape[2])
        for part in slices(inputs.shape[1]):
            a, b = transformed(inputs[:, part], of_input), transformed(outputs[:, part], of_weight)
            products.baddbmm_(b.transpose(1, 2), a)
        return (inverse[:kernel] @ products.flatten(1)).view(kernel, *products.shape[1:]).permute(1, 2, 0)

    @staticmethod
    def backward(ctx, weight: Tensor):
        x, grad = ctx.saved_tensors
        by_x = input_gradient(grad, weight, ctx.dilation)
        return by_x, Convolution.apply(x, weight, None, ctx.dilation), None


def input_gradient(grad: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """The gradient of `Convolution` by its input: a convolution with the reversed kernel."""
    margin = (weight.shape[2] - 1) * dilation
    padded = functional.pad(grad, (0, 0, margin, margin))
    return Convolution.apply(padded, weight.flip(2).transpose(0, 1), None, dilation)


def cut(count: int, dilation: int, kernel: int) -> tuple[int, int]:
    """How `count` outputs are cut: the outputs of a row, and the rows of each interleaved signal."""
    each = -(-count // dilation)
    parts = -(-each // (3 * kernel))
    return -(-each // parts), parts


def rows_of(x: Tensor, long: int, samples: int, parts: int, dilation: int) -> Tensor:
    """x [B, N, C] -> [long, B * parts * dilation, C]: rows of `long`, one every `samples`.

    A row holds neighbours at a distance of `dilation`; the last ones are filled up with zeros.
    """
    batch, count, channels = x.shape
    padding = ((parts - 1) * samples + long) * dilation - count  # negative where samples are left out
    x = functional.pad(x, (0, 0, 0, padding)).contiguous()
    step = dilation * channels
    strides = step, x.stride(0), samples * step, channels, 1
    return x.as_strided((long, batch, parts, dilation, channels), strides).reshape(long, -1, channels)


def slices(rows: int) -> list[slice]:
    """So many rows at a time that their transforms stay in the processor's cache."""
    step = ROWS * torch.get_num_threads()
    return [slice(first, first + step) for first in range(0, rows, step)]


def transformed(rows: Tensor, matrix: Tensor) -> Tensor:
    """[long, R, C] -> [products, R, C]."""
    return torch.mm(matrix[:, : len(rows)], rows.flatten(1)).view(len(matrix), *rows.shape[1:])


@lru_cache
def transforms(size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Matrices a, b [products, size] and c [size, products] of the circular correlation.

    c @ ((a @ x) * (b @ w)) = sum over k of x[t + k] w[k], for x and w [size]: the discrete Fourier
    transform in real numbers, each complex product by three real ones.
    """
    time = torch.arange(size, dtype=torch.float64) * (2 * math.pi / size)
    a, b, c = [], [], []
    for frequency in range(size // 2 + 1):
        cosine, sine = torch.cos(frequency * time), torch.sin(frequency * time)
        if frequency == 0 or 2 * frequency == size:
            a, b, c = [*a, cosine], [*b, cosine], [*c, cosine / size]
        else:
            real, imaginary = 2 / size * cosine, -2 / size * sine
            a += [cosine, -sine, cosine - sine]
            b += [cosine, sine, cosine + sine]
            c += [real - imaginary, -real - imaginary, imaginary]
    return tuple(torch.stack(m).to(dtype) for m in (a, b)) + (torch.stack(c, 1).to(dtype).contiguous(),)


class Block(nn.Module):
    """Dilated convolution, then normalisation, then LeakyReLU(0.2)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.conv = DilatedConvolution(inputs, outputs, kernel, dilation)
        self.norm = nn.BatchNorm2d(outputs)  # of one line: only images are normalised channels last

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.norm(self.conv(x).unsqueeze(2)), LEAK).squeeze(2)


def body(channels: int, outputs: int, dilations: tuple[int, ...], kernel: int) -> nn.Sequential:
    """The body of generator and critic: a block for each dilation, and for the last a bare convolution."""
    sizes = [1] + [channels] * (len(dilations) - 1)
    blocks = [Block(a, b, kernel, d) for a, b, d in zip(sizes[:-1], sizes[1:], dilations[:-1], strict=True)]
    return nn.Sequential(*blocks, DilatedConvolution(channels, outputs, kernel, dilations[-1]))


class Generator(nn.Module):
    """What one scale adds to the signal of the scale below.

    Input [B, 1, N + 2 * reach] (noise plus the lower scale's signal, with its context); output [B, 1, N].
    `dilations` are those of the body and, last, of the convolution before the gate: (1, 2, 4, ..., 64, 128)
    has reach 1020 at kernel 9, which is a receptive field of 2041.
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

    A signal shorter than the receptive field is surrounded by zeros and scored at all N samples, so that
    short clips train, too.
    """

    def __init__(self, channels: int, dilations: tuple[int, ...], *, kernel: int = 9) -> None:
        super().__init__()
        self.reach = reach(dilations, kernel)
        self.body = body(channels, 1, dilations, kernel)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] <= 2 * self.reach:
            x = functional.pad(x, (self.reach, self.reach))
        return pre_emphasis(self.body(x))
