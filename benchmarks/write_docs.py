"""Run benchmarks and put what they print into docs/benchmarks.md, with machine, versions and date.

Each script has its place there: the lines between `<!-- NAME -->` and `<!-- end -->` are its own, all others are
written by hand. A script that fails leaves its place as it was, and ends the run with its status.
Run: python benchmarks/write_docs.py [NAME ...]; without names all but those for a GPU, whose names begin with `gpu_`.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
END = "<!-- end -->"
PACKAGES = ("torch", "transformers", "spacy", "scispacy", "spacy-transformers", "numpy")
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")


def machine() -> str:
    """Processor, memory, GPU where there is one, and versions, in a line."""
    import torch

    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*: (.*)", cpu)
    flags = [flag for flag in FLAGS if re.search(rf"\b{flag}\b", cpu)]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    name = model.group(1) if model else platform.machine()
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    python = platform.python_version()
    processor = f"{os.cpu_count()} × {name} ({', '.join(flags)}), {memory:.0f} GB"
    card = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, " if torch.cuda.is_available() else ""
    return f"{card}{processor}, Python {python}, {versions}"


def run(script: str) -> str:
    """What a script prints; its progress and complaints pass through."""
    print(f"{script} …", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, str(HERE / f"{script}.py")], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        # It has said why.
        raise SystemExit(done.returncode)
    return done.stdout.strip()


def main() -> None:
    """Run the scripts one after the other and write each one's place when it is done."""
    names = re.findall(r"(?<=<!-- )(?!end -->)\w+(?= -->)", PAGE.read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"scripts to run: {', '.join(names)}")
    chosen = parser.parse_args().names or [name for name in names if not name.startswith("gpu_")]
    if unknown := set(chosen) - set(names):
        parser.error(f"{PAGE.name} has no place for {', '.join(sorted(unknown))}: give some of {', '.join(names)}")
    for name in chosen:
        printed = f"{run(name)}\n\n{date.today()}: {machine()}.\n"
        page = PAGE.read_text(encoding="utf-8")
        before, mark, behind = page.partition(f"<!-- {name} -->\n")
        PAGE.write_text(before + mark + printed + END + behind.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    main()
