"""`spacy_clinbert.name_corpora.v1`: a saved pipeline's meta names its training corpora, its encoder and their terms."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, Dict, List, Union

from spacy.language import Language
from spacy.util import logger, registry

from ..encoders import NOT_STATED
from ..errors import ClinbertError

REPORT = "report.json"
SYNTHETIC = "none: written by `clinbert synth`"
# A row of `nlp.meta["sources"]`: spaCy's name, url, author and license, and for a corpus whether it is gated.
Source = Dict[str, str]
GATED = "gated"


@registry.callbacks("spacy_clinbert.name_corpora.v1")
def create_name_corpora(reports: List[Union[str, Path]]) -> Callable[[Language], Language]:
    """Make a callback for `[training.before_to_disk]` that writes `nlp.meta["sources"]`, spaCy's own field.

    reports (List[Union[str, Path]]): each a `report.json` of `clinbert convert`, its folder, or a file beside it,
        such as train.spacy. They are read at once: the meta must tell what was trained on, not what lies there later.
    RETURNS (Callable[[Language], Language]): adds corpora and encoders to the sources, each once.
    RAISES (ClinbertError): if a report cannot be read. A corpus without one is named by its file, with a warning.
    """
    corpora = [_corpus(Path(path)) for path in reports]

    def name_corpora(nlp: Language) -> Language:
        sources: List[Source] = list(nlp.meta.get("sources") or ())
        sources += [source for source in (*corpora, *_encoders(nlp)) if source not in sources]
        nlp.meta["sources"] = sources
        return nlp

    return name_corpora


def _corpus(path: Path) -> Source:
    # Not at import: spaCy imports this module at every start.
    from ..corpora.catalogue import FORMATS

    file = path if path.name == REPORT else (path if path.is_dir() else path.parent) / REPORT
    if not file.is_file():
        logger.warning("%s: no %s of `clinbert convert` beside it, so its terms of use are not known", path, REPORT)
        return _source(path.name) | {GATED: "unknown"}
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        name, terms, layer = report["format"], report["terms"], report["layer"]
        folder, synthetic = report["source"], report["synthetic"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ClinbertError(f"{file} is no report of `clinbert convert`: convert the corpus again") from None
    title = FORMATS[name].title if name in FORMATS else name
    title += "".join(f", {part}" for part in (folder, layer and f"layer {layer}") if part)
    if synthetic:
        return _source(f"synthetic: {title}", terms=SYNTHETIC) | {GATED: "no"}
    gated = FORMATS[name].gated if name in FORMATS else None
    return _source(title, terms=terms) | {GATED: "unknown" if gated is None else "yes" if gated else "no"}


def _encoders(nlp: Language) -> Iterator[Source]:
    from ..evaluation.seen import catalogued, encoder_names

    for name in dict.fromkeys(encoder_names(nlp.config.interpolate()["components"])):
        entry = catalogued(name)
        if entry is None:
            # A folder's place on this machine says nothing elsewhere.
            yield _source(f"encoder {Path(name).name if Path(name).exists() else name}")
        else:
            url = f"https://huggingface.co/{entry.hub_id}"
            yield _source(f"encoder {entry.alias} ({entry.hub_id})", url, entry.citation, entry.licence)


def _source(name: str, url: str = "", author: str = "", terms: str = NOT_STATED) -> Source:
    return {"name": name, "url": url, "author": author, "license": terms}
