"""The network's steps for many clips at once, compiled by numba: drawing spends its time here.

Every product is summed in the same order for any number of clips, so that a clip drawn among others equals
the clip drawn alone, bit for bit. Compilation happens at the first draw, and nothing is cached on disk.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

LEVELS = 256
_FAST = {"contract"}  # a product and a sum may be one instruction; their order stays
_LOG2E, _LN2_HIGH, _LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
_LOWEST, _HIGHEST, _HALF, _ONE, _TWO = (np.float32(n) for n in (-87.0, 88.0, 0.5, 1.0, 2.0))
_P0, _P1, _P2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
_P3, _P4, _P5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
_INSIDE, _HALF_STEP = np.float32(1 - 2**-23), np.float32(2**-25)


@intrinsic
def _float_of_bits(typing_context, bits):
    """The float32 of which an int32 holds the bits."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@njit(fastmath=_FAST)
def _exp(x):
    """e to the x within 2 units in the last place (Cephes' polynomial); a loop of them runs many at once."""
    x = min(max(x, _LOWEST), _HIGHEST)
    whole = np.floor(x * _LOG2E + _HALF)
    rest = x - whole * _LN2_HIGH - whole * _LN2_LOW
    sum_ = ((((_P0 * rest + _P1) * rest + _P2) * rest + _P3) * rest + _P4) * rest + _P5
    power = np.int32(np.int32(whole) + np.int32(127)) << np.int32(23)
    return (sum_ * rest * rest + rest + _ONE) * _float_of_bits(np.int32(power))


@njit(fastmath=_FAST)
def _sigmoid(x):
    return _ONE / (_ONE + _exp(-x))


@njit(fastmath=_FAST)
def _tanh(x):
    return _TWO * _sigmoid(_TWO * x) - _ONE


@njit(fastmath=_FAST)
def _put(pool, at, columns, y):
    """y[:, :columns] = a bias."""
    bias = pool[at : at + columns]
    for b in range(y.shape[0]):
        row = y[b]
        for j in range(columns):
            row[j] = bias[j]


@njit(fastmath=_FAST)
def _add_product(pool, at, rows, columns, x, y):
    """y[:, :columns] += x @ weights. Eight rows of weights at a time stay in the cache for all clips."""
    i = 0
    while i + 8 <= rows:
        o = at + i * columns
        w0, w1 = pool[o : o + columns], pool[o + columns : o + 2 * columns]
        w2, w3 = pool[o + 2 * columns : o + 3 * columns], pool[o + 3 * columns : o + 4 * columns]
        w4, w5 = pool[o + 4 * columns : o + 5 * columns], pool[o + 5 * columns : o + 6 * columns]
        w6, w7 = pool[o + 6 * columns : o + 7 * columns], pool[o + 7 * columns : o + 8 * columns]
        for b in range(y.shape[0]):
            row, inputs = y[b], x[b]
            x0, x1, x2, x3 = inputs[i], inputs[i + 1], inputs[i + 2], inputs[i + 3]
            x4, x5, x6, x7 = inputs[i + 4], inputs[i + 5], inputs[i + 6], inputs[i + 7]
            for j in range(columns):
                low = x0 * w0[j] + x1 * w1[j] + x2 * w2[j] + x3 * w3[j]
                row[j] += low + (x4 * w4[j] + x5 * w5[j] + x6 * w6[j] + x7 * w7[j])
        i += 8
    while i < rows:
        o = at + i * columns
        w0 = pool[o : o + columns]
        for b in range(y.shape[0]):
            row, x0 = y[b], x[b, i]
            for j in range(columns):
                row[j] += x0 * w0[j]
        i += 1


@njit(fastmath=_FAST)
def _gru(inputs, own, hidden):
    """PyTorch's GRU cell: inputs and own [clips, 3 dim] in the order reset, update, new."""
    dim = hidden.shape[1]
    for b in range(hidden.shape[0]):
        h, gr, gz, gn = hidden[b], inputs[b, :dim], inputs[b, dim : 2 * dim], inputs[b, 2 * dim : 3 * dim]
        hr, hz, hn = own[b, :dim], own[b, dim : 2 * dim], own[b, 2 * dim : 3 * dim]
        for j in range(dim):
            update = _sigmoid(gz[j] + hz[j])
            new = _tanh(gn[j] + _sigmoid(gr[j] + hr[j]) * hn[j])
            h[j] = (_ONE - update) * new + update * h[j]


@njit(fastmath=_FAST)
def _lstm(gates, hidden, cells):
    """PyTorch's LSTM cell: gates [clips, 4 dim] in the order in, forget, new, out."""
    dim = hidden.shape[1]
    for b in range(hidden.shape[0]):
        h, c, g_in, g_forget = hidden[b], cells[b], gates[b, :dim], gates[b, dim : 2 * dim]
        g_new, g_out = gates[b, 2 * dim : 3 * dim], gates[b, 3 * dim : 4 * dim]
        for j in range(dim):
            c[j] = _sigmoid(g_forget[j]) * c[j] + _sigmoid(g_in[j]) * _tanh(g_new[j])
            h[j] = _sigmoid(g_out[j]) * _tanh(c[j])


@njit(fastmath=_FAST)
def _draw(logits, odds, uniform, temperature, top_p, eta):
    """A level by its odds: the first at which their running sum passes the uniform number's share of it."""
    highest = logits[0]
    for j in range(LEVELS):
        highest = max(highest, logits[j])
    for j in range(LEVELS):
        odds[j] = _exp((logits[j] - highest) / temperature)
    if eta > 0:
        _cut_tail(logits, highest, temperature, odds, eta)
    if top_p < _ONE:
        _keep_likely(odds, top_p)
    total = np.float32(0.0)
    for j in range(LEVELS):
        total += odds[j]
    # 2**24 numbers between the ends, none at 0 or 1: no level is drawn only because it is the first or last
    target, sum_, last = (uniform * _INSIDE + _HALF_STEP) * total, np.float32(0.0), 0
    for j in range(LEVELS):
        if odds[j] > 0:
            sum_ += odds[j]
            last = j
            if sum_ > target:
                break
    return last


@njit(fastmath=_FAST)
def _cut_tail(logits, highest, temperature, odds, eta):
    """Eta sampling (Hewitt et al. 2022): none below eta, or below sqrt(eta) e^-entropy if that is less."""
    total, spread = np.float32(0.0), np.float32(0.0)
    for j in range(LEVELS):
        total += odds[j]
        spread += odds[j] * ((highest - logits[j]) / temperature)
    cut = min(eta * total, np.sqrt(eta) * _exp(-spread / total))  # e^-entropy is e^(-spread / total) / total
    for j in range(LEVELS):
        odds[j] = odds[j] if odds[j] >= cut else np.float32(0.0)


@njit(fastmath=_FAST)
def _keep_likely(odds, top_p):
    """Nucleus sampling (Holtzman et al. 2020): the fewest levels that hold top_p."""
    total, low, high = np.float32(0.0), np.float32(0.0), _ONE
    for j in range(LEVELS):
        total += odds[j]
    for _ in range(16):
        middle, mass = _HALF * (low + high), np.float32(0.0)
        for j in range(LEVELS):
            mass += odds[j] if odds[j] >= middle else np.float32(0.0)
        if mass >= top_p * total:
            low = middle
        else:
            high = middle
    for j in range(LEVELS):
        odds[j] = odds[j] if odds[j] >= low else np.float32(0.0)


@njit(fastmath=_FAST, nogil=True)
def run_steps(
    pool, at, sizes, shape, values, hidden, cells, past, uniforms, forced,
    temperature, top_p, eta, out, expected,
):  # fmt: skip
    """Read or draw uniforms.shape[1] samples of every clip, a multiple of the largest frame.

    pool, at: all weights in one float32 array, and where they begin (`sampling.PackedWeights`). shape:
    layers, dim, context, whether LSTM, whether skip. values: float32 [256] of the levels. hidden, cells:
    float32 [tiers, layers, clips, dim], changed in place; so is past, uint8 [clips, frame], the last levels.
    uniforms: float32 [clips, n]. forced: int16 [clips, n], a level to read or -1 to draw one. out: uint8
    [clips, n]. expected: logits, float32 [clips, n, 256], or n = 0 for none.
    """
    layers, dim, context, is_lstm, skip = shape[0], shape[1], shape[2], shape[3] == 1, shape[4] == 1
    tiers, clips, count = len(sizes), uniforms.shape[0], uniforms.shape[1]
    before, gates = sizes[0], (4 if is_lstm else 3) * dim
    expanded = np.empty((clips, dim), np.float32)
    frame = np.empty((clips, before), np.float32)
    inputs, own = np.empty((clips, gates), np.float32), np.empty((clips, gates), np.float32)
    conditioning = np.empty((tiers, clips, before * dim), np.float32)
    first, second = np.empty((clips, dim), np.float32), np.empty((clips, dim), np.float32)
    logits, odds = np.empty((clips, LEVELS), np.float32), np.empty(LEVELS, np.float32)
    levels = np.empty((clips, before + count), np.uint8)
    for b in range(clips):
        for k in range(before):
            levels[b, k] = past[b, k]
    last = at[tiers]
    for t in range(count):
        for tier in range(tiers):
            size = sizes[tier]
            if t % size:
                continue
            where = at[tier]
            for b in range(clips):
                for k in range(size):
                    frame[b, k] = values[levels[b, before + t - size + k]]
            _put(pool, where[1], dim, expanded)
            _add_product(pool, where[0], size, dim, frame, expanded)
            if tier:
                place = (t % sizes[tier - 1]) // size * dim
                for b in range(clips):
                    row, above = expanded[b], conditioning[tier - 1, b, place : place + dim]
                    for j in range(dim):
                        row[j] += above[j]
            x = expanded
            for layer in range(layers):
                o = where[4 + 4 * layer : 8 + 4 * layer]
                h = hidden[tier, layer]
                _put(pool, o[1], gates, inputs)
                _add_product(pool, o[0], dim, gates, x, inputs)
                if is_lstm:
                    _add_product(pool, o[2], dim, gates, h, inputs)
                    _lstm(inputs, h, cells[tier, layer])
                else:
                    _put(pool, o[3], gates, own)
                    _add_product(pool, o[2], dim, gates, h, own)
                    _gru(inputs, own, h)
                x = h
            for b in range(clips):
                row, output, entered = first[b], x[b], expanded[b]
                for j in range(dim):
                    row[j] = output[j] + entered[j] if skip else output[j]
            wide = size // (sizes[tier + 1] if tier + 1 < tiers else 1) * dim
            _put(pool, where[3], wide, conditioning[tier])
            _add_product(pool, where[2], dim, wide, first, conditioning[tier])
        if expected.shape[1] or forced[0, t] < 0:
            place = t % sizes[tiers - 1] * dim
            for b in range(clips):
                row, above = first[b], conditioning[tiers - 1, b, place : place + dim]
                for j in range(dim):
                    row[j] = above[j]
                for k in range(context):
                    o = last[0] + (k * LEVELS + levels[b, before + t - context + k]) * dim
                    entry = pool[o : o + dim]
                    for j in range(dim):
                        row[j] += entry[j]
                for j in range(dim):
                    row[j] = max(row[j], np.float32(0.0))
            _put(pool, last[2], dim, second)
            _add_product(pool, last[1], dim, dim, first, second)
            for b in range(clips):
                row = second[b]
                for j in range(dim):
                    row[j] = max(row[j], np.float32(0.0))
            _put(pool, last[4], logits.shape[1], logits)
            _add_product(pool, last[3], dim, logits.shape[1], second, logits)
            if expected.shape[1]:
                for b in range(clips):
                    for j in range(LEVELS):
                        expected[b, t, j] = logits[b, j]
        for b in range(clips):
            if forced[b, t] >= 0:
                levels[b, before + t] = forced[b, t]
            else:
                levels[b, before + t] = _draw(logits[b], odds, uniforms[b, t], temperature, top_p, eta)
    for b in range(clips):
        for k in range(before):
            past[b, k] = levels[b, count + k]
        for k in range(count):
            out[b, k] = levels[b, before + k]
