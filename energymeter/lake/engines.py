"""The tables of a lake in an engine, through Ibis: DuckDB, Polars or Spark read the same files."""

import contextlib
import glob
import importlib
import os
from typing import TYPE_CHECKING, Any

from energymeter.errors import ExtraMissing, LogError, SpecError
from energymeter.lake.schema import DATA, TABLES, check_marker, schema
from energymeter.lake.store import Store
from energymeter.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENGINES = ("duckdb", "polars", "spark")
MEMORY_LIMIT = "1500MB"


class Tables:
    """The tables of a lake in one engine, as Ibis tables; each row is one that counts.

    ``runs``, ``usages``, ``spans``, ``seconds``, ``samples`` and ``budgets`` have the columns of
    `energymeter.lake.schema`, and ``host`` and ``date``, which are the names of the folders.

    Args:
        root: the lake's folder or URL.
        engine: ``duckdb``, ``polars`` or ``spark``.
        session: a SparkSession; ``None``: a local one, or that of ``$SPARK_REMOTE``.
        options: of fsspec, as for `Store`.

    Raises:
        SpecError: no such engine, or it cannot read this store.
        ExtraMissing: Ibis or the engine is not installed.
        LogError: there is no lake, or it is of another version.
    """

    def __init__(
        self,
        root: "str | os.PathLike[str] | Store",
        engine: str = "duckdb",
        *,
        session: Any = None,
        **options: Any,
    ) -> None:
        if engine not in ENGINES:
            raise SpecError(f"there is no engine {engine!r}; choose duckdb, polars or spark")
        self.store = root if isinstance(root, Store) else Store(root, **options)
        self.engine = engine
        check_marker(self.store)
        try:
            self.ibis: Any = importlib.import_module("ibis")
        except ImportError:
            raise ExtraMissing("ibis-framework", "lake", "a question to a lake") from None
        self.connection, self._read = _OPENED[engine](self.ibis, self.store, session)
        self._found = {table: any(self._files(table)) for table in TABLES}
        rows = self._table("runs")
        newest = rows.group_by("run_id").agg(version=rows.version.max())
        self.runs = rows.join(newest, ["run_id", "version"]).select(rows)
        valid = self.runs.select("run")
        self.every = {name: self._table(name) for name in ("usages", "spans", "seconds", "samples")}
        """Also rows of runs that do not count: for questions that add up first, and then join with runs."""
        self.usages, self.spans, self.seconds, self.samples = (
            table.semi_join(valid, "run") for table in self.every.values()
        )
        self.budgets = self._table("budgets")

    def _files(self, table: str) -> "list[str]":
        return [name for name in self.store.names(table, deep=True) if name.endswith(".parquet")][:1]

    def _table(self, table: str) -> Any:
        if self._found[table]:
            with self._answering():
                return self._read(table)
        pa = importlib.import_module("pyarrow")
        wanted = schema(table).remove_metadata()
        for name in ("host", "date"):
            wanted = wanted.append(pa.field(name, pa.string()))
        return self.ibis.memtable(wanted.empty_table())

    @contextlib.contextmanager
    def _answering(self) -> "Iterator[None]":
        """An error of the engine as one of ours."""
        try:
            yield
        except Exception as failure:  # each engine has errors of its own
            if isinstance(failure, (MemoryError, AssertionError, AttributeError, TypeError)):
                raise
            first = (str(failure).strip() or type(failure).__name__).partition("\n")[0]
            raise LogError(
                f"{self.engine} cannot answer from {printable(self.store.url)} ({printable(first[:300])}); "
                "remove the file that it names, and push its runs again"
            ) from failure

    def rows(self, expression: Any) -> list[dict[str, Any]]:
        """The answer to an Ibis expression on these tables, row by row.

        Raises:
            LogError: a file of the lake is damaged, or it was changed meanwhile.
        """
        with self._answering():
            found: list[dict[str, Any]] = self.connection.to_pyarrow(expression).to_pylist()
        return found


def _duckdb(ibis: Any, store: Store, _: Any) -> "tuple[Any, Callable[[str], Any]]":
    try:
        importlib.import_module("duckdb")
    except ImportError:
        raise ExtraMissing("duckdb", "lake", "a question to a lake") from None
    connection = ibis.duckdb.connect(memory_limit=MEMORY_LIMIT)
    connection.raw_sql("SET autoinstall_known_extensions = false")  # nothing is loaded from the network
    if store.remote:
        connection.register_filesystem(store.files)
    else:  # a question reads the same files several times; one that has changed is read again
        connection.raw_sql("SET parquet_metadata_cache = true")

    def read(table: str) -> Any:
        root = store.url if store.remote else glob.escape(store.base)
        files = f"{root}/{table}/*/*/*.parquet".replace("'", "''")
        # by a view of our own: for a bucket, Ibis's read_parquet would download an extension of DuckDB
        connection.raw_sql(
            f"CREATE OR REPLACE VIEW lake_{table} AS SELECT * FROM read_parquet("
            f"'{files}', hive_partitioning = true, hive_types_autocast = false)"
        )
        return connection.table(f"lake_{table}")

    return connection, read


def _polars(ibis: Any, store: Store, _: Any) -> "tuple[Any, Callable[[str], Any]]":
    try:
        pl = importlib.import_module("polars")
    except ImportError:
        raise ExtraMissing("polars", "lake-polars", "the engine polars") from None
    if store.remote:
        raise SpecError("the engine polars reads folders here; use --engine duckdb for a remote lake")
    connection = ibis.polars.connect()

    def read(table: str) -> Any:
        files = os.path.join(glob.escape(store.base), table, "*", "*", "*.parquet")
        frame = pl.scan_parquet(
            files, hive_partitioning=True, hive_schema={"host": pl.String, "date": pl.String}
        )
        return connection.create_table(f"lake_{table}", frame, overwrite=True)

    return connection, read


def _spark(ibis: Any, store: Store, session: Any) -> "tuple[Any, Callable[[str], Any]]":
    try:
        sql = importlib.import_module("pyspark.sql")
    except ImportError:
        raise ExtraMissing("pyspark", "lake-spark", "the engine spark") from None
    if session is None:
        session = (
            sql.SparkSession.builder.appName("energymeter lake")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.session.timeZone", "UTC")
            .getOrCreate()
        )
        session.sparkContext.setLogLevel("ERROR")
    session.conf.set("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
    connection = ibis.pyspark.connect(session)

    def read(table: str) -> Any:
        frame = session.read.parquet(store.url_of(table) if store.remote else f"file://{store.base}/{table}")
        frame.createOrReplaceTempView(f"lake_{table}")
        return connection.table(f"lake_{table}")

    return connection, read


_OPENED = {"duckdb": _duckdb, "polars": _polars, "spark": _spark}
assert set(DATA) < set(TABLES)
