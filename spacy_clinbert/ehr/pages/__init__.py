"""HTML pages that need nothing else, from templates that share one style."""

from typing import Any, Callable, Mapping

FOLDER = __path__[0]


def render(template: str, filters: Mapping[str, Callable[..., str]], **values: Any) -> str:
    """Render a page; all values are escaped.

    template (str): the template's file in this folder.
    filters (Mapping[str, Callable]): by name; values (Any): what the template shows.
    RETURNS (str): the page.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(template).render(**values)
