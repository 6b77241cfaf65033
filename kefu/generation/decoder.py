"""Decoders: a prompt goes in at once, then a token at a time, each giving the logits of the next.

A decoder holds several rows, each a prompt and what is written behind it; they go on together, and one may join or
leave between two tokens. On a CPU most of transformers' time per token is Python and memory traffic, so Gemma 3 has a
decoder of its own: fused int8 matrices and a key-value cache of fixed size. A matrix is fetched once for all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import gelu, linear, pad

from kefu.errors import GenerationError

CAPACITY = 640
ROWS = 8


class Decoder(Protocol):
    """Reads prompts, then a token of each row at a time. Not safe to share between threads.

    Attributes:
        capacity: tokens of a row, its prompt included.
        rows: the most rows.
    """

    capacity: int
    rows: int

    def prefill(self, ids: Sequence[int], copies: int = 1) -> Tensor:
        """Adds ``copies`` rows behind those that are there, each with this prompt, which is read once.

        Returns the logits (vocabulary,) of the token behind it.

        Raises:
            GenerationError: the prompt is too long, or there are too many rows.
        """

    def step(self, tokens: Sequence[int]) -> Tensor:
        """Reads one token for each row, gives the logits (rows, vocabulary) of the next ones.

        Raises:
            GenerationError: a row is full; nothing was read then.
        """

    def drop(self, row: int) -> None:
        """Forgets a row; the last one takes its place."""

    def clear(self) -> None:
        """Forgets all rows."""


def _read_prompt(model: Any, ids: Sequence[int]) -> tuple[Tensor, Any]:
    """(the logits (vocabulary,) behind a prompt, the cache of what was read)."""
    from transformers import DynamicCache

    # Without the model's config it keeps every token, for layers with a sliding window too.
    batch = torch.tensor([list(ids)], device=model.device)
    out = model(batch, past_key_values=DynamicCache(), use_cache=True, logits_to_keep=1)
    return out.logits[0, -1].float(), out.past_key_values


class _Rows:
    """What all decoders check, and how many tokens each row has."""

    def __init__(self, capacity: int, rows: int) -> None:
        self.capacity, self.rows = capacity, rows
        self._lengths: list[int] = []

    def _check_prompt(self, ids: Sequence[int], copies: int) -> None:
        if len(ids) >= self.capacity:
            raise GenerationError(f"The prompt has {len(ids)} tokens, the decoder takes {self.capacity - 1}.")
        if len(self._lengths) + copies > self.rows:
            raise GenerationError(f"{len(self._lengths)} rows and {copies} more: the decoder takes {self.rows}.")

    def _check_step(self, tokens: Sequence[int]) -> None:
        if not tokens or len(tokens) != len(self._lengths):
            raise GenerationError(f"{len(tokens)} tokens for {len(self._lengths)} rows; call prefill first.")
        if max(self._lengths) >= self.capacity:
            raise GenerationError(f"The reply runs over the decoder's {self.capacity} tokens.")

    def clear(self) -> None:
        """See Decoder."""
        self._lengths = []


class CausalDecoder(_Rows):
    """Any causal language model of transformers, on any device. Rows are filled up on the left."""

    def __init__(self, model: Any, capacity: int = CAPACITY, rows: int = ROWS) -> None:
        super().__init__(capacity, rows)
        self._model = model
        self._cache: Any = None

    @torch.inference_mode()
    def prefill(self, ids: Sequence[int], copies: int = 1) -> Tensor:
        """See Decoder."""
        self._check_prompt(ids, copies)
        logits, cache = _read_prompt(self._model, ids)
        length = cache.get_seq_length()  # a prefix counts as well
        width = max([*self._lengths, length])
        for index, layer in enumerate(cache.layers):
            for name in ("keys", "values"):
                read = getattr(layer, name).expand(copies, -1, -1, -1)
                if self._lengths:
                    parts = [getattr(self._cache.layers[index], name), read]
                    read = torch.cat([pad(part, (0, 0, width - part.shape[2], 0)) for part in parts])
                setattr(layer, name, read)
        self._cache = cache
        self._lengths += [length] * copies
        return logits

    @torch.inference_mode()
    def step(self, tokens: Sequence[int]) -> Tensor:
        """See Decoder."""
        self._check_step(tokens)
        device = self._model.device
        lengths = torch.tensor(self._lengths, device=device)
        width = max(self._lengths) + 1
        out = self._model(
            torch.tensor(tokens, device=device)[:, None],
            past_key_values=self._cache,
            use_cache=True,
            attention_mask=(torch.arange(width, device=device) >= width - 1 - lengths[:, None]).long(),
            position_ids=lengths[:, None],
        )
        self._cache = out.past_key_values
        self._lengths = [length + 1 for length in self._lengths]
        logits: Tensor = out.logits[:, -1].float()
        return logits

    @torch.inference_mode()
    def drop(self, row: int) -> None:
        """See Decoder."""
        last = len(self._lengths) - 1
        self._lengths[row] = self._lengths[last]
        self._lengths.pop()
        if not self._lengths:
            return
        kept = [last if i == row else i for i in range(last)]
        longest = max(self._lengths)
        for layer in self._cache.layers:
            layer.keys, layer.values = layer.keys[kept, :, -longest:], layer.values[kept, :, -longest:]


class _Int8Linear:
    """A linear map with a weight (out, in) in int8, a scale per output; each input row is quantised by itself.

    torch quantises the inputs of one call by their common range. Rows are therefore divided by their largest number,
    and a row that goes from -1 to 1 is laid below them: so what a row gives does not depend on those beside it.
    """

    def __init__(self, weight: Tensor) -> None:
        scales = weight.abs().amax(1).clamp(min=1e-8).double() / 127
        zeros = torch.zeros(len(scales), dtype=torch.long)
        quantised = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        self._packed = torch.ops.quantized.linear_prepack(quantised, None)
        self._narrow = not torch.cpu._is_vnni_supported()  # without it the 16-bit sums of 8-bit products can overflow
        self._width = weight.shape[1]
        self._make_room(ROWS)

    def _make_room(self, rows: int) -> None:
        self._inputs = torch.zeros(rows + 1, self._width)
        self._inputs[-1, 0], self._inputs[-1, 1] = 1.0, -1.0

    def __call__(self, x: Tensor) -> Tensor:
        rows = len(x)
        if rows >= len(self._inputs):
            self._make_room(rows)
        inputs = self._inputs[-rows - 1 :]
        largest = torch.linalg.vector_norm(x, float("inf"), 1, keepdim=True).clamp_(min=1e-12)
        torch.div(x, largest, out=inputs[:-1])
        result: Tensor = torch.ops.quantized.linear_dynamic(inputs, self._packed, self._narrow)[:-1]
        return result.mul_(largest)


def int8_linear(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """A linear map with ``weight`` (out, in) in int8. Not safe to share between threads."""
    return _Int8Linear(weight)


def float_linear(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """The same map in float32: for parity tests and CPUs without int8 kernels."""
    return lambda x: linear(x, weight)


def has_int8() -> bool:
    """Whether torch has int8 kernels for this CPU."""
    return torch.backends.quantized.engine in ("x86", "fbgemm", "onednn")


class _Layer:
    """One layer's weights, fused: queries, keys and values in one matrix, gate and up in another."""

    def __init__(self, layer: Any, make: Callable[[Tensor], Callable[[Tensor], Tensor]]) -> None:
        attention, mlp = layer.self_attn, layer.mlp

        def weight(*modules: Any) -> Tensor:
            return torch.cat([m.weight.detach().float() for m in modules])

        self.qkv = make(weight(attention.q_proj, attention.k_proj, attention.v_proj))
        self.out = make(weight(attention.o_proj))
        self.gate_up = make(weight(mlp.gate_proj, mlp.up_proj))
        self.down = make(weight(mlp.down_proj))
        norms = (layer.input_layernorm, layer.post_attention_layernorm, layer.pre_feedforward_layernorm)
        self.norms = [1.0 + n.weight.detach().float() for n in (*norms, layer.post_feedforward_layernorm)]
        self.sliding = attention.is_sliding
        heads, groups = attention.config.num_attention_heads, attention.config.num_key_value_heads
        q, k = (1.0 + n.weight.detach().float() for n in (attention.q_norm, attention.k_norm))
        self.qk_norm = torch.cat([(q * attention.scaling).expand(heads, -1), k.expand(groups, -1)])


class GemmaDecoder(_Rows):
    """Gemma 3 on a CPU. ``make`` turns a float32 matrix into a linear map."""

    def __init__(
        self,
        model: Any,
        make: Callable[[Tensor], Callable[[Tensor], Tensor]] | None = None,
        capacity: int = CAPACITY,
        rows: int = ROWS,
    ) -> None:
        super().__init__(capacity, rows)
        make = make or (int8_linear if has_int8() else float_linear)
        config = model.config
        self._layers = [_Layer(layer, make) for layer in model.model.layers]
        self._head = make(model.lm_head.weight.detach().float())
        self._embedding = model.model.embed_tokens.weight.detach()
        self._scale = float(model.model.embed_tokens.embed_scale.to(self._embedding.dtype))
        self._norm = 1.0 + model.model.norm.weight.detach().float()
        self._eps, self._window = config.rms_norm_eps, config.sliding_window
        self._heads, self._groups, self._size = config.num_attention_heads, config.num_key_value_heads, config.head_dim
        self._rotations = {
            sliding: self._rotation(config.rope_parameters[kind]["rope_theta"])
            for sliding, kind in ((True, "sliding_attention"), (False, "full_attention"))
        }
        # Memory that was never written to is not taken from the machine.
        shape = (len(self._layers), rows, self._groups, capacity, self._size)
        self._keys, self._values = torch.zeros(shape), torch.zeros(shape)

    def _rotation(self, theta: float) -> tuple[Tensor, Tensor]:
        """(cosines, signed sines) of rotary positions, each (capacity, 1, head size)."""
        frequency = theta ** -(torch.arange(0, self._size, 2).float() / self._size)
        angle = torch.outer(torch.arange(self.capacity).float(), frequency).unsqueeze(1)
        sine = angle.sin()
        return torch.cat([angle, angle], 2).cos(), torch.cat([-sine, sine], 2)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return torch.rms_norm(x, (x.shape[-1],), None, self._eps) * weight

    @torch.inference_mode()
    def prefill(self, ids: Sequence[int], copies: int = 1) -> Tensor:
        """See Decoder."""
        self._check_prompt(ids, copies)
        begin, length = len(self._lengths), len(ids)
        ages = torch.arange(length)[:, None] - torch.arange(length)
        hidden = {False: ages < 0, True: (ages < 0) | (ages >= self._window)}
        turns = {sliding: (c[:length], s[:length]) for sliding, (c, s) in self._rotations.items()}
        rows = slice(begin, begin + copies)
        x = self._through(
            ids, lambda index, layer, x: self._attend_prompt(index, layer, x, rows, hidden, turns[layer.sliding])
        )
        self._lengths += [length] * copies
        return self._head(self._normed(x[-1:], self._norm))[0]

    @torch.inference_mode()
    def drop(self, row: int) -> None:
        """See Decoder."""
        last = len(self._lengths) - 1
        length = self._lengths[row] = self._lengths[last]
        self._lengths.pop()
        if row != last:
            for cache in (self._keys, self._values):
                cache[:, row, :, :length] = cache[:, last, :, :length]

    @torch.inference_mode()
    def step(self, tokens: Sequence[int]) -> Tensor:
        """See Decoder."""
        self._check_step(tokens)
        place = _Place(self._lengths, self._window)
        turns = {sliding: (c[place.now], s[place.now]) for sliding, (c, s) in self._rotations.items()}
        x = self._through(tokens, lambda index, layer, x: self._attend(index, layer, x, place, turns[layer.sliding]))
        self._lengths = [length + 1 for length in self._lengths]
        return self._head(self._normed(x, self._norm))

    def _through(self, tokens: Sequence[int], attend: Callable[[int, _Layer, Tensor], Tensor]) -> Tensor:
        """The last hidden states (tokens, hidden); ``attend`` is given a layer's number, the layer and its input."""
        x: Tensor = self._embedding[torch.tensor(list(tokens))].float() * self._scale
        for index, layer in enumerate(self._layers):
            before, after, before_mlp, after_mlp = layer.norms
            x = x + self._normed(attend(index, layer, self._normed(x, before)), after)
            gate, up = layer.gate_up(self._normed(x, before_mlp)).chunk(2, 1)
            x = x + self._normed(layer.down(gelu(gate, approximate="tanh") * up), after_mlp)
        return x

    def _turned(self, layer: _Layer, x: Tensor, turn: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """(queries and keys, turned by where they stand; values), each (tokens, heads, head size)."""
        fused = layer.qkv(x).view(len(x), -1, self._size)
        qk = self._normed(fused[:, : self._heads + self._groups], layer.qk_norm)
        cosine, sine = turn
        qk = qk * cosine + torch.roll(qk, self._size // 2, 2) * sine
        return qk, fused[:, self._heads + self._groups :]

    def _attend_prompt(
        self,
        index: int,
        layer: _Layer,
        x: Tensor,
        rows: slice,
        hidden: dict[bool, Tensor],
        turn: tuple[Tensor, Tensor],
    ) -> Tensor:
        """Self-attention of a prompt (tokens, hidden), whose keys and values are put into ``rows`` of the cache."""
        heads, groups, length = self._heads, self._groups, len(x)
        qk, values = self._turned(layer, x, turn)
        keys, values = qk[:, heads:].transpose(0, 1), values.transpose(0, 1)
        self._keys[index, rows, :, :length], self._values[index, rows, :, :length] = keys, values
        queries = qk[:, :heads].transpose(0, 1).reshape(groups, heads // groups, length, self._size)
        scores = queries @ keys[:, None].transpose(2, 3)
        scores.masked_fill_(hidden[layer.sliding], float("-inf"))
        attended = (scores.softmax(-1) @ values[:, None]).view(heads, length, self._size)
        return layer.out(attended.transpose(0, 1).reshape(length, -1))

    def _attend(self, index: int, layer: _Layer, x: Tensor, place: _Place, turn: tuple[Tensor, Tensor]) -> Tensor:
        """Self-attention of one token a row (rows, hidden) over the cache, their own keys and values added."""
        rows, heads, groups, size = len(x), self._heads, self._groups, self._size
        qk, new_values = self._turned(layer, x, turn)
        all_keys, all_values = self._keys[index], self._values[index]
        if place.level:
            all_keys[:rows, :, place.end - 1] = qk[:, heads:]
            all_values[:rows, :, place.end - 1] = new_values
        else:
            all_keys[place.rows, :, place.now] = qk[:, heads:]
            all_values[place.rows, :, place.now] = new_values
        begin, hidden = place.seen(layer.sliding)
        keys, values = all_keys[:rows, :, begin : place.end], all_values[:rows, :, begin : place.end]
        scores = qk[:, :heads].view(rows, groups, heads // groups, size) @ keys.transpose(2, 3)
        if hidden is not None:
            scores.masked_fill_(hidden, float("-inf"))
        return layer.out((scores.softmax(-1) @ values).reshape(rows, -1))


class _Place:
    """Where each row writes and what it sees: ``lengths`` are those before the token that is read now."""

    def __init__(self, lengths: Sequence[int], window: int) -> None:
        self.now, self.rows = torch.tensor(lengths), torch.arange(len(lengths))
        self.end = max(lengths) + 1
        self.level = min(lengths) == max(lengths)
        self._from = max(0, min(lengths) + 1 - window)  # the first token that any row's window holds
        if self.level:
            self._hidden = self._hidden_by_window = None
        else:
            ages = self.now[:, None, None, None] - torch.arange(self.end)
            self._hidden = ages < 0
            self._hidden_by_window = ((ages < 0) | (ages >= window))[..., self._from :]

    def seen(self, sliding: bool) -> tuple[int, Tensor | None]:
        """(the first token that any row sees, which from there on each does not see: (rows, 1, 1, tokens))."""
        return (self._from, self._hidden_by_window) if sliding else (0, self._hidden)


def decoder_for(model: Any, rows: int = ROWS) -> Decoder:
    """The fastest decoder for a model where it is."""
    if model.config.model_type == "gemma3_text" and model.device.type == "cpu":
        return GemmaDecoder(model, rows=rows)
    return CausalDecoder(model, rows=rows)
