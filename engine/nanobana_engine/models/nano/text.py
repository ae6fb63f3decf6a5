"""The text side of nano: a word-level tokenizer for attribute words and a two-layer CLIP text encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from nanobana_engine.models.nano.backgrounds import BACKGROUNDS
from nanobana_engine.models.nano.words import LENGTH, vocabulary

TEXT_WIDTH = 128


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of whole words; a word that it does not know is `<unknown>`."""
    words = vocabulary(tuple(BACKGROUNDS))
    core = Tokenizer(models.WordLevel(words, unk_token="<unknown>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ends = [("<start>", words["<start>"]), ("<end>", words["<end>"])]
    core.post_processor = processors.TemplateProcessing(single="<start> $A <end>", special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<start>",
        eos_token="<end>",
        pad_token="<pad>",
        unk_token="<unknown>",
        model_max_length=LENGTH,
    )


def make_text_encoder() -> CLIPTextModel:
    """The encoder with fresh weights."""
    words = vocabulary(tuple(BACKGROUNDS))
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=TEXT_WIDTH,
        intermediate_size=2 * TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        bos_token_id=words["<start>"],
        eos_token_id=words["<end>"],
        pad_token_id=words["<pad>"],
    )
    return CLIPTextModel(config)


def token_ids(tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str]) -> Tensor:
    """(B, LENGTH) token numbers of prompts made of attribute words."""
    batch = tokenizer(list(prompts), padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt")
    ids: Tensor = batch["input_ids"]
    return ids


def encode(encoder: CLIPTextModel, ids: Tensor) -> Tensor:
    """(B, LENGTH, TEXT_WIDTH) for the UNet's cross-attention."""
    states: Tensor = encoder(input_ids=ids.to(torch.long)).last_hidden_state
    return states
