"""A BERT over codes: tables of code, visit and order within the visit, and transformers' layers on their sum."""

from typing import Any

import torch
from torch import nn
from transformers import BertConfig
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.bert.modeling_bert import (
    BertEncoder,
    BertForPreTrainingOutput,
    BertPooler,
    BertPreTrainedModel,
    BertPreTrainingHeads,
)

from .code_styles import AGES, GAPS, PAD, STYLES, UNK


class CodeBertConfig(BertConfig):
    """BERT's configuration and ours; `type_vocab_size` is the number of visits, `max_position_embeddings` the length of
    a sequence, whether there is a table of positions or not.

    style (str): "original", "paper" or "default".
    pooling (str): one of the style's.
    rank_vocab_size (int): rows of the table of orders within the visit, id 0 for unknown.
    ages, gaps (bool): whether there are tables of ages and of gaps between visits.
    ancestor_vocab_size (int): ancestors in the hierarchy of codes, 0 for none.
    ancestor_shape (list[int]): shape of the table of each code's ancestors.
    """

    model_type = "clinbert_codes"

    def __init__(
        self,
        style: str = "default",
        pooling: str = "cls",
        rank_vocab_size: int = 128,
        ages: bool = False,
        gaps: bool = False,
        ancestor_vocab_size: int = 0,
        ancestor_shape: tuple[int, ...] = (0, 0),
        **others: Any,
    ) -> None:
        super().__init__(**others)
        self.style, self.pooling, self.rank_vocab_size = style, pooling, rank_vocab_size
        self.ages, self.gaps = ages, gaps
        self.ancestor_vocab_size, self.ancestor_shape = ancestor_vocab_size, list(ancestor_shape)


class CodeEmbeddings(nn.Module):
    """The sum of a code's embeddings, normalised; names are those of transformers' BERT, so that its weights fit."""

    ancestors: torch.Tensor

    def __init__(self, config: CodeBertConfig) -> None:
        super().__init__()
        style, width = STYLES[config.style], config.hidden_size
        self.size = config.vocab_size
        # Where the mask is the padding, its embedding has to be learned.
        self.word_embeddings = nn.Embedding(self.size, width, padding_idx=PAD if style.specials else None)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, width)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, width) if style.positions else None
        self.rank_embeddings = nn.Embedding(config.rank_vocab_size, width) if style.ranks else None
        self.age_embeddings = nn.Embedding(AGES, width, padding_idx=0) if config.ages else None
        self.gap_embeddings = nn.Embedding(GAPS, width, padding_idx=0) if config.gaps else None
        self.ancestor_embeddings = None
        if config.ancestor_vocab_size:
            self.ancestor_embeddings = nn.EmbeddingBag(config.ancestor_vocab_size + 1, width, mode="sum", padding_idx=0)
            self.register_buffer("ancestors", torch.zeros(*config.ancestor_shape, dtype=torch.long))
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self, input_ids: Any, token_type_ids: Any, rank_ids: Any = None, age_ids: Any = None, gap_ids: Any = None
    ) -> Any:
        """Embed codes; ids of all arguments have the shape (n_patients, longest)."""
        summed = self.token_type_embeddings(token_type_ids)
        if self.ancestor_embeddings is None:
            summed = summed + self.word_embeddings(input_ids)
        else:
            summed = summed + self.word_embeddings(torch.where(input_ids < self.size, input_ids, UNK))
            bags = self.ancestor_embeddings(self.ancestors[input_ids].flatten(0, 1))
            summed = summed + bags.view_as(summed)
        if self.position_embeddings is not None:
            summed = summed + self.position_embeddings.weight[: input_ids.shape[1]]
        for table, ids in (
            (self.rank_embeddings, rank_ids),
            (self.age_embeddings, age_ids),
            (self.gap_embeddings, gap_ids),
        ):
            if table is not None:
                summed = summed + table(ids)
        return self.dropout(self.LayerNorm(summed))


class CodeBert(BertPreTrainedModel):
    """The encoder: rows of codes, and one row for each patient."""

    config_class = CodeBertConfig  # type: ignore[assignment]

    def __init__(self, config: CodeBertConfig) -> None:
        super().__init__(config)
        self.embeddings = CodeEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = None if config.pooling.startswith("sum") else BertPooler(config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Draw the ancestors' table too, which transformers does not know."""
        super()._init_weights(module)
        if isinstance(module, nn.EmbeddingBag):
            module.weight.data.normal_(mean=0.0, std=self.config.initializer_range)
            module.weight.data[0].zero_()

    def get_input_embeddings(self) -> nn.Module:
        """The table of codes."""
        return self.embeddings.word_embeddings

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any, **ids: Any) -> Any:
        """Encode patients.

        input_ids, token_type_ids (Tensor): codes and visits, int64 of shape (n_patients, longest).
        attention_mask (Tensor): 1 for codes, 0 for padding, same shape.
        ids (Tensor): rank_ids, age_ids and gap_ids where there are such tables, same shape.
        RETURNS (BaseModelOutputWithPooling): rows of shape (n_patients, longest, width) and (n_patients, width).
        """
        hidden = self.embeddings(input_ids, token_type_ids, **ids)
        seen = self.get_extended_attention_mask(attention_mask, tuple(input_ids.shape), dtype=hidden.dtype)
        rows = self.encoder(hidden, attention_mask=seen).last_hidden_state
        return BaseModelOutputWithPooling(last_hidden_state=rows, pooler_output=self._pool(rows, attention_mask))

    def _pool(self, rows: Any, attention_mask: Any) -> Any:
        if self.pooler is not None:
            return self.pooler(rows)
        if self.config.pooling == "sum_with_pads":
            return rows.sum(dim=1)
        return (rows * attention_mask[:, :, None]).sum(dim=1)


class CodeBertForPreTraining(BertPreTrainedModel):
    """The encoder with its heads: masked codes, and prolonged stay in the place of BERT's next sentence."""

    config_class = CodeBertConfig  # type: ignore[assignment]
    _tied_weights_keys = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")  # type: ignore[assignment]

    def __init__(self, config: CodeBertConfig) -> None:
        super().__init__(config)
        self.bert = CodeBert(config)
        self.cls = BertPreTrainingHeads(config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        self.bert._init_weights(module)

    def get_output_embeddings(self) -> nn.Module:
        """The layer that shares its weights with the table of codes."""
        return self.cls.predictions.decoder

    def forward(self, **inputs: Any) -> Any:
        """Predict masked codes (for all places, unless the head is shown the masked ones only) and prolonged stay."""
        output = self.bert(**inputs)
        return BertForPreTrainingOutput(
            prediction_logits=self.cls.predictions(output.last_hidden_state),
            seq_relationship_logits=self.cls.seq_relationship(output.pooler_output),
        )


def set_ancestors(model: Any, table: Any) -> None:
    """Fill the table of each code's ancestors, which is no weight.

    model (CodeBert): the encoder.
    table (ndarray): as `CodeVocabulary.ancestor_table` gives it.
    """
    if model.embeddings.ancestor_embeddings is not None:
        model.embeddings.ancestors.copy_(torch.from_numpy(table))
