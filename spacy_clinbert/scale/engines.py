"""The engines that work can be spread over, by name."""

from ..errors import ClinbertError
from .local import Local
from .spread import Run

ENGINES = ("local", "spark", "ray")


def choose(engine: str, workers: int, gpus: bool = False) -> Run:
    """Choose what runs a task.

    engine (str): "local", processes of this machine; "spark", the session that `spark-submit` or the cluster's own
        settings give; "ray", the cluster that RAY_ADDRESS names, or this machine.
    workers (int): processes; on a cluster, how many parts go to it at a time.
    gpus (bool): whether each process has a GPU of its own.
    RETURNS (Run): what `spread` takes.
    RAISES (ClinbertError): if there is no such engine, or its package is not installed.
    """
    if engine == "local":
        return Local(workers, gpus)
    if engine == "spark":
        from .spark import Spark

        return Spark(workers, gpus)
    if engine == "ray":
        from .ray import Ray

        return Ray(workers, gpus)
    raise ClinbertError(f"there is no engine {engine}: give one of {', '.join(ENGINES)}")
