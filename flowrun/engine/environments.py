"""The environments of one run's steps: built beside the steps that don't need them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from flowrun.engine.events import EnvEnded, EnvProgress, Event, StepProgress
from flowrun.engine.request import GivenEnv, ProjectCode, RunRequest
from flowrun.engine.services import Services
from flowrun.envs.base import Env, EnvLock, EnvRequest
from flowrun.envs.manager import LOCAL
from flowrun.envs.side_by_side import SideBySide
from flowrun.plan.plan import Plan, PlannedStep
from flowrun.spec.project import EnvKind, EnvSpec
from flowrun.valueclass import valueclass

OnReady = Callable[[tuple[str, ...]], None]


@valueclass
class _Ahead:
    """An environment that is made before a step asks for it."""

    request: EnvRequest
    step_ids: tuple[str, ...]
    """The steps that wait for it."""


class Environments:
    """Gives steps their environments; of a pipeline they are built from the beginning.

    What may never be needed, because all steps that ask for it are below an `if`, is made in
    their turn, as is the only environment of a single command.
    """

    def __init__(
        self,
        services: Services,
        request: RunRequest,
        tell: Callable[[Event], None],
        is_cancelled: Callable[[], bool],
    ) -> None:
        self._services = services
        self._request = request
        self._tell = tell
        self._is_cancelled = is_cancelled
        self._ahead = tuple(_ahead(request, self._env_request))
        self._locks: dict[tuple[str, int, GivenEnv | None], EnvLock | None] = {}
        self._failures: dict[str, BaseException] = {}
        """Why the environment of a step can't be had."""
        self._told: set[str] = set()
        self._builders: SideBySide | None = None

    def known(self, step: PlannedStep) -> EnvLock | None:
        """Give what a step's environment consists of, if that is known without making it.

        Raises:
            EnvError: it can be seen that it can't be had.
        """
        # by identity, since specs are large and thousands of steps share a few
        same = (step.project, id(step.env), self._request.options.env_of(step))
        if same not in self._locks:
            envs, manager = self._services.envs, self._request.options.env_manager
            self._locks[same] = envs.known(self._env_request(step), manager)
        return self._locks[same]

    def leave_out(self, step_ids: Collection[str]) -> None:
        """Make nothing for these steps: they will not run. Before `begin`."""
        kept = (
            replace(each, step_ids=tuple(id_ for id_ in each.step_ids if id_ not in step_ids))
            for each in self._ahead
        )
        self._ahead = tuple(each for each in kept if each.step_ids)

    @property
    def awaited_by(self) -> frozenset[str]:
        """The steps whose environments `begin` makes."""
        return frozenset(step_id for each in self._ahead for step_id in each.step_ids)

    def begin(self, ready: OnReady) -> None:
        """Build ahead; `ready` is told which steps wait for their environment no more."""
        requests = [each.request for each in self._ahead]
        builds = self._request.options.builds
        observer = _Observer(self._ahead, self._tell, self._told, self._failures, ready)
        self._builders = SideBySide(requests, self._ensure, observer, at_once=builds)

    def of(self, step: PlannedStep) -> Env:
        """Give a step's environment in its turn.

        Raises:
            EnvError: it can't be had. CancelledError: the run was cancelled meanwhile.
        """
        if failure := self._failures.get(step.id) or self._failures.get(step.template):
            raise failure

        def progress(text: str) -> None:
            if text not in self._told:
                self._tell(StepProgress(step.id, text))

        # Asked for once more: somebody may have removed it since.
        return self._ensure(self._env_request(step), progress, is_cancelled=self._is_cancelled)

    def close(self) -> None:
        """End what is still being built."""
        if self._builders is not None:
            self._builders.close()

    def _ensure(
        self,
        request: EnvRequest,
        progress: Callable[[str], None],
        *,
        is_cancelled: Callable[[], bool],
    ) -> Env:
        return self._services.envs.ensure(
            request,
            self._request.options.env_manager,
            progress,
            is_cancelled=lambda: self._is_cancelled() or is_cancelled(),
        )

    def _env_request(self, step: PlannedStep) -> EnvRequest:
        assert step.env is not None  # noqa: S101 - build_plan gives every command one
        code = self._request.projects[step.project]
        baked_as = (
            image_name(self._request.plan, code) if self._request.options.build_image else None
        )
        asked = EnvRequest(step.env, code.directory, baked_as, asker=code.source.uri)
        given = self._request.options.env_of(step)
        if given is None:
            return asked
        return replace(asked, lock=given.lock, manager=given.manager, wish=given.wish)


@valueclass
class _Observer:
    """Tells the run what becomes of its environments."""

    ahead: tuple[_Ahead, ...]
    tell: Callable[[Event], None]
    told: set[str]
    failures: dict[str, BaseException]
    ready: OnReady

    def progress(self, place: int, text: str) -> None:
        self.told.add(text)
        self.tell(EnvProgress(self.ahead[place].step_ids, text))

    def ended(self, place: int, came: Env | BaseException) -> None:
        step_ids = self.ahead[place].step_ids
        if isinstance(came, BaseException):
            self.failures.update(dict.fromkeys(step_ids, came))
        self.tell(EnvEnded(step_ids))
        self.ready(step_ids)


def _ahead(
    request: RunRequest, env_request: Callable[[PlannedStep], EnvRequest]
) -> Iterator[_Ahead]:
    if not request.plan.is_pipeline:
        return
    asking: dict[tuple[str, EnvSpec, GivenEnv | None], list[PlannedStep]] = {}
    for step in request.plan.looks:
        if step.env is not None and not _is_local(step, request):
            # without its mark: one environment may be named at several places of the file
            same = step.env if step.env.mark is None else replace(step.env, mark=None)
            given = request.options.env_of(step)
            asking.setdefault((step.project, same, given), []).append(step)
    for steps in asking.values():
        if not all(step.conditions for step in steps):
            yield _Ahead(env_request(steps[0]), tuple(step.id for step in steps))


def _is_local(step: PlannedStep, request: RunRequest) -> bool:
    """Tell whether there is nothing to build: the interpreter is the caller's own."""
    is_image = step.env is not None and step.env.kind is EnvKind.DOCKER
    given = request.options.env_of(step)
    manager = given.manager if given else request.options.env_manager
    return manager == LOCAL and not is_image


def image_name(plan: Plan, code: ProjectCode) -> str:
    """Give the name of the image with a project's files in it, as MLflow makes it."""
    name = re.sub(r"[^a-z0-9]+", "-", (plan.project_name or "").lower()).strip("-")
    source = code.source
    return f"{name or 'docker-project'}:{(source.commit or source.tree)[:7]}"
