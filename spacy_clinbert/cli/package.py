"""`clinbert package`: a trained pipeline as a wheel that names its training corpora and their terms."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from ..errors import ClinbertError


def package(
    model: Annotated[Path, typer.Argument(help="A saved pipeline, such as training/ner/model-best.")],
    out: Annotated[Path, typer.Argument(help="Folder for the package; an earlier one of its name is replaced.")],
    name: Annotated[
        Optional[str], typer.Option(help="Name of the package, without its language; blanks become underscores.")
    ] = None,
) -> None:
    """Build a wheel of a pipeline with spaCy's own command, and say on what it was trained and under which terms.

    Example: clinbert package training/ner/model-best packages --name concepts
    """
    import json
    import re
    import shutil

    from spacy.cli.package import package as package_with_spacy
    from wasabi import table

    from ..training.provenance import GATED

    try:
        meta = json.loads((model / "meta.json").read_text(encoding="utf-8"))
        lang, known, version, sources = meta["lang"], meta["name"], meta["version"], meta.get("sources") or []
    except (OSError, ValueError, KeyError, TypeError):
        raise ClinbertError(f"{model} is no saved pipeline: give the folder that training wrote") from None
    name = re.sub(r"\W+", "_", name or known)
    # spaCy would keep the README and the build folder of an earlier package.
    shutil.rmtree(out / f"{lang}_{name.removeprefix(lang + '_')}-{version}", ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    package_with_spacy(model, out, name=name, create_sdist=False, create_wheel=True, force=True, silent=False)
    # spaCy also allows bare names.
    rows = [one if isinstance(one, dict) else {"name": one} for one in sources]
    if rows:
        cells = [[row.get(key, "") for key in ("name", "license", GATED)] for row in rows]
        typer.echo(table(cells, header=("trained on", "terms", GATED), divider=True, max_col=70))
    else:
        typer.echo("warning: the pipeline names no training corpora: train it with spacy_clinbert.name_corpora.v1")
    gated = [row["name"] for row in rows if row.get(GATED) == "yes"]
    if gated:
        typer.echo(f"warning: weights trained on gated notes may themselves be gated ({'; '.join(gated)})")
    unknown = [row["name"] for row in rows if row.get(GATED) == "unknown"]
    if unknown:
        typer.echo(f"warning: whether these are gated is not known: look their terms up ({'; '.join(unknown)})")
