"""Both scores of mentions, worked out by hand, and what is said beside them."""

import re
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc, Span, SpanGroup
from tiny_corpora import annotate, write_corpus, write_rules

from spacy_clinbert.corpora.records import Record
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.evaluation.evaluate import evaluate
from spacy_clinbert.evaluation.gold import read_gold

TEXT = "Took aspirin daily .\nNo chest pain , some\nfever and chills , heartburn .\n"
GOLD = annotate(
    "a",
    TEXT,
    ("aspirin", "treatment"),
    ("chest pain", "problem"),
    ("chest…heartburn", "problem"),
    ("some\nfever", "problem"),
    ("chill", "problem"),
)
FINDS = {"aspirin": "treatment", "chest pain": "treatment", "fever": "problem", "heartburn": "problem"}


@Language.component("test_scores_begins_with_i")
def begins_with_i(doc: Doc) -> Doc:
    """Find the second word, and say that its tag was an I."""
    span = Span(doc, 1, 2, label="problem")
    doc.spans["tags"] = SpanGroup(doc, name="tags", spans=[span], attrs={"well_formed": [False]})
    doc.set_ents([span])
    return doc


@Language.component("test_scores_writes_a_group_for_fever")
def writes_a_group_for_fever(doc: Doc) -> Doc:
    """Write a span group only where there is something to write."""
    found = [Span(doc, token.i, token.i + 1, label="problem") for token in doc if token.text == "fever"]
    if found:
        doc.spans["found"] = found
    return doc


@Language.component("test_scores_reads_parts")
def reads_parts(doc: Doc) -> Doc:
    """Decide by the length of the parts, which only the corpus knows."""
    premise, hypothesis = (len(doc.spans[name][0].text) for name in ("premise", "hypothesis"))
    entailed = float(premise > hypothesis)
    doc.cats = {"entailment": entailed, "contradiction": 1 - entailed, "neutral": 0.0}
    return doc


def judge(tmp_path: Path, records: list[Record], patterns: dict[str, str], **options: str):
    corpus = read_gold(write_corpus(tmp_path / "corpus/dev.spacy", records))
    model = write_rules(tmp_path / "model", patterns, options.get("spans_key"))
    return evaluate(spacy.load(model), corpus, model=model, **options)


def counts(summary: dict, label: str) -> tuple[int, int, int]:
    one = summary["labels"][label]
    return one["right"], one["predicted"], one["gold"]


def test_the_score_document_by_hand(tmp_path: Path) -> None:
    """Of four predictions one is right; of five gold mentions one is found."""
    evaluation = judge(tmp_path, [GOLD], FINDS)
    document = evaluation.run.scores["document"]
    assert document["strict"]["micro"] == {"p": 1 / 4, "r": 1 / 5, "f": pytest.approx(2 / 9)}
    assert counts(document["strict"], "treatment") == (1, 2, 1)
    assert counts(document["strict"], "problem") == (0, 2, 4)
    assert document["strict"] == document["conll"]
    assert document["errors"]["kinds"] == {"type": 1, "bounds": 2, "type and bounds": 0, "missed": 1, "spurious": 0}
    kinds = sorted((error.kind, error.mention.label) for error in evaluation.errors)
    assert kinds == [
        ("bounds", "problem"),
        ("bounds", "problem"),
        ("missed", "problem"),
        ("type", "problem"),
    ]


def test_what_entities_cannot_express_is_missed_and_listed(tmp_path: Path) -> None:
    run = judge(tmp_path, [GOLD], FINDS).run
    listed = {(one["fragments"], one["reason"]) for one in run.scores["document"]["inexpressible"]}
    chest, heartburn, chills = (TEXT.index(word) for word in ("chest", "heartburn", "chills"))
    assert listed == {
        (((chest, chest + 5), (heartburn, heartburn + 9)), "discontinuous"),
        (((chills, chills + 5),), "starts or ends inside a token"),
    }
    assert any("cannot express" in note and "“document”: 2;" in note for note in run.scores["notes"])


def test_the_score_paper_by_hand(tmp_path: Path) -> None:
    """A mention over a line end is two, a fragment is one by itself; where two overlap, the later counts.

    Gold: aspirin; chest pain; some (line 2), fever (line 3); heartburn, the free fragment; chills, whose token it
    touches. Predicted: aspirin, chest pain as treatment, fever, heartburn.
    """
    paper = judge(tmp_path, [GOLD], FINDS).run.scores["paper"]
    assert counts(paper["strict"], "treatment") == (1, 2, 1)
    assert counts(paper["strict"], "problem") == (2, 2, 5)
    assert paper["strict"] == paper["conll"]
    assert (paper["lines"], paper["cut_at"], paper["cut_lines"]) == (3, None, 0)


def test_overlapping_spans_count_where_the_pipeline_writes_a_span_group(tmp_path: Path) -> None:
    record = annotate("a", "severe chest pain .", ("chest pain", "problem"), ("severe chest pain", "problem"))
    finds = {"severe chest pain": "problem", "chest pain": "problem"}
    spans = judge(tmp_path / "spans", [record], finds, spans_key="found").run.scores
    assert spans["document"]["strict"]["micro"]["f"] == 1.0 and not spans["document"]["inexpressible"]
    # A tag is one mention's: the later of the gold, the longest of the predictions.
    assert counts(spans["paper"]["strict"], "problem") == (1, 1, 1)
    ents = judge(tmp_path / "ents", [record], finds).run.scores
    assert counts(ents["document"]["strict"], "problem") == (1, 1, 2)
    assert [one["reason"] for one in ents["document"]["inexpressible"]] == ["overlaps another mention"]


def test_an_unknown_span_key_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    corpus = read_gold(write_corpus(tmp_path / "dev.spacy", [GOLD]))
    nlp = spacy.load(write_rules(tmp_path / "model", FINDS, "found"))
    with pytest.raises(ClinbertError, match="no spans under 'other'; those it writes: found"):
        evaluate(nlp, corpus, model="m", spans_key="other")


def test_a_key_that_is_written_only_where_something_is_found_is_no_error(tmp_path: Path) -> None:
    records = [annotate("a", "Well .", ("Well", "problem")), annotate("b", "No fever .", ("fever", "problem"))]
    nlp = spacy.blank("en")
    nlp.add_pipe("test_scores_writes_a_group_for_fever")
    scores = evaluate(nlp, read_gold(write_corpus(tmp_path / "dev.spacy", records)), model="m", spans_key="found").run
    assert counts(scores.scores["document"]["strict"], "problem") == (1, 1, 2)


def test_what_cannot_be_expressed_is_told_by_the_tokens_of_the_pipeline(tmp_path: Path) -> None:
    """The conversion cuts `12/11/2101` whole, this pipeline at its slashes; `fever.` it leaves whole."""
    record = annotate("a", "On 12/11/2101 had fever.", ("2101", "date"), ("fever", "problem"))
    nlp = spacy.blank("en")
    nlp.tokenizer = Tokenizer(nlp.vocab, infix_finditer=re.compile("/").finditer)
    scores = evaluate(nlp, read_gold(write_corpus(tmp_path / "dev.spacy", [record])), model="m").run.scores
    listed = [(one["label"], one["reason"]) for one in scores["document"]["inexpressible"]]
    assert listed == [("problem", "starts or ends inside a token")]


def test_a_document_without_labels_makes_no_corpus_of_mentions(tmp_path: Path) -> None:
    records = [Record("1", "Smokes .", cats={"yes": 1.0, "no": 0.0}), Record("2", "Nothing is said .")]
    scores = evaluate(spacy.blank("en"), read_gold(write_corpus(tmp_path / "dev.spacy", records)), model="m").run.scores
    assert "document" not in scores and scores["cats"]["exclusive"]


def test_merged_tokens_are_the_words_that_they_were(tmp_path: Path) -> None:
    record = annotate("a", "No chest pain , fever .", ("chest pain", "problem"), ("fever", "problem"))
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "problem", "pattern": one} for one in ("chest pain", "fever")])
    nlp.add_pipe("merge_entities")
    scores = evaluate(nlp, read_gold(write_corpus(tmp_path / "dev.spacy", [record])), model="m").run.scores
    assert counts(scores["document"]["strict"], "problem") == counts(scores["paper"]["strict"], "problem") == (2, 2, 2)


def test_strict_iob2_leaves_out_what_begins_with_an_i(tmp_path: Path) -> None:
    corpus = read_gold(write_corpus(tmp_path / "dev.spacy", [annotate("a", "No fever .", ("fever", "problem"))]))
    nlp = spacy.blank("en")
    nlp.add_pipe("test_scores_begins_with_i")
    scores = evaluate(nlp, corpus, model="m").run.scores
    assert counts(scores["document"]["strict"], "problem") == (0, 0, 1)
    assert counts(scores["document"]["conll"], "problem") == (1, 1, 1)
    # The papers repair it.
    assert counts(scores["paper"]["strict"], "problem") == (1, 1, 1)
    assert any("begin with an I" in note and note.endswith(": 1.") for note in scores["notes"])


def test_where_nothing_was_predicted_precision_is_undefined(tmp_path: Path) -> None:
    scores = judge(tmp_path, [GOLD], {"absent": "problem"}).run.scores
    assert scores["document"]["strict"]["micro"] == {"p": None, "r": 0.0, "f": 0.0}
    assert sum("nothing was predicted" in note for note in scores["notes"]) == 2


def test_a_document_without_mentions_is_no_error(tmp_path: Path) -> None:
    run = judge(tmp_path, [GOLD, Record("b", "Well .\n"), Record("c", "")], FINDS).run
    assert run.scores["document"]["strict"]["micro"]["r"] == 1 / 5
    assert run.rows["document"][1] == {} and run.rows["paper"][2] == {}


def test_gold_labels_that_the_pipeline_does_not_know_are_listed(tmp_path: Path) -> None:
    notes = judge(tmp_path, [GOLD], {"aspirin": "treatment"}).run.scores["notes"]
    assert any("problem (4)" in note for note in notes)


def test_errors_are_counted_by_section(tmp_path: Path) -> None:
    record = annotate("a", "Allergies:\npenicillin\n\nFamily History:\nasthma\n", ("asthma", "problem"))
    errors = judge(tmp_path, [record], {"penicillin": "treatment"}).run.scores["document"]["errors"]
    assert errors["sections"]["allergies"]["spurious"] == errors["sections"]["family_history"]["missed"] == 1


def test_challenge_scores_stand_beside_and_in_the_rows(tmp_path: Path) -> None:
    run = judge(tmp_path, [GOLD], FINDS).run
    assert set(run.scores["challenge"]) == {"exact", "inexact"}
    assert {"document", "paper", "i2b2_2010 exact", "i2b2_2010 inexact"} == set(run.rows)
    assert run.scores["challenge"]["inexact"]["micro"]["r"] > run.scores["challenge"]["exact"]["micro"]["r"]


def test_labels_of_pairs_of_texts(tmp_path: Path) -> None:
    def pair(name: str, premise: str, hypothesis: str, label: str) -> Record:
        text = f"{premise}\n{hypothesis}"
        parts = {"premise": (0, len(premise)), "hypothesis": (len(premise) + 1, len(text))}
        cats = {one: float(one == label) for one in ("entailment", "contradiction", "neutral")}
        return Record(name, text, cats=cats, parts=parts)

    records = [
        pair("1", "He has had fever .", "Fever .", "entailment"),
        pair("2", "No .", "He has fever .", "contradiction"),
        pair("3", "Well .", "He has fever .", "neutral"),
        pair("4", "He is quite well .", "He has fever .", "contradiction"),
    ]
    corpus = read_gold(write_corpus(tmp_path / "dev.spacy", records))
    nlp = spacy.blank("en")
    nlp.add_pipe("test_scores_reads_parts")
    scores = evaluate(nlp, corpus, model="m").run.scores
    assert "document" not in scores and "paper" not in scores
    assert (scores["cats"]["accuracy"], scores["cats"]["exclusive"]) == (0.5, True)
    assert counts(scores["cats"], "contradiction") == (1, 2, 2)
