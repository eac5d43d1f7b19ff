"""How often a test set was opened: a count in a file beside it, since each look makes its scores worth less."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Dict, List, Optional

from ..corpora.convert import OPENED
from ..errors import ClinbertError
from ..output import whole_files

TEST = "test.spacy"


def count_opening(corpus: Path, checksum: str, model: str) -> Optional[Dict[str, int]]:
    """Note that a model was evaluated on a test set.

    corpus (Path): the DocBin; `clinbert convert` names the test split `test.spacy`, and other files are not counted.
    checksum (str): names the test set, so that the count outlives a conversion into the same folder.
    model (str): the pipeline, as given.
    RETURNS (Optional[Dict[str, int]]): evaluations of this test set until now, this one included: "by_this_model" and
        "by_all"; None for a corpus that is no test set.
    RAISES (ClinbertError): if the file beside the corpus cannot be read or written.
    """
    if corpus.name != TEST:
        return None
    path = corpus.with_name(OPENED)
    evaluations = _read(path)
    name = str(Path(model).resolve()) if Path(model).exists() else model
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    evaluations.append({"model": name, "corpus": checksum, "date": now})
    with whole_files(path) as (written,):
        written.write_text(json.dumps(evaluations, indent=1) + "\n", encoding="utf-8")
    same = [one for one in evaluations if one["corpus"] == checksum]
    return {"by_this_model": sum(one["model"] == name for one in same), "by_all": len(same)}


def _read(path: Path) -> List[Dict[str, str]]:
    if not path.exists():
        return []
    try:
        evaluations = json.loads(path.read_text(encoding="utf-8"))
        return [{key: one[key] for key in ("model", "corpus", "date")} for one in evaluations]
    except (OSError, ValueError, KeyError, TypeError):
        raise ClinbertError(
            f"{path} holds no list of evaluations: put back the file that `clinbert evaluate` wrote, or remove it"
            " and say that the count began anew"
        ) from None
