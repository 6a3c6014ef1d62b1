"""A private MariaDB server, for the branches of the PlanetScale emulator.

    python -m cloud.mariadb COMMAND…

runs a command with one, whose URL is in PLANETSCALE_EMULATOR_DATABASE_SERVER. Where MariaDB is not installed it says so
and does not run the command; under CI (the variable CI is set) that is an error.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cloud.local_aws import new_run_folder
from cloud.ports import Port
from cloud.processes import Process

if TYPE_CHECKING:
    from typing_extensions import Self

URL_VARIABLE = "PLANETSCALE_EMULATOR_DATABASE_SERVER"

# Small and fast; nothing has to outlive a crash of the machine.
_SETTINGS = (
    *("--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin", "--performance-schema=OFF"),
    *(
        "--character-set-server=utf8mb4",
        "--max-connections=200",
        "--key-buffer-size=1M",
        "--aria-pagecache-buffer-size=8M",
    ),
    *("--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0"),
    *("--innodb-flush-method=nosync", "--innodb-doublewrite=0", "--sync-frm=OFF"),
)


class NotInstalled(Exception):
    """The server is not on this machine. The message says how to install it."""


class MariaDb:
    """A MariaDB server on 127.0.0.1 for as long as the `with` block lasts.

    It is nobody else's: its data are new, its only user is an administrator with a random password.
    Like every process of this package it ends with this one, even when that is killed.
    """

    def __init__(self) -> None:
        self._port = Port()
        self.port = self._port.number
        self._password = secrets.token_hex(16)
        self._process: Process | None = None
        self._data: Path | None = None

    @property
    def url(self) -> str:
        """The server as its administrator sees it."""
        return f"mysql://administrator:{self._password}@127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        server, install, _ = programs()
        folder = new_run_folder()
        self._data = folder / "data"
        try:
            self._start(folder, self._data, server, install)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.stop()
            self._process = None
        self._port.close()
        if self._data:
            shutil.rmtree(self._data, ignore_errors=True)

    def _start(self, folder: Path, data: Path, server: str, install: str) -> None:
        # mariadbd refuses to run as root unless it is told to.
        user = ["--user=root"] if os.geteuid() == 0 else []
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        # Servers that are made at the same time get in each other's way in one folder for temporary files.
        temporary = folder / "tmp"
        temporary.mkdir()
        environment["TMPDIR"] = str(temporary)
        installed = subprocess.run(
            [install, "--no-defaults", f"--datadir={data}", "--skip-test-db", *user],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        if installed.returncode != 0:
            raise RuntimeError(f"{install} failed:\n{installed.stdout}")
        # It is run before the first connection is taken.
        first = data / "first.sql"
        first.touch(mode=0o600)
        first.write_text(
            "DELETE FROM mysql.global_priv WHERE User <> 'mariadb.sys';\n"
            "FLUSH PRIVILEGES;\n"
            f"CREATE USER 'administrator'@'127.0.0.1' IDENTIFIED BY '{self._password}';\n"
            "GRANT ALL PRIVILEGES ON *.* TO 'administrator'@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        command = [
            *(server, "--no-defaults", f"--datadir={data}", f"--port={self.port}", f"--init-file={first}"),
            # Relative to the data, because a socket's path must be short.
            *("--socket=socket", f"--pid-file={data / 'pid'}", f"--tmpdir={data}", *_SETTINGS, *user),
        ]
        self._process = Process("mariadb", command, folder / "mariadb.log", environment)
        self._process.wait_until(self._answers, "answer", within_seconds=300)
        first.unlink()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                # The server speaks first.
                return bool(connection.recv(1))
        except OSError:
            return False


def programs() -> tuple[str, str, str]:
    """The server, the program that makes its data, and the client.

    Raises NotInstalled.
    """
    # The server is in a folder that is on root's PATH only.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"])
    names = (("mariadbd", "mysqld"), ("mariadb-install-db", "mysql_install_db"), ("mariadb", "mysql"))
    found = [next(filter(None, (shutil.which(name, path=path) for name in choice)), None) for choice in names]
    missing = [choice[0] for choice, program in zip(names, found) if program is None]
    if missing:
        raise NotInstalled(
            f"MariaDB is not installed: there is no {', no '.join(missing)}. `make setup` installs "
            "mariadb-server-core and mariadb-client-core"
        )
    server, install, client = found
    return server, install, client  # type: ignore[return-value]


def query(connection: Mapping[str, str], sql: str) -> list[list[str]]:
    """What MariaDB's client prints of these statements' results: rows of texts.

    The connection is one of the PlanetScale emulator's. Raises RuntimeError with what the server refused.
    """
    host, _, port = connection["access_host_url"].partition(":")
    command = [
        *(programs()[2], "--no-defaults", "--batch", "--skip-column-names", "--protocol=TCP"),
        *(f"--host={host}", f"--port={port}", f"--user={connection['username']}", connection["database"]),
    ]
    # Not among the arguments, where every user of the machine could read it.
    environment = {**os.environ, "MYSQL_PWD": connection["plain_text"]}
    ended = subprocess.run(command, input=sql, capture_output=True, text=True, env=environment)
    if ended.returncode != 0:
        raise RuntimeError(ended.stderr.strip())
    return [line.split("\t") for line in ended.stdout.splitlines()]


def main() -> int:
    command = sys.argv[1:]
    try:
        with MariaDb() as server:
            return subprocess.run(command, env={**os.environ, URL_VARIABLE: server.url}).returncode
    except NotInstalled as missing:
        is_error = bool(os.environ.get("CI"))
        what = "error" if is_error else "SKIPPED"
        print(f"\n{'*' * 20}\n{what}: {' '.join(command)}\n{missing}\n{'*' * 20}\n", file=sys.stderr)
        return 1 if is_error else 0


if __name__ == "__main__":
    sys.exit(main())
