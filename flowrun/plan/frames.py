"""Where a plan's expansion stands: the pipeline it is in, and the step whose turn it is."""

from __future__ import annotations

from flowrun.plan.loaded import LoadedProject
from flowrun.plan.matrix import Instance
from flowrun.plan.plan import Gate, Membership, Scope
from flowrun.spec.project import EntryPoint, StepSpec
from flowrun.spec.references import looks_at_status
from flowrun.valueclass import valueclass


@valueclass
class Frame:
    """One pipeline that is being expanded, with what its caller hands down."""

    loaded: LoadedProject
    pipeline: EntryPoint
    scope: Scope
    caller: str = ""
    needs: tuple[str, ...] = ()
    """The caller's needs, for the steps that have none of their own."""
    gates: tuple[Gate, ...] = ()
    chain: tuple[tuple[str, str], ...] = ()
    """The calls that led here, as (project, entry point)."""
    after: tuple[str, ...] = ()
    """What the callers' `needs` name."""
    members: tuple[Membership, ...] = ()
    """The groups that the callers' instances are in."""

    def id_of(self, name: str) -> str:
        """Return the id of a step of the pipeline, or what its instances' ids begin with."""
        return f"{self.caller}/{name}" if self.caller else name


@valueclass
class Turn:
    """One instance of one step, about to be planned."""

    frame: Frame
    step: StepSpec
    instance: Instance
    needs: tuple[str, ...]
    after: tuple[str, ...] = ()

    def gates(self) -> tuple[Gate, ...]:
        """Return what governs the instance, outermost first."""
        step, frame = self.step, self.frame
        gate = Gate(
            step.condition,
            frame.scope,
            self.instance.matrix,
            self.needs,
            looks_at_status(step.condition),
        )
        return (*frame.gates, gate)

    def members(self) -> tuple[Membership, ...]:
        """Return the groups that the instance is in, outermost first."""
        step, frame = self.step, self.frame
        fan = step.fan
        if fan is None or (fan.max_parallel is None and not fan.fail_fast):
            return frame.members
        group = frame.id_of(step.name)
        own = Membership(group, self.instance.id, fan.max_parallel, fan.fail_fast)
        return (*frame.members, own)
