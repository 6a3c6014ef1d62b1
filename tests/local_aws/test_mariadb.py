"""The private MariaDB, and the PlanetScale emulator on it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from cloud import LocalAws, PlanetScale, emulator
from cloud.local_aws import FOLDER
from cloud.mariadb import MariaDb, NotInstalled, programs, query
from local_aws.toy_support import wait_for

SCRIPT = """
import time
from cloud.mariadb import MariaDb
with MariaDb() as server:
    print(server.port, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def database() -> Iterator[MariaDb]:
    try:
        programs()
    except NotInstalled as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    with MariaDb() as server:
        yield server


def test_branches_are_databases_that_a_client_changes(database: MariaDb) -> None:
    try:
        binary = emulator("planetscale-emulator")
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    with LocalAws(planetscale=binary, database=database) as aws:
        planetscale = PlanetScale(aws, "acme", "shop")
        planetscale.reset(
            schema="CREATE TABLE hotels (id INT PRIMARY KEY, name VARCHAR(50) NOT NULL)",
            token={"id": "deployer", "token": "only-for-the-emulator"},
        )
        dev = planetscale.connection("dev")
        query(dev, "ALTER TABLE hotels ADD stars INT; INSERT INTO hotels VALUES (1, 'Größe', 5)")

        assert "`stars` int" in planetscale.schema("dev")
        assert query(dev, "SELECT * FROM hotels") == [["1", "Größe", "5"]]
        main = planetscale.connection("main")
        assert query(main, "SELECT COUNT(*) FROM hotels") == [["0"]]
        with pytest.raises(RuntimeError, match="ALTER command denied"):
            query(main, "ALTER TABLE hotels ADD stars INT")
        with pytest.raises(RuntimeError, match="denied"):
            query(main, f"SELECT * FROM {dev['database']}.hotels")
        assert database.url not in (aws.logs / "planetscale-emulator.log").read_text()

    # The emulator has ended, and took its databases and users with it.
    with pytest.raises(RuntimeError, match="Access denied"):
        query(dev, "SELECT 1")


def test_a_mariadb_that_is_not_installed_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(NotInstalled, match="no mariadbd.*make setup.* installs mariadb-server-core"), MariaDb():
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_mariadb_ends_with_its_starter(database: MariaDb, number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parent)}
    starter = subprocess.Popen([sys.executable, "-c", SCRIPT], env=environment, stdout=subprocess.PIPE, text=True)
    assert starter.stdout
    port = int(starter.stdout.readline())
    assert listens(port)

    starter.send_signal(number)
    starter.communicate(timeout=300)

    wait_for(lambda: not listens(port))


def listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
