"""Tables from anywhere: true lines, true causes, row numbers left out, nothing lost in floats."""

import gzip
import io
import random
import re
import zipfile

import numpy as np
import pandas as pd
import pytest

from spikedrop.checks.columns import check_spread
from spikedrop.data import load_almanac, load_features
from spikedrop.data.nci_almanac import COLUMNS
from spikedrop.errors import InputError, InputWarning
from spikedrop.files import csvs, read_column, read_rows, read_table
from spikedrop.files.cells import fault_of

FAULTS = {
    "": "is blank",
    "NA": "stands for a missing value",
    "-": "stands for a missing value",
    "red": "is not a number; turn categories",
    "2024-01-31": "is a date",
    "31.01.2024 12:30": "is a date",
    "12:30": "is a date",
    "1,5": "has a comma",
    "1 234,5": "has a comma",
    "12%": "has a per cent sign",
    "5 kg": "with a unit",
    "$5": "with a unit",
    "1e300": "is too large for float32",
    "1e400": "is too large for float32",
    "-inf": "is infinite",
    "n.d.": "is not a number",
}


def planted(rng, end):
    """Return a random table with one faulty cell: its bytes, line, column, and part of the message.

    Blank lines and cells over several lines stand above the fault; a column of names is not used.
    """
    names = [f"c{i}" for i in range(rng.randint(1, 4))]
    rows = rng.randint(1, 30)
    faulty = rng.randrange(rows)
    column = rng.choice(names)
    value, words = rng.choice(list(FAULTS.items()))
    lines, line = [",".join(["label", *names])], None
    truths = rng.random() < 0.3
    for row in range(rows):
        lines += [rng.choice(["", "  "])] * rng.choice([0, 0, 0, 1, 3])
        label = rng.choice(["plain", '"two, cells"', f'"over{end}two lines"', '"a ""quote"""'])
        cells = {
            name: rng.choice(["1", "-2.5", "3e-2", " 4 ", '"5"', str(2**70)]) for name in names
        }
        if truths:
            cells[column] = rng.choice(["True", "False", "true"])
        if row == faulty:
            line = 1 + len(end.join(lines).split(end))
            cells[column] = f'"{value}"' if "," in value else value
        lines.append(",".join([label, *cells.values()]))
    text = end.join(lines) + rng.choice(["", end])
    return rng.choice(["", "\ufeff"]) + text, line, column, words


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_fault_at_a_random_place_is_named_with_its_line_and_column(tmp_path, end):
    rng, path = random.Random(0), tmp_path / "t.csv"
    for _ in range(60):
        text, line, column, words = planted(rng, end)
        path.write_bytes(text.encode())
        with pytest.raises(InputError) as caught:
            read_rows(path, without="label")
        message = str(caught.value)
        assert f"{path}, line {line}, column {column!r}: " in message, (message, text)
        assert words in message, (message, text)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_with_another_number_of_cells_is_named(tmp_path, end):
    rng, path = random.Random(1), tmp_path / "t.csv"
    for _ in range(20):
        rows = rng.randint(2, 20)
        lines, faulty = ["a,b,c"], rng.randrange(rows)
        for row in range(rows):
            lines += [""] * rng.choice([0, 0, 2])
            if row == faulty:
                line, count = len(lines) + 1, rng.choice([2, 4, 5])
            lines.append(",".join("1" * (count if row == faulty else 3)))
        path.write_bytes(end.join(lines).encode())
        with pytest.raises(InputError, match=f"line {line}: .*has {count} fields, and line 1"):
            read_rows(path)


def test_tables_without_a_fault_are_read_whatever_ends_their_lines(tmp_path):
    path = tmp_path / "t.csv"
    for end in ("\n", "\r\n", "\r"):
        for mark in ("", "\ufeff"):
            lines = ["a,b", "1,True", "", "2.5,FALSE", f"{2**70},true", " 4 ,False"]
            path.write_bytes((mark + end.join(lines)).encode())
            expected = [[1, 1], [2.5, 0], [2.0**70, 1], [4, 0]]
            np.testing.assert_array_equal(read_rows(path), expected)


def test_words_in_columns_that_are_not_asked_for_do_not_matter(tmp_path):
    (tmp_path / "t.csv").write_text("y,day\n1,2024-01-01\n2,\n")
    assert read_column(tmp_path / "t.csv", "y").tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a;b;y\n1,5;2;3\n", "line 1: the columns are separated by ';'"),
        ("a\tb\ty\n1\t2\t3\n", "line 1: the columns are separated by tabs"),
        ("Growth of cells\na,b,y\n1,2,3\n", "line 2: the names of the columns stand here"),
        ("Growth of cells,,\n\na,b,y\n1,2,3\n", "line 3: the names of the columns stand here"),
        ("a,b,Y\n1,2,3\n", "nearest here: Y"),
        ("a,b,y\n1,2\n3,4,5\n", "line 2: .*has 2 fields, and line 1 names 3"),
        ("a,b,y\n1,2,3,\n1,2,3,,\n", "line 3: .*has 5 fields"),
        ("a,,y\n1,2,3\n", "line 1: column 2 has no name"),
        ('a,b,y\n1,2,3\n\n1,"2,3\n', "line 4: a quote is opened and never closed"),
        ("a," + "b" * 200_000 + ",y\n1,2,3\n", "line 1: .*131,?072"),
        ("a,y\n1," + "1" * 200_000 + "\n", "line 2: "),
    ],
)
def test_what_is_wrong_with_a_table_is_said_at_its_place(tmp_path, text, words):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        read_table(tmp_path / "t.csv", "y")
    assert re.search(words, str(caught.value)), caught.value
    assert len(str(caught.value)) < 500


def test_a_title_is_found_where_no_column_is_asked_for(tmp_path):
    (tmp_path / "t.csv").write_text("Growth\na\n1\n")
    with pytest.raises(InputError, match=r"line 2, column 'Growth': 'a' is not.*below a title"):
        read_rows(tmp_path / "t.csv")


def test_numbers_have_no_fault():
    for value in (0.1, -3.0, 1e30, 123456.789, 5e-324):
        for text in (repr(value), f"{value:.3e}", f" {value:+}"):
            assert fault_of(text) is None, text


# row numbers


def test_row_numbers_are_left_out_and_said(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}, index=[7, 9])
    frame.to_csv(tmp_path / "index.csv")
    pd.read_csv(tmp_path / "index.csv").to_csv(tmp_path / "twice.csv")
    frame.to_parquet(tmp_path / "index.parquet")
    frame.rename_axis("well").to_parquet(tmp_path / "named.parquet")
    frame.set_axis(["x", "y"]).to_parquet(tmp_path / "words.parquet")
    frame.set_axis([7, 9]).rename_axis("well").reset_index().to_parquet(tmp_path / "kept.parquet")
    for name, left in {
        "index.csv": "''",
        "twice.csv": "'', 'Unnamed: 0'",
        "index.parquet": "'__index_level_0__'",
        "named.parquet": "'well'",
        "words.parquet": "'__index_level_0__'",
    }.items():
        with pytest.warns(InputWarning, match=f"{name}: column {left} numbers the rows"):
            x = read_rows(tmp_path / name)
        np.testing.assert_array_equal(x, frame.to_numpy())
    assert read_rows(tmp_path / "kept.parquet").shape == (2, 3)  # a column, not an index
    frame.to_parquet(tmp_path / "plain.parquet", index=False)
    assert read_rows(tmp_path / "plain.parquet").shape == (2, 2)


# spread


def test_a_column_passes_if_float32_holds_it_and_is_refused_by_name_if_not():
    rng = np.random.default_rng(0)
    passed = 0
    for offset in (0.0, 1.0, -300.0, 1e5, 1e8, 1e12, 2.0**60):
        for spread in (1e-6, 1.0, 1e3, 1e9):
            x = np.stack([rng.normal(size=500), offset + spread * rng.normal(size=500)], axis=1)
            lost = np.abs(x[:, 1] - x[:, 1].astype(np.float32)).max()
            held = lost < 0.01 * x[:, 1].std() or np.ptp(x[:, 1]) < 1e-14 * abs(offset)
            try:
                check_spread(x, ["good", "bad"], "t.csv")
                passed += 1
                assert held, (offset, spread)
            except InputError as error:
                assert lost > 0.002 * x[:, 1].std(), (offset, spread)
                assert "t.csv, column 'bad'" in str(error)
    assert 10 < passed < 25


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_whole_numbers_that_differ_only_beyond_floats_are_refused(tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"

    def write(values):
        frame = pd.DataFrame({"a": range(len(values)), "id": values})
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path, index=False)

    write([2**60 + i for i in range(50)])
    with pytest.raises(InputError, match="column 'id': holds whole numbers from 115292"):
        read_rows(path)
    write([2**60 * i for i in range(8)])  # as far apart as they are large
    assert read_rows(path)[3, 1] == 3 * 2.0**60
    write([2**60] * 5)
    assert read_rows(path)[0, 1] == 2.0**60


# archives


def test_archives_that_unpack_to_far_more_are_refused_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(csvs, "SMALL", 1_000_000)
    lines = b"1\n" * 10_000_000
    with zipfile.ZipFile(tmp_path / "r.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("r.csv", b"a\n" + lines)
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress(b"a\n" + lines))
    for name in ("r.zip", "r.csv.gz"):
        with (
            pytest.raises(InputError, match="unpacks to more than"),
            csvs.open_table(tmp_path / name) as stream,
        ):
            while stream.read(1 << 16):
                pass


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_an_archive_of_blank_lines_is_refused_soon(tmp_path, end):
    with zipfile.ZipFile(tmp_path / "r.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("r.csv", b"NSC,a" + end + b"1,2" + end * 5_000_000)
    with pytest.raises(InputError, match="more than 1,000,000 blank lines"):
        load_features(drugs=tmp_path / "r.zip", cells=tmp_path / "r.zip")


def test_blank_lines_of_records_are_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(csvs, "MAX_BLANK", 1000)
    (tmp_path / "r.csv").write_text(",".join(COLUMNS) + "\n" * 5000)
    with pytest.raises(InputError, match="more than 1,000 blank lines"):
        load_almanac(tmp_path / "r.csv", chunk_rows=500)


def test_a_folder_is_said_to_be_a_folder(tmp_path):
    (tmp_path / "r.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        load_almanac(tmp_path / "r.csv")


def test_text_of_a_stream_keeps_its_line_ends():
    assert csvs.as_text(io.BytesIO(b"\xef\xbb\xbfa\r\nb")).read() == "a\r\nb"
