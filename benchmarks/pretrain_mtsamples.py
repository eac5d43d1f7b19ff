"""Ten minutes of pretraining on the open MTSamples notes: what the model learns, and what NER gains by it.

A small BERT with a vocabulary of its own is pretrained on the notes run together into blocks of 128 pieces, with masks
drawn anew each time, as BioBERTpt was (Schneider et al. 2020). Its loss on held-out notes stands beside the entropy of
the wordpieces at the same positions, the least that a model without context can reach there. Then NER on NCBI-disease,
500 training sentences, three seeds: with it, and with the same network untrained. Last, MiniLM goes on for 300 steps.
Sizes, rates and epochs were chosen on the development sentences, for both networks alike.
Run: python benchmarks/pretrain_mtsamples.py [--minutes 10]; the open data is looked for in CLINBERT_SHARED.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import ner_ncbi
import numpy as np
from transformers import AutoModel, AutoTokenizer, set_seed

from spacy_clinbert.corpora.sources import read_source
from spacy_clinbert.pretraining.dataset import IGNORED, collate
from spacy_clinbert.pretraining.export import export
from spacy_clinbert.pretraining.export_reader import open_export, read_sides
from spacy_clinbert.pretraining.export_settings import ExportSettings
from spacy_clinbert.pretraining.held_out import spread
from spacy_clinbert.pretraining.settings import ModelSettings, Paths, Settings, TrainingSettings
from spacy_clinbert.pretraining.train import Pretrained, pretrain
from spacy_clinbert.pretraining.trainer import SCORED
from spacy_clinbert.pretraining.vocabulary import train_vocabulary, write_tokenizer

SHARED = Path(os.environ.get("CLINBERT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
NOTES = SHARED / "data" / "notes" / "mtsamples.jsonl.gz"
VOCABULARY = 8000
# The sizes follow no paper: what two cores can train in minutes.
NETWORK = ModelSettings(hidden_size=256, layers=2, heads=4, feed_forward=1024, dropout=0.0, objective="mlm")
RATE, WARMUP, BATCH = 1e-3, 0.05, 32
# Notes in a shard: of blocks, which have no notes, whole shards are held out.
CHUNK = 100
# Two short runs tell the time of a step: what both need besides drops out.
TRIALS = (20, 120)
NER_SENTENCES, NER_EPOCHS, NER_RATE, SEEDS = 500, 10, 5e-4, range(3)


def make_export(folder: Path, tokenizer: str) -> Path:
    """Export the notes as blocks."""
    settings = ExportSettings(tokenizer=tokenizer, form="blocks", chunk=CHUNK)
    export(str(NOTES), folder, settings, id_column="note_id", text_column="text")
    return folder


def settings_of(instances: Path, output: Path, model: ModelSettings, **training: Any) -> Settings:
    """The settings of a run without checkpoints."""
    return Settings(
        paths=Paths(instances=instances, output=output),
        model=model,
        training=TrainingSettings(save_steps=0, masking="dynamic", bf16=True, **training),
    )


def pretrain_for(minutes: float, instances: Path, output: Path) -> Pretrained:
    """Pretrain for so long, the steps counted without start and scores."""
    common = {"batch_size": BATCH, "learning_rate": RATE}
    seconds = []
    for steps in TRIALS:
        trial = settings_of(instances, output, NETWORK, steps=steps, warmup_steps=1, **common)
        unscored = Paths(instances=instances, output=output, held_out=False)
        began = time.monotonic()
        pretrain(trial.model_copy(update={"paths": unscored}))
        seconds.append(time.monotonic() - began)
    steps = int(minutes * 60 * (TRIALS[1] - TRIALS[0]) / (seconds[1] - seconds[0]))
    return pretrain(settings_of(instances, output, NETWORK, steps=steps, warmup_steps=int(WARMUP * steps), **common))


def unigram_entropy(instances: Path, output: Path) -> float:
    """The entropy, in nats, of the wordpieces at the positions that the held-out loss is of."""
    opened = open_export(instances)
    held_out = read_sides(settings_of(instances, output, NETWORK, steps=1), opened).held_out
    assert held_out is not None
    rows = [held_out[row] for row in spread(len(held_out), SCORED).tolist()]
    batch = collate(rows, pad_id=opened.tokenizer.pad_token_id)
    counts = np.unique(batch["labels"][batch["labels"] != IGNORED], return_counts=True)[1]
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def untrained(pretrained: Path, output: Path) -> Path:
    """The same network with new weights."""
    set_seed(1)
    model = AutoModel.from_config(AutoModel.from_pretrained(pretrained).config)
    model.save_pretrained(output)
    AutoTokenizer.from_pretrained(pretrained).save_pretrained(output)
    return output


def ner_scores(encoder: Path) -> list[float]:
    """Strict F1 on NCBI-disease's test sentences, for each seed."""
    train, test = ner_ncbi.read("train", NER_SENTENCES), ner_ncbi.read("test", 0)
    config = ner_ncbi.ours(str(encoder))
    return [100 * ner_ncbi.train_spacy(config, train, test, NER_EPOCHS, rate=NER_RATE, seed=seed)[1] for seed in SEEDS]


def main() -> None:
    """Pretrain, fine-tune, go on with MiniLM, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vocabulary = folder / "vocabulary"
        vocabulary.mkdir()
        columns = {"id_column": "note_id", "text_column": "text"}
        trained = train_vocabulary(
            lambda: read_source(str(NOTES), None, print, **columns), size=VOCABULARY, min_notes=3, cased=True
        )
        write_tokenizer(trained.pieces, vocabulary, cased=True, length=128)
        instances = make_export(folder / "instances", str(vocabulary))
        done = pretrain_for(minutes, instances, folder / "model")
        entropy = unigram_entropy(instances, folder / "model")
        print(f"{done.steps:,} steps of {BATCH} ({done.epochs:.1f} epochs) in {done.seconds / 60:.1f} minutes\n")
        print("| held-out notes | |\n| --- | ---: |")
        print(f"| entropy of the masked pieces, nats | {entropy:.2f} |")
        print(f"| loss of the masked pieces, nats | {done.scores['mlm_loss']:.2f} |")
        print(f"| masked pieces right, % | {100 * done.scores['mlm_accuracy']:.1f} |\n", flush=True)
        print("| encoder | strict F1, mean | of each seed |\n| --- | ---: | --- |")
        for what, encoder in (
            ("pretrained", folder / "model"),
            ("untrained", untrained(folder / "model", folder / "new")),
        ):
            scores = ner_scores(encoder)
            print(f"| {what} | {np.mean(scores):.1f} | {', '.join(f'{score:.1f}' for score in scores)} |", flush=True)
        minilm = ner_ncbi.minilm()
        instances = make_export(folder / "minilm-instances", minilm)
        model = ModelSettings(init=minilm, objective="mlm")
        for steps in (1, 300):
            run = settings_of(
                instances, folder / "minilm", model, steps=steps, batch_size=16, learning_rate=5e-5, warmup_steps=0
            )
            loss = pretrain(run).scores["mlm_loss"]
            print(f"\nMiniLM, steps: {steps}. Loss: {loss:.2f} nats a masked piece of held-out notes", flush=True)


if __name__ == "__main__":
    main()
