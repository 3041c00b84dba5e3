"""From a model's URI to the model: as an object of its library, or as one that predicts."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flowrun.errors import InvalidValueError, UnsupportedError
from flowrun.models.flavors.backends import find_flavor
from flowrun.models.flavors.base import Settings, refuse_pickle
from flowrun.models.inner_paths import inside
from flowrun.models.mlmodel import MlModel, read_mlmodel
from flowrun.models.places import local_copy

PYFUNC = "python_function"


@dataclass(frozen=True)
class Found:
    """A model's folder, and what its MLmodel file says."""

    folder: Path
    mlmodel: MlModel

    def settings(self, flavor: str) -> Settings:
        """Give the section of a flavor.

        Raises:
            UnsupportedError: the model has none.
        """
        if flavor not in self.mlmodel.flavors:
            has = ", ".join(self.mlmodel.flavors)
            raise UnsupportedError(
                f'Model does not have the "{flavor}" flavor',
                f"{self.folder} can be loaded as: {has}",
            )
        return self.mlmodel.flavors[flavor]


def find_model(model_uri: str, dst_path: str | os.PathLike[str] | None = None) -> Found:
    """Bring a model to this machine and read its MLmodel file; see `places.local_copy`."""
    folder = local_copy(model_uri, dst_path)
    return Found(folder, read_mlmodel(folder))


def load_model_of(
    flavor: str, model_uri: str, dst_path: str | os.PathLike[str] | None = None
) -> object:
    """Give a model as an object of its library.

    Raises:
        NotFoundError: there is no such model. UnsupportedError: it is of another flavor, or its
            library is missing. PermissionDeniedError: it is a pickle, and these are forbidden.
        InvalidValueError: it is damaged.
    """
    found = find_model(model_uri, dst_path)
    settings = found.settings(flavor)
    use_code(found.folder, settings)
    return find_flavor(flavor).load(found.folder, settings)


def use_code(folder: Path, settings: Mapping[str, object]) -> Path | None:
    """Let Python find the code that was kept with a model; gives its folder, None if there is none.

    Raises:
        PermissionDeniedError: models may not bring code.
    """
    name = settings.get("code")
    if name is None:
        return None
    refuse_pickle(f"the code in {folder}", "Save the model without code_paths.")
    code = inside(folder, name)
    if not code.is_dir():
        raise InvalidValueError(f"{folder}: 'code' is no folder: {name}")
    if str(code) not in sys.path:
        sys.path.insert(0, str(code))
    return code
