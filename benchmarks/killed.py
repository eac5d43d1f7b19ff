"""Export and pretraining killed twenty times each at random moments: do they end as if nothing had happened?

The commands are those of a user, on the open MTSamples notes; a process is killed (SIGKILL) after a random time and
started again with the same command. One that ends before it is killed is compared, and begun anew in another folder,
until there have been twenty kills. Compared are all files by their bytes; of metrics.json all but times and counts of
what a call did.
Run: python benchmarks/killed.py [--kills 20]; the open notes are looked for in CLINBERT_SHARED.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from spacy_clinbert.corpora.sources import read_source
from spacy_clinbert.pretraining.vocabulary import train_vocabulary, write_tokenizer

SHARED = Path(os.environ.get("CLINBERT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
NOTES = SHARED / "data" / "notes" / "mtsamples.jsonl.gz"
COLUMNS = {"id_column": "note_id", "text_column": "text"}
# What a call did, not what came of all.
OF_A_CALL = {"resumed", "seconds"}
LONGEST = 15.0


def contents(folder: Path) -> dict[str, bytes | str]:
    """The files of a result."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        if path.name == "metrics.json":
            metrics = json.loads(path.read_text(encoding="utf-8"))
            metrics["settings"].pop("paths")
            kept = {key: value for key, value in metrics.items() if key not in OF_A_CALL}
            found[path.name] = json.dumps(kept, sort_keys=True)
        # TensorBoard's events are named and stamped by the time.
        elif path.is_file() and "tensorboard" not in path.parts:
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def run(command: list[str], patience: float | None) -> bool:
    """Run a command, killed after so many seconds; return whether it was."""
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        started.wait(patience)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()
    if started.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(started.stderr.read().decode() if started.stderr else "the command failed")
    return started.returncode == -signal.SIGKILL


def try_kills(command: Callable[[Path], list[str]], folder: Path, kills: int, rng: random.Random) -> tuple[int, int]:
    """Kill a command so many times; return how many results there were and how many equal the undisturbed one."""
    run(command(folder / "undisturbed"), None)
    expected = contents(folder / "undisturbed")
    killed = results = equal = 0
    with tqdm(total=kills, unit=" kills", disable=None) as bar:
        while killed < kills:
            out = folder / f"result{results}"
            while killed < kills and run(command(out), rng.uniform(0, LONGEST)):
                killed += 1
                bar.update()
            run(command(out), None)
            results += 1
            equal += contents(out) == expected
    return results, equal


def main() -> None:
    """Kill both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    kills = parser.parse_args().kills
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vocabulary, instances = folder / "vocabulary", folder / "export" / "undisturbed"
        vocabulary.mkdir()
        trained = train_vocabulary(
            lambda: read_source(str(NOTES), None, print, **COLUMNS), size=8000, min_notes=3, cased=True
        )
        write_tokenizer(trained.pieces, vocabulary, cased=True, length=128)
        clinbert = [sys.executable, "-m", "spacy_clinbert"]

        def export(out: Path) -> list[str]:
            columns = [f"--{name.replace('_', '-')}={column}" for name, column in COLUMNS.items()]
            recipe = ["--recipe", "clinicalbert", "--tokenizer", str(vocabulary), "--export.chunk", "100"]
            return [*clinbert, "export", str(NOTES), str(out), *columns, *recipe]

        def pretrain(out: Path) -> list[str]:
            paths = ["--paths.instances", str(instances), "--paths.output", str(out)]
            steps = ["--training.steps", "120", "--training.log_steps", "10", "--training.save_steps", "10"]
            return [*clinbert, "pretrain", "clinicalbert-tiny", *paths, *steps, "--training.warmup_steps", "10"]

        print("| command | kills | results | equal to the undisturbed one |\n| --- | ---: | ---: | ---: |")
        for what, command in (("export", export), ("pretrain", pretrain)):
            (folder / what).mkdir(exist_ok=True)
            results, equal = try_kills(command, folder / what, kills, rng)
            print(f"| `clinbert {what}` | {kills} | {results} | {equal} |", flush=True)


if __name__ == "__main__":
    main()
