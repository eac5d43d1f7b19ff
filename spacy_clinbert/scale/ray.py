"""Ray runs the work: any task in actors, and the annotation of a Ray Dataset. No torch."""

import logging
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Iterator

import pyarrow as pa

from ..errors import ClinbertError
from .failures import tell
from .ray_pool import Numbered, Pool
from .schemas import NOTES_SCHEMA, OUTPUT_SCHEMA
from .spread import TRIES

if TYPE_CHECKING:
    from ray.data import Dataset


class Ray:
    """Runs a task in actors of the Ray cluster that RAY_ADDRESS names, else of this machine; a `Run`.

    workers (int): actors; a cluster that has room for fewer runs fewer.
    gpus (bool): whether each has a GPU of its own.
    RAISES (ClinbertError): if Ray is not installed.
    """

    def __init__(self, workers: int = 1, gpus: bool = False) -> None:
        self._ray = _import_ray()
        self._workers = workers
        self._gpus = gpus

    def __call__(self, task: Callable[[Any], Any], items: Iterator[Numbered]) -> Iterator[Numbered]:
        """Call the task on numbered items, and give the results with their numbers as they come."""
        with _connected(self._ray, self._workers, self._gpus):
            pool = Pool(self._ray, task, items, self._gpus)
            try:
                yield from pool.results(self._workers)
            finally:
                pool.close()


@contextmanager
def _connected(ray: Any, workers: int, gpus: bool) -> Iterator[None]:
    """Use the program's own connection to Ray, else connect to the cluster, else start Ray here, for the block."""
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    # What runs on clinical notes reports to nobody; Ray does unless told.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address:
            _knock(address)
            ray.init(address, **quiet)
        else:
            ray.init("local", num_cpus=workers, include_dashboard=False, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        raise ClinbertError(
            f"Ray cannot be reached or started ({type(error).__name__}): set RAY_ADDRESS to a running cluster, or"
            " unset it to use this machine"
        ) from None
    try:
        if gpus and not address and not ray.cluster_resources().get("GPU"):
            raise ClinbertError("Ray finds no GPU here: set RAY_ADDRESS to a cluster that has some, or ask for none")
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Fail at once where nobody listens: Ray would go on trying for a quarter of an hour."""
    host, _, port = address.rpartition(":")
    if "/" not in host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=30).close()


def annotate_ray(
    dataset: "Dataset",
    model: str,
    batch_size: int = 64,
    *,
    id_column: str = "note_id",
    text_column: str = "text",
    workers: int = 1,
    gpus: bool = False,
) -> "Dataset":
    """Annotate the notes of a Ray Dataset where they lie, as `annotate_batches` does.

    dataset (Dataset): notes; columns other than the two that are named are not read.
    model (str): folder of a saved pipeline that every machine sees, or name of one that all have installed.
    batch_size (int): notes that go through the pipeline together.
    id_column (str), text_column (str): the columns of the notes' ids and texts.
    workers (int): actors, each with a pipeline; gpus (bool): whether each has a GPU of its own.
    RETURNS (Dataset): a row of `OUTPUT_SCHEMA` for each note, in their order if Ray is told to preserve it; computed
        when it is read.
    RAISES (ClinbertError): if Ray is not installed, or a worker of the cluster cannot load the pipeline.
    """
    ray = _import_ray()
    needs: Any = {"num_cpus": 1, "num_gpus": int(gpus)}
    # Asked first, in a process that ends then: what Ray Data tells of an error later is a page, not a sentence.
    refusal = ray.get(ray.remote(max_calls=1, **needs)(_find_refusal).remote(model))
    if refusal:
        raise ClinbertError(refusal)
    return dataset.select_columns([id_column, text_column]).map_batches(
        _Annotator,
        fn_constructor_args=(model, batch_size),
        batch_size=batch_size,
        batch_format="pyarrow",
        zero_copy_batch=True,
        # One to start with: a pool that took all CPUs at once would leave none to read, and wait for ever.
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
        # Without a limit, a note that ends its process would do so for ever.
        max_task_retries=TRIES,
        **needs,
    )


class _Annotator:
    def __init__(self, model: str, batch_size: int) -> None:
        self._model = model
        self._batch_size = batch_size

    def __call__(self, notes: pa.Table) -> Iterator[pa.Table]:
        from .annotate import annotate_batches

        try:
            batches = notes.rename_columns(NOTES_SCHEMA.names).cast(NOTES_SCHEMA).to_batches()
            for annotated in annotate_batches(batches, self._model, self._batch_size):
                yield pa.Table.from_batches([annotated], OUTPUT_SCHEMA)
        except Exception as error:
            raise ClinbertError(tell(error)) from None


def _find_refusal(model: str) -> str:
    from .annotate import load_pipeline

    try:
        load_pipeline(model)
    except Exception as error:
        return tell(error)
    return ""


def _import_ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError:
        raise ClinbertError("Ray is not installed: pip install 'spacy-clinbert[ray]'") from None
    return ray
