"""Translators from folders: OPUS-MT, M2M-100 and MADLAD at a few random weights, with their own tokenizers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nanobana.protocol.errors import BadInput
from nanobana_engine.language import TranslationFailed
from nanobana_engine.models.translator import SequenceTranslator, installed

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
TEXT = ["ein roter Apfel auf dem Tisch", "a red apple on the table", "une pomme rouge", "der Baum", "the tree"] * 20
SIZE: dict[str, Any] = {
    "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 512,
}  # fmt: skip


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A sentencepiece model of a few words, and its vocabulary."""
    import sentencepiece

    at = tmp_path_factory.mktemp("pieces") / "source"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT), model_prefix=str(at), vocab_size=60, hard_vocab_limit=False, minloglevel=2
    )
    model = sentencepiece.SentencePieceProcessor(model_file=f"{at}.model")
    return Path(f"{at}.model"), [model.id_to_piece(n) for n in range(model.get_piece_size())]


def _marian(folder: Path, pieces: tuple[Path, list[str]], source: str = "de", target: str = "en") -> Path:
    from transformers import MarianConfig, MarianMTModel

    model, words = pieces
    vocabulary = {"</s>": 0, "<unk>": 1, **{word: n + 2 for n, word in enumerate(words[3:])}}
    vocabulary["<pad>"] = pad = len(vocabulary)
    torch.manual_seed(0)
    network = MarianMTModel(
        MarianConfig(vocab_size=pad + 1, pad_token_id=pad, eos_token_id=0, decoder_start_token_id=pad, **SIZE)
    )
    network.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(model.read_bytes())
    facts = {"source_lang": source, "target_lang": target, "tokenizer_class": "MarianTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(facts))
    return folder


def _m2m(folder: Path, pieces: tuple[Path, list[str]]) -> Path:
    from transformers import M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer

    model, words = pieces
    vocabulary = folder / "vocab.json"
    folder.mkdir()
    numbers = {word: n for n, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", *words[3:]])}
    vocabulary.write_text(json.dumps(numbers))
    tokenizer = M2M100Tokenizer(str(vocabulary), str(model))
    torch.manual_seed(0)
    network = M2M100ForConditionalGeneration(
        M2M100Config(vocab_size=max(tokenizer.lang_code_to_id.values()) + 9, **SIZE)
    )
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _madlad(folder: Path, marks: tuple[str, ...] = ("<2en>", "<2de>")) -> Path:
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    words = sorted({word for line in TEXT for word in line.split()})
    numbers = {word: n for n, word in enumerate(["<pad>", "</s>", "<unk>", *words])}
    tokenizer = Tokenizer(WordLevel(numbers, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in marks])
    torch.manual_seed(0)
    network = T5ForConditionalGeneration(
        T5Config(
            vocab_size=tokenizer.get_vocab_size(), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
            decoder_start_token_id=0, tie_word_embeddings=False,
        )
    )  # fmt: skip
    signs = [0, 1, 2, *range(len(numbers), tokenizer.get_vocab_size())]
    with torch.no_grad():
        network.lm_head.weight.uniform_(-1, 1)
        network.lm_head.weight[signs] = 0.0  # words come out of it, not signs
    network.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder


Made = Callable[[Path, tuple[Path, list[str]]], Path]


@pytest.mark.parametrize("made", [_marian, _m2m, lambda folder, _: _madlad(folder)], ids=["opus", "m2m", "madlad"])
def test_a_folder_translates_and_gives_the_same_words_each_time(
    made: Made, pieces: tuple[Path, list[str]], tmp_path: Path
) -> None:
    translator = installed(made(tmp_path / "model", pieces))
    assert translator.reads("de", "en")
    assert not translator.reads("de", "xx")
    said = {translator.translate("ein roter Apfel auf dem Tisch", "de", "en") for _ in range(2)}
    assert len(said) == 1
    assert said.pop()


@pytest.mark.parametrize(
    ("source", "target", "reads"),
    [
        ("de", "en", {"de"}), ("deu", "eng", {"de"}), ("mul", "en", {"de", "fr", "ja"}),
        ("ROMANCE", "en", {"fr"}), ("de", "fr", set()),
    ],
)  # fmt: skip
def test_an_opus_model_reads_what_its_names_say(
    source: str, target: str, reads: set[str], pieces: tuple[Path, list[str]], tmp_path: Path
) -> None:
    translator = installed(_marian(tmp_path / "model", pieces, source, target))
    assert {each for each in ("de", "fr", "ja") if translator.reads(each, "en")} == reads


def test_of_several_the_first_that_reads_the_language_is_asked(pieces: tuple[Path, list[str]], tmp_path: Path) -> None:
    _marian(tmp_path / "a", pieces, "fr", "en")
    _marian(tmp_path / "b", pieces, "de", "en")
    translator = installed(tmp_path)
    assert translator.reads("fr", "en")
    assert translator.reads("de", "en")
    assert not translator.reads("ja", "en")
    assert translator.translate("der Baum", "de", "en")


def test_a_text_that_is_too_long_or_broken_weights_fail_with_a_sentence(
    pieces: tuple[Path, list[str]], tmp_path: Path
) -> None:
    translator = installed(_marian(tmp_path / "model", pieces))
    with pytest.raises(TranslationFailed, match="too long"):
        translator.translate("Apfel " * 500, "de", "en")
    broken = installed(_marian(tmp_path / "broken", pieces))
    next((tmp_path / "broken").glob("*.safetensors")).write_bytes(b"nothing")
    with pytest.raises(TranslationFailed, match="the translator failed"):
        broken.translate("der Baum", "de", "en")


def _no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _no_weights(folder: Path) -> None:
    next(folder.glob("*.safetensors")).unlink()


def _other_type(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "gpt2"}')


def _no_tokenizer(folder: Path) -> None:
    (folder / "source.spm").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(_no_config, "no config.json"), (_no_weights, "no weights"), (_other_type, "gpt2"), (_no_tokenizer, "tokenizer")],
)
def test_a_folder_that_is_no_translator_is_refused_at_the_start(
    spoil: Callable[[Path], None], said: str, pieces: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder = _marian(tmp_path / "model", pieces)
    spoil(folder)
    with pytest.raises(BadInput, match=said) as refused:
        installed(folder)
    assert refused.value.code == "bad_translator"
    assert str(folder) in refused.value.message


def test_a_t5_that_knows_no_target_languages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="MADLAD"):
        SequenceTranslator(_madlad(tmp_path / "model", marks=()))
