"""Starting and stopping the local AWS: ministack with our additions, and the two emulators."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import boto3
from botocore.config import Config

from cloud.json_http import JsonApi
from cloud.ports import Port
from cloud.processes import Process

if TYPE_CHECKING:
    from typing_extensions import Self

    from cloud.mariadb import MariaDb

FOLDER = Path(__file__).resolve().parents[1] / "aws"
REPOSITORY = FOLDER.parents[1]
LOCAL = REPOSITORY / ".local"
_RUNS_TO_KEEP = 20


class LocalAws:
    """A local AWS for as long as the `with` block lasts.

    `planetscale` and `lightsail` are the emulators' binaries; one that is left out is not started.
    `real_containers` starts every container as a process, which reaches nothing of this machine but the
    addresses of `container_reaches`, such as a database's "127.0.0.1:3306". Without it nothing is started.
    `database` is the running server whose databases PlanetScale's branches are; without one they are in memory.
    `wait_scale` shortens every Wait and retry interval of a state machine (SFN_WAIT_SCALE).
    `function_environment` is seen by every function, beside what its template says.

    Everything stops when the block ends, and when this process ends for whatever reason.
    """

    # How boto3 calls, beside the proxies.
    client_settings: ClassVar[Mapping[str, Any]] = {"retries": {"total_max_attempts": 1}}

    def __init__(
        self,
        *,
        planetscale: Path | None = None,
        lightsail: Path | None = None,
        database: MariaDb | None = None,
        planetscale_arguments: Sequence[str] = (),
        lightsail_arguments: Sequence[str] = (),
        real_containers: bool = False,
        container_reaches: Sequence[str] = (),
        wait_scale: float = 1.0,
        account: str = "123456789012",
        region: str = "eu-central-1",
        function_environment: Mapping[str, str] | None = None,
    ) -> None:
        self.account = account
        self.region = region
        self._port = Port()
        self.endpoint_url = f"http://127.0.0.1:{self._port.number}"
        self.planetscale_url = ""
        self.lightsail_url = ""
        self.logs = new_run_folder()
        self._binaries = {"planetscale-emulator": planetscale, "lightsail-emulator": lightsail}
        self._arguments = {
            "planetscale-emulator": planetscale_arguments,
            "lightsail-emulator": [
                *("--account", account, "--region", region),
                *("--ecr-endpoint", self.endpoint_url),
                *("--authorize", f"{self.endpoint_url}/_local/authorize"),
                *(("--runtime", "process", "--image-folder", str(LOCAL / "images")) if real_containers else ()),
                *(part for address in container_reaches for part in ("--container-reaches", address)),
                *lightsail_arguments,
            ],
        }
        self._database = {"PLANETSCALE_EMULATOR_DATABASE_SERVER": database.url} if database else {}
        self.wait_scale = wait_scale
        self._function_environment = dict(function_environment or {})
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        try:
            self.planetscale_url = self._start_emulator("planetscale-emulator")
            self.lightsail_url = self._start_emulator("lightsail-emulator")
            self._start_ministack()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.stop()
        self._processes.clear()
        self._port.close()
        shutil.rmtree(self.logs / "tmp", ignore_errors=True)

    @property
    def control(self) -> JsonApi:
        """The control path of ministack with our additions, such as `/_local/ecr-events`."""
        return JsonApi(self.endpoint_url)

    @property
    def planetscale(self) -> JsonApi:
        """The PlanetScale emulator: its API, and its control API under `/_control`."""
        return JsonApi(self.planetscale_url)

    @property
    def lightsail(self) -> JsonApi:
        """The Lightsail emulator's control API under `/_control`."""
        return JsonApi(self.lightsail_url)

    def deliver_image_events(self, how: str) -> None:
        """From now on, deliver each event of ECR "once", "twice" or "never"."""
        self.control.post("/_local/ecr-events", {"deliver": how})

    def scale_waits(self, scale: float) -> None:
        """From now on, shorten every Wait and retry interval of a state machine by this factor."""
        self.control.post("/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": scale})

    @contextmanager
    def time_passes(self, execution: str) -> Iterator[Callable[[], float]]:
        """The clocks of both emulators go along with the waits of this execution, or of those whose name begins so.

        Yields a function that says how many seconds they went so far.
        """
        clocks = [f"{url}/_control/clock" for url in (self.planetscale_url, self.lightsail_url) if url]
        request = {"follow": clocks, "execution": execution}
        self.control.post("/_local/clock", request)
        try:
            yield lambda: self.control.post("/_local/clock", request)["seconds"]
        finally:
            self.control.post("/_local/clock", {})

    def put_secret(self, name: str, value: str) -> None:
        self.client("secretsmanager").put_secret_value(SecretId=name, SecretString=value)

    def client(self, service: str) -> Any:
        """A boto3 client with root credentials."""
        url = self.lightsail_url if service == "lightsail" else self.endpoint_url
        return boto3.client(
            service,
            endpoint_url=url,
            region_name=self.region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(proxies={}, **self.client_settings),
        )

    def environment(self) -> dict[str, str]:
        """The environment variables that point the AWS CLI, sam and the SDKs at this AWS."""
        variables = {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            # A profile of the person's own must not be used by accident.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            # Nor a proxy of the machine's.
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }
        if self.lightsail_url:
            variables["AWS_ENDPOINT_URL_LIGHTSAIL"] = self.lightsail_url
        return variables

    def _start_emulator(self, name: str) -> str:
        binary = self._binaries[name]
        if binary is None:
            return ""
        if not binary.is_file():
            raise FileNotFoundError(f"{binary} does not exist; build it with: cargo build -p {name}")
        command = [binary, "--listen", "127.0.0.1:0", *self._arguments[name]]
        process = self._start(name, command, {**_plain_environment(), **self.environment(), **self._database})
        return f"http://{process.address()}"

    def _start_ministack(self) -> None:
        python = LOCAL / "ministack" / "bin" / "python"
        if not python.is_file():
            raise FileNotFoundError(f"{python} does not exist; create it with: {FOLDER.parent / 'setup'} demo")
        temporary = self.logs / "tmp"
        temporary.mkdir(exist_ok=True)
        # Functions inherit all of this, so it is nothing of the machine's but PATH and the like.
        environment = {
            **_plain_environment(),
            **self._function_environment,
            **self.environment(),
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": self.endpoint_url.rpartition(":")[2],
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "MINISTACK_ACCOUNT_ID": self.account,
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": self.region,
            "PYTHONPATH": str(FOLDER),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SFN_WAIT_SCALE": str(self.wait_scale),
            "SFTP_ENABLED": "0",
            "TMPDIR": str(temporary),
        }
        process = self._start("ministack", [python, "-m", "additions"], environment)
        process.wait_until(lambda: self.control.is_up("/_ministack/health"), "answer", within_seconds=300)

    def _start(self, name: str, command: Sequence[str | Path], environment: Mapping[str, str]) -> Process:
        process = Process(name, command, self.logs / f"{name}.log", environment)
        self._processes.append(process)
        return process


class ThreadedAws(LocalAws):
    """A local AWS that many threads call."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._clients: dict[str, Any] = {}
        self._making = threading.Lock()

    def client(self, service: str) -> Any:
        # A client may be shared by threads; making one may not.
        with self._making:
            if service not in self._clients:
                self._clients[service] = super().client(service)
            return self._clients[service]


def emulator(name: str) -> Path:
    """The binary of an emulator of this workspace, as `make emulators` leaves it.

    Raises FileNotFoundError, saying how to build it.
    """
    binary = target_directory() / "debug" / name
    if not binary.is_file():
        raise FileNotFoundError(f"{binary} does not exist; build it with: make emulators")
    return binary


def target_directory() -> Path:
    """Where cargo builds this workspace."""
    return Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))


def _plain_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "RUST_LOG", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ}


def new_run_folder() -> Path:
    """A new folder for logs; the oldest ones go."""
    runs = LOCAL / "runs"
    folder = runs / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}-{time.monotonic_ns() % 1000000}"
    folder.mkdir(parents=True)
    for old in sorted(runs.iterdir())[:-_RUNS_TO_KEEP]:
        # The second part of the name is the process that uses the folder, perhaps still.
        if not Path("/proc", old.name.split("-")[1]).exists():
            shutil.rmtree(old, ignore_errors=True)
    return folder
