"""Assessments in SQL."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from flowrun.errors import AlreadyExistsError, InvalidValueError, NotFoundError
from flowrun.tracking import checks, limits
from flowrun.tracking.sql.database import Connection
from flowrun.tracking.sql.trace_rows import (
    ASSESSMENT_COLUMNS,
    StoredAssessment,
    TracePart,
    assessment_of,
    find_trace,
)
from flowrun.tracking.trace_entities import (
    Assessment,
    AssessmentError,
    AssessmentKind,
    JsonValue,
)

_FIELDS = StoredAssessment._fields
_INSERT = f"""
    INSERT INTO assessments ({ASSESSMENT_COLUMNS}) VALUES ({", ".join("?" for _ in _FIELDS)})
    ON CONFLICT DO NOTHING RETURNING assessment_id
"""
_PUT = f"""
    INSERT INTO assessments ({ASSESSMENT_COLUMNS}) VALUES ({", ".join("?" for _ in _FIELDS)})
    ON CONFLICT (trace_pk, assessment_id) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in _FIELDS[2:])}
"""
_SELECT = f"""
    SELECT {ASSESSMENT_COLUMNS} FROM assessments
    WHERE trace_pk = :trace_pk AND assessment_id = :assessment_id
"""
_SET_VALID = """
    UPDATE assessments SET is_valid = :is_valid
    WHERE trace_pk = :trace_pk AND assessment_id = :assessment_id RETURNING assessment_id
"""
_DELETE = """
    DELETE FROM assessments WHERE trace_pk = :trace_pk AND assessment_id = :assessment_id
    RETURNING overrides
"""


_ARTICLES = {
    AssessmentKind.FEEDBACK: "a Feedback",
    AssessmentKind.EXPECTATION: "an Expectation",
    AssessmentKind.ISSUE: "an Issue",
}


class SqlAssessments(TracePart):
    """The assessments of `SqlTraceStore`; what each call promises is told in the protocol."""

    def create_assessment(self, assessment: Assessment) -> Assessment:
        """Add an assessment; the one that it overrides becomes invalid."""
        _check(assessment)
        made = replace(assessment, assessment_id=assessment.assessment_id or _id(self._new_id))
        with self._database.write(made.trace_id) as connection:
            trace_pk = find_trace(connection, made.trace_id).trace_pk
            if made.overrides:
                _set_valid(connection, trace_pk, made, is_valid=False)
            if connection.execute(_INSERT, _row(trace_pk, made)).fetchone() is None:
                raise AlreadyExistsError(
                    f"Assessment with ID '{made.assessment_id}' already exists "
                    f"for trace '{made.trace_id}'"
                )
        return made

    def get_assessment(self, trace_id: str, assessment_id: str) -> Assessment:
        """Give an assessment."""
        with self._database.read() as connection:
            trace_pk = find_trace(connection, trace_id).trace_pk
            return _read(connection, trace_pk, trace_id, assessment_id)

    def update_assessment(
        self,
        trace_id: str,
        assessment_id: str,
        *,
        name: str | None = None,
        feedback: tuple[JsonValue, AssessmentError | None] | None = None,
        expectation: tuple[JsonValue] | None = None,
        rationale: str | None = None,
        metadata: Mapping[str, str] | None = None,
        is_valid: bool | None = None,
    ) -> Assessment:
        """Change what is given; None leaves a field as it is, metadata is added."""
        if feedback is not None and expectation is not None:
            raise InvalidValueError("Cannot specify both `expectation` and `feedback` parameters.")
        with self._database.write(trace_id) as connection:
            trace_pk = find_trace(connection, trace_id).trace_pk
            known = _read(connection, trace_pk, trace_id, assessment_id)
            if expectation is not None:
                known = _with_value(known, AssessmentKind.EXPECTATION, *expectation, None)
            if feedback is not None:
                known = _with_value(known, AssessmentKind.FEEDBACK, *feedback)
            changed = replace(
                known,
                name=known.name if name is None else name,
                rationale=known.rationale if rationale is None else rationale,
                metadata={**known.metadata, **(metadata or {})},
                is_valid=known.is_valid if is_valid is None else is_valid,
                last_update_time_ms=self._now(),
            )
            _check(changed)
            connection.execute(_PUT, _row(trace_pk, changed))
        return changed

    def delete_assessment(self, trace_id: str, assessment_id: str) -> None:
        """Remove an assessment if it is there; the one that it overrode is valid again."""
        with self._database.write(trace_id) as connection:
            trace_pk = find_trace(connection, trace_id).trace_pk
            where = {"trace_pk": trace_pk, "assessment_id": assessment_id}
            row = connection.execute(_DELETE, where).fetchone()
            if row is not None and row[0] is not None:
                again = {"trace_pk": trace_pk, "assessment_id": row[0], "is_valid": 1}
                connection.execute(_SET_VALID, again)


def put_assessments(
    connection: Connection,
    trace_pk: int,
    assessments: Iterable[Assessment],
    new_id: Callable[[], str],
) -> None:
    """Add the assessments that came with a trace, in place of those with the same ids."""
    for assessment in assessments:
        _check(assessment)
        made = replace(assessment, assessment_id=assessment.assessment_id or _id(new_id))
        connection.execute(_PUT, _row(trace_pk, made))


def _check(assessment: Assessment) -> None:
    if not assessment.name:
        raise checks.missing_value("assessment.assessment_name")
    for path, text in (
        ("assessment_name", assessment.name),
        ("assessment_id", assessment.assessment_id),
        ("span_id", assessment.span_id or ""),
        ("overrides", assessment.overrides or ""),
    ):
        checks.check_length(path, text, limits.MAX_TRACE_KEY_LENGTH)


def _with_value(
    assessment: Assessment, kind: AssessmentKind, value: JsonValue, error: AssessmentError | None
) -> Assessment:
    if assessment.kind is not kind:
        raise InvalidValueError(
            f"Cannot update {kind} value on {_ARTICLES[assessment.kind]} assessment."
        )
    return replace(assessment, value=value, error=error)


def _set_valid(
    connection: Connection, trace_pk: int, assessment: Assessment, *, is_valid: bool
) -> None:
    values = {
        "trace_pk": trace_pk,
        "assessment_id": assessment.overrides,
        "is_valid": int(is_valid),
    }
    if connection.execute(_SET_VALID, values).fetchone() is None:
        raise _not_found(assessment.trace_id, assessment.overrides or "")


def _read(connection: Connection, trace_pk: int, trace_id: str, assessment_id: str) -> Assessment:
    where = {"trace_pk": trace_pk, "assessment_id": assessment_id}
    row = connection.execute(_SELECT, where).fetchone()
    if row is None:
        raise _not_found(trace_id, assessment_id)
    return assessment_of(StoredAssessment._make(row), trace_id)


def _not_found(trace_id: str, assessment_id: str) -> NotFoundError:
    return NotFoundError(f"Assessment with ID '{assessment_id}' not found for trace '{trace_id}'")


def _row(trace_pk: int, assessment: Assessment) -> StoredAssessment:
    error = assessment.error
    return StoredAssessment(
        trace_pk=trace_pk,
        assessment_id=assessment.assessment_id,
        name=assessment.name,
        kind=assessment.kind,
        value=json.dumps(assessment.value, ensure_ascii=False),
        number=_number(assessment.value),
        error=None if error is None else json.dumps([error.code, error.message, error.stack_trace]),
        span_id=assessment.span_id,
        source_type=assessment.source_type,
        source_id=assessment.source_id,
        rationale=assessment.rationale,
        assessment_metadata=json.dumps(dict(assessment.metadata), ensure_ascii=False),
        overrides=assessment.overrides,
        is_valid=int(assessment.is_valid),
        create_time_ms=assessment.create_time_ms,
        last_update_time_ms=assessment.last_update_time_ms,
    )


def _number(value: JsonValue) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _id(new_id: Callable[[], str]) -> str:
    return f"a-{new_id()}"
