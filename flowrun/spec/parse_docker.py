"""What a `docker_env` says: the image or how to build it, and what its containers are given."""

from __future__ import annotations

import re
from dataclasses import replace

from flowrun.spec.fields import Fields, one_of
from flowrun.spec.project import BuildSpec, DockerSpec, MountSpec, MountType
from flowrun.spec.yaml_nodes import ListNode, MapNode, ScalarNode

_NOT_YET = {"args": "give them on the command line: --docker-args NAME=VALUE"}
"""They reach far into the engine (`privileged`), so they are the caller's to give."""
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?")
_GPUS = re.compile(r"all|[1-9][0-9]*|device=[A-Za-z0-9_.-]+(,[A-Za-z0-9_.-]+)*")


def parse_docker(around: Fields) -> DockerSpec:
    """Return the `docker_env` of a map that has one."""
    fields = around.fields("docker_env", f"docker_env of {around.what}")
    if fields is None:
        return DockerSpec("")
    image, build = fields.text("image"), _build(fields)
    if image is None and not fields.has("build"):
        fields.problems.add(fields.node.mark, f"{fields.what} has no 'image' and no 'build'")
    spec = DockerSpec(
        image or "",
        tuple(name.text for name in fields.names("volumes")),
        _copied_or_set(fields, "environment"),
        build,
        user=fields.text("user"),
        gpus=_gpus(fields),
        network=fields.text("network"),
        platform=_platform(fields),
        shm_size_bytes=fields.size_bytes("shm_size"),
        mounts=_mounts(fields),
    )
    fields.end(unknown_is_error=False, not_yet=_NOT_YET)
    return spec


def _copied_or_set(fields: Fields, key: str) -> tuple[tuple[str, str] | str, ...]:
    """Read a list of names, whose values are the caller's, and of pairs of a name and a value."""
    entry = fields.entry(key)
    if entry is None:
        return ()
    if not isinstance(entry.node, ListNode):
        fields.problems.add(entry.node.mark, f"'{key}' of {fields.what} must be a list")
        return ()
    found: list[tuple[str, str] | str] = []
    for item in entry.node.items:
        match item:
            case ListNode(items=[ScalarNode(text=name), ScalarNode(value=value)]):
                found.append((name, str(value)))
            case ScalarNode(value=str(name)):
                found.append(name)
            case _:
                fields.problems.add(
                    item.mark,
                    f"'{key}' of {fields.what} lists names to copy and [NAME, value] pairs",
                )
    return tuple(found)


def _build(around: Fields) -> BuildSpec | None:
    """Read `build: directory`, or a map of its keys, as in a Compose file."""
    entry = around.entry("build")
    if entry is None:
        return None
    if isinstance(entry.node, ScalarNode):
        context = around.directory("build")
        return BuildSpec(context or ".")
    fields = around.fields("build", f"build of {around.what}")
    if fields is None:
        return BuildSpec()
    spec = BuildSpec(args=_arguments(fields), target=fields.text("target"))
    spec = replace(
        spec,
        context=fields.directory("context") or spec.context,
        dockerfile=fields.path("dockerfile") or spec.dockerfile,
    )
    fields.end(unknown_is_error=True)
    return spec


def _arguments(fields: Fields) -> tuple[tuple[str, str] | str, ...]:
    """Read a map of arguments, or a list like that of `environment`."""
    entry = fields.entry("args")
    if entry is None or isinstance(entry.node, ListNode):
        return _copied_or_set(fields, "args")
    values = fields.variables("args")
    return tuple((name, str(v.raw)) for name, v in values.items() if v.raw is not None)


def _gpus(fields: Fields) -> str | None:
    """Read `all`, a count, or a list of devices."""
    entry = fields.entry("gpus")
    if entry is None:
        return None
    names = [name.text for name in fields.names("gpus")]
    text = ",".join(names)
    if isinstance(entry.node, ListNode):
        text = f"device={text}"
    if _GPUS.fullmatch(text):
        return text
    what = f"'gpus' of {fields.what}"
    fields.problems.add(entry.node.mark, f"{what} must be all, a count, or a list of devices")
    return None


def _platform(fields: Fields) -> str | None:
    name = fields.name("platform")
    if name is None or _PLATFORM.fullmatch(name.text):
        return name.text if name else None
    what = f"'platform' of {fields.what}"
    fields.problems.add(name.mark, f"{what} must be like linux/amd64, not '{name.text}'")
    return None


def _mounts(fields: Fields) -> tuple[MountSpec, ...]:
    entry = fields.entry("mounts")
    if entry is None:
        return ()
    what = f"'mounts' of {fields.what}"
    if not isinstance(entry.node, ListNode):
        fields.problems.add(entry.node.mark, f"{what} must be a list")
        return ()
    found: list[MountSpec] = []
    for item in entry.node.items:
        if isinstance(item, MapNode):
            mount = _mount(Fields(item, f"mount of {fields.what}", fields.problems))
            found += [mount] if mount else []
        else:
            fields.problems.add(item.mark, f"{what} lists maps with 'source' and 'target'")
    return tuple(found)


def _mount(fields: Fields) -> MountSpec | None:
    known = [each.value for each in MountType]
    kind, target, source = fields.name("type"), fields.name("target"), fields.text("source")
    is_read_only = fields.flag("read_only", default=False)
    size_bytes = fields.size_bytes("size")
    fields.end(unknown_is_error=True)
    if kind is not None and kind.text not in known:
        problem = f"'type' of {fields.what} must be {one_of(known)}, not '{kind.text}'"
        fields.problems.add(kind.mark, problem)
        return None
    chosen = MountType(kind.text) if kind else MountType.BIND
    if target is None or not target.text.startswith("/"):
        mark = target.mark if target else fields.node.mark
        fields.problems.add(mark, f"{fields.what} needs a 'target', an absolute path in it")
        return None
    if (source is None) != (chosen is MountType.TMPFS):
        need = "has no 'source'" if chosen is MountType.TMPFS else "needs a 'source'"
        fields.problems.add(fields.node.mark, f"{fields.what}, of type {chosen}, {need}")
        return None
    return MountSpec(chosen, target.text, source, is_read_only, size_bytes)
