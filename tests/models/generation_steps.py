"""Steps of generation: models of the transformers library that take one token and what they kept of those before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from tests.models.transformers_models import DECODER, ENCODER_DECODER, signal, text

LAYERS = 2


def cache_of(kept: tuple[Any, ...]) -> Any:
    """A cache with a key and a value for each layer."""
    cache = DynamicCache()
    for layer in range(LAYERS):
        cache.update(kept[2 * layer], kept[2 * layer + 1], layer)
    return cache


def kept_in(cache: Any) -> list[Any]:
    return [part for layer in cache.layers for part in (layer.keys, layer.values)]


class DecoderStep(torch.nn.Module):
    """Llama's next token."""

    def __init__(self) -> None:
        super().__init__()
        self.model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**DECODER)).eval()

    def forward(self, token: Any, *kept: Any) -> tuple[Any, ...]:
        result = self.model(input_ids=token, past_key_values=cache_of(kept), use_cache=True)
        return (result.logits, *kept_in(result.past_key_values))


class SpeechStep(torch.nn.Module):
    """Whisper's next token; what the decoder makes of the sound is kept, too."""

    def __init__(self) -> None:
        super().__init__()
        sizes = {"num_mel_bins": 16, "max_source_positions": 30, "max_target_positions": 20, "pad_token_id": 0}
        configuration = transformers.WhisperConfig(**ENCODER_DECODER, **sizes)
        self.model = transformers.WhisperForConditionalGeneration(configuration).eval()

    def forward(self, token: Any, sound: Any, *kept: Any) -> tuple[Any, ...]:
        cache = EncoderDecoderCache(cache_of(kept[: 2 * LAYERS]), cache_of(kept[2 * LAYERS :]))
        cache.is_updated = dict.fromkeys(range(LAYERS), True)
        result = self.model(decoder_input_ids=token, encoder_outputs=(sound,), past_key_values=cache, use_cache=True)
        return (result.logits, *kept_in(result.past_key_values.self_attention_cache))


def decoder_inputs(turn: int) -> tuple[Any, ...]:
    rows, length = turn + 2, (3, 6)[turn]
    return text(rows, 1)[0], *(signal(rows, 2, length, 8) for _ in range(2 * LAYERS))


def speech_inputs(turn: int) -> tuple[Any, ...]:
    rows, length = turn + 2, (3, 6)[turn]
    mine = [signal(rows, 4, length, 8) for _ in range(2 * LAYERS)]
    return text(rows, 1)[0], signal(rows, 30, 32), *mine, *(signal(rows, 4, 30, 8) for _ in range(2 * LAYERS))


STEPS: dict[str, tuple[Callable[[], Any], Callable[[int], tuple[Any, ...]]]] = {
    "Llama": (DecoderStep, decoder_inputs),
    "Whisper": (SpeechStep, speech_inputs),
}
