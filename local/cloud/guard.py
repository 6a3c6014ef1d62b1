"""Run a command of which nothing may outlive the process that started this one.

Used as `python guard.py COMMAND…` with a pipe as standard input.
The pipe closes when its writer ends, however it ends: then the command and all its descendants in
its process group are stopped, with SIGTERM first. They are also stopped when the command ends.
"""

import os
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 3


def main() -> None:
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)

    def stop_at_end_of_input() -> None:
        while os.read(0, 1024):
            pass
        _signal(command.pid, signal.SIGTERM)
        try:
            command.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            _signal(command.pid, signal.SIGKILL)

    threading.Thread(target=stop_at_end_of_input, daemon=True).start()
    code = command.wait()
    _signal(command.pid, signal.SIGKILL)
    sys.exit(code if code >= 0 else 128 - code)


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


if __name__ == "__main__":
    main()
