"""Does pretraining on codes help? The next visit of 10,000 simulated patients, and whether E10 is coded in it.

BONSAI's correlated MEDS data (see its SOURCE.md; simulated by others, so that neither we nor the pretraining know how).
A small encoder is pretrained on the train split; then each head is fine-tuned on it, and on the same encoder with new
weights, beside the baselines. Split by the hash of the patient, the same in both; AUROC on the test patients.

A draw is a seed and, where only some training patients are used, a sample of them. The learning rate of each system is
chosen from two on the half of the valid split that early stopping sees, in the first draw of each size: what does not
pretrain must not lose by a rate that suits the other. Intervals are those of `clinbert ehr evaluate`: bootstrap over
patients and draws, paired for differences; the smallest detectable difference has a power of 80 %.

Prints Markdown tables. Needs CLINBERT_SHARED (default ../shared). One thread, since so small models are slower on two.
`--smoke` shows that it runs.
"""

import argparse
import contextlib
import io
import os
import tempfile
import time
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from spacy_clinbert.ehr.baselines import BASELINES, run_baselines
from spacy_clinbert.ehr.cohort import SplitBy, make_cohort
from spacy_clinbert.ehr.cohort_source import open_source, settings_like
from spacy_clinbert.ehr.cohort_tasks import read_task
from spacy_clinbert.ehr.evaluate import evaluate
from spacy_clinbert.ehr.evaluated_cohort import read_evaluated_cohort
from spacy_clinbert.ehr.finetune import choose_model, finetune
from spacy_clinbert.ehr.patients_reader import make_patients_reader
from spacy_clinbert.ehr.predictions import read_all
from spacy_clinbert.ehr.prepare import prepare
from spacy_clinbert.ehr.prepare_settings import PrepareSettings
from spacy_clinbert.ehr.pretrain import pretrain
from spacy_clinbert.ehr.pretrain_settings import read_settings
from spacy_clinbert.ehr.sources import read_events
from spacy_clinbert.ehr.subsets import training_subset
from spacy_clinbert.ehr.untrained import write_untrained

SOURCE = Path(os.environ.get("CLINBERT_SHARED", "../shared")) / "data" / "ehr" / "bonsai_meds"
CONFIG = Path(__file__).parents[1] / "configs" / "ehr-finetune.cfg"
OUTCOME = "E10*"
ENCODER = {"model.hidden_size": 64, "model.layers": 2, "model.heads": 4, "model.feed_forward": 128}
RATES = (1e-3, 2e-4)
FIRST, SECOND = "pretrained", "untrained"


def prepare_all(folder: Path, steps: int) -> None:
    """Patients, cohort, and both encoders."""
    prepare(read_events(SOURCE), folder / "patients", PrepareSettings(), name="bonsai")
    task = read_task("next-diagnosis", "landmark", {"sets.outcome.ICD10CM": OUTCOME})
    settings = settings_like(folder / "patients")
    events = open_source(SOURCE, None, task, settings)
    make_cohort(events, task, folder / "cohort", settings, SplitBy(like=folder / "patients"), name="bonsai")
    paths = {"paths.sequences": str(folder / "patients"), "paths.output": str(folder / FIRST)}
    training = {"training.steps": steps, "training.batch_codes": 4096, "training.learning_rate": 1e-3}
    more = {f"training.{name}_steps": steps for name in ("evaluation", "save", "log")}
    more["training.warmup_steps"] = steps // 10
    pretrain(read_settings("medbert-tiny", {**ENCODER, **paths, **training, **more}))
    write_untrained(folder / FIRST, folder / SECOND)


def train(
    folder: Path, sizes: tuple[int, int], draws: tuple[int, int], heads: list[str], rates: dict[str, float], epochs: int
) -> None:
    """One draw of all systems, with the rates that were chosen, or else choosing them."""
    (size, everyone), (draw, draws) = sizes, draws
    out = folder / str(size)
    with training_subset(folder / "cohort", size, draw) as cohort:
        if size < everyone:
            run_baselines(cohort, out, [draw])
        elif not draw:
            # Of all patients only the forest has draws.
            run_baselines(cohort, out, range(draws))
        for system in (f"{name}-{head}" for head in heads for name in (FIRST, SECOND)):
            name, head = system.split("-")
            more = {"recipe.width": 64, "recipe.patience": max(2, epochs // 4), "recipe.epochs": epochs}
            chosen = {**choose_model(head, "encoder"), "paths.encoder": str(folder / name), **more}
            scores = {}
            for rate in [rates[system]] if system in rates else RATES:
                place = folder / "rates" / f"{size} {rate}" / f"{system}.{draw}"
                scores[rate] = finetune(CONFIG, cohort, place, draw, {**chosen, "recipe.learn_rate": rate})
            rates.setdefault(system, max(scores, key=lambda rate: scores[rate]))
            best = folder / "rates" / f"{size} {rates[system]}" / f"{system}.{draw}.parquet"
            best.rename(out / best.name)


def show(folder: Path, out: Path, heads: list[str], size: int, rates: dict[str, float]) -> None:
    """Both tables of a size: all systems, and what the pretrained ones are better by."""
    cohort, systems = read_evaluated_cohort(folder / "cohort"), read_all([out])
    print(f"\n{size:,} training patients\n\n| system | rate | AUROC | 95 % interval |\n| --- | --- | --- | --- |")
    found = evaluate(cohort, systems).metrics["systems"]
    for name, system in found.items():
        auroc = system["groups"]["all"]["auroc"]
        interval = f"{auroc['low']:.4f} to {auroc['high']:.4f}"
        print(f"| {name} | {rates.get(name, '')} | {auroc['value']:.4f} | {interval} |")
    print("\n| difference | AUROC | 95 % interval | smallest detectable |\n| --- | --- | --- | --- |")
    for head in heads:
        for other in (f"{SECOND}-{head}", *BASELINES):
            pair = {name: systems[name] for name in (other, f"{FIRST}-{head}")}
            (row,) = [row for row in evaluate(cohort, pair).metrics["differences"] if row["score"] == "auroc"]
            interval = f"{row['low']:+.4f} to {row['high']:+.4f}"
            print(f"| {FIRST}-{head} less {other} | {row['difference']:+.4f} | {interval} | {row['detectable']:.4f} |")


def main() -> None:
    """Prepare, pretrain, fine-tune all draws, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 0], help="training patients, 0 for all")
    parser.add_argument("--heads", nargs="+", default=["ffn"])
    parser.add_argument("--steps", type=int, default=3000, help="of pretraining")
    parser.add_argument(
        "--epochs", type=int, default=6, help="of fine-tuning on all; on fewer, up to three times as many"
    )
    parser.add_argument("--smoke", action="store_true", help="two draws of little, to show that it runs")
    given = parser.parse_args()
    if given.smoke:
        given.draws, given.sizes, given.steps, given.epochs = 2, [300], 30, 1
    start = time.perf_counter()
    torch.set_num_threads(1)
    with threadpool_limits(1), tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        # Progress of the trainings is not the benchmark's output.
        with contextlib.redirect_stdout(io.StringIO()):
            prepare_all(folder, given.steps)
        everyone = len(make_patients_reader(folder / "cohort", "train"))
        cohort = read_evaluated_cohort(folder / "cohort")
        print(
            f"{cohort.title}: {OUTCOME}; {everyone:,} training patients. Encoder: {ENCODER['model.layers']} layers, "
            f"{ENCODER['model.hidden_size']} wide, {given.steps:,} steps. {given.draws} draws; rates {RATES}."
        )
        for size in (size or everyone for size in given.sizes):
            rates: dict[str, float] = {}
            epochs = given.epochs * min(3, max(1, everyone // size))
            for draw in range(given.draws):
                with contextlib.redirect_stdout(io.StringIO()):
                    train(folder, (size, everyone), (draw, given.draws), given.heads, rates, epochs)
            show(folder, folder / str(size), given.heads, size, rates)
    print(f"\n{time.perf_counter() - start:.0f} s. Simulated patients: whether it works, not how well on real ones.")


if __name__ == "__main__":
    main()
