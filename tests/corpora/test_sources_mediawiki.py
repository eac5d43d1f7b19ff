"""A MediaWiki dump: which pages are notes, what their plain text is, and its faults."""

import bz2
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora.notes import Note, Rejected
from spacy_clinbert.corpora.sources import read_source, recognise
from spacy_clinbert.errors import ClinbertError

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="pt">
<siteinfo><sitename>Wiki</sitename><namespaces><namespace key="0" case="first-letter" />
<namespace key="6" case="first-letter">Ficheiro</namespace>
<namespace key="14" case="first-letter">Categoria</namespace></namespaces></siteinfo>
"""
HEART = "'''Angina''' is [[chest pain|pain]].{{cite|x}}\n\n== Signs ==\n* one\n* two\n\n[[Category:Heart diseases|*]]"
HEART_TEXT = "Angina is pain.\n\nSigns\none\ntwo"


def page(number: int, text: str, ns: int = 0, redirect: bool = False) -> str:
    to = '<redirect title="x" />' if redirect else ""
    return (
        f"<page><title>T{number}</title><ns>{ns}</ns><id>{number}</id>{to}<revision><id>{number + 900}</id>"
        f"<model>wikitext</model><text bytes='9' xml:space='preserve'>{escape(text)}</text></revision></page>\n"
    )


def write(path: Path, *pages: str) -> Path:
    content = (HEAD + "".join(pages) + "</mediawiki>\n").encode()
    path.write_bytes(bz2.compress(content) if path.suffix == ".bz2" else content)
    return path


def read(source: Path, categories: Sequence[str] = ()) -> tuple[list[Note], list[Rejected]]:
    rejected: list[Rejected] = []
    return list(read_source(source, on_reject=rejected.append, categories=categories)), rejected


@pytest.mark.parametrize("name", ["wiki.xml", "wiki-pages-articles.xml.bz2"])
@pytest.mark.parametrize("asked", ["Heart diseases", "heart_diseases", " HEART  DISEASES "])
def test_articles_of_the_categories_are_notes(tmp_path: Path, name: str, asked: str) -> None:
    path = write(
        tmp_path / name,
        page(1, HEART),
        page(2, "Pisa. [[Category:Towers]] [[:Category:Heart diseases]] <nowiki>[[Category:Heart diseases]]</nowiki>"),
        page(3, HEART, ns=1),
        page(4, "#REDIRECT [[Angina]] [[Category:Heart diseases]]", redirect=True),
        page(5, "Infarto.\n[[categoria: heart_diseases ]][[Categoria:Outra]]"),
        page(6, "{{infobox}} [[Category:Heart diseases]]"),
        page(7, "Stroke. <!-- [[Category:Heart diseases]] -->"),
    )
    assert recognise(path) == "mediawiki"
    notes, rejected = read(path, [asked, "none such"])
    assert [note._replace(category="") for note in notes] == [Note("1", HEART_TEXT), Note("5", "Infarto.")]
    assert [note.category for note in notes] == ["Heart diseases", "heart_diseases"]
    assert rejected == [Rejected("6", "it has no text")]


def test_without_categories_every_article_is_a_note(tmp_path: Path) -> None:
    path = write(tmp_path / "wiki.xml", page(1, HEART), page(2, "Pisa."), page(3, "Talk", ns=1), page(4, ""))
    assert read(path) == ([Note("1", HEART_TEXT), Note("2", "Pisa.")], [Rejected("4", "it has no text")])


@pytest.mark.parametrize(
    ("wikitext", "plain"),
    [
        ("Pain.<ref>Smith 2001</ref> It<ref name=a /> radiates.", "Pain. It radiates."),
        ("A [[File:a.png|thumb|A ''heart'' of [[x]]]]B [[Ficheiro:b.png|c]]C", "A B C"),
        ("A\n{| class=x\n|-\n| a || b\n|}\nB", "A\n\nB"),
        ("H<sub>2</sub>O &lt; 5&nbsp;%", "H2O < 5\u00a0%"),
        ("See [http://x.org the site], [[a|b]] and [[c]].", "See the site, b and c."),
        ("{{unclosed [[too '''bold", "{{unclosed [[too '''bold"),
    ],
)
def test_plain_text(tmp_path: Path, wikitext: str, plain: str) -> None:
    assert read(write(tmp_path / "w.xml", page(1, wikitext)))[0] == [Note("1", plain)]


MARKS = "{{ }} [[ ]] | = == '' * # & <!-- --> <ref> </ref> <nowiki> {| |} |- [[File: [[Category: a b".split() + [
    "\n",
    " ",
]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(MARKS), max_size=40).map("".join))
@example("{{" * 3000)
@example("<b>" * 500)
def test_no_wikitext_stops_the_reading(tmp_path_factory: pytest.TempPathFactory, wikitext: str) -> None:
    path = write(tmp_path_factory.mktemp("wiki") / "w.xml", page(1, wikitext), page(2, "Heart."))
    notes, rejected = read(path)
    assert notes[-1] == Note("2", "Heart.")
    assert len(notes) + len(rejected) == 2


def test_a_cut_dump_gives_what_is_before_and_one_error(tmp_path: Path) -> None:
    path = write(tmp_path / "w.xml", *(page(number, f"Page {number}. " * 400) for number in range(99)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    taken: list[Note] = []
    with pytest.raises(ClinbertError, match=r"w\.xml, line \d+: it is broken or cut off there") as raised:
        taken.extend(read_source(path))
    assert "Page" not in str(raised.value)
    packed = tmp_path / "w.xml.bz2"
    packed.write_bytes(bz2.compress(whole)[:-20])
    with pytest.raises(ClinbertError, match=r"w\.xml\.bz2 is cut off before its end: copy it again"):
        read(packed)
    packed.write_bytes(b"<mediawiki>")
    with pytest.raises(ClinbertError, match=r"w\.xml\.bz2 cannot be read"):
        read(packed)


def test_a_bomb_and_another_xml_are_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE m [<!ENTITY a "Smith"><!ENTITY b "&a;&a;">]><mediawiki><page>&b;</page></mediawiki>'
    (tmp_path / "bomb.xml").write_text(bomb)
    with pytest.raises(ClinbertError, match=r"bomb\.xml defines or fetches entities"):
        read(tmp_path / "bomb.xml")
    (tmp_path / "x.xml").write_text("<root><note>Smith</note></root>")
    with pytest.raises(ClinbertError, match=r"x\.xml is of no known form"):
        read(tmp_path / "x.xml")
    with pytest.raises(ClinbertError, match=r"x\.xml is no MediaWiki dump"):
        list(read_source(tmp_path / "x.xml", "mediawiki"))


def test_memory_does_not_grow_with_the_pages(tmp_path: Path) -> None:
    peaks = []
    for count in (200, 2000):
        path = write(tmp_path / f"{count}.xml", *(page(number, "Heart. " * 400) for number in range(count)))
        tracemalloc.start()
        with pytest.raises(ClinbertError, match="has no note of the categories"):
            read(path, ["Heart"])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 200_000


def test_without_the_parser_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mwparserfromhell", None)
    with pytest.raises(ClinbertError, match=r"pip install 'spacy-clinbert\[wikipedia\]'"):
        read(write(tmp_path / "w.xml", page(1, HEART)))
