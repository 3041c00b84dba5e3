"""What is logged of a training, whatever library it is of."""

from __future__ import annotations

import hashlib
import importlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flowrun.models.arrays import is_array, is_column, is_frame
from flowrun.models.autolog.hooks import outermost, quietly
from flowrun.models.autolog.switch import Options, options_of
from flowrun.models.signature import infer_schema, infer_signature
from flowrun.tracking import fluent

_VALUE_CHARACTERS = 500
_EXAMPLE_ROWS = 5


@contextmanager
def training(library: str) -> Iterator[Options | None]:
    """Go along with a training: in the active run, or in one that ends with it.

    Gives what is to be logged; None if that is nothing: it is turned off, or this training is part
    of another one.
    """
    options = options_of(library)
    with outermost() as is_first:
        if options is None or not is_first:
            yield None
            return
        if quietly("a run", fluent.run_in_progress) is not None:
            yield options
            return
        run = quietly("a run", fluent.start_run)
        status = "FAILED"
        try:
            yield None if run is None else options
            status = "FINISHED"
        finally:
            if run is not None:
                quietly("a run", fluent.end_run, status)


def log_params(params: Mapping[str, object]) -> None:
    """Log parameters; a long value is cut, and one that is logged already stays as it is."""
    short = {
        str(name)[:250]: text if len(text) <= _VALUE_CHARACTERS else f"{text[:497]}..."
        for name, text in ((name, str(value)) for name, value in params.items())
    }
    run = fluent.run_in_progress()
    if run is None:
        return
    known = fluent.get_run(run.info.run_id).data.params
    fluent.log_params({name: value for name, value in short.items() if name not in known})


def log_dataset(data: object, context: str = "train", name: str = "dataset") -> None:
    """Record what a training used: shape, schema and a digest of all values."""
    run = fluent.run_in_progress()
    digest = digest_of(data)
    if run is None or digest is None:
        return
    schema = infer_schema(data)
    kind = "mlflow_tensorspec" if schema.tensors else "mlflow_colspec"
    shape = list(getattr(data, "shape", ()))
    dataset = {
        "name": name,
        "digest": digest,
        "source_type": "code",
        "source": json.dumps({"tags": {}}),
        "schema": json.dumps({kind: schema.to_dict()}),
        "profile": json.dumps({"shape": shape}),
    }
    tags = [{"key": "mlflow.data.context", "value": context}]
    body = {"run_id": run.info.run_id, "datasets": [{"dataset": dataset, "tags": tags}]}
    fluent.current_session().http().call("POST", "runs/log-inputs", body)


def digest_of(data: object) -> str | None:
    """Give 16 hex digits that say which values these are; None for data of unknown kind."""
    if is_frame(data):
        columns: list[Any] = [data[name] for name in data.columns.tolist()]
        parts = [repr(data.columns.tolist()), *map(_content, columns)]
    elif is_array(data) or is_column(data):
        parts = [_content(data)]
    else:
        return None
    digest = hashlib.sha256(f"{getattr(data, 'shape', ())}".encode())
    for part in parts:
        digest.update(part if isinstance(part, bytes) else part.encode())
    return digest.hexdigest()[:16]


def log_model(
    flavor: str,
    model: object,
    options: Options,
    data: object = None,
    predict: Callable[[Any], object] | None = None,
) -> None:
    """Log a trained model, with signature and example as far as they are wanted.

    Args:
        flavor: the model's.
        model: the model.
        options: what is wanted.
        data: that it was trained on; the first rows are enough.
        predict: gives what the model makes of it, for the signature.
    """
    if not options.log_models:
        return
    rows = None if data is None else _first_rows(data)
    more: dict[str, object] = {"signature": False}
    if rows is not None and options.log_model_signatures and predict is not None:
        output = quietly("a signature", predict, rows)
        if output is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                more["signature"] = infer_signature(rows, output)
    if rows is not None and options.log_input_examples:
        more["input_example"] = rows
    if options.registered_model_name:
        more["registered_model_name"] = options.registered_model_name
    importlib.import_module(f"flowrun.models.flavors.{flavor}").log_model(
        model, name="model", **more
    )


def numbers_of(values: Mapping[str, object]) -> dict[str, float]:
    """Give those values that are numbers, under names that metrics can have."""
    found: dict[str, float] = {}
    for name, value in values.items():
        item = getattr(value, "item", None)
        number = item() if callable(item) and getattr(value, "size", 1) == 1 else value
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            found[name.replace("@", "_at_")] = float(number)
    return found


def _first_rows(data: Any) -> object:  # noqa: ANN401 - of pandas or numpy
    if is_frame(data) or is_array(data) or is_column(data):
        rows: object = data[:_EXAMPLE_ROWS]  # type: ignore[index]  # each of them can be cut
        return rows
    return None


def _content(items: Any) -> bytes | str:  # noqa: ANN401 - of pandas or numpy
    """Give the bytes of plain numbers, else how the values are written."""
    values: Any = items.to_numpy() if hasattr(items, "to_numpy") else items
    if values.dtype.kind in "biufcM":
        content: bytes = values.dtype.str.encode() + values.tobytes()
        return content
    return repr(values.tolist())
