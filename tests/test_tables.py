"""Reading mappings/: layers, merging by key, and every way a table can be broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_equity import tables as module
from fhir_equity.errors import TableError
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Vocabulary

SOURCES = """
[table."codes/colours.csv"]
edition = "7"
key = ["system", "code"]
[table."codes/keyless.csv"]
edition = "1"
"""
COLOURS = "system,code,display\nrgb,R,Red\nrgb,G,Green\ncmyk,C,Cyan\n"


def put(folder: Path, name: str, text: str) -> None:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the built-in tables."""
    folder = tmp_path / "base"
    put(folder, "sources.toml", SOURCES)
    put(folder, "codes/colours.csv", COLOURS)
    put(folder, "codes/keyless.csv", "a\n1\n")
    put(folder, "guides/form.toml", '[paint]\ncoats = 2\nfinish = "matt"\nlist = [1, 2]\n')
    monkeypatch.setattr(module, "root", lambda: folder)
    return folder


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    folder = tmp_path / "overlay"
    folder.mkdir()
    return folder


def displays(tables: Tables) -> list[str]:
    return [row["display"] for row in tables.rows("codes/colours.csv")]


def test_rows_are_stripped_and_in_file_order(base: Path) -> None:
    put(base, "codes/colours.csv", "\ufeffsystem , code,display\n rgb,R , Red\n\nrgb,G,Green\n")
    assert Tables().rows("codes/colours.csv") == (
        {"system": "rgb", "code": "R", "display": "Red"},
        {"system": "rgb", "code": "G", "display": "Green"},
    )


def test_a_partners_own_tables(base: Path, overlay: Path) -> None:
    put(base, "partners/north/codes/colours.csv", "system,code,display\nrgb,R,Crimson\n")
    put(base, "partners/north/guides/form.toml", "")
    put(overlay, "partners/north/crosswalks/b.csv", "a\n")
    put(overlay, "partners/south/attestation.toml", "")
    assert module.partners() == ["north"]
    assert module.partners(overlay) == ["north", "south"]
    assert module.own_tables("north") == ["codes/colours.csv"]
    assert module.own_tables("north", overlay) == ["codes/colours.csv", "crosswalks/b.csv"]
    assert module.own_tables("south", overlay) == []


def test_a_table_is_read_once(base: Path) -> None:
    tables = Tables()
    first = tables.rows("codes/colours.csv")
    put(base, "codes/colours.csv", "system,code,display\n")
    assert tables.rows("codes/colours.csv") is first


def test_a_retired_row_is_gone_without_any_overlay(base: Path) -> None:
    put(base, "codes/colours.csv", "system,code,display,retired\nrgb,R,Red,\nrgb,G,Green,yes\n")
    assert displays(Tables()) == ["Red"]


def test_an_overlay_adds_changes_and_removes_rows_by_key(base: Path, overlay: Path) -> None:
    put(overlay, "codes/colours.csv", "system,code,display,retired\nrgb,R,Crimson,\nrgb,G,,yes\nrgb,B,Blue,\n")
    assert displays(Tables(overlay=overlay)) == ["Crimson", "Cyan", "Blue"]


def test_a_column_that_an_overlay_leaves_out_keeps_its_value_or_is_empty(base: Path, overlay: Path) -> None:
    put(overlay, "codes/colours.csv", "code,system,note\nR,rgb,warm\nB,rgb,cold\n")
    rows = {row["code"]: row for row in Tables(overlay=overlay).rows("codes/colours.csv")}
    assert rows["R"] == {"system": "rgb", "code": "R", "display": "Red", "note": "warm"}
    assert rows["B"] == {"system": "rgb", "code": "B", "display": "", "note": "cold"}
    assert rows["C"]["note"] == ""


def test_an_overlay_may_have_nothing_but_the_key(base: Path, overlay: Path) -> None:
    put(overlay, "codes/colours.csv", "system,code\nrgb,B\n")
    assert displays(Tables(overlay=overlay)) == ["Red", "Green", "Cyan", ""]


def test_a_table_without_key_is_read_where_nothing_is_laid_over_it(base: Path) -> None:
    assert Tables().rows("codes/keyless.csv") == ({"a": "1"},)


def test_the_layers_win_in_their_order(base: Path, overlay: Path) -> None:
    put(base, "partners/acme/codes/colours.csv", "system,code,display\nrgb,R,partner\nrgb,G,partner\ncmyk,C,partner\n")
    put(overlay, "codes/colours.csv", "system,code,display\nrgb,G,user\ncmyk,C,user\n")
    put(overlay, "partners/acme/codes/colours.csv", "system,code,display\ncmyk,C,user's partner\n")
    assert displays(Tables()) == ["Red", "Green", "Cyan"]
    assert displays(Tables("acme")) == ["partner", "partner", "partner"]
    assert displays(Tables(overlay=overlay)) == ["Red", "user", "user"]
    assert displays(Tables("acme", overlay)) == ["partner", "user", "user's partner"]
    assert displays(Tables("another")) == ["Red", "Green", "Cyan"]


def test_documents_merge_key_by_key(base: Path, overlay: Path) -> None:
    put(overlay, "guides/form.toml", "[paint]\ncoats = 3\nlist = [9]\n[brush]\nwide = true\n")
    assert Tables(overlay=overlay).document("guides/form.toml") == {
        "paint": {"coats": 3, "finish": "matt", "list": [9]},
        "brush": {"wide": True},
    }
    assert Tables().document("guides/form.toml")["paint"]["coats"] == 2
    assert Tables().document("guides/none.toml") == {}


def test_names_and_has_look_through_all_layers(base: Path, overlay: Path) -> None:
    put(overlay, "codes/own.csv", "a\n1\n")
    tables = Tables(overlay=overlay)
    assert tables.names("codes", ".csv") == ["codes/colours.csv", "codes/keyless.csv", "codes/own.csv"]
    assert tables.names("nowhere", ".csv") == []
    assert tables.has("codes/own.csv")
    assert not Tables().has("codes/own.csv")
    assert not tables.has("codes")


def test_editions(base: Path) -> None:
    assert Tables().edition("codes/colours.csv") == "7"
    with pytest.raises(TableError, match=r"no entry for codes/none\.csv"):
        Tables().edition("codes/none.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("codes/colours.csv", b"system,code,display\nrgb,R\n", "row 2: more or fewer cells"),
        ("codes/colours.csv", b"system,code,display\nrgb,R,Red\nrgb,G,Green,x\n", "row 3: more or fewer cells"),
        ("codes/colours.csv", b'system,code,display\nrgb,R,"Red\n', r"codes/colours\.csv: unexpected end"),
        ("codes/colours.csv", b"system,code,display\nrgb,R,R\xe9d\n", r"codes/colours\.csv: 'utf-8'"),
    ],
)
def test_broken_tables(base: Path, name: str, content: bytes, message: str) -> None:
    (base / name).write_bytes(content)
    with pytest.raises(TableError, match=message):
        Tables().rows(name)


@pytest.mark.parametrize("content", [b"paint = ", b'paint = "\xe9"'])
def test_broken_documents(base: Path, content: bytes) -> None:
    (base / "guides/form.toml").write_bytes(content)
    with pytest.raises(TableError, match=r"guides/form\.toml: "):
        Tables().document("guides/form.toml")


def test_a_table_that_does_not_exist(base: Path) -> None:
    with pytest.raises(TableError, match=r"codes/none\.csv does not exist"):
        Tables().rows("codes/none.csv")


def test_an_overlay_of_a_table_without_key(base: Path, overlay: Path) -> None:
    put(overlay, "codes/keyless.csv", "a\n2\n")
    with pytest.raises(TableError, match="declares no key"):
        Tables(overlay=overlay).rows("codes/keyless.csv")


def test_an_overlay_without_its_key_columns(base: Path, overlay: Path) -> None:
    put(overlay, "codes/colours.csv", "code,display\nR,Crimson\n")
    with pytest.raises(TableError, match="needs the columns system, code"):
        Tables(overlay=overlay).rows("codes/colours.csv")


def test_an_overlay_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="does not exist"):
        Tables(overlay=tmp_path / "none")


@pytest.mark.parametrize("partner", ["..", ".", "../elsewhere", "a/b", "a\\b"])
def test_a_partner_is_one_folder(partner: str) -> None:
    with pytest.raises(TableError, match="name of one folder"):
        Tables(partner)


def test_the_built_in_tables_are_found() -> None:
    assert (module.root() / "sources.toml").is_file()
    assert Tables().edition("codes/cdcrec.csv")


def test_a_steward_s_overlay_decides_a_row_under_review(overlay: Path) -> None:
    put(overlay, "codes/cdcrec.csv", "code,omb2024,confidence\n2129-5,Middle Eastern or North African,direct\n")
    assert Vocabulary(Tables(overlay=overlay)).codes.category_2024("2129-5") == "Middle Eastern or North African"
    assert Vocabulary().codes.category_2024("2129-5") == ""


def test_a_new_code_needs_only_the_columns_it_fills(overlay: Path) -> None:
    put(overlay, "codes/cdcrec.csv", "code,display,table\n9999-4,Kurdish,Race\n")
    coding = Vocabulary(Tables(overlay=overlay)).codes.find("cdcrec", "9999-4")
    assert coding is not None
    assert coding.display == "Kurdish"


# Where rows come from --------------------------------------------------------------------------


def test_a_row_knows_the_file_and_line_with_the_last_word_on_it(base: Path, overlay: Path) -> None:
    put(base, "partners/acme/codes/colours.csv", 'system,code,display\nrgb,B,"Blue\nof two lines"\nrgb,G,Grass\n')
    put(overlay, "codes/colours.csv", "system,code,display,retired\n\nrgb,R,Crimson,\ncmyk,C,,yes\n")
    placed = Tables("acme", overlay).placed("codes/colours.csv")
    assert [(row["code"], file, line) for row, file, line in placed] == [
        ("R", f"{overlay}/codes/colours.csv", 3),
        ("G", "mappings/partners/acme/codes/colours.csv", 4),
        ("B", "mappings/partners/acme/codes/colours.csv", 3),
    ]
    assert Tables("acme", overlay).rows("codes/colours.csv") == tuple(row for row, _, _ in placed)


def test_files_before_they_are_merged(base: Path, overlay: Path) -> None:
    put(overlay, "codes/colours.csv", "system,code,retired\nrgb,R,yes\n")
    first, second = Tables(overlay=overlay).stacked("codes/colours.csv")
    assert [placed.row["code"] for placed in first] == ["R", "G", "C"]
    assert [placed.row["retired"] for placed in second] == ["yes"]
    assert Tables().stacked("codes/none.csv") == []


def test_each_key_of_a_document_knows_its_file(base: Path, overlay: Path) -> None:
    put(overlay, "guides/form.toml", "[paint]\ncoats = 3\n")
    assert Tables(overlay=overlay).settled("guides/form.toml") == [
        ("paint.coats", 3, f"{overlay}/guides/form.toml"),
        ("paint.finish", "matt", "mappings/guides/form.toml"),
        ("paint.list", [1, 2], "mappings/guides/form.toml"),
    ]


def test_a_crosswalk_of_a_partner_s_own_merges_by_the_key_of_all_crosswalks(base: Path, overlay: Path) -> None:
    header = "applies_to,source_system,source_code,target_code,note\n"
    put(base, "partners/acme/crosswalks/own.csv", header + "race,x,K,1,theirs\nrace,x,K,2,theirs\n")
    put(overlay, "partners/acme/crosswalks/own.csv", header + "race,x,K,2,ours\n")
    tables = Tables("acme", overlay)
    assert [(row["target_code"], row["note"]) for row in tables.rows("crosswalks/own.csv")] == [
        ("1", "theirs"),
        ("2", "ours"),
    ]
    assert tables.key("codes/colours.csv") == ("system", "code")
    assert tables.key("codes/none.csv") == ()


def test_partners_built_in_tables_and_what_nobody_reads(base: Path, overlay: Path) -> None:
    put(base, "partners/acme/attestation.toml", "")
    put(base, "partners/README.md", "")
    put(overlay, "partners/beta/codes/own.csv", "a\n1\n")
    put(overlay, "partner/gamma/codes/own.csv", "a\n1\n")
    put(overlay, ".hidden", "")
    assert module.partners() == ["acme"]
    assert module.partners(overlay) == ["acme", "beta"]
    tables = Tables("beta", overlay)
    assert tables.built_in("codes/colours.csv")
    assert not tables.built_in("codes/own.csv")
    assert tables.unread() == [f"{overlay}/partner"]
