"""BioNLP and CRAFT, on which MedBERT was judged (data of Crichton et al. 2017): each trained and scored by itself."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, List, NamedTuple

from spacy.util import load_config

from ..components.tokenizer import tokenizer_of
from ..corpora.catalogue import find_format
from ..corpora.convert import Conversion, convert
from ..corpora.folders import visible
from ..corpora.splits import SPLITS
from ..errors import ClinbertError
from ..evaluation.evaluate import evaluate
from ..evaluation.gold import read_gold
from ..evaluation.report import render
from ..evaluation.run import CONTENTS, METRICS, REPORT, Run, read_run, write_run
from ..output import whole_folder
from ..scale.annotate import load_pipeline
from .runs import train_best

REPOSITORY = "github.com/cambridgeltl/MTL-Bioinformatics-2016"
NAMES = ("BioNLP*", "CRAFT*")
# Average micro F1 over ten test sets of BioNLP and CRAFT that the paper does not name (Vasantharajan et al. 2022).
PAPER_AVERAGE = 84.04


class Scores(NamedTuple):
    """What a pipeline reached on a corpus.

    corpus (str): name of its folder.
    document (float): strict micro F1 over characters, nothing cut, from 0 to 1.
    paper (float): strict micro F1 over the papers' tokens, cut as in the papers.
    """

    corpus: str
    document: float
    paper: float


def find_corpora(data: Path) -> List[Path]:
    """Find the corpora of BioNLP and CRAFT.

    data (Path): the folder `data` of the repository.
    RETURNS (List[Path]): their folders, by name. Of a corpus in IOB and in IOBES, which are the same, the first.
    RAISES (ClinbertError): if there are none.
    """
    folders = [path for path in visible(data) if path.is_dir() and any(path.match(name) for name in NAMES)]
    names = {path.name for path in folders}
    if not folders:
        raise ClinbertError(
            f"{data} holds no folders {' and '.join(NAMES)}: put the folder `data` of {REPOSITORY} there;"
            " `spacy project assets` fetches it"
        )
    return [path for path in folders if path.name.removesuffix("ES") not in names - {path.name}]


def run_all(
    corpora: Sequence[Path], out: Path, config: Path, overrides: Mapping[str, Any], gpu_id: int
) -> Iterator[Scores]:
    """Convert, train and score each corpus; one whose metrics are there is not trained again.

    corpora (Sequence[Path]): their folders.
    out (Path): output folder, with a folder for each corpus.
    config (Path): the config file.
    overrides (Mapping[str, Any]): values that replace those of the file, keyed by "section.setting".
    gpu_id (int): the GPU, or -1 for the CPU.
    YIELDS (Scores): of each corpus.
    RAISES (ClinbertError): if a corpus lacks a split or cannot be read.
    """
    for source in corpora:
        folder = out / source.name
        if not (folder / "metrics" / METRICS).is_file():
            _run_one(source, folder, config, overrides, gpu_id)
        scores = read_run(folder / "metrics").scores
        document, paper = (scores[name]["strict"]["micro"]["f"] or 0.0 for name in ("document", "paper"))
        yield Scores(source.name, document, paper)


def _run_one(source: Path, folder: Path, config: Path, overrides: Mapping[str, Any], gpu_id: int) -> Run:
    tokenizer = tokenizer_of(load_config(config)["nlp"]["lang"])
    report = convert(Conversion(find_format("conll"), source, split="shipped"), folder / "corpus", tokenizer)
    missing = [split for split in SPLITS if split not in report.splits]
    if missing:
        raise ClinbertError(f"{source} holds no {' and no '.join(missing)} sentences: fetch it again from {REPOSITORY}")
    paths = {f"paths.{split}": str(folder / "corpus" / f"{split}.spacy") for split in ("train", "dev")}
    model, _ = train_best(config, folder / "training", {**overrides, **paths}, gpu_id)
    gold = read_gold(folder / "corpus" / "test.spacy")
    found = evaluate(load_pipeline(str(model)), gold, model=str(model))
    with whole_folder(folder / "metrics", CONTENTS) as metrics:
        write_run(found.run, metrics)
        (metrics / REPORT).write_text(render(found, False), encoding="utf-8")
    return found.run
