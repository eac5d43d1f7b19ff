"""A real PostgreSQL server for tests: a new cluster in a temporary folder, on a free port, gone at the end."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

USER, PASSWORD = "reader", "s3cret@w0rd"


def programs() -> Path:
    """The folder of initdb and pg_ctl; Debian keeps it out of PATH."""
    found = [Path(path).parent for path in [shutil.which("initdb")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if not found or not (found[-1] / "initdb").is_file():
        pytest.skip("no PostgreSQL server is installed: on Debian, apt-get install postgresql")
    return found[-1]


@contextmanager
def postgres_server() -> Iterator[str]:
    """Start a server and give the address of its database `postgres`, password and all, without parameters."""
    folder = Path(tempfile.mkdtemp(prefix="clinbert-postgres-"))
    # The server refuses to run as root.
    other: dict[str, Any] = {}
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        other = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    bin_folder, data = programs(), folder / "data"

    def call(program: str, *arguments: str) -> None:
        with (folder / "log").open("a") as log:
            command = [str(bin_folder / program), "-D", str(data), *arguments]
            subprocess.run(command, check=True, cwd=folder, stdout=log, stderr=log, **other)

    try:
        (folder / "password").write_text(PASSWORD)
        initial = ["-U", USER, "-A", "scram-sha-256", f"--pwfile={folder / 'password'}", "-E", "UTF8", "--no-sync"]
        call("initdb", "--locale=C", *initial)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        call("pg_ctl", "-w", "start", "-o", f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off")
        try:
            yield f"postgresql://{USER}:{PASSWORD.replace('@', '%40')}@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
