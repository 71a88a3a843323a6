"""Apache Spark as an engine: a session, the tables of an event log on it, and Parquet in parts."""

import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from os import environ
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import narwhals as nw
from pydantic import Field

from gru4rec_cli.base.errors import ExternalError, UsageError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.base.settings import Settings
from gru4rec_cli.data.engine import PAIR, ROW, SessionOrder, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

OLDEST_JAVA = 17
_INSTALL_JAVA = (
    f"install a Java runtime {OLDEST_JAVA} or later and put it on the PATH, or set JAVA_HOME; or leave engine out"
)
_LOGGING = """rootLogger.level = error
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n
"""  # by default, Spark logs every step
_START, _FIRST = "session start", "session's first row"


class SparkSettings(Settings):
    """`spark:`, for `data: {engine: pyspark}`."""

    master: str = Field("local[*]", min_length=1, description="where Spark runs: local[*], or the URL of a cluster")
    options: dict[str, str] = Field(
        default={}, description='properties of Spark, such as {"spark.driver.memory": "8g"}; see its documentation'
    )


class SparkEngine:
    """Keeps events on the disks of Spark, in no order; a session's events are sorted where order counts.

    Sessions that start at the same time are visited by id or, with `sessions_by="file"`, in the order of their ROW.
    """

    def __init__(self, sessions_by: SessionOrder = "id") -> None:
        self._sessions_by = sessions_by

    def compute(self, table: Table) -> Table:
        return _lazy(computed(table.to_native()))

    def choice(self, events: Table, predicate: nw.Expr) -> Table:
        columns = [name for name in (SESSION, ITEM, TIME, ROW, PAIR) if name in events.collect_schema()]
        return events.filter(predicate).select(columns)

    def chosen(self, events: Table, choice: Table) -> Table:
        return self.compute(choice)

    def without(self, events: Table, values: Table, column: str) -> Table:
        return events.join(values.select(column), on=column, how="anti")

    def within(self, events: Table, values: Table, column: str) -> Table:
        return events.join(values.select(column), on=column, how="semi")

    def shifted(self, events: Table, column: str, by: int, name: str) -> Table:
        return events.with_columns(nw.col(column).shift(by).over(SESSION, order_by=[TIME, ROW]).alias(name))

    def running(self, events: Table, column: str, name: str) -> Table:
        """Add a running sum, by session: the sum of all sessions before, then that within it."""
        counts = events.group_by(SESSION).agg(nw.col(column).sum().alias(_START))
        before = counts.with_columns(nw.col(_START).cum_sum().over(order_by=SESSION) - nw.col(_START))
        within = nw.col(column).cum_sum().over(SESSION, order_by=[TIME, ROW])
        joined = events.with_columns(within.alias(name)).join(before, on=SESSION, how="left")
        return joined.with_columns(nw.col(name) + nw.col(_START)).drop(_START)

    def visiting_order(self, events: Table) -> "DataFrame":
        first = nw.col(ROW).min().over(SESSION) if self._sessions_by == "file" else nw.col(SESSION)
        starts = events.with_columns(nw.col(TIME).min().over(SESSION).alias(_START), first.alias(_FIRST))
        ordered = starts.sort(_START, _FIRST, TIME, ROW).select(SESSION, ITEM, TIME)
        frame: DataFrame = ordered.to_native()
        return frame


def computed(frame: "DataFrame") -> "DataFrame":
    """Compute a frame once, onto the disks of Spark, and drop its plan, which would grow with every rule."""
    from pyspark import StorageLevel

    return frame.localCheckpoint(eager=False, storageLevel=StorageLevel.DISK_ONLY)


def _lazy(frame: "DataFrame") -> Table:
    table: Table = nw.from_native(frame)
    return table


@contextmanager
def spark_session(settings: SparkSettings) -> Iterator["SparkSession"]:
    """Start a session of Spark, and end it afterwards.

    Raises:
        UsageError: pyspark is not installed.
        ExternalError: no Java can run it, or Spark fails.
    """
    if find_spec("pyspark") is None or find_spec("pyarrow") is None:
        raise UsageError(
            "engine: pyspark needs pyspark and pyarrow", "install the extra: pip install gru4rec-study[spark]"
        )
    require_java()
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    with warnings.catch_warnings(), TemporaryDirectory() as folder:
        logging = Path(folder) / "log4j2.properties"
        logging.write_text(_LOGGING, encoding="utf-8")
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
        try:
            builder = SparkSession.builder.master(settings.master).appName("gru4rec-study")
            for key, value in {**_defaults(settings.master, logging), **settings.options}.items():
                builder = builder.config(key, value)
            session = builder.getOrCreate()
            session.sparkContext.setLogLevel("ERROR")
            try:
                yield session
            finally:
                session.stop()
        except (PySparkException, Py4JError) as error:
            lines = [line.strip(" :") for line in str(error).splitlines() if line.strip(" :")]
            reason = " ".join(lines[:2]) or type(error).__name__
            hint = (
                "check spark.master and spark.options (spark.driver.memory, if it is short of it); --debug shows more"
            )
            raise ExternalError(f"Spark failed: {reason[:300]}", hint) from error


def _defaults(master: str, logging: Path) -> dict[str, str]:
    options = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.csv.parser.columnPruning.enabled": "false",  # else lines with a wrong number of fields pass
        "spark.sql.optimizer.enableCsvExpressionOptimization": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={logging.as_uri()}",
    }
    if not master.startswith("local"):
        return options
    local = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1"}
    return options | local


def require_java() -> None:
    """Raise `ExternalError` where there is no Java that can run Spark."""
    home = environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).exists():
        raise ExternalError("engine: pyspark needs Java, and none was found", _INSTALL_JAVA)
    printed = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', printed)
    if version is None or int(version[1]) < OLDEST_JAVA:
        shown = version[1] if version else "an unknown version"
        raise ExternalError(f"engine: pyspark needs Java {OLDEST_JAVA} or later; {java} is {shown}", _INSTALL_JAVA)


def write_parts(frame: "DataFrame", folder: Path) -> None:
    """Write a frame as `folder`/part-00000.parquet and so on, in the order of its rows."""
    frame.write.mode("overwrite").parquet(f"file://{folder.absolute()}", compression="zstd")
    written = sorted(folder.glob("part-*.parquet"))
    for path in folder.iterdir():
        if path not in written:
            path.unlink()  # checksums, and the sign that all went well
    for number, path in enumerate(written):
        path.rename(folder / f"part-{number:05}.parquet")


def location(path: Path) -> str:
    """Return the URL of a local file or folder for Spark, its patterns' characters escaped."""
    return "file://" + re.sub(r"([\\*?\[\]{}])", r"\\\1", str(path.absolute()))


def read_events(session: "SparkSession", path: Path) -> Table:
    """Read an event table that a stage wrote (SESSION, ITEM, TIME), with ROW."""
    from pyspark.sql import functions as sf

    frame = session.read.parquet(location(path))
    return _lazy(frame.select(SESSION, ITEM, TIME, sf.col("_metadata.row_index").alias(ROW)))
