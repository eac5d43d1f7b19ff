"""What `spacy train` does not say: many runs, the temperature, predictions, and training on fewer patients."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Dict

import spacy

from ..errors import ClinbertError
from ..output import whole_folder
from ..training.calibrate import calibrate
from ..training.runs import train_best
from .predict import predict

# Sections of configs/ehr-finetune.cfg, and the one of them whose rows are no codes'.
HEADS = ("ffn", "gru", "bigru", "retain")
POOLED = "ffn"
CODES = ("encoder", "static", "random")


def choose_model(head: str, codes: str) -> Dict[str, Any]:
    """Give what a config must have in the place of its own model and learning rate.

    head (str): one of `HEADS`; codes (str): what is below, one of `CODES`.
    RETURNS (Dict[str, Any]): values keyed by "section.setting".
    RAISES (ClinbertError): for a name that is none, or a head that is not for these codes.
    """
    for kind, value, choices in (("head", head, HEADS), ("kind of codes", codes, CODES)):
        if value not in choices:
            raise ClinbertError(f"{value} is no {kind}: give one of {', '.join(choices)}")
    chosen: Dict[str, Any] = {"components.clinbert_textcat.model": f"${{heads.{head}}}"}
    if codes == "encoder":
        return chosen
    if head == POOLED:
        raise ClinbertError(f"the head {POOLED} needs an encoder's row of the whole patient: give --codes encoder")
    return chosen | {f"heads.{head}.tok2vec": f"${{codes.{codes}}}", "recipe.learn_rate": "${recipe.learn_rate_static}"}


def finetune(config: Path, cohort: Path, out: Path, draw: int, overrides: Mapping[str, Any], gpu_id: int = -1) -> float:
    """Train a pipeline on a cohort, calibrate it, and predict for the test patients.

    config (Path): such as configs/ehr-finetune.cfg.
    cohort (Path): a folder that `clinbert ehr cohort` wrote.
    out (Path): folder for the pipeline, `SYSTEM.DRAW`; predictions go to the file `SYSTEM.DRAW.parquet` beside it.
    draw (int): seed of the run; overrides (Mapping[str, Any]): values that replace those of the file.
    gpu_id (int): the GPU, or -1 for the CPU.
    RETURNS (float): the score on the half of the valid split that training chose its best pipeline by.
    RAISES (ClinbertError): if the cohort cannot be used, or a folder is in the way.
    """
    given = {**overrides, "paths.cohort": str(cohort), "system.seed": draw}
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as work:
        best, score = train_best(config, Path(work), given, gpu_id)
        nlp = spacy.load(best)
        calibrate(nlp, cohort)
        with whole_folder(out, ("config.cfg", "meta.json", "tokenizer", "vocab", *nlp.component_names)) as folder:
            nlp.to_disk(folder)
    predict(nlp, cohort, out.with_name(f"{out.name}.parquet"))
    return score
