"""Work over many notes: record-batch functions, and what runs them: local workers, Spark, Ray."""

from typing import Any

__all__ = ["annotate_ray", "annotate_spark"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: an engine is an extra, and workers that only export need neither.
    if name == "annotate_ray":
        from .ray import annotate_ray

        return annotate_ray
    if name == "annotate_spark":
        from .spark import annotate_spark

        return annotate_spark
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
