"""The configs: one recipe each, and no drift between languages."""

from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

from spacy.util import load_config, walk_dict

CONFIGS = Path(__file__).parents[2] / "configs"


def settings(name: str) -> Dict[str, Any]:
    found: Iterator[Tuple[Tuple[str, ...], Any]] = walk_dict(load_config(CONFIGS / name))
    return {".".join(keys): value for keys, value in found}


def test_the_portuguese_config_is_the_english_one_but_for_language_encoder_and_recipe():
    english, portuguese = settings("ner.cfg"), settings("ner-semclinbr.cfg")
    differing = {key for key in english.keys() | portuguese.keys() if english.get(key) != portuguese.get(key)}
    assert differing == {
        "paths.encoder",
        "recipe.epochs",
        "nlp.lang",
        "nlp.tokenizer.fine",
        "components.clinbert_sections.lexicon",
        "corpora.train.lexicon",
    }
    assert portuguese["corpora.train.lexicon"] == portuguese["components.clinbert_sections.lexicon"] == "pt"


def test_training_reads_sentences_with_the_rules_of_the_pipeline():
    for name in ("ner.cfg", "ner-semclinbr.cfg"):
        config = load_config(CONFIGS / name)
        rules = [pipe for pipe in config["nlp"]["pipeline"] if pipe != "clinbert_ner"]
        assert config["training"]["annotating_components"] == rules
        assert config["corpora"]["train"]["@readers"] == "spacy_clinbert.Sentences.v1"


def test_pairs_are_carried_since_no_rule_finds_them_again():
    config = load_config(CONFIGS / "mednli.cfg")
    assert not config["training"].get("annotating_components")
    for name in ("train", "dev"):
        reader = config["corpora"][name]
        assert reader["@readers"] == "spacy_clinbert.Corpus.v1"
        assert {"spans:premise", "spans:hypothesis"} <= set(reader["carry"])
