"""`clinbert bionlp`: train and score on every BioNLP and CRAFT corpus."""

from pathlib import Path
from typing import Annotated

import typer

from .overrides import read_overrides


def bionlp(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="Folder `data` of cambridgeltl/MTL-Bioinformatics-2016.")],
    out: Annotated[Path, typer.Argument(help="Output folder; a corpus whose metrics are there is skipped.")],
    encoder: Annotated[str, typer.Option(help="Catalogue alias, hub id or folder.")] = "medbert",
    config: Annotated[Path, typer.Option(help="Config of spaCy's training.")] = Path("configs/ner.cfg"),
    gpu_id: Annotated[int, typer.Option(help="GPU, or -1 for the CPU.")] = -1,
) -> None:
    """Train and score a pipeline on every BioNLP* and CRAFT* folder; --section.setting VALUE overrides the config.

    Example: clinbert bionlp assets/bionlp/data training/bionlp --encoder medbert
    """
    from statistics import fmean

    from wasabi import table

    from ..errors import ClinbertError
    from ..training.bionlp import PAPER_AVERAGE, find_corpora, run_all

    if not config.is_file():
        raise ClinbertError(f"config {config} does not exist: give that of the project, configs/ner.cfg")
    overrides = {"paths.encoder": encoder, **read_overrides(context)}
    scores = list(run_all(find_corpora(data), out, config, overrides, gpu_id))
    rows = [(one.corpus, one.document, one.paper) for one in scores]
    rows.append((f"mean of {len(scores)}", fmean(one.document for one in scores), fmean(one.paper for one in scores)))
    cells = [(name, f"{100 * document:.2f}", f"{100 * paper:.2f}") for name, document, paper in rows]
    cells.append(("MedBERT on ten unnamed sets", "", f"{PAPER_AVERAGE:.2f}"))
    header = ("micro F1", "document", "paper")
    typer.echo(table(cells, header=header, divider=True, aligns=("l", "r", "r")))
    typer.echo(f"{PAPER_AVERAGE} is Vasantharajan et al. 2022; not comparable: the paper does not name its test sets")
