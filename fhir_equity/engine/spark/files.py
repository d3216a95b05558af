"""The files that Spark can reach, through its own file systems (file, s3a, abfss, hdfs ...)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from fhir_equity.errors import EngineError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class File(Struct, frozen=True):
    """A file of any Hadoop file system; `number` is its place in the run, from 1."""

    number: int
    url: str
    name: str
    size: int


class Files:
    """The files that a session can reach, through Spark's own file systems (file, s3a, abfss, hdfs ...)."""

    def __init__(self, spark: SparkSession) -> None:
        jvm = getattr(spark, "_jvm", None)
        if jvm is None:
            raise UsageError("this needs a classic Spark session, not Spark Connect")
        self._jvm: Any = jvm
        self._conf = spark.sparkContext._jsc.hadoopConfiguration()

    def below(self, urls: Iterable[str]) -> list[File]:
        """Every file at or below these URLs, by name; in folders names that start with . or _ are passed over.

        Raises UsageError for a URL that does not exist or cannot be reached.
        """
        found: list[tuple[str, str, int]] = []
        for url in urls:
            found += self._below(url)
        return [File(number, *each) for number, each in enumerate(found, start=1)]

    def _below(self, url: str) -> list[tuple[str, str, int]]:
        from py4j.protocol import Py4JJavaError

        path = self._jvm.org.apache.hadoop.fs.Path(url)
        try:
            system = path.getFileSystem(self._conf)
            status = system.getFileStatus(path)
            if not status.isDirectory():
                return [(status.getPath().toString(), path.getName(), status.getLen())]
            root = status.getPath().toString()
            listed, found = system.listFiles(path, True), []
            while listed.hasNext():
                each = listed.next()
                place = each.getPath().toString()
                if not any(part.startswith((".", "_")) for part in place.removeprefix(root).split("/")):
                    found.append((place, each.getPath().getName(), each.getLen()))
        except Py4JJavaError:
            raise UsageError(f"{path.getName()} does not exist, or Spark cannot reach it") from None
        return sorted(found)

    def head(self, url: str, size: int) -> bytes:
        """The first bytes of a file, decompressed where its name ends with .gz."""
        with _closed(self._opened(url)) as stream:
            return bytes(stream.readNBytes(size))

    def digest(self, url: str) -> tuple[str, int]:
        """SHA-256 and size of a file, decompressed where its name ends with .gz."""
        hashed = self._jvm.java.security.DigestInputStream(
            self._opened(url), self._jvm.java.security.MessageDigest.getInstance("SHA-256")
        )
        with _closed(hashed):
            size = hashed.transferTo(self._jvm.java.io.OutputStream.nullOutputStream())
        return bytes(hashed.getMessageDigest().digest()).hex(), int(size)

    def copy(self, url: str, to: str) -> None:
        """Bring a file here."""
        path = self._jvm.org.apache.hadoop.fs.Path(url)
        here = self._jvm.org.apache.hadoop.fs.Path(f"file://{to}")
        path.getFileSystem(self._conf).copyToLocalFile(False, path, here, True)

    def require_free(self, url: str) -> None:
        """Raise UsageError where there is something already."""
        path = self._jvm.org.apache.hadoop.fs.Path(url)
        if self._reached(lambda: path.getFileSystem(self._conf).exists(path), path.getName()):
            raise UsageError(f"{path.getName()} exists; on a cluster nothing is replaced")

    def remove(self, url: str) -> None:
        """Remove a folder with all that is in it, if it is there."""
        path = self._jvm.org.apache.hadoop.fs.Path(url)
        self._reached(lambda: path.getFileSystem(self._conf).delete(path, True), path.getName())

    def move(self, url: str, to: str) -> None:
        """Give a folder another name in the same file system. Raises EngineError where that cannot be done."""
        path, other = (self._jvm.org.apache.hadoop.fs.Path(each) for each in (url, to))
        if not self._reached(lambda: path.getFileSystem(self._conf).rename(path, other), other.getName()):
            raise EngineError(f"{other.getName()} could not be given its name")

    def _reached(self, ask: Callable[[], Any], name: str) -> Any:
        from py4j.protocol import Py4JJavaError

        try:
            return ask()
        except Py4JJavaError:
            raise UsageError(f"Spark cannot reach {name}") from None

    def _opened(self, url: str) -> Any:
        path = self._jvm.org.apache.hadoop.fs.Path(url)
        stream = path.getFileSystem(self._conf).open(path)
        return self._jvm.java.util.zip.GZIPInputStream(stream) if url.endswith(".gz") else stream


@contextmanager
def _closed(stream: Any) -> Iterator[Any]:
    try:
        yield stream
    finally:
        stream.close()
