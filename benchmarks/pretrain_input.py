"""Whether pretraining waits for its data: batches a second from the shards alone, and the wait within real updates.

MTSamples by the recipe `clinicalbert` (128 pieces, pairs, masks of the export, batches of 32) and as blocks with masks
drawn anew. The first column is reading, masking and padding without a model, on one core. Then `clinbert pretrain`'s
own trainer, with a network of BERT-base's size and with a small one (2 layers, 256 wide), for which input matters more:
the time until the next batch is there, as a share of that of the updates.
Run: python benchmarks/pretrain_input.py [--steps 50] [--smoke]; the open notes are looked for in CLINBERT_SHARED.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Iterator

import torch
from ner_ncbi import minilm
from pretrain_mtsamples import NETWORK, NOTES

from spacy_clinbert.models.checkpoints import quiet_transformers
from spacy_clinbert.pretraining.export import export
from spacy_clinbert.pretraining.export_reader import open_export, read_sides
from spacy_clinbert.pretraining.export_settings import ExportSettings
from spacy_clinbert.pretraining.model import load_model
from spacy_clinbert.pretraining.settings import ModelSettings, Paths, Settings, TrainingSettings
from spacy_clinbert.pretraining.trainer import MaskedTrainer, training_arguments

BASE = ModelSettings(hidden_size=768, layers=12, heads=12, feed_forward=3072)
TINY = ModelSettings(hidden_size=32, layers=1, heads=1, feed_forward=64)
BATCH, ROUNDS = 32, 5
# Batches drawn without a model in a round.
DRAWN = 300
FORMS = {"pairs, masks of the export": ("instances", "static"), "blocks, masks drawn anew": ("blocks", "dynamic")}


class Watched(MaskedTrainer):
    """Adds up the seconds until the next batches are there."""

    waited = 0.0

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """Draw the batches of an update."""
        start = time.perf_counter()
        found = super().get_batch_samples(*args, **kwargs)
        self.waited += time.perf_counter() - start
        return found


def settings_of(instances: Path, folder: Path, model: ModelSettings, masking: str, steps: int) -> Settings:
    training = {"steps": steps, "save_steps": 0, "masking": masking, "batch_size": BATCH, "log_steps": steps}
    return Settings(
        paths=Paths(instances=instances, output=folder / "output"),
        model=model.model_copy(update={"objective": "mlm" if masking == "dynamic" else "mlm+nsp"}),
        training=TrainingSettings(**training),
    )


def make_trainer(settings: Settings) -> Watched:
    """The trainer of `clinbert pretrain`."""
    source = open_export(settings.paths.instances)
    train, _ = read_sides(settings, source)
    steps = settings.training.steps or 0
    arguments = training_arguments(settings.training, steps, settings.paths.output, scored=False)
    model = load_model(settings.model, source.tokenizer, source.manifest.settings.length)
    return Watched(model, arguments, train, None, settings.training, source.tokenizer.pad_token_id)


def rates(settings: Settings, drawn: int) -> Iterator[float]:
    """Rows a second from the shards to padded batches, in each round from the first row on."""
    for _ in range(ROUNDS):
        batches = make_trainer(settings).get_train_dataloader()
        start = time.perf_counter()
        rows = sum(len(batch["input_ids"]) for batch in batches)
        yield rows / (time.perf_counter() - start)
        assert rows == drawn * BATCH


def wait(settings: Settings) -> tuple[float, float]:
    """Milliseconds of an update, and the share of them spent waiting for its batch, in per cent."""
    trainer = make_trainer(settings)
    start = time.perf_counter()
    with quiet_transformers():
        trainer.train()
    seconds = time.perf_counter() - start
    return 1000 * seconds / (settings.training.steps or 1), 100 * trainer.waited / seconds


def main() -> None:
    """Measure both forms of export with both networks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50, help="updates of the small network")
    parser.add_argument("--smoke", action="store_true", help="few batches, tiny networks")
    arguments = parser.parse_args()
    steps, drawn = (10, 5) if arguments.smoke else (arguments.steps, DRAWN)
    # An update of the large one takes as long as many of the small one.
    networks = {
        "small": (TINY if arguments.smoke else NETWORK, steps),
        "BERT-base's size": (TINY if arguments.smoke else BASE, -(-steps // 10)),
    }
    print(f"Updates of {BATCH} rows, {torch.get_num_threads()} threads\n")
    print("| examples | rows/s without a model | network | ms an update | of these waiting for input |")
    print("| --- | ---: | --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, (form, masking) in FORMS.items():
            settings = ExportSettings(tokenizer=minilm(), form=form, sentences="fast")
            export(str(NOTES), folder / form, settings, id_column="note_id", text_column="text")
            rate = statistics.median(rates(settings_of(folder / form, folder, TINY, masking, drawn), drawn))
            for network, (model, updates) in networks.items():
                each, share = wait(settings_of(folder / form, folder, model, masking, updates))
                print(f"| {name} | {rate:,.0f} | {network} | {each:,.0f} | {share:.1f} % |", flush=True)


if __name__ == "__main__":
    main()
