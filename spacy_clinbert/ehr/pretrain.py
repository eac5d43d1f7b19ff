"""`clinbert ehr pretrain`: from prepared patients to an encoder that loads by its folder."""

import hashlib
import logging
from functools import partial
from pathlib import Path
from typing import Any, Optional

from transformers import TrainingArguments

from ..errors import ClinbertError
from ..models.code_bert import CodeBertConfig, CodeBertForPreTraining, set_ancestors
from ..models.code_checkpoints import save_code_checkpoint
from ..models.code_sequences import CodeLayout
from ..models.code_styles import PAD, STYLES
from ..models.code_vocabulary import ANCESTORS, CODES, CodeVocabulary, read_ancestors, read_codes
from ..output import check_replaceable
from ..pretraining.train import Job, Pretrained, carry_out
from .code_batches import CodeBatches
from .code_dataset import CodeDataset, Side, find_side
from .code_masking import CodeMasking
from .code_trainer import PANELS, CodeTrainer
from .ehr_manifest import EhrManifest, check_files, read_manifest
from .pretrain_settings import CodeModelSettings, CodeSettings

# What an encoder's folder may hold.
ENCODER_FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    CODES,
    ANCESTORS,
    "metrics.json",
    "curves.png",
    "tensorboard",
)


def pretrain(settings: CodeSettings) -> Pretrained:
    """Pretrain an encoder of codes and write it, with its vocabulary, metrics.json and curves.png, as a folder that
    loads.

    A run that was stopped goes on from its last whole checkpoint, with the same result as if it had not been; the same
    settings and patients give the same encoder on the same machine, and to rounding on any number of processes.

    settings (CodeSettings): patients, output folder, encoder and training.
    RETURNS (Pretrained): counts, losses and time.
    RAISES (ClinbertError): if the patients or the settings cannot be used; the output is then as it was before.
    """
    paths, training = settings.paths, settings.training
    style = STYLES[settings.model.style]
    check_replaceable(paths.output.resolve(), ENCODER_FILES)
    manifest = read_manifest(paths.sequences)
    check_files(paths.sequences, manifest)
    vocabulary = read_vocabulary(settings)
    config = make_config(settings.model, vocabulary)
    layout = CodeLayout(config, config.max_position_embeddings - style.cls)
    masking = CodeMasking(vocabulary, training.mask_probability, training.seed)
    side = _find(paths.sequences, manifest, "train", layout)
    static = (training.masking or style.masking) == "static"
    train = CodeDataset(side.parts, layout, masking, static)
    held_out = None
    if paths.held_out:
        held_out = CodeDataset(_find(paths.sequences, manifest, "valid", layout).parts, layout, masking, static=True)
    per_epoch = sum(1 for _ in CodeBatches(train.sizes, side.lengths, 0, training, (1, 1, 0)).turn(0))
    if not per_epoch:
        raise ClinbertError(
            f"{paths.sequences} has {len(train):,} patients to train on, too few for one update of {training.unit}"
        )

    def load() -> Any:
        model = CodeBertForPreTraining(config)
        set_ancestors(model.bert, vocabulary.ancestor_table())
        return model

    def make_trainer(model: Any, arguments: TrainingArguments) -> CodeTrainer:
        return CodeTrainer(model, arguments, train, held_out, side.lengths, training)

    seen = {"source": manifest.source, "skipped": side.skipped, **manifest.counts}
    save = partial(_save, vocabulary=vocabulary)
    run = _run(settings, manifest)
    return carry_out(Job(settings, run, train, held_out, per_epoch, load, make_trainer, save, seen, PANELS))


def read_vocabulary(settings: CodeSettings) -> CodeVocabulary:
    """Read the codes of the prepared patients, and the hierarchy where the encoder is to have one.

    settings (CodeSettings): name both.
    RETURNS (CodeVocabulary): the vocabulary.
    RAISES (ClinbertError): if a file cannot be read, or the patients were prepared for another style.
    """
    path = settings.model.ancestors
    codes = read_codes(settings.paths.sequences)
    vocabulary = CodeVocabulary(codes.keys, read_ancestors(path) if path else None)
    if vocabulary.specials != STYLES[settings.model.style].specials:
        asked = "--mode original" if settings.model.style == "original" else "the default mode"
        raise ClinbertError(
            f"{settings.paths.sequences} was not prepared for style = {settings.model.style!r}: prepare it in {asked}"
        )
    if len(vocabulary) == vocabulary.first_code:
        raise ClinbertError(
            f"{settings.paths.sequences} has no code in its vocabulary: prepare more patients, or take a smaller"
            " min_count"
        )
    if path and not vocabulary.ancestors:
        raise ClinbertError(f"{path} has no ancestor of a code of {settings.paths.sequences}: give its own hierarchy")
    return vocabulary


def make_config(settings: CodeModelSettings, vocabulary: CodeVocabulary) -> CodeBertConfig:
    """Make the configuration of a new encoder.

    settings (CodeModelSettings): sizes and style.
    vocabulary (CodeVocabulary): its codes.
    RETURNS (CodeBertConfig): the configuration.
    """
    style = STYLES[settings.style]
    return CodeBertConfig(
        style=settings.style,
        pooling=settings.pooling or style.poolings[0],
        rank_vocab_size=settings.ranks,
        ages=style.ages if settings.ages is None else settings.ages,
        gaps=style.gaps if settings.gaps is None else settings.gaps,
        ancestor_vocab_size=len(vocabulary.ancestor_keys) if vocabulary.ancestors else 0,
        ancestor_shape=vocabulary.ancestor_table().shape if vocabulary.ancestors else (0, 0),
        vocab_size=len(vocabulary),
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        intermediate_size=settings.feed_forward,
        max_position_embeddings=settings.length,
        type_vocab_size=settings.visits,
        hidden_dropout_prob=settings.dropout,
        attention_probs_dropout_prob=settings.dropout,
        # Google's code, and so Med-BERT's, has the approximation by tanh under the name "gelu".
        hidden_act="gelu_new" if settings.style == "original" else "gelu",
        pad_token_id=PAD,
    )


def _find(folder: Path, manifest: EhrManifest, split: str, layout: CodeLayout) -> Side:
    skip_longer = layout.config.style == "original"
    side = find_side([folder / shard.name for shard in manifest.split(split)], layout, skip_longer)
    if not len(side.lengths):
        remedy = "prepare more patients" + (", or set paths.held_out = false" if split == "valid" else "")
        raise ClinbertError(f"{folder} has no patient with codes in the split {split}: {remedy}")
    if side.skipped:
        logging.getLogger("spacy_clinbert").warning(
            "%s: %d of %d patients of the split %s are not read: they have no code%s",
            *(folder, side.skipped, side.skipped + len(side.lengths), split),
            f", or more than {layout.max_codes}" if skip_longer else "",
        )
    return side


def _run(settings: CodeSettings, manifest: EhrManifest) -> dict[str, Any]:
    """All on which the result depends, and so what a resumed run must have in common with the stopped one."""
    shards = "".join(shard.sha256 for shard in manifest.shards)
    ancestors: Optional[Path] = settings.model.ancestors
    sections = {name: section for name, section in settings.model_dump(mode="json").items() if name != "paths"}
    return {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()} | {
        "paths.sequences": hashlib.sha256(f"{shards}{manifest.vocabulary}".encode()).hexdigest(),
        "paths.held_out": settings.paths.held_out,
        "model.ancestors": hashlib.sha256(ancestors.read_bytes()).hexdigest() if ancestors else None,
    }


def _save(model: Any, folder: Path, vocabulary: CodeVocabulary) -> None:
    save_code_checkpoint(model, vocabulary, folder)
