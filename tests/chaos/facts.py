"""What really happened in an environment, by the journals of the emulators and of Step Functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Push:
    """The moving tag moved to an image."""

    at: datetime
    commit: str
    digest: str
    # Whether its containers can run: by the last word about the image.
    healthy: bool
    # The columns and tables its code uses.
    needs: frozenset[str] = frozenset()
    # The name of the execution that its event starts; none when the event was lost.
    execution: str | None = None


# Among the states of an execution: it was stopped here.
STOPPED = "(stopped)"
# In the place of a state: where it was told that the lock is its own, but not to be used yet.
LOCKED = "(locked)"


@dataclass(frozen=True)
class Span:
    """A time in which a release may write."""

    begin: datetime
    end: datetime | None = None
    # Whether a person ended it, so that a call may still be at work.
    stopped: bool = False


@dataclass
class Execution:
    """A release, by the history that Step Functions keeps."""

    name: str
    status: str
    started: datetime
    # The states entered, in order, and when; with STOPPED where it was stopped, and LOCKED.
    states: list[tuple[str, datetime]]

    @property
    def end_state(self) -> str:
        entered = [state for state, _ in self.states if state not in (STOPPED, LOCKED)]
        return entered[-1] if entered else ""

    def worked(self) -> list[Span]:
        """From when to when it may write: after its turn came, until it began to finish or was stopped.

        One that was redriven writes again only after it took its lock again.
        """
        spans: list[Span] = []
        for state, at in self.states:
            if state == "HasDatabase?" or state == LOCKED and spans:
                if not spans or spans[-1].end:
                    spans.append(Span(at))
            elif state in ("FinishRelease", STOPPED) and spans and not spans[-1].end:
                spans[-1] = Span(spans[-1].begin, at, state == STOPPED)
        return spans


@dataclass
class Deployment:
    """A deployment of the container service, by Lightsail's journal."""

    version: int
    commit: str
    # The execution that its marker names.
    execution: str
    started: datetime
    active: datetime | None = None
    # When it stopped serving, or failed.
    ended: datetime | None = None


@dataclass
class Write:
    """A call that changes something, by PlanetScale's journal."""

    at: datetime
    call: str


@dataclass
class SchemaChange:
    """A change of the base branch, by PlanetScale's journal."""

    at: datetime
    cause: str
    deploy_request: int | None
    # Columns and tables.
    added: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()


@dataclass
class Environment:
    """All that is known of one environment after the run."""

    name: str
    pushes: list[Push] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    schema_changes: list[SchemaChange] = field(default_factory=list)
    open_requests: list[int] = field(default_factory=list)
    # What the containers run from that serve now.
    serving: str | None = None
    lock: str | None = None
    # The outcomes that are recorded, and the number of messages, by execution name.
    recorded: dict[str, list[str]] = field(default_factory=dict)
    notified: dict[str, int] = field(default_factory=dict)
    # Executions that a person stopped, and those in whose history a call of `finish-release` failed.
    stopped_by_hand: set[str] = field(default_factory=set)
    # Those of the stopped ones that were redriven.
    redriven: set[str] = field(default_factory=set)
    finish_disturbed: set[str] = field(default_factory=set)
    # Where a secret was found.
    leaks: list[str] = field(default_factory=list)
