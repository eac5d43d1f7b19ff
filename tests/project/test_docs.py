"""The documentation is true: its Python runs, its links lead somewhere, its commands exist."""

import re
from pathlib import Path

import pytest
import spacy
import typer
from thinc.api import Config
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.cli.ehr import ehr

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "corpora" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page):
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, page.name, "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page):
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"\bclinbert ([a-z]+) [A-Za-z]", text)) <= names(app) | {"ehr"}
    assert set(re.findall(r"\bclinbert ehr ([a-z]+)", text)) <= names(ehr)


def names(commands: typer.Typer) -> set[str]:
    return {command.name or command.callback.__name__ for command in commands.registered_commands}


@pytest.mark.parametrize(
    "words", [[name] for name in sorted(names(app))] + [["ehr", name] for name in sorted(names(ehr))]
)
def test_every_command_shows_help_with_an_example(words):
    shown = CliRunner().invoke(app, [*words, "--help"])
    assert shown.exit_code == 0 and f"clinbert {' '.join(words)}" in shown.output


def test_settings_in_the_encoders_page_are_those_of_the_encoder():
    block = re.search(r"```ini\n(.*?)```", (ROOT / "docs" / "encoder.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block
    nlp = spacy.blank("en")
    nlp.add_pipe("clinbert_ner")
    ours = nlp.config["components"]["clinbert_ner"]["model"]["tok2vec"]
    header, _, settings = block[1].partition("\n")
    assert header == "[components.clinbert_ner.model.tok2vec]"
    assert Config().from_str("[tok2vec]\n" + settings)["tok2vec"] == ours


def test_makefile_has_the_two_commands():
    makefile, readme = (ROOT / "Makefile").read_text(), (ROOT / "README.md").read_text()
    first = re.search(r"\n\n((?:    .*\n)+)", readme)
    assert first and first[1].split("\n")[:2] == ["    make demo", "    make test"]
    assert {"demo:", "test:"} <= {line.split(" ")[0] for line in makefile.splitlines()}
