"""Small configurations of models of the transformers library, with inputs of two sizes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import transformers

import tests.models.torchvision_operators  # noqa: F401

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 99}
DECODER = {**SMALL, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "pad_token_id": 0}
ENCODER_DECODER = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "vocab_size": 99, "max_position_embeddings": 64,
}  # fmt: skip
PATCHES = {**SMALL, "image_size": 32, "patch_size": 8}
SPEECH = {
    **SMALL, "conv_dim": (16, 16), "conv_kernel": (10, 3), "conv_stride": (5, 2), "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip

GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 99, "n_positions": 64}
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "vocab_size": 99}
XLM = {"vocab_size": 99, "emb_dim": 32, "n_layers": 2, "n_heads": 4}
STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}
WINDOWS = {"image_size": 64, "patch_size": 4, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
CLIP = {"text_config": {**SMALL, "eos_token_id": 1}, "vision_config": PATCHES, "projection_dim": 16}
BACKBONE = {"model_type": "resnet", "embedding_size": 8, **STAGES, "out_features": ["stage4"]}
DETR = {
    "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "num_queries": 5, "backbone_config": BACKBONE,
}  # fmt: skip
REAL_TIME_DETR = {
    "backbone_config": {"model_type": "rt_detr_resnet", "embedding_size": 8, **STAGES, "layer_type": "basic",
        "out_features": ["stage2", "stage3", "stage4"]},
    "encoder_hidden_dim": 16, "encoder_in_channels": [16, 24, 32], "encoder_ffn_dim": 32, "encoder_attention_heads": 2,
    "d_model": 16, "decoder_in_channels": [16, 16, 16], "decoder_ffn_dim": 32, "decoder_layers": 2,
    "decoder_attention_heads": 2, "num_queries": 6, "num_denoising": 0, "anchor_image_size": None,
}  # fmt: skip
SWIN = {"model_type": "swin", "image_size": 64, "patch_size": 4, "embed_dim": 8, "depths": [1, 1, 1, 1],
    "num_heads": [1, 1, 2, 2], "window_size": 4, "out_features": ["stage1", "stage2", "stage3", "stage4"]}  # fmt: skip
MASKS = {"backbone_config": SWIN, "hidden_dim": 32, "encoder_feedforward_dim": 32, "encoder_layers": 1,
    "decoder_layers": 2, "num_attention_heads": 2, "dim_feedforward": 32, "num_queries": 5}  # fmt: skip
FORECAST = {
    "prediction_length": 8, "context_length": 24, "num_time_features": 2, "lags_sequence": [1, 2, 3], "d_model": 16,
    "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16, "decoder_ffn_dim": 16,
}  # fmt: skip
FOUR_LAYERS = {**PATCHES, "num_hidden_layers": 4}
FEATURES = {"out_features": ["stage1", "stage2", "stage3", "stage4"], "reshape_hidden_states": False}
DEPTH = {"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 16}
BARK = {"block_size": 32, "input_vocab_size": 64, "output_vocab_size": 64, "num_layers": 2, "num_heads": 4,
    "hidden_size": 32}  # fmt: skip
SPEECH_T5 = {
    **ENCODER_DECODER, "hidden_size": 32, "conv_dim": (16, 16), "conv_kernel": (10, 3), "conv_stride": (5, 2),
    "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
    "num_mel_bins": 16, "speaker_embedding_dim": 8, "speech_decoder_prenet_units": 16,
    "speech_decoder_postnet_units": 16, "speech_decoder_prenet_dropout": 0.0, "reduction_factor": 2,
}  # fmt: skip
CLAP_AUDIO = {
    "spec_size": 32, "num_mel_bins": 16, "patch_size": 4, "patch_stride": [4, 4], "window_size": 4, "hidden_size": 32,
    "depths": [1, 1], "num_attention_heads": [2, 4], "patch_embeds_hidden_size": 16, "num_hidden_layers": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Model:
    """The class of a model, its configuration, and which kind of inputs it takes (a key of `INPUTS`)."""

    name: str
    inputs: str
    configuration: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


class Program(torch.nn.Module):
    """A model as a function of tensors alone."""

    def __init__(self, model: Any, names: tuple[str, ...], options: dict[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.names = names
        self.options = options

    def forward(self, *given: Any) -> Any:
        results = self.model(**dict(zip(self.names, given)), return_dict=False, **self.options)
        return tuple(flat(results))


def flat(value: Any) -> list[Any]:
    if isinstance(value, torch.Tensor):
        return [value]
    return [item for part in value for item in flat(part)] if isinstance(value, list | tuple) else []


def text(batch: int, length: int, vocabulary: int = 99) -> tuple[Any, Any]:
    """Tokens and a mask that hides the end of all but the first row."""
    generator = torch.Generator().manual_seed(length)
    tokens = torch.randint(3, vocabulary, (batch, length), generator=generator)
    mask = torch.ones(batch, length, dtype=torch.int64)
    for row in range(1, batch):
        mask[row, length - row :] = 0
    return torch.where(mask > 0, tokens, 1), mask


def numbers(below: int, *shape: int) -> Any:
    return torch.randint(0, below, shape, generator=torch.Generator().manual_seed(shape[-1]))


def boxes(turn: int) -> Any:
    """Where on a page the tokens of `text` are: left, top, right and bottom."""
    corners = numbers(40, *((2, 7), (3, 12))[turn], 4)
    corners[..., 2:] += corners[..., :2]
    return corners


def placed_text(turn: int) -> tuple[Any, ...]:
    tokens, mask = text(*((2, 7), (3, 12))[turn])
    return tokens, boxes(turn), mask


def signal(*shape: int) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(shape[-1]))


def placed_patches(turn: int) -> tuple[Any, ...]:
    """Patches of 4 by 4 pixels, with the row and the column of each in front."""
    count = (9, 12)[turn]
    patches = signal(turn + 2, count, 2 + 3 * 4 * 4)
    patches[..., 0], patches[..., 1] = torch.arange(count) // 4 + 1, torch.arange(count) % 4 + 1
    return patches, torch.ones(turn + 2, count), text(*((2, 5), (3, 6))[turn])[0]


INPUTS: dict[str, tuple[tuple[str, ...], Any]] = {
    "text": (("input_ids", "attention_mask"), lambda turn: text(*((2, 7), (3, 12))[turn])),
    "text to text": (
        ("input_ids", "attention_mask", "decoder_input_ids"),
        lambda turn: (*text(*((2, 7), (3, 12))[turn]), text(*((2, 5), (3, 6))[turn])[0]),
    ),
    "image": (("pixel_values",), lambda turn: (signal(turn + 2, 3, 32, 32),)),
    "any image": (("pixel_values",), lambda turn: (signal(turn + 2, 3, *((64, 64), (64, 96))[turn]),)),
    "image and text": (
        ("input_ids", "attention_mask", "pixel_values"),
        lambda turn: (*text(*((2, 7), (3, 12))[turn]), signal(turn + 2, 3, 32, 32)),
    ),
    "long text": (("input_ids", "attention_mask"), lambda turn: text(turn + 2, 64)),
    "clip of spectrogram": (("input_features",), lambda turn: (signal(turn + 2, 1, 64, 16),)),
    "any image and text": (
        ("input_ids", "attention_mask", "pixel_values"),
        lambda turn: (*text(*((2, 7), (3, 12))[turn]), signal(turn + 2, 3, *((64, 64), (64, 96))[turn])),
    ),
    "tokens": (("input_ids",), lambda turn: text(*((2, 7), (3, 12))[turn])[:1]),
    "text to latents": (("inputs", "attention_mask"), lambda turn: text(turn + 2, 16)),
    "video": (("pixel_values",), lambda turn: (signal(turn + 2, 4, 3, 32, 32),)),
    "frames": (("input_features",), lambda turn: (signal(turn + 2, (30, 41)[turn], 16),)),
    "frames to text": (
        ("input_features", "decoder_input_ids"),
        lambda turn: (signal(turn + 2, (30, 41)[turn], 16), text(*((2, 5), (3, 6))[turn])[0]),
    ),
    "spectrogram": (("input_values",), lambda turn: (signal(turn + 2, 24, 16),)),
    "waveform": (("input_values",), lambda turn: (signal(turn + 2, 1, (160, 224)[turn]),)),
    "series": (("past_values",), lambda turn: (signal(turn + 2, 32, 3),)),
    "speech": (("input_values",), lambda turn: (signal(turn + 2, (400, 570)[turn]),)),
    "spectrum to text": (
        ("input_features", "decoder_input_ids"),
        lambda turn: (signal(turn + 2, 16, 60), text(*((2, 5), (3, 6))[turn])[0]),
    ),
}

INPUTS |= {
    "placed text": (("input_ids", "bbox", "attention_mask"), placed_text),
    "placed text and image": (
        ("input_ids", "bbox", "attention_mask", "pixel_values"),
        lambda turn: (*placed_text(turn), signal(turn + 2, 3, 32, 32)),
    ),
    "image and task": (
        ("pixel_values", "task_inputs"),
        lambda turn: (signal(turn + 2, 3, 64, 64), numbers(50, turn + 2, 8)),
    ),
    "image and points": (
        ("pixel_values", "input_points", "input_labels"),
        lambda turn: (
            signal(turn + 1, 3, 32, 32), 8 * signal(turn + 1, 1, 2, 2) + 16,
            torch.ones(turn + 1, 1, 2, dtype=torch.int64),
        ),
    ),
    "patches to text": (("flattened_patches", "attention_mask", "decoder_input_ids"), placed_patches),
    "past and future": (
        ("past_values", "past_time_features", "past_observed_mask", "future_values", "future_time_features"),
        lambda turn: (
            signal(turn + 2, 27), signal(turn + 2, 27, 2), torch.ones(turn + 2, 27), signal(turn + 2, 8),
            signal(turn + 2, 8, 2),
        ),
    ),
    "text of a table": (
        ("input_ids", "attention_mask", "token_type_ids"),
        lambda turn: (*text(*((2, 7), (3, 12))[turn]), numbers(2, *((2, 7), (3, 12))[turn], 7)),
    ),
    "regions and text": (
        ("input_ids", "visual_feats", "visual_pos"),
        lambda turn: (text(*((2, 7), (3, 12))[turn])[0], signal(turn + 2, 5, 16), signal(turn + 2, 5, 4)),
    ),
    "characters": (("input_ids", "attention_mask"), lambda turn: text(turn + 2, (16, 32)[turn])),
    "semantic codes": (("input_ids",), lambda turn: (numbers(60, turn + 2, (7, 12)[turn]),)),
    "fine codes": (("input_ids",), lambda turn: (numbers(60, turn + 2, (7, 12)[turn], 4),)),
    "codes": (
        ("input_ids", "encoder_hidden_states"),
        lambda turn: (numbers(16, 4 * (turn + 1), (5, 8)[turn]), signal(turn + 1, 7, 32)),
    ),
    "speech to text": (
        ("input_values", "decoder_input_ids"),
        lambda turn: (signal(turn + 2, (400, 570)[turn]), text(*((2, 5), (3, 6))[turn])[0]),
    ),
    "text to speech": (
        ("input_ids", "decoder_input_values", "speaker_embeddings"),
        lambda turn: (
            text(*((2, 7), (3, 12))[turn])[0], signal(turn + 2, (8, 12)[turn], 16), signal(turn + 2, 8),
        ),
    ),
    "spectrogram of any length": (("spectrogram",), lambda turn: (signal(turn + 2, (20, 31)[turn], 16),)),
    "spectrogram and noise": (
        ("input_features", "noise_sequence"),
        lambda turn: (signal(turn + 2, (20, 31)[turn], 16), signal(turn + 2, (20, 31)[turn], 8)),
    ),
    "spectrogram and text": (
        ("input_ids", "attention_mask", "input_features"),
        lambda turn: (*text(*((2, 7), (3, 12))[turn]), signal(turn + 2, 1, 64, 16)),
    ),
}  # fmt: skip

NO_CACHE = {"use_cache": False}

MODELS = {
    "BERT": Model("BertModel", "text", SMALL),
    "BERT, eager attention": Model("BertForSequenceClassification", "text", {**SMALL, "attn_implementation": "eager"}),
    "BERT, masked tokens": Model("BertForMaskedLM", "text", SMALL),
    "BERT, question answering": Model("BertForQuestionAnswering", "text", SMALL),
    "DistilBERT": Model("DistilBertForSequenceClassification", "text",
                        {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "vocab_size": 99}),
    "RoBERTa": Model("RobertaForMaskedLM", "text", SMALL),
    "XLM-RoBERTa": Model("XLMRobertaForTokenClassification", "text", SMALL),
    "ALBERT": Model("AlbertModel", "text", {**SMALL, "embedding_size": 16}),
    "ELECTRA": Model("ElectraForPreTraining", "text", {**SMALL, "embedding_size": 16}),
    "DeBERTa": Model("DebertaModel", "text", {**SMALL, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "DeBERTa-v2": Model("DebertaV2Model", "text", {**SMALL, "relative_attention": True, "pos_att_type": ["c2p", "p2c"],
                        "position_buckets": 8, "share_att_key": True}),
    "MPNet": Model("MPNetModel", "text", SMALL),
    "CamemBERT": Model("CamembertModel", "text", SMALL),
    "ConvBERT": Model("ConvBertModel", "text", {**SMALL, "embedding_size": 16}),
    "FNet": Model("FNetModel", "tokens", {**SMALL}),
    "MobileBERT": Model("MobileBertModel", "text", {**SMALL, "embedding_size": 32, "intra_bottleneck_size": 16}),
    "RoFormer": Model("RoFormerModel", "text", {**SMALL, "embedding_size": 32}),
    "Funnel": Model("FunnelModel", "text", {"vocab_size": 99, "block_sizes": [1, 1], "d_model": 32, "n_head": 4,
        "d_head": 8, "d_inner": 48}),
    "XLNet": Model("XLNetModel", "text", {"vocab_size": 99, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48},
        {"use_mems": False}),
    "XLM": Model("XLMModel", "text", XLM),
    "FlauBERT": Model("FlaubertModel", "text", XLM),
    "Longformer": Model("LongformerModel", "text", {**SMALL, "attention_window": 4}),
    "BigBird": Model("BigBirdModel", "text", {**SMALL, "attention_type": "original_full"}),
    "BigBird, sparse attention": Model("BigBirdModel", "long text", {**SMALL, "block_size": 4, "num_random_blocks": 1}),
    "RemBERT": Model("RemBertModel", "text", {**SMALL, "input_embedding_size": 16}),
    "ESM": Model("EsmModel", "text", {**SMALL, "pad_token_id": 1, "position_embedding_type": "rotary"}),
    "ModernBERT": Model("ModernBertModel", "text", {**SMALL, "pad_token_id": 0, "local_attention": 8}),
    "NomicBERT": Model("NomicBertModel", "text", {**SMALL}),
    "LUKE": Model("LukeModel", "text", {**SMALL, "entity_vocab_size": 10}),
    "Data2Vec text": Model("Data2VecTextModel", "text", SMALL),
    "I-BERT": Model("IBertModel", "text", SMALL),
    "ERNIE": Model("ErnieModel", "text", SMALL),
    "LayoutLM": Model("LayoutLMModel", "text", SMALL),
    "MarkupLM": Model("MarkupLMModel", "text", SMALL),
    "Splinter": Model("SplinterModel", "text", SMALL),
    "GPT-2": Model("GPT2LMHeadModel", "text", GPT, NO_CACHE),
    "GPT-2, with its cache": Model("GPT2Model", "text", GPT, {"use_cache": True}),
    "OpenAI GPT": Model("OpenAIGPTModel", "text", GPT),
    "GPT-Neo": Model("GPTNeoModel", "text", {"hidden_size": 32, "num_layers": 2, "attention_types": [[["global",
        "local"], 1]], "num_heads": 4, "vocab_size": 99, "window_size": 4}, NO_CACHE),
    "GPT-NeoX": Model("GPTNeoXForCausalLM", "text", SMALL, NO_CACHE),
    "GPT-J": Model("GPTJModel", "text", {**GPT, "rotary_dim": 4}, NO_CACHE),
    "GPT-BigCode": Model("GPTBigCodeModel", "text", GPT, NO_CACHE),
    "CodeGen": Model("CodeGenModel", "text", {**GPT, "rotary_dim": 4}, NO_CACHE),
    "OPT": Model("OPTForCausalLM", "text", {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "ffn_dim": 48, "vocab_size": 99, "word_embed_proj_dim": 32}, NO_CACHE),
    "Falcon": Model("FalconModel", "text", {**SMALL}, NO_CACHE),
    "MPT": Model("MptModel", "text", {"d_model": 32, "n_layers": 2, "n_heads": 4, "vocab_size": 99}, NO_CACHE),
    "BioGPT": Model("BioGptModel", "text", {**SMALL}, NO_CACHE),
    "XGLM": Model("XGLMModel", "text", {"d_model": 32, "num_layers": 2, "attention_heads": 4, "ffn_dim": 48,
        "vocab_size": 99}, NO_CACHE),
    "CTRL": Model("CTRLModel", "text", {**GPT, "dff": 48}, NO_CACHE),
    "Llama": Model("LlamaForCausalLM", "text", DECODER, NO_CACHE),
    "Llama, eager attention": Model("LlamaModel", "text", {**DECODER, "attn_implementation": "eager"}, NO_CACHE),
    "Mistral": Model("MistralModel", "text", {**DECODER, "sliding_window": 4}, NO_CACHE),
    "Qwen2": Model("Qwen2ForCausalLM", "text", DECODER, NO_CACHE),
    "Qwen3": Model("Qwen3Model", "text", DECODER, NO_CACHE),
    "Gemma": Model("GemmaModel", "text", DECODER, NO_CACHE),
    "Gemma 2": Model("Gemma2Model", "text", {**DECODER, "sliding_window": 4}, NO_CACHE),
    "Gemma 3": Model("Gemma3TextModel", "text", {**DECODER, "sliding_window": 4, "layer_types": ["sliding_attention",
        "full_attention"]}, NO_CACHE),
    "Phi": Model("PhiModel", "text", {**DECODER}, NO_CACHE),
    "Phi-3": Model("Phi3Model", "text", {**DECODER}, NO_CACHE),
    "StableLM": Model("StableLmModel", "text", DECODER, NO_CACHE),
    "StarCoder2": Model("Starcoder2Model", "text", DECODER, NO_CACHE),
    "Cohere": Model("CohereModel", "text", DECODER, NO_CACHE),
    "OLMo": Model("OlmoModel", "text", DECODER, NO_CACHE),
    "OLMo 2": Model("Olmo2Model", "text", DECODER, NO_CACHE),
    "Granite": Model("GraniteModel", "text", DECODER, NO_CACHE),
    "SmolLM3": Model("SmolLM3Model", "text", DECODER, NO_CACHE),
    "GLM": Model("GlmModel", "text", DECODER, NO_CACHE),
    "Nemotron": Model("NemotronModel", "text", DECODER, NO_CACHE),
    "Persimmon": Model("PersimmonModel", "text", DECODER, NO_CACHE),
    "Mixtral": Model("MixtralModel", "text", {**DECODER, "num_local_experts": 4}, NO_CACHE),
    "Qwen2-MoE": Model("Qwen2MoeModel", "text", {**DECODER, "num_experts": 4, "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 16, "num_experts_per_tok": 2}, NO_CACHE),
    "GPT-OSS": Model("GptOssModel", "text", {**DECODER, "num_local_experts": 4, "num_experts_per_tok": 2,
        "sliding_window": 4}, NO_CACHE),
    "Granite MoE": Model("GraniteMoeModel", "text", {**DECODER, "num_local_experts": 4, "num_experts_per_tok": 2},
        NO_CACHE),
    "Mamba": Model("MambaModel", "text", {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 99}, NO_CACHE),
    "RWKV": Model("RwkvModel", "text", {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 99,
        "attention_hidden_size": 32, "context_length": 64}, NO_CACHE),
    "T5": Model("T5ForConditionalGeneration", "text to text", T5, NO_CACHE),
    "T5 encoder": Model("T5EncoderModel", "text", T5),
    "mT5": Model("MT5Model", "text to text", T5, NO_CACHE),
    "UMT5": Model("UMT5Model", "text to text", T5, NO_CACHE),
    "LongT5": Model("LongT5Model", "text to text", {**T5, "local_radius": 3}, NO_CACHE),
    "BART": Model("BartForConditionalGeneration", "text to text", ENCODER_DECODER, NO_CACHE),
    "mBART": Model("MBartModel", "text to text", ENCODER_DECODER, NO_CACHE),
    "Pegasus": Model("PegasusModel", "text to text", ENCODER_DECODER, NO_CACHE),
    "Marian": Model("MarianModel", "text to text", {**ENCODER_DECODER, "pad_token_id": 0}, NO_CACHE),
    "M2M-100": Model("M2M100Model", "text to text", ENCODER_DECODER, NO_CACHE),
    "Blenderbot": Model("BlenderbotModel", "text to text", ENCODER_DECODER, NO_CACHE),
    "PLBart": Model("PLBartModel", "text to text", ENCODER_DECODER, NO_CACHE),
    "LED": Model("LEDModel", "text to text", {**ENCODER_DECODER, "attention_window": 4,
        "max_encoder_position_embeddings": 64, "max_decoder_position_embeddings": 64}, NO_CACHE),
    "ProphetNet": Model("ProphetNetModel", "text to text", {"hidden_size": 32, "encoder_ffn_dim": 48,
        "num_encoder_layers": 2, "num_encoder_attention_heads": 4, "decoder_ffn_dim": 48, "num_decoder_layers": 2,
        "num_decoder_attention_heads": 4, "vocab_size": 99, "max_position_embeddings": 64}, NO_CACHE),
    "ViT": Model("ViTForImageClassification", "image", PATCHES),
    "DeiT": Model("DeiTModel", "image", PATCHES),
    "BEiT": Model("BeitModel", "image", {**PATCHES, "use_relative_position_bias": True}),
    "Data2Vec vision": Model("Data2VecVisionModel", "image", {**PATCHES, "use_relative_position_bias": True}),
    "ViT-MSN": Model("ViTMSNModel", "image", PATCHES),
    "DINOv2": Model("Dinov2Model", "image", {**PATCHES}),
    "DINOv2 with registers": Model("Dinov2WithRegistersModel", "image", {**PATCHES}),
    "DINOv3": Model("DINOv3ViTModel", "image", {**PATCHES}),
    "I-JEPA": Model("IJepaModel", "image", PATCHES),
    "YOLOS": Model("YolosForObjectDetection", "image", {**PATCHES, "image_size": [32, 32], "num_detection_tokens": 5}),
    "SigLIP vision": Model("SiglipVisionModel", "image", PATCHES),
    "CLIP vision": Model("CLIPVisionModel", "image", PATCHES),
    "CLIP": Model("CLIPModel", "image and text", CLIP),
    "SigLIP": Model("SiglipModel", "image and text", {"text_config": {**SMALL, "projection_size": 32},
        "vision_config": PATCHES}),
    "BLIP": Model("BlipModel", "image and text", {"text_config": {**SMALL, "projection_dim": 16},
        "vision_config": PATCHES, "projection_dim": 16}),
    "AltCLIP": Model("AltCLIPModel", "image and text", {"text_config": {**SMALL, "project_dim": 16},
        "vision_config": PATCHES, "projection_dim": 16}),
    "Chinese CLIP": Model("ChineseCLIPModel", "image and text", {"text_config": SMALL, "vision_config": PATCHES,
        "projection_dim": 16}),
    "GroupViT": Model("GroupViTModel", "image and text", {"text_config": SMALL, "vision_config": {**PATCHES,
        "depths": [1, 1, 1], "num_group_tokens": [8, 4, 0], "num_output_groups": [8, 4, 4]}, "projection_dim": 16,
        "projection_intermediate_dim": 32}),
    "CLIPSeg": Model("CLIPSegModel", "image and text", CLIP),
    "OWL-ViT": Model("OwlViTModel", "image and text", {"text_config": SMALL, "vision_config": PATCHES,
        "projection_dim": 16}),
    "ViLT": Model("ViltModel", "image and text", {**PATCHES, "max_image_length": -1}),
    "VisualBERT": Model("VisualBertModel", "text", {**SMALL}),
    "FLAVA": Model("FlavaTextModel", "text", SMALL),
    "Swin": Model("SwinModel", "any image", WINDOWS),
    "Swin v2": Model("Swinv2Model", "any image", WINDOWS),
    "Swin2SR": Model("Swin2SRForImageSuperResolution", "any image", {"image_size": 64, "patch_size": 1,
        "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}),
    "Donut Swin": Model("DonutSwinModel", "any image", WINDOWS),
    "SegFormer": Model("SegformerForSemanticSegmentation", "any image", {"hidden_sizes": [8, 16, 24, 32],
        "num_attention_heads": [1, 2, 2, 4], "depths": [1, 1, 1, 1], "decoder_hidden_size": 32}),
    "ConvNext": Model("ConvNextForImageClassification", "any image", STAGES),
    "ConvNext v2": Model("ConvNextV2Model", "any image", STAGES),
    "ResNet": Model("ResNetModel", "any image", {"embedding_size": 8, **STAGES}),
    "RegNet": Model("RegNetModel", "any image", {"embedding_size": 8, **STAGES, "groups_width": 8}),
    "BiT": Model("BitModel", "any image", {"embedding_size": 8, **STAGES, "num_groups": 4}),
    "PoolFormer": Model("PoolFormerModel", "any image", {**STAGES}),
    "PVT": Model("PvtModel", "any image", {"image_size": 64, **STAGES, "num_attention_heads": [1, 2, 2, 4]}),
    "PVT v2": Model("PvtV2Model", "any image", {"image_size": 64, **STAGES, "num_attention_heads": [1, 2, 2, 4]}),
    "LeViT": Model("LevitModel", "any image", {"image_size": 64, "hidden_sizes": [16, 24, 32],
        "num_attention_heads": [2, 3, 4], "depths": [1, 1, 1], "key_dim": [8, 8, 8]}),
    "MobileNet v1": Model("MobileNetV1Model", "any image", {"depth_multiplier": 0.25, "min_depth": 8}),
    "MobileNet v2": Model("MobileNetV2Model", "any image", {"depth_multiplier": 0.25}),
    "MobileViT": Model("MobileViTModel", "any image", {"image_size": 64, "hidden_sizes": [16, 24, 32],
        "neck_hidden_sizes": [8, 8, 16, 16, 24, 32, 48]}),
    "MobileViT v2": Model("MobileViTV2Model", "any image", {"image_size": 64, "width_multiplier": 0.25}),
    "SwiftFormer": Model("SwiftFormerModel", "any image", {"image_size": 64, "embed_dims": [8, 16, 24, 32],
        "depths": [1, 1, 1, 1]}),
    "FocalNet": Model("FocalNetModel", "any image", {"image_size": 64, "embed_dim": 16, "depths": [1, 1],
        "hidden_sizes": [16, 32], "focal_levels": [2, 2], "focal_windows": [3, 3]}),
    "Hiera": Model("HieraModel", "any image", {"image_size": [64, 64], "embed_dim": 16, "depths": [1, 1],
        "num_heads": [2, 4], "masked_unit_size": [4, 4], "query_stride": [2, 2], "num_query_pool": 1}),
    "GLPN": Model("GLPNForDepthEstimation", "any image", {"hidden_sizes": [8, 16, 24, 32], "num_attention_heads": [1,
        2, 2, 4], "depths": [1, 1, 1, 1], "decoder_hidden_size": 8}),
    "TextNet": Model("TextNetModel", "any image", {}),
    "HGNet v2": Model("HGNetV2ForImageClassification", "any image", {}),
    "DETR": Model("DetrForObjectDetection", "any image", DETR),
    "Deformable DETR": Model("DeformableDetrModel", "any image", {**DETR, "backbone_config": {**BACKBONE,
        "out_features": ["stage2", "stage3", "stage4"]}, "num_feature_levels": 3}),
    "DAB-DETR": Model("DabDetrModel", "any image", {**DETR, "hidden_size": 32}),
    "Conditional DETR": Model("ConditionalDetrModel", "any image", DETR),
    "ViTDet": Model("VitDetModel", "image", {**PATCHES}),
    "ImageGPT": Model("ImageGPTModel", "tokens", GPT, NO_CACHE),
    "ViViT": Model("VivitModel", "video", {**PATCHES, "num_frames": 4, "tubelet_size": [2, 8, 8]}),
    "VideoMAE": Model("VideoMAEModel", "video", {**PATCHES, "num_frames": 4}),
    "TimeSformer": Model("TimesformerModel", "video", {**PATCHES, "num_frames": 4}),
    "Whisper": Model("WhisperModel", "spectrum to text", {**ENCODER_DECODER, "num_mel_bins": 16,
        "max_source_positions": 30, "max_target_positions": 20, "pad_token_id": 0}, NO_CACHE),
    "Speech2Text": Model("Speech2TextModel", "frames to text", {**ENCODER_DECODER, "input_feat_per_channel": 16,
        "max_source_positions": 200, "max_target_positions": 20, "conv_channels": 16}, NO_CACHE),
    "wav2vec 2.0": Model("Wav2Vec2ForCTC", "speech", SPEECH),
    "wav2vec 2.0, stable layer norm": Model("Wav2Vec2Model", "speech", {**SPEECH, "do_stable_layer_norm": True,
        "feat_extract_norm": "layer"}),
    "HuBERT": Model("HubertModel", "speech", SPEECH),
    "WavLM": Model("WavLMModel", "speech", SPEECH),
    "UniSpeech": Model("UniSpeechModel", "speech", SPEECH),
    "UniSpeech-SAT": Model("UniSpeechSatModel", "speech", SPEECH),
    "Data2Vec audio": Model("Data2VecAudioModel", "speech", {**SPEECH, "conv_pos_kernel_size": 5,
        "num_conv_pos_embeddings": 2}),
    "SEW": Model("SEWModel", "speech", {**SPEECH, "squeeze_factor": 2}),
    "wav2vec 2.0 conformer": Model("Wav2Vec2ConformerModel", "speech", {**SPEECH, "conv_depthwise_kernel_size": 5}),
    "wav2vec 2.0-BERT": Model("Wav2Vec2BertModel", "frames", {**SMALL, "feature_projection_input_dim": 16,
        "conv_depthwise_kernel_size": 5}),
    "AST": Model("ASTModel", "spectrogram", {**SMALL, "patch_size": 4, "max_length": 24, "num_mel_bins": 16,
        "frequency_stride": 4, "time_stride": 4}),
    "CLAP audio": Model("ClapAudioModel", "clip of spectrogram", {"spec_size": 32, "num_mel_bins": 16, "patch_size": 4,
        "patch_stride": [4, 4], "window_size": 4, "hidden_size": 32, "depths": [1, 1], "num_attention_heads": [2, 4],
        "patch_embeds_hidden_size": 16, "num_hidden_layers": 2}),
    "CLAP text": Model("ClapTextModel", "text", SMALL),
    "EnCodec": Model("EncodecModel", "waveform", {"num_filters": 4, "hidden_size": 16, "codebook_dim": 16,
        "codebook_size": 16, "upsampling_ratios": [4, 2], "num_lstm_layers": 1}),
    "DAC": Model("DacModel", "waveform", {"encoder_hidden_size": 4, "downsampling_ratios": [2, 2],
        "decoder_hidden_size": 32, "n_codebooks": 2, "codebook_size": 16, "codebook_dim": 4, "upsampling_ratios": [2,
        2], "hidden_size": 16}),
    "PatchTST": Model("PatchTSTModel", "series", {"num_input_channels": 3, "context_length": 32, "patch_length": 4,
        "patch_stride": 4, "d_model": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 48}),
    "PatchTSMixer": Model("PatchTSMixerModel", "series", {"num_input_channels": 3, "context_length": 32,
        "patch_length": 4, "patch_stride": 4, "d_model": 16, "num_layers": 2}),
    "Perceiver": Model("PerceiverForMaskedLM", "text to latents", {"d_model": 32, "d_latents": 32, "num_latents": 8,
        "num_self_attends_per_block": 2, "num_self_attention_heads": 4, "num_cross_attention_heads": 4,
        "vocab_size": 99, "max_position_embeddings": 16}),
    "RT-DETR": Model("RTDetrForObjectDetection", "any image", REAL_TIME_DETR),
    "RT-DETR v2": Model("RTDetrV2ForObjectDetection", "any image", REAL_TIME_DETR),
    "Table Transformer": Model("TableTransformerModel", "any image", DETR),
    "DPT": Model("DPTForDepthEstimation", "image", {**FOUR_LAYERS, **DEPTH, "backbone_out_indices": [0, 1, 2, 3],
        "is_hybrid": False}),
    "Depth Anything": Model("DepthAnythingForDepthEstimation", "image", {"backbone_config": {"model_type": "dinov2",
        **FOUR_LAYERS, **FEATURES}, **DEPTH, "patch_size": 8, "reassemble_hidden_size": 32, "head_hidden_size": 8}),
    "ZoeDepth": Model("ZoeDepthForDepthEstimation", "image", {"backbone_config": {"model_type": "beit", **FOUR_LAYERS,
        **FEATURES}, **DEPTH, "backbone_hidden_size": 32, "bottleneck_features": 16, "num_relative_features": 8,
        "bin_configurations": [{"name": "near", "n_bins": 8, "min_depth": 0.1, "max_depth": 10.0}],
        "bin_embedding_dim": 16, "patch_transformer_hidden_size": 16, "patch_transformer_intermediate_size": 16,
        "patch_transformer_num_attention_heads": 2}),
    "Mask2Former": Model("Mask2FormerForUniversalSegmentation", "any image", {**MASKS, "feature_size": 32,
        "mask_feature_size": 32}),
    "MaskFormer": Model("MaskFormerForInstanceSegmentation", "any image", {"backbone_config": SWIN,
        "fpn_feature_size": 32, "mask_feature_size": 32, "decoder_config": {"model_type": "detr", "d_model": 32,
        "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "num_queries": 5}}),
    "OneFormer": Model("OneFormerForUniversalSegmentation", "image and task", {**MASKS, "mask_dim": 32, "conv_dim": 32,
        "text_encoder_width": 16, "text_encoder_num_layers": 1, "text_encoder_vocab_size": 50,
        "text_encoder_context_length": 8, "task_seq_len": 8, "max_seq_len": 8, "query_dec_layers": 1,
        "is_training": False}),
    "SAM": Model("SamModel", "image and points", {"vision_config": {"hidden_size": 16, "num_pos_feats": 8,
        "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8,
        "window_size": 3, "global_attn_indexes": [1], "mlp_dim": 32}, "prompt_encoder_config": {"hidden_size": 16,
        "image_size": 32, "patch_size": 8, "mask_input_channels": 4}, "mask_decoder_config": {"hidden_size": 16,
        "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16}}),
    "EfficientNet": Model("EfficientNetModel", "any image", {"image_size": 64, "width_coefficient": 0.25,
        "depth_coefficient": 0.2, "hidden_dim": 320}),
    "OWL-ViT, boxes": Model("OwlViTForObjectDetection", "image and text", {"text_config": SMALL,
        "vision_config": PATCHES, "projection_dim": 32}),
    "Pix2Struct": Model("Pix2StructForConditionalGeneration", "patches to text", {"text_config": {"hidden_size": 32,
        "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "vocab_size": 99}, "vision_config": {
        "hidden_size": 32, "patch_embed_hidden_size": 48, "d_ff": 48, "d_kv": 8, "num_hidden_layers": 2,
        "num_attention_heads": 4, "seq_len": 16}}, NO_CACHE),
    "LiLT": Model("LiltModel", "placed text", {**SMALL, "hidden_size": 48, "max_2d_position_embeddings": 100}),
    "BROS": Model("BrosModel", "placed text", {**SMALL, "hidden_size": 64}),
    "Autoformer": Model("AutoformerModel", "past and future", {**FORECAST, "label_length": 4, "moving_average": 5},
        NO_CACHE),
    "Informer": Model("InformerModel", "past and future", {**FORECAST, "attention_type": "full"}, NO_CACHE),
    "Time series transformer": Model("TimeSeriesTransformerModel", "past and future", FORECAST, NO_CACHE),
    "ViTPose": Model("VitPoseForPoseEstimation", "image", {"backbone_config": {"model_type": "vitpose_backbone",
        "image_size": [32, 32], "patch_size": [8, 8], "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "mlp_ratio": 2, "out_indices": [2]}, "num_labels": 4}),
    "OWLv2": Model("Owlv2Model", "image and text", {"text_config": SMALL, "vision_config": PATCHES,
        "projection_dim": 16}),
    "TrOCR": Model("TrOCRForCausalLM", "tokens", {**ENCODER_DECODER, "use_cache": False, "is_decoder": True},
        NO_CACHE),
    "LayoutLM, placed": Model("LayoutLMModel", "placed text", {**SMALL, "max_2d_position_embeddings": 100}),
    "LayoutLMv3": Model("LayoutLMv3Model", "placed text and image", {**SMALL, "input_size": 32, "patch_size": 8,
        "coordinate_size": 4, "shape_size": 8, "max_2d_position_embeddings": 100}),
    "TAPAS": Model("TapasModel", "text of a table", SMALL),
    "LXMERT": Model("LxmertModel", "regions and text", {"hidden_size": 32, "num_attention_heads": 4,
        "intermediate_size": 48, "vocab_size": 99, "visual_feat_dim": 16, "l_layers": 1, "x_layers": 1,
        "r_layers": 1}),
    "CANINE": Model("CanineModel", "characters", {**SMALL, "num_hash_buckets": 32, "num_hash_functions": 4,
        "local_transformer_stride": 4, "attend_from_chunk_width": 8, "attend_to_chunk_width": 8,
        "downsampling_rate": 4, "upsampling_kernel_size": 4}),
    "SqueezeBERT": Model("SqueezeBertModel", "text", {**SMALL, "embedding_size": 32}),
    "XLM-R XL": Model("XLMRobertaXLModel", "text", SMALL),
    "Pegasus-X": Model("PegasusXModel", "text to text", {**ENCODER_DECODER, "block_size": 4, "num_global_tokens": 4},
        NO_CACHE),
    "NLLB-MoE": Model("NllbMoeModel", "text to text", {**ENCODER_DECODER, "num_experts": 4}, NO_CACHE),
    "OLMoE": Model("OlmoeModel", "text", {**DECODER, "num_experts": 4, "num_experts_per_tok": 2}, NO_CACHE),
    "Qwen3-MoE": Model("Qwen3MoeModel", "text", {**DECODER, "num_experts": 4, "num_experts_per_tok": 2,
        "moe_intermediate_size": 16}, NO_CACHE),
    "Llama 4": Model("Llama4TextModel", "text", {**DECODER, "num_local_experts": 2, "intermediate_size_mlp": 48,
        "attention_chunk_size": 16}, NO_CACHE),
    "Jamba": Model("JambaModel", "text", {**DECODER, "num_hidden_layers": 4, "num_experts": 2, "attn_layer_period": 2,
        "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1, "mamba_d_state": 4,
        "use_mamba_kernels": False}, NO_CACHE),
    "Mamba 2": Model("Mamba2Model", "tokens", {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 99,
        "num_heads": 8, "head_dim": 8, "expand": 2, "state_size": 8, "n_groups": 2, "chunk_size": 4}, NO_CACHE),
    "Falcon Mamba": Model("FalconMambaModel", "tokens", {"hidden_size": 32, "num_hidden_layers": 2,
        "vocab_size": 99}, NO_CACHE),
    "xLSTM": Model("xLSTMModel", "tokens", {"hidden_size": 32, "embedding_dim": 32, "num_heads": 4, "num_blocks": 2,
        "num_hidden_layers": 2, "vocab_size": 99, "mode": "inference", "return_last_states": True,
        "chunkwise_kernel": "chunkwise--native_autograd", "sequence_kernel": "native_sequence__native",
        "step_kernel": "native"}, NO_CACHE),
    "MusicGen": Model("MusicgenForCausalLM", "codes", {"vocab_size": 16, "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "ffn_dim": 48, "num_codebooks": 4}, NO_CACHE),
    "Bark": Model("BarkSemanticModel", "semantic codes", BARK, NO_CACHE),
    "Bark, fine": Model("BarkFineModel", "fine codes", {**BARK, "n_codes_total": 4}, {"codebook_idx": 2}),
    "SpeechT5 to text": Model("SpeechT5ForSpeechToText", "speech to text", SPEECH_T5, NO_CACHE),
    "SpeechT5 to speech": Model("SpeechT5ForTextToSpeech", "text to speech", SPEECH_T5, NO_CACHE),
    "HiFi-GAN": Model("SpeechT5HifiGan", "spectrogram of any length", {"model_in_dim": 16,
        "upsample_initial_channel": 16, "upsample_rates": [4, 2], "upsample_kernel_sizes": [8, 4],
        "resblock_kernel_sizes": [3, 5], "resblock_dilation_sizes": [[1, 3], [1, 3]]}),
    "UnivNet": Model("UnivNetModel", "spectrogram and noise", {"model_in_channels": 8, "model_hidden_channels": 8,
        "num_mel_bins": 16, "resblock_kernel_sizes": [3, 3], "resblock_stride_sizes": [4, 2],
        "resblock_dilation_sizes": [[1, 3], [1, 3]], "kernel_predictor_num_blocks": 1,
        "kernel_predictor_hidden_channels": 8}),
    "CLAP": Model("ClapModel", "spectrogram and text", {"text_config": SMALL, "audio_config": CLAP_AUDIO,
        "projection_dim": 16}),
    "wav2vec 2.0, x-vectors": Model("Wav2Vec2ForXVector", "speech", {**SPEECH, "tdnn_dim": [16, 16, 32],
        "tdnn_kernel": [3, 2, 1], "tdnn_dilation": [1, 2, 1], "xvector_output_dim": 16}),
    "Parakeet": Model("ParakeetEncoder", "frames", {"hidden_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 4, "intermediate_size": 48, "conv_kernel_size": 5, "subsampling_factor": 4,
        "subsampling_conv_channels": 8, "num_mel_bins": 16, "max_position_embeddings": 64}),
}  # fmt: skip

FIXED_SIZE = (
    "Mamba", "LED", "ViLT", "PVT", "LeViT", "MobileViT", "Hiera", "ZoeDepth", "Mask2Former",
    "MaskFormer", "Jamba", "Falcon Mamba", "xLSTM",
)  # fmt: skip
"""Traces of these hold the size of their example: PyTorch refuses another."""


def build(model: Model) -> tuple[Any, list[Any]]:
    """The program in evaluation mode, and its inputs."""
    names, make = INPUTS[model.inputs]
    kind = getattr(transformers, model.name)
    module = kind(kind.config_class(**model.configuration)).eval()
    return Program(module, names, model.options), [make(turn) for turn in range(2)]
