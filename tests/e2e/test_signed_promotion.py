"""`promote: {require_signature: KEY}`: only what somebody has signed gets a stage or an alias."""

from __future__ import annotations

from dataclasses import replace

from flowrun.registry.keys import make_keys
from flowrun.registry.signing import SIGNATURE, make_signature
from tests.support.space import Space

PROJECT = {
    "MLproject": """\
name: release
entry_points:
  train:
    command: "cp -r trained model"
    outputs: {model: {path: model, type: model}}
  main:
    steps:
      train: {}
      register:
        register: {name: "the demo", model: "${{ steps.train.outputs.model }}"}
      promote:
        promote:
          name: the demo
          version: "${{ steps.register.outputs.version }}"
          alias: champion
          require_signature: keys/release.pem.pub
""",
    "trained/MLmodel": "flavors:\n  own:\n    data: weights\n",
    "trained/weights": "0.7",
}


def test_a_model_is_promoted_only_if_it_is_what_was_signed(space: Space) -> None:
    project = replace(
        space, path=space.path / "project", variables={"FLOWRUN_HOME": str(space.home)}
    )
    project.write(PROJECT)
    (project.path / "keys").mkdir()
    private, _ = make_keys(space.path / "release.pem")
    (space.path / "release.pem.pub").rename(project.path / "keys" / "release.pem.pub")

    done = space.flowrun("run", "project", code=1)
    unsigned = "the demo version 1 is not signed: it has no model.sig"
    assert unsigned in done.out
    signature = make_signature(project.path / "trained", private)
    (project.path / "trained" / SIGNATURE).write_bytes(signature)
    space.flowrun("run", "project")
    (project.path / "trained" / "weights").write_text("0.1")
    done = space.flowrun("run", "project", code=1)
    changed = "the demo version 3 is not what was signed: weights differs"
    assert changed in done.out
    (champion,) = space.flowrun("models", "list", "--json").json()
    assert champion["aliases"] == {"champion": "2"}


def test_whoever_promotes_may_ask_for_a_signature_that_the_project_does_not(space: Space) -> None:
    text = PROJECT["MLproject"].replace("          require_signature: keys/release.pem.pub\n", "")
    space.write({f"project/{name}": content for name, content in PROJECT.items()})
    space.write({"project/MLproject": text})
    make_keys(space.path / "release.pem")
    asked = replace(space, variables={"FLOWRUN_REQUIRE_SIGNATURE": "release.pem.pub"})
    done = asked.flowrun("run", "project", code=1)
    assert "the demo version 1 is not signed" in done.out
    for words in (("promote", "the demo/1", "--to", "Staging"), ("approve", "the demo/1")):
        if words[0] == "approve":
            space.flowrun("models", "promote", "the demo/1", "--to", "Staging", "--request")
        done = asked.flowrun("models", *words, code=2)
        assert done.err.startswith("flowrun: the demo version 1 is not signed")
    asked.flowrun("models", "promote", "the demo/1", "--to", "Archived")
    space.flowrun("models", "approve", "the demo/1")

    space.write({"project/trained/weights": "0.8"})
    space.flowrun("run", "project")
    space.flowrun("models", "promote", "the demo/2", "--to", "Staging")
    back = ("models", "rollback", "the demo", "--to", "Staging")
    done = asked.flowrun(*back, code=2)
    assert done.err.startswith("flowrun: the demo version 1 is not signed")
    asked.flowrun("models", "sign", "models:/the%20demo/1", "--key", "release.pem")
    asked.flowrun(*back)
    assert space.flowrun("models", "show", "the demo/1", "--json").json()["stage"] == "Staging"
