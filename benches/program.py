"""A function's process, on a Runtime API and services of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from benches.failed import Failed
from benches.runtime_api import FUNCTION_ARN, Answer, RuntimeApi

if TYPE_CHECKING:
    from typing_extensions import Self

# For one invocation: valgrind on a busy machine takes minutes.
_PATIENCE_SECONDS = 900
_END_SECONDS = 120
_Found = TypeVar("_Found")


class Program:
    """A process that was just started. Leaving it ends it."""

    def __init__(
        self, command: Sequence[str | Path], environment: Mapping[str, str], api: RuntimeApi, address: str
    ) -> None:
        self._api = api
        self._name = Path(command[-1]).name
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - leaving the program closes it
        variables = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_RUNTIME_API": address,
            "AWS_LAMBDA_FUNCTION_NAME": FUNCTION_ARN.rsplit(":", 1)[1],
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_LOG_GROUP_NAME": "benchmark",
            "AWS_LAMBDA_LOG_STREAM_NAME": "benchmark",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            **environment,
        }
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            list(map(str, command)), env=variables, stdin=subprocess.DEVNULL, stdout=self._output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._process.returncode is None:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._output.close()

    def ready(self) -> float:
        """When it asked for work, by `time.perf_counter`."""
        return self._wait(self._api.asked, "ask for work")

    def invoke(self, payload: bytes) -> Answer:
        """The answer to an invocation. Raises Failed with the error if it is one."""
        self._api.deliver(payload)
        answer = self._wait(self._api.answers, "answer")
        if not answer.succeeded:
            raise self._failed(f"answered an error: {answer.body.decode(errors='replace')}")
        return answer

    def peak_memory(self) -> int:
        """The most memory that the process had resident so far, in bytes (proc_pid_status(5))."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise self._failed("has no VmHWM in its status")

    def stop(self) -> float:
        """End it as Lambda does; the processor seconds that it and what it started and waited for have used."""
        self._signal(signal.SIGTERM)
        until = time.monotonic() + _END_SECONDS
        while time.monotonic() < until:
            process, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if process:
                self._process.returncode = status
                return usage.ru_utime + usage.ru_stime
            time.sleep(0.005)
        raise self._failed(f"did not end within {_END_SECONDS} s")

    def _wait(self, queue: Queue[_Found], what: str) -> _Found:
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            try:
                return queue.get(timeout=0.5)
            except Empty:
                if self._process.poll() is not None:
                    raise self._failed(f"ended with {self._process.returncode} and did not {what}") from None
        raise self._failed(f"did not {what} within {_PATIENCE_SECONDS} s")

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            pass

    def _failed(self, what: str) -> Failed:
        self._output.seek(0)
        tail = self._output.read().decode(errors="replace").splitlines()[-20:]
        return Failed("\n".join([f"{self._name} {what}", *tail]))
