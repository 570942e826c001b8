"""Sentence embeddings: pooling and cache on a tiny encoder with random weights, and one check of the real one."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from medrepro.data import DataError, locate_all
from medrepro.language import minilm
from medrepro.language.minilm import embed_sentences, load_model

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "heart", "lung", "is", "clear", "enlarged", "."]
SENTENCES = ["heart is enlarged .", "lung is clear .", "heart", "heart is enlarged ."]


@pytest.fixture
def files(tmp_path, monkeypatch):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    monkeypatch.setenv("MEDREPRO_CACHE", str(tmp_path / "cache"))
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(WORDS), max_position_embeddings=300, **sizes)
    model = BertModel(config).eval()  # with a pooler, as in the published file
    save_file(model.state_dict(), str(tmp_path / "model.safetensors"))
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    return {name: tmp_path / name for name in ("tokenizer.json", "model.safetensors", "config.json")}


def test_vectors_are_masked_means_of_unit_length(files):
    vectors = embed_sentences(SENTENCES, files=files)
    tokenizer, model = load_model(files)
    for sentence, vector in zip(SENTENCES, vectors, strict=True):
        with torch.no_grad():
            mean = model(**tokenizer([sentence], return_tensors="pt")).last_hidden_state[0].mean(0)
        assert np.allclose(vector, (mean / mean.norm()).numpy(), atol=1e-6)
    assert vectors.dtype == np.float32


def test_neighbours_and_batch_size_do_not_change_a_vector(files):
    alone = np.concatenate([embed_sentences([s], files=files, cache=False) for s in SENTENCES])
    for batch_size in (1, 2, 64):
        assert np.allclose(embed_sentences(SENTENCES, batch_size, files=files, cache=False), alone, atol=1e-6)


def test_order_and_repetition_are_kept(files):
    vectors = embed_sentences(SENTENCES, files=files)
    assert np.array_equal(vectors[0], vectors[3])
    assert np.allclose(vectors[::-1], embed_sentences(SENTENCES[::-1], files=files), atol=1e-6)


def test_stored_vectors_are_used_without_the_model_and_hold_no_text(files, tmp_path, monkeypatch):
    vectors = embed_sentences(SENTENCES, files=files)
    stored = list((tmp_path / "cache" / "embeddings").iterdir())
    assert len(stored) == 1
    assert b"heart" not in stored[0].read_bytes()
    monkeypatch.setattr(minilm, "load_model", lambda *_: pytest.fail("the model was loaded again"))
    assert np.array_equal(embed_sentences(SENTENCES, files=files), vectors)


def test_other_sentences_or_another_model_do_not_meet_the_stored_vectors(files):
    embed_sentences(SENTENCES, files=files)
    other = embed_sentences(["heart is", "enlarged .", "lung is clear .", "heart"], files=files)
    assert not np.allclose(other[0], embed_sentences(SENTENCES, files=files)[0], atol=1e-3)


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"PK\x03\x04 half an archive"])
def test_damaged_stored_vectors_are_made_anew(files, tmp_path, damage):
    vectors = embed_sentences(SENTENCES, files=files)
    next((tmp_path / "cache" / "embeddings").iterdir()).write_bytes(damage)
    assert np.array_equal(embed_sentences(SENTENCES, files=files), vectors)


def test_long_texts_are_cut(files):
    long = "heart " * 1000
    assert np.allclose(embed_sentences([long], files=files), embed_sentences(["heart " * 500], files=files), atol=1e-6)


@pytest.mark.parametrize(
    ("sentences", "message"), [("text", "sequence of texts"), ([1], "sequence"), ([], "at least one")]
)
def test_other_input_is_refused(files, sentences, message):
    with pytest.raises(ValueError, match=message):
        embed_sentences(sentences, files=files)
    with pytest.raises(ValueError, match="batch_size must be >= 1, got 0"):
        embed_sentences(["heart"], 0, files=files)


def test_the_real_encoder_puts_like_findings_together():
    try:
        locate_all("minilm")
    except DataError as error:
        pytest.skip(str(error))
    vectors = embed_sentences(
        ["Large right pleural effusion.", "Fluid in the pleural space on the right.", "The heart is normal in size."],
        cache=False,
    )
    assert vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > likeness[0, 2] + 0.2
