"""Reading NCI's layout: what is read, what is refused, and what the refusal says."""

import gzip
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spikedrop.data import growth_from_readings, load_almanac
from spikedrop.data.nci_almanac import COLUMNS
from spikedrop.errors import InputError

ROW = {
    "COMBODRUGSEQ": "1",
    "SCREENER": "FG",
    "STUDY": "S1",
    "TESTDATE": "06/23/2011",
    "PLATE": "12",
    "PANELNBR": "9",
    "CELLNBR": "18",
    "PREFIX1": "S",
    "NSC1": "3088",
    "SAMPLE1": "37",
    "CONCINDEX1": "-1",
    "CONC1": "1e-06",
    "CONCUNIT1": "M",
    "PREFIX2": "S",
    "NSC2": "752",
    "SAMPLE2": "10",
    "CONCINDEX2": "2",
    "CONC2": "1e-05",
    "CONCUNIT2": "M",
    "PERCENTGROWTH": "50",
    "PERCENTGROWTHNOTZ": "",
    "TESTVALUE": "200",
    "CONTROLVALUE": "300",
    "TZVALUE": "100",
    "EXPECTEDGROWTH": "73.4",
    "SCORE": "23",
    "VALID": "Y",
    "PANEL": "Renal Cancer",
    "CELLNAME": "786-0",
}
SINGLE = {
    "NSC2": "",
    "CONC2": "",
    "CONCUNIT2": "",
    "PREFIX2": "",
    "SAMPLE2": "",
    "EXPECTEDGROWTH": "",
    "SCORE": "",
}


def text(*changes: dict[str, str], columns=COLUMNS, end: str = "\n") -> str:
    lines = [",".join(columns)]
    lines += [",".join({**ROW, **change}[name] for name in columns) for change in changes]
    return end.join(lines) + end


def write(folder: Path, *changes: dict[str, str], name: str = "records.csv", **options) -> Path:
    path = folder / name
    path.write_bytes(text(*changes, **options).encode())
    return path


def refused(path: Path, *words: str, **options) -> str:
    with pytest.raises(InputError) as caught:
        load_almanac(path, **options)
    for word in (str(path), *words):
        assert word in str(caught.value)
    return str(caught.value)


def test_pair_is_ordered_and_in_stated_units(tmp_path):
    pairs = load_almanac(write(tmp_path, {})).pairs
    row = pairs.iloc[0]
    assert (row["drug_a"], row["drug_b"]) == (752, 3088)
    assert (row["log10_dose_a_molar"], row["log10_dose_b_molar"]) == (-5, -6)
    assert row["growth_fraction"] == 0.5
    assert row["expected_growth_fraction"] == pytest.approx(0.734)
    assert (row["cell_line"], row["panel"], row["lab"]) == ("786-0", "Renal Cancer", "FG")
    assert row["replicates"] == 1
    assert np.isnan(row["growth_sd_fraction"])


def test_both_orders_of_a_pair_are_replicates(tmp_path):
    swapped = {"NSC1": "752", "NSC2": "3088", "CONC1": "1e-05", "CONC2": "1e-06"}
    screen = load_almanac(write(tmp_path, {}, {**swapped, "PERCENTGROWTH": "60"}))
    assert len(screen.pairs) == 1
    assert screen.pairs["replicates"].item() == 2
    assert screen.pairs["growth_fraction"].item() == pytest.approx(0.55)
    assert screen.pairs["growth_sd_fraction"].item() == pytest.approx(0.1 / np.sqrt(2))
    assert screen.report.replicates_averaged == 1


@pytest.mark.parametrize(
    "change", [{"CONC1": "2e-06"}, {"CELLNAME": "SR"}, {"SCREENER": "1A"}, {"NSC1": "3089"}]
)
def test_another_condition_is_not_a_replicate(tmp_path, change):
    assert len(load_almanac(write(tmp_path, {}, change)).pairs) == 2


def test_singles_are_kept_apart(tmp_path):
    screen = load_almanac(write(tmp_path, {}, SINGLE, {**SINGLE, "PERCENTGROWTH": "70"}))
    assert len(screen.pairs) == 1
    single = screen.singles.iloc[0]
    assert (single["drug"], single["log10_dose_molar"], single["replicates"]) == (3088, -6, 2)
    assert single["growth_fraction"] == pytest.approx(0.6)


@pytest.mark.parametrize("changes", [[{}], [SINGLE]])
def test_a_file_may_hold_one_kind_alone(tmp_path, changes):
    screen = load_almanac(write(tmp_path, *changes))
    assert len(screen.pairs) + len(screen.singles) == 1
    assert screen.pairs["drug_a"].dtype == screen.singles["drug"].dtype == "int64"


def test_names_are_cleaned_at_the_ends_alone(tmp_path):
    path = write(tmp_path, {"CELLNAME": " HS 578T\x1a "}, {"CELLNAME": "HS 578T"})
    screen = load_almanac(path)
    assert list(screen.pairs["cell_line"]) == ["HS 578T"]
    assert screen.pairs["replicates"].item() == 2


def test_a_stray_carriage_return_does_not_split_a_row(tmp_path):
    screen = load_almanac(write(tmp_path, {"CELLNAME": "SR\r"}, {"CELLNAME": "SR"}))
    assert list(screen.pairs["cell_line"]) == ["SR"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_blank_lines_do_not_matter(tmp_path, end):
    path = tmp_path / "records.csv"
    path.write_bytes((text({}, {"CELLNAME": "SR"}, end=end) + end + end).encode())
    screen = load_almanac(path)
    assert sorted(screen.pairs["cell_line"]) == ["786-0", "SR"]
    assert screen.report.rows_read == 2


def test_every_kind_of_file_gives_the_same_records(tmp_path):
    content = text({}, SINGLE, {"CELLNAME": "SR"}).encode()
    (tmp_path / "a.csv").write_bytes(content)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(content))
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("records.csv", content)
    first, *others = (load_almanac(tmp_path / name) for name in ("a.csv", "b.csv.gz", "c.zip"))
    for other in others:
        pd.testing.assert_frame_equal(first.pairs, other.pairs)
        pd.testing.assert_frame_equal(first.singles, other.singles)


def test_chunks_change_nothing(tmp_path):
    changes = [
        {"NSC1": str(4000 - 7 * i), "CELLNAME": f"LINE {i % 3}", "PLATE": str(i) if i % 2 else "P"}
        for i in range(11)
    ]
    path = write(tmp_path, *changes, {}, SINGLE)
    whole, parts = load_almanac(path), load_almanac(path, chunk_rows=2)
    pd.testing.assert_frame_equal(whole.pairs, parts.pairs)
    pd.testing.assert_frame_equal(whole.singles, parts.singles)
    assert whole.report == parts.report


def test_rows_not_valid_are_left_out_and_counted(tmp_path):
    report = load_almanac(write(tmp_path, {}, {"VALID": "N", "PERCENTGROWTH": "x"})).report
    assert report.rows_left_out == (("VALID is not Y", 1),)
    assert (report.rows_read, report.pair_rows) == (2, 1)


def test_a_drug_paired_with_itself_is_left_out_and_counted(tmp_path):
    report = load_almanac(write(tmp_path, {}, {"NSC1": "752"})).report
    assert report.rows_left_out == (("a drug paired with itself", 1),)


def test_formulas_are_recomputed_and_disagreement_counted(tmp_path):
    changes = [
        {},
        {"PERCENTGROWTH": "50.2", "SCORE": "23"},  # growth off by 0.2 points
        {"TESTVALUE": "40", "PERCENTGROWTH": "-60", "SCORE": "133"},  # below time zero; agrees
        {"SCORE": "25"},
        {"SCORE": "", "EXPECTEDGROWTH": ""},
        {"TESTVALUE": ""},
    ]
    changes = [{**change, "CELLNAME": f"LINE {i}"} for i, change in enumerate(changes)]
    report = load_almanac(write(tmp_path, *changes)).report
    assert (report.growth_checked, report.growth_disagree) == (5, 1)
    assert (report.score_checked, report.score_disagree) == (5, 1)


def test_growth_formula_by_hand():
    growth = growth_from_readings([300, 200, 100, 25, 0, 400], 300, 100)
    np.testing.assert_allclose(growth, [1, 0.5, 0, -0.75, -1, 1.5])
    assert np.isnan(growth_from_readings(1.0, 1.0, 1.0)).all()


def test_report_prints_every_count(tmp_path):
    printed = str(load_almanac(write(tmp_path, {}, {"VALID": "N"}, SINGLE)).report)
    for line in ("rows read", "VALID is not Y", "two-drug rows", "one-drug rows", "score differs"):
        assert line in printed
    assert len(printed.splitlines()) == 9


# What is refused


def test_missing_column(tmp_path):
    columns = [name for name in COLUMNS if name != "TZVALUE"]
    refused(write(tmp_path, {}, columns=columns), "line 1", "TZVALUE", "missing")


def test_renamed_column_names_the_nearest(tmp_path):
    content = text({}).replace("PERCENTGROWTH,", "PERCENT_GROWTH,", 1)
    path = tmp_path / "records.csv"
    path.write_text(content)
    refused(path, "PERCENTGROWTH (nearest here: PERCENT_GROWTH)")


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("PERCENTGROWTH", "high", "not a number"),
        ("PERCENTGROWTH", "", "missing"),
        ("PERCENTGROWTH", "inf", "infinite"),
        ("CONC1", "NaN", "is missing"),
        ("CONC1", "", "missing"),
        ("CONC2", "inf", "infinite"),
        ("CONC2", "-inf", "infinite"),
        ("CONC2", "", "missing"),
        ("CONC1", "0", "not above 0"),
        ("CONC2", "-1e-6", "not above 0"),
        ("CONCUNIT1", "u", "molecular weight"),
        ("CONCUNIT2", "u", "molecular weight"),
        ("CONCUNIT1", "mM", "unit M"),
        ("NSC1", "75.5", "NSC number"),
        ("NSC2", "abc", "not a number"),
        ("TZVALUE", "much", "not a number"),
        ("CELLNAME", "\x1a", "blank"),
        ("PANEL", "", "blank"),
    ],
)
def test_bad_value_is_named_with_its_place(tmp_path, column, value, words):
    path = write(tmp_path, {}, {"CELLNAME": "SR"}, {column: value}, {"CELLNAME": "SF-268"})
    refused(path, "line 4", f"column {column}", words, 'bad_rows="drop"')
    screen = load_almanac(path, bad_rows="drop", chunk_rows=2)
    assert len(screen.pairs) == 3
    assert sum(rows for _, rows in screen.report.rows_left_out) == 1


def test_unit_u_says_how_to_convert(tmp_path):
    path = write(tmp_path, {"CONCUNIT2": "u"})
    refused(path, "value 'u'", "micrograms per millilitre", "g/mol", "drop")


def test_a_bad_single_row_is_refused_too(tmp_path):
    refused(write(tmp_path, {}, {**SINGLE, "CONC1": "NaN"}), "line 3", "column CONC1")


def test_the_first_bad_row_is_the_one_named(tmp_path):
    refused(write(tmp_path, {"CONCUNIT2": "u"}, {"CONC1": "x"}), "line 2", "CONCUNIT2")


def test_every_row_bad(tmp_path):
    refused(write(tmp_path, {"CONC1": "x"}), "no row of 1 can be used", bad_rows="drop")


def test_too_many_fields(tmp_path):
    path = tmp_path / "records.csv"
    lines = text({}, {}, {}).splitlines()
    lines[2] += ",extra"
    path.write_text("\n".join(lines) + "\n")
    refused(path, "line 3", "cannot be split into columns", "30 fields")
    refused(path, "line 3", "30 fields", chunk_rows=1)
    path.write_text("\n".join([lines[0], *(lines[1] + ",extra" for _ in range(3))]) + "\n")
    refused(path, "line 2", "30 fields, and line 1 names 29")


def test_a_row_cut_short(tmp_path):
    path = tmp_path / "records.csv"
    path.write_text(text({}, {})[:-30])
    refused(path, "line 3")


def test_empty_file(tmp_path):
    path = tmp_path / "records.csv"
    path.touch()
    refused(path, "empty")


def test_empty_archive_member(tmp_path):
    path = tmp_path / "records.csv.gz"
    path.write_bytes(gzip.compress(b""))
    refused(path, "no column names")


@pytest.mark.parametrize("suffix", ["", "\n", "\n\n"])
def test_header_only(tmp_path, suffix):
    path = tmp_path / "records.csv"
    path.write_text(text().strip() + suffix)
    refused(path, "a header and no records")


def test_zip_with_two_members(tmp_path):
    path = tmp_path / "records.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", text({}))
        archive.writestr("b.csv", text({}))
    refused(path, "2 members", "a.csv, b.csv", "Unpack")


def test_truncated_gzip(tmp_path):
    path = tmp_path / "records.csv.gz"
    path.write_bytes(gzip.compress(os.urandom(2000).hex().encode())[:500])
    refused(path, "ends too early")
    whole = gzip.compress(text(*[{"CELLNAME": os.urandom(8).hex()} for _ in range(400)]).encode())
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "ends too early")


@pytest.mark.parametrize("name", ["records.csv.gz", "records.zip"])
def test_not_an_archive(tmp_path, name):
    path = tmp_path / name
    path.write_text(text({}))
    refused(path, "broken")


def test_not_utf8(tmp_path):
    path = tmp_path / "records.csv"
    path.write_bytes(text({}, {"PANEL": "Krebs é"}).encode("latin-1"))
    refused(path, "line 3", "0xe9", "UTF-8")


def test_a_byte_order_mark_is_no_fault(tmp_path):
    path = tmp_path / "records.csv"
    path.write_bytes(b"\xef\xbb\xbf" + text({}).encode())
    assert len(load_almanac(path).pairs) == 1


def test_unknown_extension(tmp_path):
    path = tmp_path / "records.xlsx"
    path.write_text(text({}))
    refused(path, ".xlsx", ".csv.gz")


def test_missing_file(tmp_path):
    refused(tmp_path / "nowhere.csv", "No such file")


def test_options_are_checked(tmp_path):
    path = write(tmp_path, {})
    with pytest.raises(InputError, match="bad_rows"):
        load_almanac(path, bad_rows="ignore")
    with pytest.raises(InputError, match="chunk_rows"):
        load_almanac(path, chunk_rows=0)


# The real records, where they are at hand


@pytest.fixture
def real() -> Path:
    folder = os.environ.get("SPIKEDROP_DATA")
    if not folder:
        pytest.skip("real records are read only from the folder SPIKEDROP_DATA names")
    return Path(folder)


def test_real_extract(real):
    screen = load_almanac(real / "ComboDrugGrowth_extract.csv.gz")
    report = screen.report
    assert report.rows_left_out == ()
    assert report.rows_read == report.pair_rows + report.single_rows
    # The source's own formula holds on 99.4 % of the rows, and the score on all.
    assert report.growth_disagree / report.growth_checked < 0.01
    assert report.score_disagree == 0
    assert screen.pairs["growth_fraction"].mean() == pytest.approx(0.73, abs=0.01)
    assert screen.pairs["growth_fraction"].std() == pytest.approx(0.43, abs=0.01)
    repeated = screen.singles[screen.singles["replicates"] > 1]
    assert repeated["growth_sd_fraction"].median() == pytest.approx(0.072, abs=0.001)


def test_real_sample_has_whole_grids(real):
    pairs = load_almanac(real / "ComboDrugGrowth_sample.csv").pairs
    grids = pairs.groupby(["cell_line", "drug_a", "drug_b"], observed=True).size()
    assert (grids == 9).all()


def test_memory_grows_with_the_records_not_with_the_text(tmp_path):
    """A hundred blocks of text pass through; what stays is a compact table."""
    import tracemalloc

    buffer = io.StringIO(newline="")
    buffer.write(text())
    row = text({"NSC1": "@", "STUDY": "S" * 400}).splitlines()[1]
    for i in range(6_000):
        buffer.write(row.replace("@", str(1000 + i)) + "\n")
    path = tmp_path / "records.csv"
    path.write_text(buffer.getvalue())
    tracemalloc.start()
    screen = load_almanac(path, chunk_rows=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(screen.pairs) == 6_000
    assert peak < path.stat().st_size


@pytest.mark.parametrize("blank", ["NA", "NaN", "-", "n/a", "null"])
def test_words_for_no_value_mark_rows_of_one_drug(tmp_path, blank):
    nothing = {name: blank for name, value in SINGLE.items() if value == ""}
    assert "NSC2" in nothing
    expected = load_almanac(write(tmp_path, {}, SINGLE))
    for bad_rows in ("raise", "drop"):
        found = load_almanac(write(tmp_path, {}, {**SINGLE, **nothing}), bad_rows=bad_rows)
        pd.testing.assert_frame_equal(found.singles, expected.singles)
        assert found.report.rows_left_out == expected.report.rows_left_out


def test_records_whose_lines_end_in_carriage_returns_are_read(tmp_path):
    path = write(tmp_path, {}, SINGLE)
    expected = load_almanac(path)
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r"))
    found = load_almanac(path)
    pd.testing.assert_frame_equal(found.pairs, expected.pairs)
    pd.testing.assert_frame_equal(found.singles, expected.singles)
