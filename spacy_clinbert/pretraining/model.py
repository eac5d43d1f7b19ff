"""The model that a pretraining run starts from: new weights, or those of an encoder that fits the instances."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from transformers import BertConfig, BertForMaskedLM, BertForPreTraining

from ..errors import ClinbertError
from ..models.checkpoints import fetch, load_weights, max_positions, quiet_transformers, read_tokenizer, set_dropout
from .settings import ModelSettings
from .tensorflow_checkpoint import is_tensorflow, read_tensorflow

# By objective: the class of an encoder's weights, and that of new ones, whose architecture is BERT's.
ARCHITECTURES = {"mlm+nsp": "AutoModelForPreTraining", "mlm": "AutoModelForMaskedLM"}
NEW = {"mlm+nsp": BertForPreTraining, "mlm": BertForMaskedLM}

# Some tables of embeddings have rows without pieces: Megatron-LM fills up to a multiple of 128
# (--make-vocab-size-divisible-by).
FILLED_UP = 128


def load_model(settings: ModelSettings, tokenizer: Any, length: int) -> Any:
    """Load the weights to start from, or draw new ones; heads that the weights lack are drawn, and a warning says so.

    settings (ModelSettings): the encoder to start from, or the sizes of a new one, and the objective.
    tokenizer (PreTrainedTokenizerFast): that of the instances; it may have tags that the encoder's own has not.
    length (int): pieces of the longest instance.
    RETURNS (PreTrainedModel): the model with its heads.
    RAISES (ClinbertError): if the encoder cannot be loaded, has no such heads, other pieces or too few positions.
    """
    absent: list[str] = []
    if settings.init is None:
        model = _draw(settings, tokenizer, length)
    else:
        read = read_tensorflow if is_tensorflow(Path(settings.init).expanduser()) else _read
        model, absent = read(settings.init, settings.objective)
        own = read_tokenizer(settings.init)
        if not 0 <= model.config.vocab_size - len(own) < FILLED_UP:
            raise ClinbertError(
                f"{settings.init} has a tokenizer of {len(own):,} pieces and a model of {model.config.vocab_size:,}:"
                " copy into it the tokenizer that the model was trained with"
            )
        _same_pieces(settings.init, own, tokenizer)
    room = max_positions(model.base_model)
    if length > room:
        raise ClinbertError(
            f"the instances have up to {length} pieces, but {settings.init or 'model.length'} has {room} positions:"
            " export shorter ones"
        )
    if absent:
        logging.getLogger("spacy_clinbert").warning(
            "%s has no %s: new weights are drawn for it", settings.init, " and no ".join(_heads(absent))
        )
    if len(tokenizer) > model.config.vocab_size:
        with quiet_transformers():
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    set_dropout(model, settings.dropout)
    return model


def _draw(settings: ModelSettings, tokenizer: Any, length: int) -> Any:
    dropout = {} if settings.dropout is None else {"hidden_dropout_prob": settings.dropout}
    attention = {} if settings.dropout is None else {"attention_probs_dropout_prob": settings.dropout}
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        intermediate_size=settings.feed_forward,
        max_position_embeddings=settings.length or length,
        pad_token_id=tokenizer.pad_token_id,
        **dropout,
        **attention,
    )
    return NEW[settings.objective](config)


def _read(init: str, objective: str) -> tuple[Any, list[str]]:
    model, absent = fetch(init, partial(load_weights, architecture=ARCHITECTURES[objective]))
    if objective == "mlm+nsp" and not isinstance(model, BertForPreTraining):
        raise ClinbertError(f'{init} is no BERT and predicts no next sentence: set model.objective = "mlm"')
    return model, absent


def _heads(absent: Sequence[str]) -> list[str]:
    """Name heads by their tensors."""
    names = {
        "masked language modelling head": [key for key in absent if "pooler" not in key and "seq_rel" not in key],
        "pooler": [key for key in absent if "pooler" in key],
        "next sentence head": [key for key in absent if "seq_rel" in key],
    }
    return [name for name, keys in names.items() if keys]


def _same_pieces(init: str, own: Any, tokenizer: Any) -> None:
    """Refuse instances whose pieces are not those of the encoder; tags added behind them are allowed."""
    pieces, given = own.get_vocab(), tokenizer.get_vocab()
    if pieces != {piece: number for piece, number in given.items() if number < len(pieces)}:
        raise ClinbertError(
            f"the instances were made with a tokenizer of {len(given):,} pieces that is not that of {init}, which has"
            f" {len(pieces):,}: export again with --tokenizer {init}"
        )
    lowers = [getattr(each, "do_lower_case", None) for each in (own, tokenizer)]
    if lowers[0] != lowers[1]:
        raise ClinbertError(
            f"{init} {'lower-cases' if lowers[0] else 'keeps upper case'} and the tokenizer of the instances does not:"
            f" export again with --tokenizer {init}"
        )
