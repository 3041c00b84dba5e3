"""Images: found, pulled or built, and named so exactly that nothing can move below them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from docker.errors import ImageNotFound, NotFound

from flowrun.envs.base import EnvRequest, ImageEnv, Progress
from flowrun.envs.docker_build import BuildContext, baked_context, read_context
from flowrun.envs.docker_digests import lock_of, parts_of, registered_lock
from flowrun.envs.docker_engine import UNREACHABLE, Engine, reason
from flowrun.envs.docker_events import LongWork
from flowrun.envs.docker_paths import sources_of, volumes_of
from flowrun.envs.exclusive import exclusive
from flowrun.envs.image_lock import DIGEST, ImageLock
from flowrun.envs.manager import DOCKER
from flowrun.envs.masking import mask
from flowrun.envs.process import LAST_LINES
from flowrun.envs.published import key_of
from flowrun.errors import EnvError
from flowrun.settings import is_offline, offline_error
from flowrun.spec.project import BuildSpec, DockerSpec, MountType

BUILT = "flowrun-env"
"""The repository name of images built here; the tag is the digest of what they were built from."""
BUILT_LABEL = "flowrun.env"
_DIGITS_IN_TAG = 16


class Images:
    """The images of one engine. Safe for any number of threads and processes."""

    def __init__(self, engine: Engine, variables: Mapping[str, str], root: Path) -> None:
        """Make it.

        Args:
            root: the environment store's folder, for locks and logs.
        """
        self._engine = engine
        self._variables = variables
        self._root = root

    def check(self, request: EnvRequest) -> None:
        """Find what can be seen to be wrong without pulling or building; see `EnvStore.check`."""
        docker, where = _docker(request), _where(request)
        for entry in docker.environment:
            if isinstance(entry, str) and entry not in self._variables:
                raise EnvError(
                    f"{where}docker_env copies the environment variable {entry}, which is not set.",
                    f"Set it, or give it a value in the file: [{entry}, value].",
                )
        for _ in volumes_of(docker, self._variables):
            pass  # each is complete and absolute, else an error says so
        for mount, source in zip(docker.mounts, sources_of(docker, self._variables), strict=True):
            is_here = mount.type is MountType.BIND and not self._engine.is_far
            if is_here and not Path(source or "").exists():
                raise EnvError(f"{where}docker_env mounts {source}, which does not exist.")
        if docker.build is not None:
            read_context(request.directory, docker.build, docker.platform, self._variables, where)
        else:
            self._find(docker.image, docker.platform, where)

    def ensure(
        self, request: EnvRequest, progress: Progress, is_cancelled: Callable[[], bool]
    ) -> ImageEnv:
        """Give the image, pulled or built first if this engine does not have it.

        Raises:
            EnvError: it can't be had. CancelledError: `is_cancelled` said yes.
        """
        docker, where = _docker(request), _where(request)
        if request.lock is not None:
            name, found = self._given(request.lock, request, progress, is_cancelled)
        elif docker.build is not None:
            name, found = self._built_from(docker.build, request, progress, is_cancelled)
        else:
            name = docker.image
            found = self._find(name, docker.platform, where) or self._pulled(
                name, docker.platform, where, progress, is_cancelled
            )
        if request.baked_as is not None:
            context = baked_context(request.directory, str(found["Id"]), docker.platform)
            found = self._built(context, name, progress, is_cancelled)
            name = request.baked_as
            self._name(str(found["Id"]), name)
        elif request.lock is not None:
            return _env(docker, name, found, request.lock)
        return _env(docker, name, found, lock_of(name, found))

    def has(self, image_id: str) -> bool:
        """Tell whether the engine has an image."""
        return self._find(image_id, None, "") is not None

    def resolve(self, request: EnvRequest, progress: Progress) -> str:
        """Give the lock of an image that the project names; see `registered_lock`."""
        return registered_lock(
            None if is_offline(self._variables) else self._engine,
            request,
            lambda platform: self._find(_docker(request).image, platform, _where(request)),
            progress,
        )

    def known(self, request: EnvRequest) -> str | None:
        """Give the lock of what `ensure` would give, if the image is there already.

        Raises:
            EnvError: no engine answers.
        """
        docker, where = _docker(request), _where(request)
        name = docker.image
        if docker.build is not None:
            context = read_context(
                request.directory, docker.build, docker.platform, self._variables, where
            )
            name = _tag(context)
        found = self._find(name, docker.platform, where)
        if found is not None and request.baked_as is not None:
            context = baked_context(request.directory, str(found["Id"]), docker.platform)
            name, found = request.baked_as, self._find(_tag(context), context.platform, where)
        return None if found is None else lock_of(name, found)

    def _given(
        self,
        text: str,
        request: EnvRequest,
        progress: Progress,
        is_cancelled: Callable[[], bool],
    ) -> tuple[str, Mapping[str, object]]:
        """Give the very image of a lock, pulled or built if need be, and its name."""
        docker, where = _docker(request), _where(request)
        asked = docker.image or "of the project's build"
        lock = ImageLock.parse(text, f"lock of image {asked}")
        if lock.digests:
            digests = lock.digests_of(docker.image)
            if not digests or docker.build is not None:
                raise EnvError(
                    f"{where}the lock of image {asked} names no digest of it, but "
                    f"{', '.join(lock.digests)}."
                )
            there = (self._find(digest, lock.platform, where) for digest in digests)
            found = next(filter(None, there), None) or self._pulled(
                digests[0], lock.platform, where, progress, is_cancelled
            )
            return docker.image, found
        known = self._find(lock.image_id, None, where)
        if known is None and docker.build is not None:
            known = self._built_from(docker.build, request, progress, is_cancelled)[1]
        if known is None or known["Id"] != lock.image_id:
            raise EnvError(
                f"{where}image '{lock.image}' of the lock ({lock.image_id[:19]}...) is not on this "
                "engine, and no registry is known to have it.",
                "Push it to a registry and lock that, or lock anew.",
            )
        return lock.image, known

    def _built_from(
        self,
        build: BuildSpec,
        request: EnvRequest,
        progress: Progress,
        is_cancelled: Callable[[], bool],
    ) -> tuple[str, Mapping[str, object]]:
        context = read_context(
            request.directory, build, _docker(request).platform, self._variables, _where(request)
        )
        found = self._built(context, context.dockerfile, progress, is_cancelled)
        return _tag(context), found

    def _name(self, image_id: str, name: str) -> None:
        try:
            self._engine.api.tag(image_id, *parts_of(name))
        except UNREACHABLE as error:
            raise EnvError(f"image '{name}': {reason(error)}.") from error

    def _find(self, name: str, platform: str | None, where: str) -> Mapping[str, object] | None:
        """Look for an image on this engine, of the platform if one is asked for."""
        try:
            found: Mapping[str, object] = self._engine.api.inspect_image(name)  # type: ignore[no-untyped-call]  # the stubs say nothing of it
        except (ImageNotFound, NotFound):
            return None
        except UNREACHABLE as error:
            raise EnvError(f"{where}image '{name}': {reason(error)}.") from error
        return found if platform is None or _is_of(found, platform) else None

    def _pulled(
        self,
        name: str,
        platform: str | None,
        where: str,
        progress: Progress,
        is_cancelled: Callable[[], bool],
    ) -> Mapping[str, object]:
        if is_offline(self._variables):
            raise EnvError(where + offline_error(f"image '{name}'") + ".")
        progress(f"pulling image {name}")
        repository, tag = (name, None) if DIGEST.fullmatch(name) else parts_of(name)
        what = f"{where}image '{name}' is not on this machine and can't be pulled"
        layers: dict[str, bool] = {}
        done = 0
        events = LongWork(
            lambda: self._engine.api.pull(
                repository, tag=tag, platform=platform, stream=True, decode=True
            ),
            f"pulling image {name}",
            is_cancelled,
        )
        for event in events.until_end(what):
            layer, status = str(event.get("id", "")), str(event.get("status", ""))
            if status == "Pulling fs layer":
                layers[layer] = False
            elif status in {"Pull complete", "Already exists"}:
                layers[layer] = True
            if sum(layers.values()) > done:
                done = sum(layers.values())
                progress(f"pulling image {name}: {done} of {len(layers)} layers")
        if found := self._find(name, platform, where):
            return found
        raise EnvError(f"{where}image '{name}' was pulled, but is not there for {platform}.")

    def _built(
        self,
        context: BuildContext,
        label: str,
        progress: Progress,
        is_cancelled: Callable[[], bool],
    ) -> Mapping[str, object]:
        """Build a context, unless this engine has built the very same one before."""
        tag = _tag(context)
        if found := self._find(tag, context.platform, ""):
            return found
        waiting = f"waiting for another flowrun that is building image {tag}"
        lock = self._root / "locks" / tag.replace(":", "-")
        with exclusive(lock, lambda: progress(waiting), is_cancelled):
            if found := self._find(tag, context.platform, ""):
                return found
            progress(f"building image {tag} ({label})")
            self._build(context, tag, is_cancelled)
        if found := self._find(tag, None, ""):
            return found
        raise EnvError(f"image {tag} was built, but is not there.")

    def _build(self, context: BuildContext, tag: str, is_cancelled: Callable[[], bool]) -> None:
        log = self._root / "logs" / f"{tag.replace(':', '-')}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        tail: deque[str] = deque(maxlen=LAST_LINES)
        with context.tar() as packed, log.open("w", encoding="utf-8") as file:
            events = LongWork(
                lambda: self._engine.api.build(
                    fileobj=packed,
                    custom_context=True,
                    dockerfile=context.dockerfile,
                    tag=tag,
                    buildargs=dict(context.args),
                    target=context.target,
                    platform=context.platform,
                    labels={BUILT_LABEL: tag},
                    rm=True,
                    forcerm=True,
                    decode=True,
                ),
                f"building image {tag}",
                is_cancelled,
            )
            try:
                for event in events.until_end(f"image {tag} can't be built"):
                    lines = mask(str(event.get("stream", ""))).splitlines()
                    tail += [line for line in lines if line.strip()]
                    file.writelines(f"{line}\n" for line in lines)
            except EnvError as error:
                file.write(f"{error.message}\n")
                shown = "".join(f"\n{line}" for line in tail)
                raise EnvError(f"{error.message}{shown}", f"Log: {log}") from error


def _env(docker: DockerSpec, name: str, found: Mapping[str, object], lock: str) -> ImageEnv:
    image_id = str(found["Id"])
    return ImageEnv(DOCKER, key_of(lock), lock, name, image_id, docker, _python_path(found))


def _python_path(found: Mapping[str, object]) -> str:
    config = found.get("Config")
    variables = config.get("Env") if isinstance(config, dict) else None
    for variable in variables or []:
        name, _, value = str(variable).partition("=")
        if name == "PYTHONPATH":
            return value
    return ""


def _is_of(found: Mapping[str, object], platform: str) -> bool:
    system, architecture, *variant = platform.split("/")
    is_same = (found.get("Os"), found.get("Architecture")) == (system, architecture)
    return is_same and (not variant or found.get("Variant", "") in {variant[0], ""})


def _tag(context: BuildContext) -> str:
    return f"{BUILT}:{context.digest()[:_DIGITS_IN_TAG]}"


def _docker(request: EnvRequest) -> DockerSpec:
    assert request.spec.docker is not None  # noqa: S101 - a promise of the spec
    return request.spec.docker


def _where(request: EnvRequest) -> str:
    return f"{request.spec.mark}: " if request.spec.mark else ""
