"""Weights as TensorFlow wrote them: the form of Google's BERT and of the original BioBERT."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForMaskedLM, BertForPreTraining

from ..errors import ClinbertError
from ..models.checkpoints import quiet_transformers


def is_tensorflow(folder: Path) -> bool:
    """Whether a folder holds a checkpoint as Google's and BioBERT's authors published theirs."""
    return not (folder / "config.json").is_file() and (folder / "bert_config.json").is_file()


def read_tensorflow(name: str, objective: str) -> tuple[Any, list[str]]:
    """Read a BERT out of bert_config.json and the files that *.index belongs to.

    name (str): the folder.
    objective (str): "mlm+nsp" or "mlm".
    RETURNS (tuple[PreTrainedModel, list[str]]): the model, and the tensors of its heads that the checkpoint lacks and
        that are drawn anew.
    RAISES (ClinbertError): without TensorFlow; if the checkpoint is damaged or no BERT's.
    """
    folder = Path(name).expanduser()
    indexes = sorted(folder.glob("*.index"))
    if len(indexes) != 1:
        raise ClinbertError(f"{folder} has {len(indexes)} files *.index: give the folder of one TensorFlow checkpoint")
    if find_spec("tensorflow") is None:
        raise ClinbertError(
            f"{folder} holds a TensorFlow checkpoint and TensorFlow is not installed: install tensorflow-cpu and"
            " tf-keras, or start from a copy in PyTorch's form, such as the catalogue's biobert-v1.0"
        )
    from transformers.models.bert.modeling_bert import load_tf_weights_in_bert

    try:
        # The conversion knows no model without the tensors of Google's.
        model = BertForPreTraining(BertConfig.from_json_file(folder / "bert_config.json"))
        drawn = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        with torch.no_grad(), quiet_transformers():
            for parameter in model.parameters():
                parameter.fill_(torch.nan)
            load_tf_weights_in_bert(model, model.config, str(indexes[0].with_suffix("")))
    except Exception as error:
        # What is damaged shows as errors of every type.
        raise ClinbertError(f"{folder} cannot be loaded ({type(error).__name__}): copy the checkpoint again") from error
    # What TensorFlow's file did not fill keeps the weights that were drawn.
    absent = sorted(name for name, tensor in model.named_parameters() if tensor.isnan().any())
    encoder = [name for name in absent if name.startswith("bert.") and "pooler" not in name]
    if encoder:
        raise ClinbertError(f"the checkpoint in {folder} lacks {len(encoder)} tensors of the encoder: copy it again")
    model.load_state_dict({name: drawn[name] for name in absent}, strict=False)
    if objective == "mlm+nsp":
        return model, absent
    masked = BertForMaskedLM(model.config)
    masked.load_state_dict(model.state_dict(), strict=False)
    return masked, [name for name in absent if name in masked.state_dict()]
