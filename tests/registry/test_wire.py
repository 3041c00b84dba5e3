from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from flowrun.registry import wire
from flowrun.registry.entities import ModelVersion, RegisteredModel, Stage, VersionStatus
from flowrun.tracking.fields import Fields

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
times = st.integers(0, 2**62)
tags = st.dictionaries(names, names, max_size=3)


@st.composite
def versions(draw: st.DrawFn) -> ModelVersion:
    source = draw(names)
    return ModelVersion(
        name=draw(names),
        version=str(draw(st.integers(1, 99))),
        creation_time_ms=draw(times),
        last_update_time_ms=draw(times),
        source=source,
        download_uri=source,
        stage=draw(st.sampled_from(Stage)),
        status=draw(st.sampled_from(VersionStatus)),
        description=draw(st.just("") | names),
        run_id=draw(st.none() | names),
        run_link=draw(st.none() | names),
        model_id=draw(st.none() | names),
        user_id=draw(st.none() | names),
        tags=draw(tags),
        aliases=tuple(draw(st.lists(names, max_size=2))),
    )


models = st.builds(
    RegisteredModel,
    name=names,
    creation_time_ms=times,
    last_update_time_ms=times,
    description=st.just("") | names,
    tags=tags,
    aliases=st.dictionaries(names, st.integers(1, 99).map(str), max_size=2),
    latest_versions=st.lists(versions(), max_size=2).map(tuple),
)


@given(models)
def test_a_registered_model_comes_back_from_its_json(model: RegisteredModel) -> None:
    sent = json.loads(json.dumps(wire.registered_model_json(model)))
    assert wire.registered_model_from(Fields(sent)) == model
