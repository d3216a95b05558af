"""What Spark writes as Delta is what it writes as Parquet, read back by Spark and by a reader that is not Spark."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.benchmarks.generate_834 import file_of
from tests.conftest import ROOT, missing
from tests.servers.programs import ProgramError, lacking, maven_jars

PROJECT = Path(__file__).parent / "delta"


@pytest.fixture(scope="module")
def jars() -> list[Path]:
    import pyspark

    if absent := lacking("java", "mvn"):
        missing(f"{absent} is not on this machine")
    if f"<delta.spark>{pyspark.__version__.rpartition('.')[0]}<" not in (PROJECT / "pom.xml").read_text():
        missing(f"there is no Delta for PySpark {pyspark.__version__}")
    try:
        return maven_jars(PROJECT)
    except ProgramError as error:
        missing(f"Delta cannot be fetched here: {error}")
        raise


def configured(folder: Path, jars: list[Path]) -> Path:
    """Settings as the README says them, with the jars at hand in place of the names that Spark fetches them by."""
    spark = {
        "spark.master": "local[2]",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.files.maxPartitionBytes": "100000",
        "spark.pyspark.python": sys.executable,
        "spark.jars": ",".join(map(str, jars)),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    }
    path = folder / "fhir-equity.toml"
    lines = "".join(f'"{name}" = "{value}"\n' for name, value in spark.items())
    path.write_text(f'[store]\nurl = "{folder}/equity.db"\n[spark]\n{lines}')
    return path


def test_delta_holds_the_rows_of_parquet(jars: list[Path], tmp_path: Path) -> None:
    from deltalake import DeltaTable
    from pyarrow import parquet

    source, config = file_of(900, tmp_path), configured(tmp_path, jars)
    command = [sys.executable, "-m", "tests.engine.read_back", str(config), str(source), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "900 rows"
    table = DeltaTable(tmp_path / "out.delta")
    assert table.version() == 0
    rows, others = (
        Counter(map(str, found.to_pylist()))
        for found in (parquet.read_table(tmp_path / "out.parquet"), table.to_pyarrow_table())
    )
    assert others == rows
    assert rows.total() == 900
    kept = [path for path in (tmp_path / "out.delta").rglob("*") if path.is_file()]
    assert any(path.parent.name == "_delta_log" for path in kept)
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    assert not list(tmp_path.glob("*.part"))
