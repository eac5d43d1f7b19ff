"""The report: one page, no text unless asked for, nothing taken for markup, nothing undefined shown as a number."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import spacy
from scored_docs import scored
from tiny_corpora import annotate, write_corpus, write_rules

from spacy_clinbert.corpora.catalogue import find_format
from spacy_clinbert.corpora.records import Mention
from spacy_clinbert.evaluation.challenges import CHALLENGES, challenge_rows
from spacy_clinbert.evaluation.counts import Counts
from spacy_clinbert.evaluation.errors import Error
from spacy_clinbert.evaluation.evaluate import Evaluation, evaluate
from spacy_clinbert.evaluation.figures import error_figure, f1_figure
from spacy_clinbert.evaluation.gold import read_gold
from spacy_clinbert.evaluation.meanings import meaning
from spacy_clinbert.evaluation.published import PUBLISHED
from spacy_clinbert.evaluation.report import context, headline, layer_table, percent, render
from spacy_clinbert.evaluation.summary import summarise

SECRETS = annotate(
    "record-1", "Zebra took aspirin & <b>quinine</b> .\nPlan : Walrus .", ("aspirin", "<drug>"), ("Walrus", "$name$")
)


def judge(tmp_path: Path, records: list, patterns: dict[str, str], form: str = "i2b2_2010") -> Evaluation:
    corpus = read_gold(write_corpus(tmp_path / "corpus/test.spacy", records, form))
    model = write_rules(tmp_path / "model", patterns)
    return evaluate(spacy.load(model), corpus, model="<i>model</i>")


def test_the_page_holds_text_only_if_asked_for(tmp_path: Path) -> None:
    evaluation = judge(tmp_path, [SECRETS], {"Zebra": "<drug>", "aspirin": "<drug>"})
    without, with_text = render(evaluation, False), render(evaluation, True)
    words = ("Zebra", "quinine", "Walrus", "aspirin")
    assert not any(word in without for word in words)
    assert "This page holds text of the notes" in with_text and "<mark" not in without
    # In context: each error, here one spurious and one missed mention, with what stands around it.
    assert '<mark class="predicted">Zebra</mark> took aspirin &amp; &lt;b&gt;quinine&lt;/b&gt;' in with_text
    assert '<mark class="gold">Walrus</mark>' in with_text
    assert not any(word in json.dumps(evaluation.run.scores) for word in words)


def test_the_page_needs_nothing_else_and_takes_no_name_for_markup(tmp_path: Path) -> None:
    page = render(judge(tmp_path, [SECRETS], {"aspirin": "<drug>"}), True)
    assert not re.search(r"<script|<link|<img|src=|href=\"(?!#)|@import", page)
    assert "&lt;i&gt;model&lt;/i&gt;" in page and "&lt;drug&gt;" in page
    assert "<i>model" not in page and "<drug>" not in page and "<b>quinine" not in page
    figures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(figures) == 3 and all(ElementTree.fromstring(figure) is not None for figure in figures)
    assert "$name$" in figures[0]


def test_the_head_says_what_was_seen_and_how_often_the_test_set_was_opened(tmp_path: Path) -> None:
    judge(tmp_path, [SECRETS], {"aspirin": "<drug>"})
    page = render(judge(tmp_path, [SECRETS], {"aspirin": "<drug>"}), False)
    head = page[: page.index("<h2>Scores")]
    assert "no pretrained encoder" in head and "2 of this pipeline, 2 in all" in head
    assert "no NoteEncoder" in head


def test_undefined_is_a_dash(tmp_path: Path) -> None:
    evaluation = judge(tmp_path, [SECRETS], {"absent": "<drug>"})
    row = next(iter(headline("i2b2_2010", evaluation.run.scores)))
    assert [percent(row.score[key]) for key in "prf"] == ["–", "0.00", "0.00"]
    page = render(evaluation, False)
    assert re.search(r'<td class="name">document: strict IOB2</td><td class="n">–</td>', page)
    assert "nothing was predicted: precision is undefined" in page


def test_mentions_that_cannot_be_expressed_are_listed_by_place(tmp_path: Path) -> None:
    record = annotate("record-7", "Pain in arm , leg .", ("Pain…leg", "problem"))
    page = render(judge(tmp_path, [record], {"arm": "problem"}), False)
    assert "<td>record-7</td><td>problem 0–4, 14–17</td><td>discontinuous</td>" in page


def test_layers_stand_beside_the_row_of_the_paper(tmp_path: Path) -> None:
    record = annotate("1", "Nega febre , usa dipirona .", ("febre", "Sign or Symptom"), ("dipirona", "Antibiotic"))
    evaluation = judge(tmp_path, [record], {"febre": "Sign or Symptom", "dipirona": "Finding"}, "semclinbr")
    layers = list(evaluation.corpus.form.layers)
    assert len(layers) == 13 and list(PUBLISHED["semclinbr"].f) == layers
    entity, token, paper = layer_table(evaluation)
    assert entity[1]["Sign or Symptom"] == 1.0
    # One of two predicted disorders is annotated.
    assert entity[1]["Disorders"] == token[1]["Disorders"] == pytest.approx(2 / 3)
    assert entity[1]["Medical Device"] is None
    assert "split and metric unknown" in paper[0] and paper[1]["Disorders"] == 0.7913
    page = render(evaluation, False)
    assert "split and metric unknown" in page and "79.13" in page and "weighted" in page


@pytest.mark.parametrize(
    "gold, predicted, expected",
    [
        (((2, 4),), None, [("ab", ""), ("cd", "gold"), ("efghij", "")]),
        (((0, 4),), ((2, 6),), [("ab", "gold"), ("cd", "gold predicted"), ("ef", "predicted"), ("ghij", "")]),
        (
            ((0, 2), (4, 6)),
            ((0, 6),),
            [("ab", "gold predicted"), ("cd", "predicted"), ("ef", "gold predicted"), ("ghij", "")],
        ),
        (None, ((8, 10),), [("abcdefgh", ""), ("ij", "predicted")]),
    ],
)
def test_context_is_cut_at_the_edges_of_both_mentions(gold, predicted, expected) -> None:
    marked = [Mention(fragments, "x") if fragments else None for fragments in (gold, predicted)]
    pieces = context("abcdefghij", Error("d", "bounds", *marked))
    assert [tuple(piece) for piece in pieces] == expected


def test_figures_are_the_same_bytes_each_time() -> None:
    summary = summarise([{"a": Counts(1, 2, 1, 3), "b": Counts(0, 0, 0, 1)}])
    table = {"": {"missed": 2}, "plan": {"type": 1}}
    for draw, argument in ((f1_figure, {"document": summary, "paper": summary}), (error_figure, table)):
        assert draw(argument) == draw(argument)
    assert "unknown" in error_figure(table)


@pytest.mark.parametrize("form", [*CHALLENGES, "semclinbr", "brat"])
def test_each_score_says_what_it_means(form: str) -> None:
    names = challenge_rows(find_format(form), [scored("", "")])
    assert all(meaning(form, f"challenge: {name}").endswith(".") for name in names)
    assert meaning(form, "document: strict IOB2") != meaning(form, "paper: strict IOB2")
