"""Nothing outlives the process that started the local AWS."""

import os
import signal
import subprocess
import sys
import urllib.request

import pytest
from cloud.local_aws import FOLDER
from local_aws.toy_support import wait_for

SCRIPT = """
import sys, time
from cloud import LocalAws
with LocalAws() as aws:
    print(aws.endpoint_url, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ministack_ends_with_its_starter(number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parent)}
    starter = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        # A job in the background, as under some CI, starts with SIGINT ignored, and would hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - the test has no threads here
    )
    assert starter.stdout
    url = starter.stdout.readline().strip()
    assert answers(url)

    starter.send_signal(number)
    starter.communicate(timeout=300)

    wait_for(lambda: not answers(url))


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/_ministack/health", timeout=2).close()
    except OSError:
        return False
    return True
