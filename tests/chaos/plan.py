"""What a run does, derived from its seed alone.

Each environment has its own script of steps. Scripts run side by side, so what meets what depends on the machine; the
steps, their order within an environment and the pauses between them do not.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

# What a script does about an image once it was pushed.
HEALTHY, FAILS, CRASHES, HANGS = "healthy", "failsHealthCheck", "crashes", "hangs"

# The functions of a release that a fault is played at; those without a database never call the first six.
SCHEMA_FUNCTIONS = (
    *("create-deploy-request", "get-deploy-request", "deploy-deploy-request", "close-deploy-request"),
    *("revert-deploy-request", "skip-revert"),
)
FUNCTIONS = ("acquire-lock", "create-container-deployment", "get-container-deployment", "finish-release")


@dataclass(frozen=True)
class Step:
    """One step of a script."""

    def told(self) -> dict[str, Any]:
        """The step as it is written to the plan and to the timeline."""
        return {"step": type(self).__name__, **asdict(self)}


@dataclass(frozen=True)
class Pause(Step):
    milliseconds: int


@dataclass(frozen=True)
class Quiet(Step):
    """Until no release runs in the environment."""


@dataclass(frozen=True)
class ChangeSchema(Step):
    """A developer changes `dev`."""

    kind: str
    sql: str


@dataclass(frozen=True)
class PutBack(Step):
    """A developer puts back on `dev` what was dropped there and was not dropped in `main`."""

    what: str
    sql: str


@dataclass(frozen=True)
class Push(Step):
    """Push a new image, or move the tag to an image pushed before."""

    # The image's number in its environment; a number that was pushed before moves the tag back to it.
    image: int
    verdict: str
    # "once", "twice", "never", or "late": delivered by hand after `late` milliseconds, behind later ones.
    event: str
    late: int
    # The columns and tables that the image's code uses beyond the first ones.
    needs: tuple[str, ...]


@dataclass(frozen=True)
class PlanetScaleFault(Step):
    """A fault of PlanetScale's API, at calls for this environment's database."""

    kind: str
    method: str
    path: str
    more: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class NextDeploy(Step):
    """PlanetScale fails the next deploy or revert."""

    how: str


@dataclass(frozen=True)
class LightsailFault(Step):
    """A fault of Lightsail's API, at calls for this environment's service."""

    kind: str
    operation: str
    more: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class FunctionFault(Step):
    """A call of a function fails: by Lambda's throttling, a kill, or with its answer lost."""

    function: str
    error: str
    worked: bool
    killed: bool
    count: int


@dataclass(frozen=True)
class Kill(Step):
    """Kill the processes of a function, whatever they do."""

    function: str


@dataclass(frozen=True)
class Stop(Step):
    """A person stops the release that works."""


@dataclass(frozen=True)
class Redrive(Step):
    """A person redrives the release that was stopped last, unless it went on already."""


@dataclass(frozen=True)
class RotateToken(Step):
    """The database's service token is replaced: the secret gets a new one, and a moment later the old one is gone."""

    milliseconds: int


@dataclass(frozen=True)
class Rescale(Step):
    """A person changes the number of the container service's nodes, which keeps it busy for a while."""

    scale: int


@dataclass(frozen=True)
class Disable(Step):
    """A person disables the container service, or enables it again."""

    disabled: bool


@dataclass(frozen=True)
class Person(Step):
    """A person acts on the open deploy request, if there is one soon."""

    action: str


@dataclass(frozen=True)
class Resolve(Step):
    """A deployment that hangs ends after all."""

    image: int
    verdict: str


@dataclass(frozen=True)
class Place:
    """An environment of the run."""

    name: str
    repository: str
    creates_repository: bool
    database: str | None
    destructive_changes: str
    on_container_failure: str
    requires_approval: bool
    script: tuple[Step, ...]

    def pushes(self) -> int:
        """How many pushes its script makes."""
        return sum(isinstance(step, Push) for step in self.script)


@dataclass(frozen=True)
class Plan:
    """A whole run."""

    seed: int
    releases: int
    still_validating: int
    places: tuple[Place, ...]

    def told(self) -> dict[str, Any]:
        """The plan as it is written to the log folder."""
        places = [{**asdict(place), "script": [step.told() for step in place.script]} for place in self.places]
        return {"seed": self.seed, "releases": self.releases, "places": places}

    def counts(self) -> Counter[str]:
        return Counter(type(step).__name__ for place in self.places for step in place.script)


def plan(seed: int, releases: int, environments: int) -> Plan:
    """The plan of `seed`: about `releases` pushes over so many environments, two to a repository."""
    places = []
    for number in range(environments):
        share = releases // environments + (number < releases % environments)
        # A stream of its own, so that a place's script does not depend on the number of places.
        places.append(_Author(random.Random(f"{seed}/{number}"), number).place(share))
    return Plan(seed, releases, random.Random(seed).choice([0, 1, 2]), tuple(places))


class _Author:
    """Writes the script of one environment, and keeps in mind what `dev` is like."""

    def __init__(self, chance: random.Random, number: int) -> None:
        self.chance = chance
        self.number = number
        self.name = f"e{number + 1}"
        # Every third environment has no database, as `qa` has none.
        self.database = None if number % 3 == 1 else f"bookings_{self.name}"
        self.destructive = "after-containers" if number % 3 == 2 or chance.random() < 0.3 else "refuse"
        self.columns: list[str] = []
        self.tables: list[str] = []
        self.made = 0
        self.images: list[Push] = []

    def place(self, releases: int) -> Place:
        script: list[Step] = []
        while self.pushes(script) < releases:
            script.extend(self.scene(releases - self.pushes(script)))
        return Place(
            name=self.name,
            repository=f"app-{self.number // 2 + 1}",
            creates_repository=self.number % 2 == 0,
            database=self.database,
            destructive_changes=self.destructive,
            on_container_failure="keep-schema" if self.chance.random() < 0.2 else "revert-schema",
            requires_approval=self.chance.random() < 0.25,
            script=tuple(script),
        )

    @staticmethod
    def pushes(script: list[Step]) -> int:
        return sum(isinstance(step, Push) for step in script)

    def scene(self, room: int) -> Iterator[Step]:
        """One push or a few that belong together, with what goes wrong meanwhile."""
        scenes: list[tuple[float, Any]] = [
            *((5, self.single), (2, self.burst), (1, self.move_back), (1, self.hang)),
            *((1, self.redrive), (0.5, self.rescale), (0.5, self.disable)),
        ]
        if self.database:
            scenes += [(1, self.drop), (1, self.failed_deploy), (0.5, self.rotate)]
        weights, writers = zip(*scenes)
        yield from self.chance.choices(writers, weights)[0](room)
        if self.chance.random() < 0.5:
            yield Pause(self.chance.randrange(4_000))
        elif self.chance.random() < 0.5:
            yield Quiet()

    def single(self, room: int) -> Iterator[Step]:
        if self.database and self.chance.random() < 0.6:
            yield self.add()
        if self.chance.random() < 0.6:
            yield from self.faults()
        yield self.push()
        if self.chance.random() < 0.35:
            yield Pause(self.chance.randrange(2_500))
            yield self.disturbance()

    def burst(self, room: int) -> Iterator[Step]:
        for _ in range(min(room, self.chance.randrange(2, 6))):
            if self.database and self.chance.random() < 0.2:
                yield self.add()
            yield self.push(burst=True)
            if self.chance.random() < 0.3:
                yield Pause(self.chance.randrange(300))

    def move_back(self, room: int) -> Iterator[Step]:
        """A rollback: only to an image whose code can run on what `dev` has."""
        known = set(self.columns) | set(self.tables)
        fit = [push for push in self.images[:-1] if push.verdict == HEALTHY and set(push.needs) <= known]
        if not fit:
            yield self.push()
            return
        old = self.chance.choice(fit)
        yield Push(old.image, old.verdict, self.event(), self.chance.randrange(2_000), old.needs)

    def hang(self, room: int) -> Iterator[Step]:
        push = self.push(verdict=HANGS)
        yield push
        yield Pause(self.chance.randrange(1_000, 6_000))
        yield Resolve(push.image, self.chance.choice([HEALTHY, FAILS]))

    def redrive(self, room: int) -> Iterator[Step]:
        """A release is stopped and goes on, perhaps behind or beside a newer one."""
        if self.database and self.chance.random() < 0.7:
            yield self.add()
        yield self.push(event="once")
        yield Pause(self.chance.randrange(200, 2_500))
        yield Stop()
        if room > 1 and self.chance.random() < 0.4:
            yield self.push()
        yield Pause(self.chance.randrange(1_500))
        yield Redrive()

    def rescale(self, room: int) -> Iterator[Step]:
        yield Rescale(self.chance.randrange(2, 5))
        yield self.push()
        yield Pause(self.chance.randrange(2_000))
        yield Rescale(1)

    def disable(self, room: int) -> Iterator[Step]:
        if self.database and self.chance.random() < 0.5:
            yield self.add()
        before = self.chance.random() < 0.5
        if before:
            yield Disable(True)
        yield self.push()
        yield Pause(self.chance.randrange(3_000))
        if not before:
            yield Disable(True)
            yield Pause(self.chance.randrange(1_000))
        yield Disable(False)

    def rotate(self, room: int) -> Iterator[Step]:
        yield self.add()
        yield self.push()
        yield Pause(self.chance.randrange(1_500))
        yield RotateToken(self.chance.choice([0, 500, 2_000]))

    def drop(self, room: int) -> Iterator[Step]:
        """A change that drops, alone or mixed with one that adds. Released alone, and taken back if it was refused."""
        if not self.columns:
            yield from self.single(room)
            return
        yield Quiet()
        mixed = self.chance.random() < 0.4
        if mixed:
            yield self.add()
            column = self.columns.pop(-2)
        else:
            column = self.columns.pop()
        kind = "mixed" if mixed else "dropped"
        yield ChangeSchema(kind, f"ALTER TABLE hotels DROP COLUMN {column}")
        yield self.push(verdict=HEALTHY, event="once")
        yield Pause(500)
        yield Quiet()
        yield PutBack(column, f"ALTER TABLE hotels ADD {column} INT")

    def failed_deploy(self, room: int) -> Iterator[Step]:
        how = self.chance.choice(["deploy_error", "revert_refused", "revert_error"])
        yield NextDeploy(how)
        yield self.add()
        yield self.push(verdict=HEALTHY if how == "deploy_error" else FAILS)

    def add(self) -> ChangeSchema:
        self.made += 1
        if self.chance.random() < 0.25:
            table = f"t{self.made}"
            self.tables.append(table)
            return ChangeSchema("added", f"CREATE TABLE {table} (id INT PRIMARY KEY, note VARCHAR(20))")
        column = f"c{self.made}"
        self.columns.append(column)
        return ChangeSchema("added", f"ALTER TABLE hotels ADD {column} INT")

    def push(self, verdict: str = "", event: str = "", burst: bool = False) -> Push:
        verdict = verdict or self.chance.choices([HEALTHY, FAILS, CRASHES], [85, 10, 5])[0]
        needs = tuple(sorted([*self.columns, *self.tables]))
        event = event or self.event(lost=0.2 if burst else 0.1)
        push = Push(len(self.images), verdict, event, self.chance.randrange(200, 4_000), needs)
        self.images.append(push)
        return push

    def event(self, lost: float = 0.1) -> str:
        return self.chance.choices(["once", "twice", "late", "never"], [1 - 3 * lost, lost, lost, lost])[0]

    def faults(self) -> Iterator[Step]:
        kinds = [self.lightsail_fault, self.function_fault]
        if self.database:
            kinds += [self.planetscale_fault, self.planetscale_fault]
        for _ in range(self.chance.randrange(1, 3)):
            yield self.chance.choice(kinds)()

    def planetscale_fault(self) -> PlanetScaleFault:
        method, end = self.chance.choice(
            [
                *(("GET", ""), ("POST", ""), ("GET", "/*"), ("GET", "/*"), ("PATCH", "/*")),
                *(("POST", "/*/deploy"), ("POST", "/*/skip-revert"), ("POST", "/*/revert")),
            ]
        )
        faults: list[tuple[str, dict[str, Any]]] = [
            ("error", {"status": 429}),
            ("error", {"status": 429, "retry_after": 1}),
            ("error", {"status": 500}),
            ("error", {"status": 503, "after_work": True}),
            ("reset", {}),
            ("reset", {"after_work": True}),
            ("truncate", {}),
            ("html", {}),
            ("empty", {}),
            ("delay", {"delay_ms": 1_500}),
        ]
        kind, more = self.chance.choice(faults)
        # Now and then more often than a function tries again.
        count = self.chance.choices([1, 3, 12], [6, 3, 1])[0]
        return PlanetScaleFault(kind, method, end, {**more, "count": count, "skip": self.chance.choice([0, 0, 1, 2])})

    def lightsail_fault(self) -> LightsailFault:
        operation = self.chance.choice(
            [
                *("CreateContainerServiceDeployment", "CreateContainerServiceDeployment"),
                *("GetContainerServices", "GetContainerServiceDeployments", "GetContainerLog"),
            ]
        )
        kind = self.chance.choice(
            ["throttling", "serviceException", "resetBefore", "resetAfter", "errorAfter", "truncate", "delay"]
        )
        more = {"delayMs": 1_500} if kind == "delay" else {}
        count = self.chance.choices([1, 3, 12], [6, 3, 1])[0]
        return LightsailFault(kind, operation, {**more, "count": count, "skip": self.chance.choice([0, 0, 1])})

    def function_fault(self) -> FunctionFault:
        functions = FUNCTIONS + (SCHEMA_FUNCTIONS if self.database else ())
        error, worked, killed = self.chance.choice(
            [
                ("Lambda.TooManyRequestsException", False, False),
                ("Lambda.ServiceException", False, False),
                ("Lambda.ServiceException", True, False),
                ("Runtime.ExitError", False, True),
                ("Runtime.ExitError", True, True),
                ("Runtime.OutOfMemory", False, True),
                ("Runtime.OutOfMemory", True, True),
                ("Sandbox.Timedout", True, False),
            ]
        )
        count = self.chance.choices([1, 2, 10], [8, 3, 1])[0]
        return FunctionFault(self.chance.choice(functions), error, worked, killed, count)

    def disturbance(self) -> Step:
        functions = FUNCTIONS + (SCHEMA_FUNCTIONS if self.database else ())
        choices: list[Step] = [Stop(), Kill(self.chance.choice(functions))]
        if self.database:
            actions = ["close", "cancel", "gate", "deploy"]
            choices += [Person(action) for action in self.chance.sample(actions, 2)]
        return self.chance.choice(choices)
