"""The settings of a driver, as an operator writes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from borough.domain.declared.lookup import did_you_mean
from borough.errors import InvalidSettings

T = TypeVar("T")

_REQUIRED: Final = object()


class Settings:
    """Settings by name. A setting that the driver did not read is refused: it may be misspelt."""

    def __init__(self, driver: str, values: Mapping[str, Any] | None = None) -> None:
        self.driver = driver
        self._values = dict(values or {})
        self._known: set[str] = set()

    def refuse(self, name: str, why: str) -> InvalidSettings:
        """The error for a setting. It does not contain the value, which may be a secret."""
        return InvalidSettings(
            f"setting {name!r} of driver {self.driver} {why}", driver=self.driver, setting=name
        )

    def _take(self, name: str, default: Any) -> Any:
        self._known.add(name)
        found = self._values.get(name, default)
        if found is _REQUIRED:
            raise self.refuse(name, "is missing")
        return found

    def _typed(self, name: str, default: Any, kind: type[T], wrong: str) -> T:
        found = self._take(name, default)
        if not isinstance(found, kind):
            raise self.refuse(name, wrong)
        return found

    def text(self, name: str, default: Any = _REQUIRED) -> str:
        """A text.

        :raises InvalidSettings: it is missing or of another type.
        """
        return self._typed(name, default, str, "must be text")

    def flag(self, name: str, default: Any = _REQUIRED) -> bool:
        """True or false.

        :raises InvalidSettings: it is missing or of another type.
        """
        return self._typed(name, default, bool, "must be true or false")

    def number(self, name: str, default: Any = _REQUIRED, *, low: float, high: float) -> float:
        """A number within bounds.

        :raises InvalidSettings: it is missing, of another type, or out of bounds.
        """
        found = self._take(name, default)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise self.refuse(name, "must be a number")
        if not low <= found <= high:
            raise self.refuse(name, f"must be from {low} to {high}")
        return found

    def texts(self, name: str, default: Any = _REQUIRED) -> tuple[str, ...]:
        """A list of texts.

        :raises InvalidSettings: it is missing or of another type.
        """
        found = self._take(name, default)
        if not isinstance(found, list | tuple) or not all(isinstance(each, str) for each in found):
            raise self.refuse(name, "must be a list of texts")
        return tuple(found)

    def mapping(self, name: str, default: Any = _REQUIRED) -> Mapping[str, Any]:
        """Values by name.

        :raises InvalidSettings: it is missing or of another type.
        """
        found = self._take(name, default)
        if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
            raise self.refuse(name, "must be a mapping")
        return found

    def secret(self, name: str, default: Any = _REQUIRED) -> str:
        """A secret: ``NAME_env`` names an environment variable, ``NAME_file`` a file that holds it.

        The secret itself is not a setting: files of settings are shown, copied and kept.

        :raises InvalidSettings: neither is set, both are, or the secret is empty or cannot be read.
        """
        variable, path = self.text(f"{name}_env", ""), self.text(f"{name}_file", "")
        if not variable and not path and isinstance(default, str):
            return default
        if bool(variable) == bool(path):
            raise self.refuse(name, f"comes from either {name}_env or {name}_file")
        if variable:
            found = os.environ.get(variable, "")
        else:
            try:
                found = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is not text"
                raise self.refuse(f"{name}_file", f"cannot be read: {why}") from None
        if not found:
            raise self.refuse(f"{name}_env" if variable else f"{name}_file", "holds nothing")
        return found

    def finish(self) -> None:
        """Check that the driver has read all settings.

        :raises InvalidSettings: it has not read one.
        """
        for name in self._values:
            if name not in self._known:
                raise self.refuse(name, f"is not known{did_you_mean(name, self._known)}")


def read_settings(path: str) -> Mapping[str, Any]:
    """The settings in a YAML file.

    :raises InvalidSettings: the file cannot be read, or is no mapping.
    """
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        # The content of the file is not reported: it may be a secret in the wrong place.
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "strerror", None) or type(error).__name__
        where = f" in line {mark.line + 1}" if mark else ""
        raise InvalidSettings(
            f"the settings in {path} cannot be read: {why}{where}", path=path
        ) from None
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise InvalidSettings(f"the settings in {path} must be a mapping", path=path)
    return found
