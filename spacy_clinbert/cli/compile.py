"""`clinbert compile`: a pipeline whose encoders run on another engine than torch."""

from pathlib import Path
from typing import Annotated, Optional

import typer


def compile_model(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A saved pipeline, such as training/ner/model-best.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the pipeline; an earlier one is replaced.")],
    engine: Annotated[str, typer.Option(help="What predicts: openvino.")] = "openvino",
    precision: Annotated[
        str, typer.Option(help="What it computes in: fp32, bf16 (for CPUs with AVX512_BF16 or AMX), or int8.")
    ] = "fp32",
    notes: Annotated[
        Optional[str],
        typer.Option(
            help="For int8, which rounds by what it measures: some hundred notes like those to come, or a .spacy file."
        ),
    ] = None,
) -> None:
    """Compile a pipeline for faster annotation on a CPU: it loads with spacy.load, as before, and cannot be trained.

    Needs the extra `openvino` of spacy-clinbert, here and where the pipeline runs; int8 needs the extra `int8`, here
    only.

    Example: clinbert compile training/ner/model-best models/ner-fast --precision int8 --notes corpora/ner/train.spacy
    """
    from wasabi import table

    from ..errors import ClinbertError
    from ..models.compiled_pipeline import compile_pipeline
    from ..models.passes import check_choice
    from ..output import whole_folder

    check_choice("compile", "engine", engine, ("openvino",))
    if output.resolve() == model.resolve():
        raise ClinbertError(f"{output} is also the input, whose weights can be trained: give another folder")
    compiled = compile_pipeline(model, engine, precision, notes)
    contents = {"config.cfg", "meta.json", "tokenizer", "vocab", *compiled.nlp.component_names}
    with whole_folder(output, contents) as folder:
        compiled.nlp.to_disk(folder)
    rows = [
        ("encoders", ", ".join(compiled.encoders)),
        ("engine", f"{engine}, {precision}"),
        ("pipeline", str(output)),
    ]
    typer.echo(table(rows, max_col=100).strip("\n"))
