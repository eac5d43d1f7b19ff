"""Small encoders of codes with random weights."""

import torch
from ehr_patients import KEYS, ORIGINAL_KEYS

from spacy_clinbert.models.code_bert import CodeBertConfig, CodeBertForPreTraining, set_ancestors
from spacy_clinbert.models.code_checkpoints import save_code_checkpoint
from spacy_clinbert.models.code_styles import STYLES
from spacy_clinbert.models.code_vocabulary import CodeVocabulary

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 24,
    "type_vocab_size": 16,
}
HIERARCHY = {
    "ICD10CM/C01": ["ICD10CM/C00-C14", "ICD10CM/2"],
    "ICD10CM/C02": ["ICD10CM/2"],
    "ICD10CM/C0199": ["ICD10CM/C01", "ICD10CM/C00-C14", "ICD10CM/2"],
    "ICD10CM/X99": ["ICD10CM/20"],
}


def write_encoder(folder, style="default", ancestors=None, **more):
    """Write an encoder with random weights."""
    vocabulary = CodeVocabulary(ORIGINAL_KEYS if style == "original" else KEYS, ancestors)
    table = vocabulary.ancestor_table()
    chosen = STYLES[style]
    config = CodeBertConfig(
        style=style,
        pooling=more.pop("pooling", chosen.poolings[0]),
        ages=chosen.ages,
        gaps=chosen.gaps,
        ancestor_vocab_size=len(vocabulary.ancestor_keys),
        ancestor_shape=table.shape if ancestors else (0, 0),
        vocab_size=len(vocabulary),
        **SIZES | more,
    )
    torch.manual_seed(0)
    model = CodeBertForPreTraining(config)
    set_ancestors(model.bert, table)
    folder.mkdir()
    save_code_checkpoint(model, vocabulary, folder)
    return folder
