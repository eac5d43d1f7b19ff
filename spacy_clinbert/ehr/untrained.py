"""An encoder with new weights, and all else as in a trained one: what pretraining is compared with."""

from pathlib import Path
from typing import cast

import torch

from ..models.code_bert import CodeBertConfig, CodeBertForPreTraining, set_ancestors
from ..models.code_checkpoints import read_code_checkpoint, save_code_checkpoint
from ..output import check_replaceable, whole_folder
from .pretrain import ENCODER_FILES


def write_untrained(encoder: Path, out: Path, seed: int = 0) -> None:
    """Write an encoder of the same sizes and codes that has learned nothing.

    encoder (Path): folder that `clinbert ehr pretrain` wrote.
    out (Path): folder for the new one; an earlier one is replaced.
    seed (int): of its weights.
    RAISES (ClinbertError): if there is no encoder, or `out` holds anything else.
    """
    check_replaceable(out, ENCODER_FILES)
    model, vocabulary = read_code_checkpoint(str(encoder))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = CodeBertForPreTraining(cast(CodeBertConfig, model.config))
    set_ancestors(fresh.bert, vocabulary.ancestor_table())
    with whole_folder(out, ENCODER_FILES) as folder:
        save_code_checkpoint(fresh, vocabulary, folder)
