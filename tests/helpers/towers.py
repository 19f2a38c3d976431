"""Small configurations of every kind of tower, and a padded batch for them."""

import torch
from transformers import (
    Data2VecAudioConfig,
    HubertConfig,
    MPNetConfig,
    RobertaConfig,
    SEWConfig,
    UniSpeechSatConfig,
    WavLMConfig,
)

from modeling_paraclap import ParaClapWhisperConfig

SIZE = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48)
FRONT_END = dict(
    conv_dim=[16, 24, 32],
    conv_kernel=[40, 8, 4],
    conv_stride=[20, 8, 2],
    num_feat_extract_layers=3,
    feat_extract_norm="layer",
    num_conv_pos_embeddings=8,
    num_conv_pos_embedding_groups=4,
)
AUDIO_CONFIGS = {
    "hubert": HubertConfig(**SIZE, **FRONT_END, do_stable_layer_norm=True),
    "wavlm": WavLMConfig(**SIZE, **FRONT_END, do_stable_layer_norm=True, num_buckets=32),
    "data2vec-audio": Data2VecAudioConfig(**SIZE, **FRONT_END),
    "unispeech-sat": UniSpeechSatConfig(**SIZE, **FRONT_END, do_stable_layer_norm=True),
    "whisper": ParaClapWhisperConfig(**SIZE, encoder_ffn_dim=48, max_source_positions=100),
    "sew": SEWConfig(**SIZE, **FRONT_END, squeeze_factor=2),
}
TEXT_CONFIGS = {
    "roberta": RobertaConfig(vocab_size=400, **SIZE),
    "mpnet": MPNetConfig(vocab_size=400, **SIZE),
}


def batch(n=3, samples=8000):
    generator = torch.Generator().manual_seed(1)
    mask = torch.ones(n, samples, dtype=torch.bool)
    values = torch.randn(n, samples, generator=generator)
    for row in range(1, n):
        mask[row, samples - 1700 * row :] = False
        values[row, samples - 1700 * row :] = 0
    tokens = torch.randint(10, 300, (n, 6), generator=generator)
    attention = torch.ones(n, 6, dtype=torch.long)
    attention[-1, 4:] = 0
    return dict(input_ids=tokens, attention_mask=attention, input_values=values, padding_mask=mask)
