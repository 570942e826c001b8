"""A causal language model of 30 thousand random weights with a tokenizer of single letters."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def tiny_model():
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = {c: i for i, c in enumerate(["<s>", "</s>", *map(chr, range(32, 127))])}
    letters = Tokenizer(models.WordLevel(letters, unk_token="<s>"))
    letters.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    letters.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters, bos_token="<s>", eos_token="</s>", unk_token="<s>")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        settings = LlamaConfig(
            vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True, bos_token_id=0, eos_token_id=1,
        )  # fmt: skip
        model = LlamaForCausalLM(settings)
    return model.eval(), tokenizer
