"""Decoders: a prompt goes in at once, then a token at a time, each giving the logits of the next.

On a CPU most of transformers' time per token is Python and memory traffic, so Gemma 3 has a decoder of its own: the
prompt runs through transformers' model; single tokens through fused int8 matrices and a key-value cache of fixed size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import gelu, linear

from kefu.errors import GenerationError

CAPACITY = 640


class Decoder(Protocol):
    """Reads a prompt, then one token after the other. Not safe to share between threads."""

    capacity: int

    def prefill(self, ids: Sequence[int]) -> Tensor:
        """Forgets all, reads a prompt, gives the logits (vocabulary,) of the token behind it."""

    def step(self, token: int) -> Tensor:
        """Reads one token, gives the logits (vocabulary,) of the next."""

    def rewind(self) -> Tensor:
        """Forgets all but the prompt, gives its logits again."""


class CausalDecoder:
    """Any causal language model of transformers, on any device."""

    def __init__(self, model: Any, capacity: int = CAPACITY) -> None:
        self._model, self.capacity = model, capacity
        self._cache: Any = None
        self._length = 0
        self._first: Tensor | None = None

    def _forward(self, ids: Sequence[int]) -> Tensor:
        device = self._model.device
        batch = torch.tensor([list(ids)], device=device)
        out = self._model(batch, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        self._cache = out.past_key_values
        logits: Tensor = out.logits[0, -1].float()
        return logits

    @torch.inference_mode()
    def prefill(self, ids: Sequence[int]) -> Tensor:
        from transformers import DynamicCache

        # Without the model's config it keeps every token, for layers with a sliding window too, so it can be cropped.
        self._cache = DynamicCache()
        self._first = self._forward(ids)
        self._length = self._cache.get_seq_length()  # a prefix counts as well
        return self._first

    @torch.inference_mode()
    def step(self, token: int) -> Tensor:
        return self._forward([token])

    @torch.inference_mode()
    def rewind(self) -> Tensor:
        if self._first is None:
            raise GenerationError("There is no prompt to go back to; call prefill first.")
        self._cache.crop(self._length)
        return self._first

    @torch.inference_mode()
    def keys_and_values(self) -> list[tuple[Tensor, Tensor]]:
        """Each layer's keys and values of what was read, (key-value heads, tokens, head size)."""
        return [(layer.keys[0], layer.values[0]) for layer in self._cache.layers]


def int8_linear(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """A linear map with ``weight`` (out, in) in int8, a scale per output; inputs are quantised as they come."""
    scales = weight.abs().amax(1).clamp(min=1e-8).double() / 127
    zeros = torch.zeros(len(scales), dtype=torch.long)
    quantised = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(quantised, None)
    narrow = not torch.cpu._is_vnni_supported()  # without VNNI the 16-bit sums of 8-bit products can overflow

    def apply(x: Tensor) -> Tensor:
        result: Tensor = torch.ops.quantized.linear_dynamic(x, packed, narrow)
        return result

    return apply


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


class GemmaDecoder:
    """Gemma 3 on a CPU. ``make`` turns a float32 matrix into a linear map."""

    def __init__(
        self, model: Any, make: Callable[[Tensor], Callable[[Tensor], Tensor]] | None = None, capacity: int = CAPACITY
    ) -> None:
        make = make or (int8_linear if has_int8() else float_linear)
        config = model.config
        self.capacity = capacity
        self._prompt = CausalDecoder(model, capacity)
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
        shape = (len(self._layers), self._groups, capacity, self._size)
        self._keys, self._values = torch.zeros(shape), torch.zeros(shape)
        self._position = self._length = 0

    def _rotation(self, theta: float) -> tuple[Tensor, Tensor]:
        """(cosines, signed sines) of rotary positions, each (capacity, head size)."""
        frequency = theta ** -(torch.arange(0, self._size, 2).float() / self._size)
        angle = torch.outer(torch.arange(self.capacity).float(), frequency)
        sine = angle.sin()
        return torch.cat([angle, angle], 1).cos(), torch.cat([-sine, sine], 1)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return torch.rms_norm(x, (x.shape[-1],), None, self._eps) * weight

    @torch.inference_mode()
    def prefill(self, ids: Sequence[int]) -> Tensor:
        if len(ids) >= self.capacity:
            raise GenerationError(f"The prompt has {len(ids)} tokens, the decoder takes {self.capacity - 1}.")
        logits = self._prompt.prefill(ids)
        for layer, (keys, values) in enumerate(self._prompt.keys_and_values()):
            self._keys[layer, :, : len(ids)] = keys
            self._values[layer, :, : len(ids)] = values
        self._position = self._length = len(ids)
        self._first = logits
        return logits

    @torch.inference_mode()
    def rewind(self) -> Tensor:
        if not self._length:
            raise GenerationError("There is no prompt to go back to; call prefill first.")
        self._position = self._length
        return self._first

    @torch.inference_mode()
    def step(self, token: int) -> Tensor:
        if self._position >= self.capacity:
            raise GenerationError(f"The reply runs over the decoder's {self.capacity} tokens.")
        x = (self._embedding[token].float() * self._scale).unsqueeze(0)
        for index, layer in enumerate(self._layers):
            before, after, before_mlp, after_mlp = layer.norms
            x = x + self._normed(self._attend(index, layer, self._normed(x, before)), after)
            gate, up = layer.gate_up(self._normed(x, before_mlp)).chunk(2, 1)
            x = x + self._normed(layer.down(gelu(gate, approximate="tanh") * up), after_mlp)
        self._position += 1
        return self._head(self._normed(x, self._norm))[0]

    def _attend(self, index: int, layer: _Layer, x: Tensor) -> Tensor:
        """Self-attention of one token (1, hidden) over the cache, its own key and value added."""
        heads, groups, size, now = self._heads, self._groups, self._size, self._position
        fused = layer.qkv(x).view(-1, size)
        qk = self._normed(fused[: heads + groups], layer.qk_norm)
        cosine, sine = self._rotations[layer.sliding]
        qk = qk * cosine[now] + torch.roll(qk, size // 2, 1) * sine[now]
        self._keys[index, :, now] = qk[heads:]
        self._values[index, :, now] = fused[heads + groups :]
        begin = max(0, now + 1 - self._window) if layer.sliding else 0
        keys, values = self._keys[index, :, begin : now + 1], self._values[index, :, begin : now + 1]
        scores = qk[:heads].view(groups, heads // groups, size) @ keys.transpose(1, 2)
        return layer.out((scores.softmax(-1) @ values).reshape(1, -1))


def decoder_for(model: Any) -> Decoder:
    """The fastest decoder for a model where it is."""
    if model.config.model_type == "gemma3_text" and model.device.type == "cpu":
        return GemmaDecoder(model)
    return CausalDecoder(model)
