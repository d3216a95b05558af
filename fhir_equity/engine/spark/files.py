"""The files that Spark can reach, through its own file systems (file, s3a, abfss, hdfs ...)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from fhir_equity.errors import UsageError

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
        """Every file at or below these URLs, by name; names that start with a dot are passed over in folders.

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
                if not any(part.startswith(".") for part in place.removeprefix(root).split("/")):
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
