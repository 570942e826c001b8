"""The reading of a 4-bit GGUF file, on a tiny random model written with the format's own package."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
import torch

from medrepro.language.small_models import _read_gguf, load_folder, save_folder

N_LAYERS, WIDTH, INNER, HEADS, VOCABULARY = 2, 64, 128, 4, 64


def tensors(rng):
    """Weights of a Llama model by their GGUF names."""
    shapes = {"token_embd.weight": (VOCABULARY, WIDTH), "output_norm.weight": (WIDTH,)}
    for i in range(N_LAYERS):
        shapes |= {f"blk.{i}.attn_norm.weight": (WIDTH,), f"blk.{i}.ffn_norm.weight": (WIDTH,)}
        shapes |= {f"blk.{i}.attn_{name}.weight": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
        shapes |= {f"blk.{i}.ffn_{name}.weight": (INNER, WIDTH) for name in ("gate", "up")}
        shapes[f"blk.{i}.ffn_down.weight"] = (WIDTH, INNER)
    return {name: rng.normal(size=shape).astype(np.float32) * 0.1 + (len(shape) == 1) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(GGUF file, the 4-bit weights of one matrix after de-quantising)."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(N_LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["<s>", "</s>", *[chr(i) for i in range(33, 33 + VOCABULARY - 3)], "AB"])
    writer.add_token_types([3, 3] + [1] * (VOCABULARY - 2))
    writer.add_token_merges(["A B"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    kept = {}
    for name, values in tensors(np.random.default_rng(0)).items():
        if values.ndim == 1:
            writer.add_tensor(name, values)
        else:
            packed = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q4_1)
            kept[name] = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.Q4_1)
            writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path, kept


def test_a_four_bit_file_becomes_the_float_model_it_stands_for(written, tmp_path):
    path, kept = written
    model, tokenizer = _read_gguf(path)
    assert model.dtype == torch.float32
    read = model.model.layers[1].mlp.down_proj.weight.detach().numpy()
    assert read == pytest.approx(kept["blk.1.ffn_down.weight"], abs=1e-7)
    save_folder(tmp_path / "made", model, tokenizer)
    again = load_folder(tmp_path / "made", name="tiny", digest="0")
    ids = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        assert torch.equal(again.model(ids).logits, model.eval()(ids).logits)
    assert again._ids("ABC", special=False) == tokenizer("ABC", add_special_tokens=False)["input_ids"]


def test_four_bits_lose_something(written):
    """The control of the comparison above: the weights before and after are not the same."""
    _, kept = written
    before = tensors(np.random.default_rng(0))["blk.1.ffn_down.weight"]
    assert 0.001 < np.abs(before - kept["blk.1.ffn_down.weight"]).max() < 0.05
