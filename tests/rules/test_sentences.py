"""Sentences: cases of clinical layout, invariants on arbitrary text, time, and the backends with a model."""

import csv
import gzip
import json
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imported_modules import imported
from timing import assert_linear

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.rules import find_placeholders, split_sections, split_sentences
from spacy_clinbert.rules.parsers import MODELS, _load
from spacy_clinbert.rules.sections import Section
from spacy_clinbert.rules.segmenter import _ClinicalEnglish
from spacy_clinbert.rules.sentences import SEGMENTERS

CASES = json.loads(Path(__file__).with_name("sentence_cases.json").read_text(encoding="utf-8"))
SIGNS = (
    "∯ ♬ ȸ ȹ &ᓴ& ☝ ♨ ∮ ☉ ✂ ᓰ ⎋ [** **] ___ 1. 2) a) (i) a. b. • - # Dr. p.o. q.d. 3.5 ?! ... .\" '. (a. b) -- \u00a0"
)
WORDS = "The|he|HTN:|Plan: |fig.|no.|İ|ſ|٣.٥|foo|etc.|x.[1, 2] |[**Name. 1**]"
WORDS += "|\n|\r\n|\r|\n\n|\u2028|\x85|\x0c|\x1c|  | |. |.\n"
CLINICAL = st.sampled_from([*SIGNS.split(), *WORDS.split("|")])
TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(CLINICAL, max_size=60).map(" ".join),
    st.lists(CLINICAL, max_size=60).map("".join),
)


def section(text: str, start: int, end: int, title: tuple[int, int]) -> Section:
    return Section(start, end, *title, text[slice(*title)], "other", 1)


def read(marked: str) -> tuple[str, list[Section], list[int]]:
    """Text, sections and sentence starts of a case: `§` opens a section, `⟦ ⟧` hold its title, `‖` opens a sentence."""
    text, starts, opened, titles = "", [], [0], {}
    for piece in re.split("([§⟦⟧‖])", marked):
        if piece == "§" and text:
            opened.append(len(text))
        elif piece == "⟦":
            title_start = len(text)
        elif piece == "⟧":
            titles[opened[-1]] = (title_start, len(text))
        elif piece == "‖":
            starts.append(len(text))
        elif piece != "§":
            text += piece
    bounds = zip(opened, [*opened[1:], len(text)], strict=True)
    sections = [section(text, start, end, titles.get(start, (start, start))) for start, end in bounds]
    return text, sections, sorted({*opened, *starts})


@pytest.mark.parametrize("backend", SEGMENTERS)
@pytest.mark.parametrize("case", CASES, ids=[case["about"] for case in CASES])
def test_clinical_layout(case, backend):
    text, sections, starts = read(case["marked"])
    found = [start for start, _ in split_sentences(text, sections, backend)]
    assert [text[a:b] for a, b in zip(found, [*found[1:], None], strict=True)] == [
        text[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)
    ]


def assert_tiled(text: str, sections: list[Section], sentences: list[tuple[int, int]]) -> None:
    assert [start for start, _ in sentences] == [0, *(end for _, end in sentences[:-1])][: len(sentences)]
    assert not sections or sentences[-1][1] == len(text)
    assert all(start < end for start, end in sentences)
    assert {part.start for part in sections} <= {start for start, _ in sentences}


def assert_sound(text: str, sections: list[Section], sentences: list[tuple[int, int]]) -> None:
    """Of sections that begin neither with a blank nor in a placeholder, as those of `split_sections`."""
    assert_tiled(text, sections, sentences)
    starts = {start for start, _ in sentences}
    assert not any(text[start].isspace() for start in starts - {0})
    for start, end, _ in find_placeholders(text):
        assert starts.isdisjoint(range(start + 1, end))


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 400), max_size=3))
def test_any_text_is_tiled(text, cuts):
    bounds = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    sections = []
    for start, end in pairwise(bounds):
        title = (start, start) if (end - start) % 2 else (start, min(end, start + 5))
        sections.append(section(text, start, end, title))
    for backend in SEGMENTERS:
        sentences = split_sentences(text, sections, backend)
        assert_tiled(text, sections, sentences)
        assert sentences == split_sentences(text, sections, backend)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_sections_of_any_text_are_tiled(text):
    sections = split_sections(text)
    for backend in SEGMENTERS:
        assert_sound(text, sections, split_sentences(text, sections, backend))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(["The", "pain", "5", "3.5", "a", "pt's", "HTN", "of", "T-1", "x/y", ";", "80%"]), min_size=1
    )
)
def test_rows_that_need_no_pysbd_have_one_sentence_there_too(words):
    from pysbd import Segmenter

    text = " ".join(words) + "."
    assert len(split_sentences(text, [section(text, 0, len(text), (0, 0))])) == 1
    assert len(Segmenter(language="en", clean=False).segment(text)) == 1


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["x", ".", "[", "]", "1", "23", "456", ",", " ", "-", "T"]), max_size=9).map("".join))
def test_pysbd_references_are_found_as_by_its_own_pattern(text):
    from pysbd.lang.english import English

    ours, theirs = (re.sub(lang.NUMBERED_REFERENCE_REGEX, r"<\2|\7>", text) for lang in (_ClinicalEnglish, English))
    assert ours == theirs


@pytest.mark.parametrize("backend", SEGMENTERS)
def test_boundaries_in_a_long_paragraph_are_those_of_its_parts(backend):
    parts = [
        f"Dr. Wells (in bed. Not {'far ' * (i % 9)}up) gave 3.5 mg p.o. q.d. to him at 5 p.m. on call. "
        for i in range(200)
    ]
    text = "".join(parts)
    sentences = split_sentences(text, [section(text, 0, len(text), (0, 0))], backend)
    assert [text[start:end] for start, end in sentences] == parts


LONG = {
    "digits": "1234567890" * 100_000,
    "one line": "word " * 200_000,
    "one paragraph": "The patient was seen. " * 20_000,
    "headers": "HEADER:\n" * 10_000,
    "unclosed": "[** " * 250_000,
    "line ends": "\n" * 1_000_000,
    "periods": ".\n" * 100_000,
    "unclosed with periods": "[**Name. " * 20_000,
    "letters": "a) b) " * 10_000,
    "numbers": "1. 2. " * 5_000,
    "references": "x.[12 34 56 78 90 12 34 56 78 90 12 34 56 78 90 12 34 56 78 90 12 34 56 78. " * 1_000,
    "abbreviations": "no. " * 20_000,
    "blanks": "Seen" + " " * 200_000 + "(well).",
    "ellipsis": "Seen" + "." * 200_000,
    "quotations never closed": "she said \"I am ill. 'He is. ‘We. (no. “not. " * 10_000,
}


@pytest.mark.parametrize("backend", SEGMENTERS)
@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_time_is_linear(text, backend):
    def split(part: str) -> None:
        sections = [section(part, 0, len(part), (0, 0))]
        assert_sound(part, sections, split_sentences(part, sections, backend))

    assert_linear(split, text)


def test_rules_import_no_framework():
    code = "import spacy_clinbert.rules as r; t = 'Seen. Well.'; assert r.split_sentences(t, r.split_sections(t))"
    assert imported(code, ("spacy", "thinc", "torch", "transformers", "numpy")) == []


def test_pysbd_is_left_as_it_was():
    from pysbd import Segmenter

    before = Segmenter(language="en", clean=False).segment("Plavix p.o. q.d. Seen by Dr. Wells.")
    split_sentences("Foo. Bar p.o. q.d.", [section("Foo. Bar p.o. q.d.", 0, 18, (0, 0))])
    assert Segmenter(language="en", clean=False).segment("Plavix p.o. q.d. Seen by Dr. Wells.") == before


def test_unknown_backend_lists_the_backends():
    with pytest.raises(ClinbertError, match=r"'punkt'.*pysbd, fast, parser, original"):
        split_sentences("Foo.", [section("Foo.", 0, 4, (0, 0))], backend="punkt")


@pytest.mark.parametrize("backend", sorted(MODELS))
def test_missing_model_names_the_command(backend, monkeypatch):
    monkeypatch.setitem(MODELS, backend, ("en_core_sci_none",))
    _load.cache_clear()
    with pytest.raises(
        ClinbertError, match=r"en_core_sci_none.*pip install \S+ https://\S+/en_core_sci_none-0\.5\.4\.tar\.gz"
    ):
        split_sentences("Foo.", [section("Foo.", 0, 4, (0, 0))], backend=backend)


@pytest.fixture
def installed_model(tmp_path, monkeypatch):
    """An installed package `en_core_sci_md` whose "parser" ends a sentence at an exclamation mark only."""
    import spacy

    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer", name="parser", config={"punct_chars": ["!"]})
    (tmp_path / "en_core_sci_md").mkdir()
    nlp.to_disk(tmp_path / "en_core_sci_md" / "model")
    (tmp_path / "en_core_sci_md" / "__init__.py").write_text(
        "from pathlib import Path\nfrom spacy.util import load_model_from_path\n\n\n"
        "def load(**overrides):\n    return load_model_from_path(Path(__file__).parent / 'model', **overrides)\n"
    )
    (tmp_path / "en_core_sci_md-0.5.4.dist-info").mkdir()
    (tmp_path / "en_core_sci_md-0.5.4.dist-info" / "METADATA").write_text("Name: en_core_sci_md\nVersion: 0.5.4\n")
    monkeypatch.syspath_prepend(tmp_path)
    _load.cache_clear()
    yield
    _load.cache_clear()
    sys.modules.pop("en_core_sci_md", None)


@pytest.mark.usefixtures("installed_model")
@pytest.mark.parametrize(
    ("backend", "marked"),
    [
        ("parser", "§ Oh! \n‖[**Wow! No 2**] was here. Fine - well -- ok. No. Bye§ Next. One two! ‖Three"),
        ("original", "§ Oh! \n‖[**Wow! No 2**] was here. ‖Fine - ‖well -- ok. no. Bye§ Next. ‖One two! ‖Three"),
    ],
)
def test_models_split_each_section(backend, marked):
    text, sections, starts = read(marked)
    sentences = split_sentences(text, sections, backend=backend)
    assert [start for start, _ in sentences] == starts
    assert_tiled(text, sections, sentences)


@pytest.mark.external
@pytest.mark.slow
def test_all_open_notes_are_tiled(shared):
    texts = []
    for name in ("aci_bench", "mtsamples"):
        with gzip.open(shared / "data" / "notes" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            texts += [json.loads(line)["text"] for line in file]
    with open(shared / "data" / "formats" / "mimic3_notes" / "NOTEEVENTS.csv", encoding="utf-8", newline="") as file:
        texts += [row["TEXT"] for row in csv.DictReader(file)]
    for text in texts:
        sections = split_sections(text)
        for backend in SEGMENTERS:
            assert_sound(text, sections, split_sentences(text, sections, backend))
