"""The papers' lines: cut at 150 wordpieces, each alone, tags repaired."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2
from spacy.language import Language
from spacy.tokens import Doc, Span
from tiny_corpora import annotate, write_corpus
from tiny_models import write_bert
from transformers import BertTokenizerFast

from spacy_clinbert.corpora.catalogue import FORMATS
from spacy_clinbert.corpora.i2b2_2010 import entries
from spacy_clinbert.evaluation.conll import conll_rows
from spacy_clinbert.evaluation.counts import micro
from spacy_clinbert.evaluation.evaluate import evaluate
from spacy_clinbert.evaluation.gold import read_gold
from spacy_clinbert.evaluation.paper import cut_line, predict_lines, repair
from spacy_clinbert.models.wordpieces import Wordpieces

TAGS = st.lists(st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b"]), min_size=1, max_size=8)
# What a line is told each time that it comes.
ANSWERS: dict[tuple[str, ...], list[list[str]]] = {}


@Language.component("test_paper_answers")
def answers(doc: Doc) -> Doc:
    """Give each line of words the tags that it was told."""
    tags = ANSWERS[tuple(token.text for token in doc)].pop(0)
    starts = [i for i, tag in enumerate(tags) if tag[0] == "B"]
    ends = [next((j for j in range(i + 1, len(tags)) if tags[j] != f"I{tags[i][1:]}"), len(tags)) for i in starts]
    doc.set_ents([Span(doc, start, end, label=tags[start][2:]) for start, end in zip(starts, ends)])
    return doc


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Wordpieces:
    return Wordpieces(BertTokenizerFast.from_pretrained(write_bert(tmp_path_factory.mktemp("bert"))))


@pytest.fixture
def encoder(tiny_bert: Path) -> Language:
    """A pipeline with an encoder of ours, and a rule that finds fever."""
    nlp = spacy.blank("en")
    tok2vec = {"@architectures": "spacy_clinbert.NoteEncoder.v1", "name": str(tiny_bert)}
    nlp.add_pipe("clinbert_sentences")
    nlp.add_pipe("tok2vec", config={"model": tok2vec})
    ruler = nlp.add_pipe("entity_ruler")
    nlp.initialize()
    ruler.add_patterns([{"label": "problem", "pattern": "fever"}])
    return nlp


@pytest.mark.parametrize(
    "tags, expected",
    [
        ("I-a I-a O", "B-a I-a O"),
        ("O I-a", "O B-a"),
        ("B-a I-b I-b", "B-a B-b I-b"),
        ("B-a I-a B-a I-a", "B-a I-a B-a I-a"),
        ("", ""),
    ],
)
def test_an_i_that_continues_nothing_becomes_a_b(tags: str, expected: str) -> None:
    assert repair(tags.split()) == expected.split()


@given(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=5))
def test_the_strict_score_is_seqevals_and_equals_conlls(lines: Sequence[tuple[list[str], list[str]]]) -> None:
    lines = [(gold[: len(predicted)], predicted[: len(gold)]) for gold, predicted in lines]
    repaired = [(repair(gold), repair(predicted)) for gold, predicted in lines]
    assert conll_rows([repaired]) == conll_rows([lines])
    gold, predicted = map(list, zip(*repaired))
    if not any(tag != "O" for tags in (*gold, *predicted) for tag in tags):
        return
    strict = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    scores = [one(gold, predicted, **strict) for one in (precision_score, recall_score, f1_score)]
    assert [value or 0.0 for value in micro(conll_rows([repaired]))] == pytest.approx(scores)


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["fever", "mg", "xqzv", "hypertension", "81-mg/day", "\u200b", "é"]), max_size=120))
def test_a_line_keeps_its_first_148_wordpieces(pieces: Wordpieces, words: list[str]) -> None:
    def cut(words: Sequence[str]) -> list[int]:
        return [one for word in words for one in pieces.cut(word)]

    kept = cut_line(words, pieces)
    # `[CLS]` and `[SEP]` are two of the 150.
    assert cut(kept) == cut(words)[:148]
    assert kept[:-1] == words[: len(kept) - 1] and all(word.startswith(one) for word, one in zip(words, kept))
    if len(cut(words)) < 148:
        assert kept == words
    assert cut_line(words, None) == words


def test_a_word_in_which_the_cut_falls_is_seen_up_to_it(pieces: Wordpieces) -> None:
    assert cut_line(["mg"] * 146 + ["xqzv", "mg"], pieces) == ["mg"] * 146 + ["xq"]


def test_beyond_the_cut_all_is_o(encoder: Language, tmp_path: Path) -> None:
    """147 short words, then fever (148th wordpiece), then fever again: the second is behind the cut."""
    record = annotate("a", f"{'mg ' * 147}fever fever\nfever", ("fever", "problem"))
    first = record.mentions[0]
    mentions = [first._replace(fragments=((start, start + 5),)) for start in (441, 447, 453)]
    record = replace(record, mentions=tuple(mentions))
    corpus = read_gold(write_corpus(tmp_path / "dev.spacy", [record]))
    (doc,) = predict_lines(encoder, corpus.form, corpus.docs, None)
    assert doc.lines[0][1] == ["O"] * 147 + ["B-problem", "O"] and doc.lines[1][1] == ["B-problem"]
    assert (doc.cut, doc.beyond) == (1, 1)
    scores = evaluate(encoder, corpus, model="m").run.scores
    assert scores["paper"]["strict"]["micro"]["r"] == pytest.approx(2 / 3)
    assert scores["document"]["strict"]["micro"]["r"] == 1.0
    assert any("wordpieces: 1 of 2;" in note and note.endswith("“paper”: 1.") for note in scores["notes"])


def test_each_line_goes_through_alone_and_the_rules_do_not_run(encoder: Language, tmp_path: Path) -> None:
    seen = []

    @Language.component("test_paper_watch")
    def watch(doc: Doc) -> Doc:
        seen.append(([token.text for token in doc], len(list(doc.sents)), doc.has_annotation("SENT_START")))
        return doc

    encoder.add_pipe("test_paper_watch", last=True)
    corpus = read_gold(write_corpus(tmp_path / "dev.spacy", [annotate("a", "  Well . He left .\n\nNo fever,\n")]))
    list(predict_lines(encoder, corpus.form, corpus.docs, None))
    assert seen == [(["Well", ".", "He", "left", "."], 1, True), (["No", "fever,"], 1, True)]


def test_a_pipeline_without_our_encoder_is_not_cut(tmp_path: Path) -> None:
    corpus = read_gold(write_corpus(tmp_path / "dev.spacy", [annotate("a", "mg " * 300 + "fever", ("fever", "p"))]))
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "p", "pattern": "fever"}])
    scores = evaluate(nlp, corpus, model="m").run.scores
    assert scores["paper"]["cut_at"] is None and scores["paper"]["strict"]["micro"]["f"] == 1.0
    assert any("no NoteEncoder" in note for note in scores["notes"])


@pytest.mark.external
def test_a_pipeline_that_gives_the_golden_tags_is_right(shared: Path, tmp_path: Path) -> None:
    """ClinicalBERT's own IOB files as predictions, repaired: the score `paper` is 100."""
    folder = shared / "golden/clinicalbert_bio/random/i2b2_2010"
    records = [entry.load() for entry in entries(folder)]
    corpus = read_gold(write_corpus(tmp_path / "dev.spacy", records))
    ANSWERS.clear()
    for path in sorted((folder / "iob").iterdir()):
        for line in path.read_text(encoding="utf-8").split("\n\n"):
            rows = [row.rsplit(" ", 1) for row in line.split("\n") if row.strip()]
            ANSWERS.setdefault(tuple(word for word, _ in rows), []).append(repair([tag for _, tag in rows]))
    nlp = spacy.blank("en")
    nlp.add_pipe("test_paper_answers")
    lines = list(predict_lines(nlp, FORMATS["i2b2_2010"], corpus.docs, None))
    scores = micro(conll_rows(doc.lines for doc in lines))
    assert sum(len(doc.lines) for doc in lines) > 100 and scores.f == 1.0
