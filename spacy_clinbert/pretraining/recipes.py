"""Recipes of pretraining: config files with the sections [recipe], [paths], [export], [model] and [training].

Those that come with the package stand in `recipes/`, every number with its source. They have no [paths], which
are given where they are used: a recipe that extends another must not write into the folders of that one.
"""

from configparser import Error as ParserError
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Optional, Union

from confection import Config, ConfigValidationError
from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import ClinbertError
from .export_settings import ExportSettings
from .settings import ModelSettings, Paths, TrainingSettings


class About(BaseModel):
    """What a recipe is of.

    extends (str | None): name of the recipe whose settings hold where this one gives none.
    data (str): the text that is trained on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    extends: Optional[str] = None
    data: str = ""


FOLDER = Path(__file__).with_name("recipes")


class Shelf(NamedTuple):
    """Recipes of a kind: the folder of those that come with the package, and the sections that they may have."""

    folder: Path
    sections: Mapping[str, type[BaseModel]]


NOTES = Shelf(
    FOLDER,
    {
        "recipe": About,
        "paths": Paths,
        "export": ExportSettings,
        "model": ModelSettings,
        "training": TrainingSettings,
    },
)


@dataclass(frozen=True)
class Recipe:
    """A recipe whose settings have been checked; a section that is not there is an error only where it is asked for.

    name (str): as it was given.
    sections (Mapping[str, BaseModel]): the sections that it has.
    shelf (Shelf): of which kind it is.
    """

    name: str
    sections: Mapping[str, BaseModel]
    shelf: Shelf = NOTES

    @property
    def data(self) -> str:
        """The text that is trained on, in words."""
        return getattr(self.sections.get("recipe"), "data", "")

    @property
    def paths(self) -> Any:
        """Section [paths]."""
        return self._section("paths")

    @property
    def export(self) -> ExportSettings:
        """Section [export]; its tokenizer is that of `model.init` where it names none."""
        return self._section("export")

    @property
    def model(self) -> Any:
        """Section [model]."""
        return self._section("model")

    @property
    def training(self) -> Any:
        """Section [training]."""
        return self._section("training")

    def _section(self, section: str) -> Any:
        if section not in self.sections:
            settings = (
                name for name, field in self.shelf.sections[section].model_fields.items() if field.is_required()
            )
            wanted = " and ".join(f"--{section}.{name}" for name in settings) or f"--{section}.SETTING VALUE"
            raise ClinbertError(f"recipe {self.name} has no section [{section}]: give {wanted}, or write it")
        return self.sections[section]


def recipe_names(shelf: Shelf = NOTES) -> list[str]:
    """The names of the recipes that come with the package."""
    return sorted(path.stem for path in shelf.folder.glob("*.cfg"))


def recipe_text(name: str, shelf: Shelf = NOTES) -> str:
    """The config file of a recipe that comes with the package, and behind it those that it extends.

    name (str): one of `recipe_names`; shelf (Shelf): of which kind.
    RETURNS (str): the text, headed by the name where there are several.
    RAISES (ClinbertError): for an unknown name.
    """
    files = _chain(_find(name, shelf), shelf)
    headed = (f"# ---- {file.stem}\n{file.read_text(encoding='utf-8').rstrip()}" for file in files)
    return "\n\n".join(headed) if len(files) > 1 else files[0].read_text(encoding="utf-8").rstrip()


def read_recipe(name_or_path: Union[str, Path], overrides: Mapping[str, Any], shelf: Shelf = NOTES) -> Recipe:
    """Read and check a recipe.

    name_or_path (str | Path): one of `recipe_names`, or else a config file; it may extend a recipe by its name.
    overrides (Mapping[str, Any]): values that replace those of the file, keyed by "section.setting".
    shelf (Shelf): of which kind it is.
    RETURNS (Recipe): the recipe.
    RAISES (ClinbertError): if there is none of this name, the file cannot be read, or a setting is missing, unknown or
        out of range.
    """
    name = str(name_or_path)
    config = Config()
    for file in reversed(_chain(_find(name, shelf), shelf)):
        config = config.merge(_parse(file))
    for key, value in overrides.items():
        section, _, setting = key.partition(".")
        sections = [name for name in shelf.sections if name != "recipe"]
        if section not in sections:
            raise ClinbertError(
                f"--{key} is no setting of a section: give one of {', '.join(sections[:-1])} or {sections[-1]}"
            )
        config.setdefault(section, {})[setting] = str(value) if isinstance(value, Path) else value
    try:
        config = config.interpolate()
    except (ConfigValidationError, ParserError, ValueError) as error:
        raise _unreadable(name, error) from error
    return Recipe(name, _checked(name, config, shelf), shelf)


def _find(name: str, shelf: Shelf) -> Path:
    if name in recipe_names(shelf):
        return shelf.folder / f"{name}.cfg"
    if Path(name).is_file():
        return Path(name)
    raise ClinbertError(f"{name} is no config file and no recipe: the recipes are {', '.join(recipe_names(shelf))}")


def _chain(file: Path, shelf: Shelf) -> list[Path]:
    """The file, then what it extends, and so on; no loop can be, since only the recipes of the package have names."""
    extended = _parse(file).get("recipe", {}).get("extends")
    if extended is None:
        return [file]
    if extended not in recipe_names(shelf):
        raise ClinbertError(f"recipe {file} extends {extended}, which is none of {', '.join(recipe_names(shelf))}")
    return [file, *_chain(shelf.folder / f"{extended}.cfg", shelf)]


def _parse(file: Path) -> Config:
    try:
        return Config().from_str(file.read_text(encoding="utf-8"), interpolate=False)
    except (ConfigValidationError, ParserError, OSError, ValueError) as error:
        raise _unreadable(str(file), error) from error


def _unreadable(name: str, error: Exception) -> ClinbertError:
    reason = " ".join(str(error).strip().splitlines()[-1:]).strip()
    return ClinbertError(f"recipe {name} cannot be read: {reason}")


def _checked(name: str, config: Mapping[str, Any], shelf: Shelf) -> dict[str, Any]:
    sections: dict[str, Any] = {}
    for section, values in config.items():
        if section not in shelf.sections:
            raise ClinbertError(f"recipe {name} has an unknown section [{section}]: give {', '.join(shelf.sections)}")
        try:
            sections[section] = shelf.sections[section].model_validate(values)
        except ValidationError as error:
            raise _refused(name, section, error, shelf) from error
    export, model = sections.get("export"), sections.get("model")
    if export and model and not export.tokenizer:
        sections["export"] = export.model_copy(update={"tokenizer": model.init or ""})
    return sections


def _refused(name: str, section: str, error: ValidationError, shelf: Shelf) -> ClinbertError:
    first = error.errors()[0]
    if first["type"] == "extra_forbidden":
        reason = f"unknown; [{section}] has {', '.join(shelf.sections[section].model_fields)}"
    else:
        reason = first["msg"].removeprefix("Value error, ")
        reason = reason[:1].lower() + reason[1:]
    return ClinbertError(f"recipe {name}, setting {'.'.join(map(str, (section, *first['loc'])))}: {reason}")
