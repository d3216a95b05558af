"""The layers and fences of the package, read from its imports; and what importing it loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_equity import errors

PACKAGE = Path(__file__).resolve().parent.parent / "fhir_equity"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Who stands on which layer. A part imports layers below its own, and its own only where noted.
LAYERS = {
    **dict.fromkeys(("errors", "lists", "person"), 0),
    **dict.fromkeys(("model", "settings", "privacy", "tables"), 1),
    "vocabulary": 2,
    **dict.fromkeys(("adapters", "quality", "survivorship", "release", "store", "engine", "parquet"), 3),
    **dict.fromkeys(("sync", "reports", "sandbox", "contention"), 4),
    "pipeline": 5,
    "cli": 6,
    "__main__": 7,
}
# Bytes, storage and execution never decide what a value means.
WITHOUT_MEANING = ("adapters", "store", "engine")

# A library, and the only places that may import it.
FENCES = {
    "fhir": ("adapters/fhir/",),
    "lxml": ("adapters/fhir/",),
    "httpx": ("sync/",),
    "stamina": ("sync/",),
    "requests": ("sync/session.py",),
    "urllib3": ("sync/session.py",),
    "joserfc": ("sync/",),
    "opentelemetry": ("sync/",),
    "sqlmodel": ("store/",),
    "sqlalchemy": ("store/",),
    "alembic": ("store/",),
    "psycopg": ("store/",),
    "sqlcipher3": ("store/",),
    "jinja2": ("reports/",),
    "altair": ("reports/",),
    "vl_convert": ("reports/",),
    "xlsxwriter": ("reports/",),
    "openpyxl": ("reports/",),
    "starlette": ("sandbox/",),
    "uvicorn": ("sandbox/",),
    "sqlite3": ("sandbox/", "store/"),
    "typer": ("cli/",),
    "rich": ("cli/",),
    "click": ("cli/",),
    "scipy": ("quality/publish",),
    "pyspark": ("engine/spark/",),
    "py4j": ("engine/spark/",),
    "pyarrow": ("engine/spark/", "parquet.py"),
    "importlib.resources": ("tables.py", "reports/"),
}
HEAVY = (
    *("fhir", "sqlalchemy", "sqlmodel", "httpx", "starlette", "uvicorn", "jinja2", "altair", "vl_convert"),
    *("alembic", "psycopg", "typer", "click", "rich", "stamina", "pyspark", "pyarrow", "scipy", "lxml"),
    *("joserfc", "cryptography", "requests", "urllib3", "sqlcipher3", "opentelemetry", "xlsxwriter", "numpy"),
)


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def part(path: Path) -> str:
    """The part a module belongs to: the first folder, or the module itself."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def dotted(path: Path) -> str:
    words = ["fhir_equity", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(words[:-1] if words[-1] == "__init__" else words)


NAMES = {dotted(path): path for path in MODULES}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), path.name)


def imported(node: ast.stmt, path: Path) -> list[str]:
    """The modules one import statement names; a name imported from a package may itself be a module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    origin = node.module or ""
    if node.level:
        package = dotted(path).split(".")
        package = package if path.name == "__init__.py" else package[:-1]
        base = package[: len(package) - node.level + 1]
        origin = ".".join([*base, origin] if origin else base)
    inner = [f"{origin}.{alias.name}" for alias in node.names]
    if origin.split(".")[0] != "fhir_equity":
        return [origin, *inner]
    return [name for name in inner if name in NAMES] or [origin]


def imports(path: Path) -> Iterator[str]:
    """Every import of a module: at load time, inside functions, relative, and for type checkers."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.stmt):
            yield from imported(node, path)


def at_load_time(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported, conditional ones too, functions not."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from at_load_time(node.orelse)
            continue
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for field in ("body", "orelse", "finalbody"):
                yield from at_load_time(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from at_load_time(handler.body)


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call with the name it is written under (``logging.basicConfig``)."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def parametrised(path: Path) -> object:
    return pytest.param(path, id=place(path))


every_module = pytest.mark.parametrize("path", [parametrised(p) for p in MODULES])


def test_every_part_has_a_layer() -> None:
    assert {part(path) for path in MODULES} - {"__init__"} <= set(LAYERS)


@every_module
def test_layers(path: Path) -> None:
    if path == PACKAGE / "__init__.py":  # the public names come from anywhere, lazily
        return
    here = part(path)
    for name in imports(path):
        words = name.split(".")
        if words[0] != "fhir_equity":
            continue
        assert len(words) > 1, f"{place(path)} imports the package itself: import the part"
        there = words[1]
        assert there == here or LAYERS[there] < LAYERS[here], f"{place(path)} imports {name}"
        assert not (here in WITHOUT_MEANING and there == "vocabulary"), f"{place(path)} imports {name}"


@every_module
def test_fences(path: Path) -> None:
    for name in imports(path):
        for library, allowed in FENCES.items():
            if name == library or name.startswith(library + "."):
                assert place(path).startswith(allowed), f"{place(path)} imports {name}"


@every_module
def test_one_format_does_not_know_another(path: Path) -> None:
    formats = {p.parent.name for p in PACKAGE.glob("adapters/*/__init__.py")}
    words = path.relative_to(PACKAGE).parts
    if words[0] != "adapters" or len(words) < 3:
        return
    for name in imports(path):
        inside = name.split(".")[2:3] if name.startswith("fhir_equity.adapters.") else []
        assert not set(inside) & (formats - {words[1]}), f"{place(path)} imports {name}"


@every_module
def test_only_tables_knows_where_the_mappings_are(path: Path) -> None:
    if place(path) == "tables.py":
        return
    for node in ast.walk(tree(path)):
        parts = [node.right] if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) else []
        if isinstance(node, ast.Call):
            parts = [*node.args]
        if isinstance(node, ast.ImportFrom) and node.module == "fhir_equity.tables":
            assert "root" not in [alias.name for alias in node.names], f"{place(path)}:{node.lineno}"
        for word in parts:
            if isinstance(word, ast.Constant) and isinstance(word.value, str):
                assert "mappings" not in word.value.split("/"), f"{place(path)}:{word.lineno}"


@every_module
def test_nobody_prints(path: Path) -> None:
    for name, call in calls(path):
        assert name not in ("print", "pprint", "pprint.pprint", "breakpoint"), f"{place(path)}:{call.lineno}"


@every_module
def test_only_privacy_configures_logging(path: Path) -> None:
    if place(path) == "privacy.py":
        return
    for name, call in calls(path):
        last = name.rpartition(".")[2]
        assert last not in ("basicConfig", "dictConfig", "fileConfig", "addHandler"), f"{place(path)}:{call.lineno}"
        assert not (name.startswith("logging.") and last.endswith("Handler")), f"{place(path)}:{call.lineno}"


@every_module
def test_log_lines_are_fixed_events(path: Path) -> None:
    """An event name and allowed fields; never a text that was put together, which could carry a value."""
    for name, call in calls(path):
        thing, _, verb = name.rpartition(".")
        if verb in ("debug", "info", "warning", "error", "critical", "exception") and "log" in thing.lower():
            assert isinstance(call.args[0], ast.Constant), f"{place(path)}:{call.lineno}"
            assert len(call.args) == 1, f"{place(path)}:{call.lineno}"


@every_module
def test_no_exception_is_swallowed(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{place(path)}:{node.lineno}"
            empty = all(isinstance(step, ast.Pass) for step in node.body)
            assert not empty, f"{place(path)}:{node.lineno}"


@every_module
def test_modules_are_short_and_say_what_they_are_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 350
    assert text.startswith('"""'), "the first line is the docstring"
    said = ast.get_docstring(tree(path)) or ""
    assert said.splitlines()[0].strip()
    assert not {"TODO", "FIXME", "XXX"} & set(text.split())


@every_module
def test_names_say_something(path: Path) -> None:
    assert not {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"} & set(
        path.relative_to(PACKAGE).with_suffix("").parts
    )


def test_estimates_have_no_writer() -> None:
    """What was imputed is nobody's answer: what writes files and what sends does not so much as know the word."""
    for path in MODULES:
        if part(path) in ("adapters", "sync", "release"):
            names = {node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)}
            names |= {
                alias.name for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) for alias in node.names
            }
            assert not [name for name in names if "estimate" in name.lower()], place(path)


def test_no_cycles_at_load_time() -> None:
    edges = {name: set(load_time_imports(path)) - {name} for name, path in NAMES.items()}
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for there in sorted(edges[name]):
                walk(there, (*trail, name))
            done.add(name)

    for name in sorted(edges):
        walk(name, ())


def load_time_imports(path: Path) -> Iterator[str]:
    for node in at_load_time(tree(path).body):
        yield from (name for name in imported(node, path) if name in NAMES)


def loaded_by(statement: str) -> set[str]:
    """The top-level modules in a fresh interpreter after a statement."""
    code = f"{statement}\nimport sys\nsys.stdout.write(' '.join({{n.split('.')[0] for n in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_importing_the_package_is_cheap() -> None:
    loaded = loaded_by("import fhir_equity")
    assert "fhir_equity" in loaded
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("part", ["vocabulary", "release", "survivorship", "adapters.edi834", "adapters.survey"])
def test_meaning_and_policy_need_no_heavy_library(part: str) -> None:
    assert loaded_by(f"import fhir_equity.{part}").isdisjoint(HEAVY)


def test_the_command_line_starts_without_what_few_commands_need() -> None:
    """Every command pays for what is loaded here, in time and in memory."""
    assert loaded_by("import fhir_equity.cli").isdisjoint({*HEAVY} - {"typer", "click", "rich"})


def test_the_error_tree_is_the_one_that_is_drawn() -> None:
    drawn = {}
    for line in (errors.__doc__ or "").splitlines():
        words = line.replace("│", " ").replace("├──", " ").replace("└──", " ").split()
        if words and words[0].endswith("Error") and "(exit" in words:
            drawn[words[0]] = int(words[words.index("(exit") + 1].rstrip(")"))
    root = errors.FhirEquityError
    kinds = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, root) and c is not root]
    defined = {kind.__name__: kind.exit_code for kind in kinds}
    assert drawn == defined
    assert root.exit_code == 5


def test_errors_say_what_to_do_next() -> None:
    roots = (errors.FatalError, errors.RetriableError, errors.SkippableError)
    for thing in vars(errors).values():
        if isinstance(thing, type) and thing not in (*roots, errors.FhirEquityError):
            assert sum(issubclass(thing, root) for root in roots) == 1
