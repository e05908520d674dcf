"""Features: the tables, their faults, RDKit, and a design fitted on training rows alone."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spikedrop.data import (
    attach_features,
    fit_design,
    load_features,
    open_screen,
    rdkit_features,
    simulate_screen,
    split,
)
from spikedrop.data.nci_almanac import COLUMNS
from spikedrop.errors import InputError

DRUGS = "NSC,NAME,SMILES,rdkit.a,rdkit.b\n740,Alpha,CCO,1.5,2\n752,Beta,CC,,3\n"
CELLS = "CELLNAME,PANEL,expr.x,prot.y\nSR,Leukemia,1,2\n HS 578T ,Breast,3,\n"


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(n_drugs=14, n_cell_lines=6, n_records=900, seed=0)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "drug_features.csv").write_text(DRUGS)
    (tmp_path / "cell_features.csv").write_text(CELLS)
    return tmp_path


def test_tables_are_read(folder):
    drugs, cells = load_features(folder)
    assert list(drugs.index) == [740, 752]
    assert list(drugs.columns) == ["name", "rdkit.a", "rdkit.b"]
    assert list(drugs["name"]) == ["Alpha", "Beta"]
    assert np.isnan(drugs.loc[752, "rdkit.a"])
    assert list(cells.index) == ["SR", "HS 578T"]
    assert cells.loc["SR", "expr.x"] == 1.0
    assert (cells.drop(columns="panel").dtypes == "float64").all()


def test_the_two_files_may_be_named(folder):
    other = folder / "mine.csv"
    (folder / "drug_features.csv").rename(other)
    drugs, _ = load_features(drugs=other, cells=folder / "cell_features.csv")
    assert len(drugs) == 2


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("drug_features.csv", "1.5", "much", ["line 2", "rdkit.a", "'much'"]),
        ("drug_features.csv", ",3", ",inf", ["line 3", "rdkit.b", "not a finite number"]),
        ("drug_features.csv", "752,", "740,", ["line 3", "NSC", "duplicate"]),
        ("drug_features.csv", "752,", "7x,", ["line 3", "NSC", "'7x'"]),
        ("drug_features.csv", "NSC", "NCS", ["NSC (nearest here: NCS)"]),
        ("cell_features.csv", "SR,", ",", ["line 2", "CELLNAME", "blank"]),
        ("cell_features.csv", CELLS[CELLS.index("SR") :], "", ["no rows"]),
    ],
)
def test_bad_tables_are_refused(folder, name, old, new, words):
    path = folder / name
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        load_features(folder)
    for word in (name, *words):
        assert word in str(caught.value)


def test_missing_tables_are_named(folder, tmp_path):
    (folder / "cell_features.csv").unlink()
    with pytest.raises(InputError, match="cell_features"):
        load_features(folder)
    with pytest.raises(InputError, match="give the folder"):
        load_features()


def test_drug_without_features_is_named(screen):
    gone = screen.drugs.index[3]
    with pytest.raises(InputError, match=rf"drug {gone} in column NSC1 or NSC2"):
        attach_features(screen, screen.drugs.drop(gone), screen.cells)


def test_cell_line_without_features_is_named_with_the_nearest(screen):
    cells = screen.cells.rename(index={"LINE-02": "LINE 02"})
    with pytest.raises(InputError, match=r"LINE-02 in column CELLNAME.*nearest.*LINE"):
        attach_features(screen, screen.drugs, cells)


def test_records_without_features_can_be_dropped_and_are_counted(screen):
    gone = screen.drugs.index[3]
    cells = screen.cells.drop("LINE-02")
    kept = attach_features(screen, screen.drugs.drop(gone), cells, missing="drop")
    lost = len(screen.pairs) - len(kept.pairs) + len(screen.singles) - len(kept.singles)
    assert lost > 0
    assert kept.report.rows_left_out == (("records without features", lost),)
    assert gone not in set(kept.pairs["drug_a"]) | set(kept.pairs["drug_b"])
    assert "LINE-02" not in kept.pairs["cell_line"].cat.categories
    fit_design(kept, np.arange(50))
    with pytest.raises(InputError, match="no record has features"):
        attach_features(screen, screen.drugs.iloc[:1], cells, missing="drop")
    with pytest.raises(InputError, match="missing="):
        attach_features(screen, screen.drugs, cells, missing="ignore")


def test_rdkit_descriptors():
    pytest.importorskip("rdkit", reason="RDKit is an extra")
    table = rdkit_features({740: "CCO", 752: "c1ccccc1"}, morgan_bits=64)
    assert table.loc[740, "rdkit.MolWt"] == pytest.approx(46.069, abs=1e-3)
    assert table.loc[752, "rdkit.RingCount"] == 1
    bits = table.filter(like="morgan.")
    assert bits.shape == (2, 64)
    assert set(np.unique(bits)) == {0.0, 1.0}
    assert np.isfinite(table.filter(like="rdkit.").to_numpy()).all()


@pytest.mark.parametrize(
    ("smiles", "words"),
    [
        ({740: "C1CC"}, "drug 740.*C1CC"),
        ({}, "no SMILES"),
        ({740: ""}, "740"),
        ({740: None}, "740"),
    ],
)
def test_bad_smiles_are_refused_quietly(smiles, words, capfd):
    pytest.importorskip("rdkit", reason="RDKit is an extra")
    with pytest.raises(InputError, match=words):
        rdkit_features(smiles)
    assert capfd.readouterr().err == ""


def test_missing_rdkit_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(InputError, match=r"spikedrop\[chem\]"):
        rdkit_features({740: "CCO"})


# The design matrix


def test_swap_exchanges_the_drugs(screen):
    design = fit_design(screen, np.arange(600))
    rows = screen.pairs.iloc[600:]
    exchanged = rows.rename(
        columns={
            "drug_a": "drug_b",
            "drug_b": "drug_a",
            "log10_dose_a_molar": "log10_dose_b_molar",
            "log10_dose_b_molar": "log10_dose_a_molar",
        }
    )
    inputs = design.matrix(rows)
    np.testing.assert_array_equal(design.matrix(exchanged), inputs[:, design.swap])
    np.testing.assert_array_equal(design.swap[design.swap], np.arange(inputs.shape[1]))
    assert not np.array_equal(inputs, inputs[:, design.swap])
    assert inputs.dtype == np.float32
    assert inputs.shape == (len(rows), len(design.names))
    assert len(set(design.names)) == len(design.names)


@pytest.mark.parametrize("by", ["rows", "pairs", "drugs", "cell_lines"])
def test_statistics_come_from_training_rows_alone(screen, by):
    """Whatever stands in rows, drugs and lines outside training must not move the design."""
    parts = split(screen.pairs, by, seed=1)
    design = fit_design(screen, parts.train)
    train = screen.pairs.iloc[parts.train]
    rng = np.random.default_rng(0)
    pairs = screen.pairs.copy()
    held = np.setdiff1d(np.arange(len(pairs)), parts.train)
    pairs.loc[held, ["log10_dose_a_molar", "log10_dose_b_molar"]] = -99.0
    drugs, cells = screen.drugs.copy(), screen.cells.copy()
    strange_drugs = ~drugs.index.isin(np.unique(train[["drug_a", "drug_b"]]))
    strange_cells = ~cells.index.isin(train["cell_line"].unique())
    assert strange_drugs.any() == (by == "drugs")
    assert strange_cells.any() == (by == "cell_lines")
    for table, strange in ((drugs, strange_drugs), (cells, strange_cells)):
        shape = (int(strange.sum()), table.shape[1] - 1)
        table.iloc[np.flatnonzero(strange), 1:] = rng.normal(50, 100, size=shape)
    changed = fit_design(replace(screen, pairs=pairs, drugs=drugs, cells=cells), parts.train)
    assert changed.names == design.names
    np.testing.assert_array_equal(changed.matrix(train), design.matrix(train))


def test_training_drugs_are_standardised_and_outliers_clipped(screen):
    parts = split(screen.pairs, "drugs", seed=1)
    train = screen.pairs.iloc[parts.train]
    known = np.unique(train[["drug_a", "drug_b"]])
    drugs = screen.drugs.copy()
    far = drugs.index.difference(known)
    drugs.loc[far, "descriptor_01"] = 1e6
    design = fit_design(replace(screen, drugs=drugs), parts.train)
    np.testing.assert_allclose(design.drugs.loc[known].mean(), 0, atol=1e-9)
    np.testing.assert_allclose(design.drugs.loc[known].std(ddof=0), 1)
    assert (design.drugs.loc[far, "descriptor_01"] == 5).all()
    doses = design.matrix(train)[:, [design.names.index(f"{s}.log10_dose") for s in "ab"]]
    assert doses.mean() == pytest.approx(0, abs=1e-4)
    assert doses.std() == pytest.approx(1, abs=1e-4)


def test_missing_and_constant_descriptors(screen):
    drugs = screen.drugs.copy()
    drugs.iloc[2, 1] = np.nan
    drugs["constant"] = 0.1
    drugs["empty"] = np.nan
    design = fit_design(replace(screen, drugs=drugs), np.arange(len(screen.pairs)))
    assert "a.constant" not in design.names
    assert "a.empty" not in design.names
    others = drugs["descriptor_01"].dropna()
    expected = (others.median() - drugs["descriptor_01"].fillna(others.median()).mean()) / (
        drugs["descriptor_01"].fillna(others.median()).std(ddof=0)
    )
    assert design.drugs.iloc[2]["descriptor_01"] == pytest.approx(expected)


def test_named_columns_are_preferred(screen):
    drugs = screen.drugs.rename(columns={"descriptor_01": "rdkit.one", "descriptor_02": "morgan.1"})
    cells = screen.cells.rename(columns={"expr.gene_01": "prot.one"})
    design = fit_design(replace(screen, drugs=drugs, cells=cells), np.arange(100))
    assert [name for name in design.names if name.startswith("a.")] == [
        "a.rdkit.one",
        "a.log10_dose",
    ]
    assert "prot.one" not in design.cell_pipeline.feature_names_in_


@pytest.mark.parametrize(("asked", "got"), [(0, 0), (2, 2), (10, 3)])
def test_components_stay_below_the_number_of_training_lines(screen, asked, got):
    lines = screen.cells.index[:4]
    rows = np.flatnonzero(screen.pairs["cell_line"].isin(lines))
    design = fit_design(screen, rows, components=asked)
    assert design.cells.shape == (len(screen.cells), got)
    if got:
        np.testing.assert_allclose(design.cells.loc[lines].std(ddof=0), 1)


def test_one_training_line_has_no_components(screen):
    rows = np.flatnonzero(screen.pairs["cell_line"] == "LINE-01")
    design = fit_design(screen, rows)
    assert design.cells.shape[1] == 0
    assert design.matrix(screen.pairs).shape == (len(screen.pairs), len(design.names))


def test_design_refuses_what_it_cannot_use(screen):
    with pytest.raises(InputError, match="Call attach_features"):
        fit_design(replace(screen, drugs=None), [0])
    with pytest.raises(InputError, match="0 positions"):
        fit_design(screen, [])
    with pytest.raises(InputError, match="positions"):
        fit_design(screen, [len(screen.pairs)])
    with pytest.raises(InputError, match="components"):
        fit_design(screen, [0], components=-1)
    constant = screen.drugs.assign(**dict.fromkeys(screen.drugs.columns[1:], 1.0))
    with pytest.raises(InputError, match="no descriptor varies"):
        fit_design(replace(screen, drugs=constant), np.arange(50))
    design = fit_design(screen, np.arange(50))
    rows = screen.pairs.head(3)
    with pytest.raises(InputError, match="row 1, column drug_b, value 5"):
        design.matrix(rows.assign(drug_b=[rows["drug_b"].iloc[0], 5, 6]))
    with pytest.raises(InputError, match="row 0, column cell_line"):
        design.matrix(rows.assign(cell_line="nowhere"))
    with pytest.raises(InputError, match="row 2, column log10_dose_a_molar"):
        design.matrix(rows.assign(log10_dose_a_molar=[-6, -6, np.nan]))
    with pytest.raises(InputError, match="column cell_line is missing"):
        design.matrix(rows.drop(columns="cell_line"))


# Opening a screen, and the schema


def test_open_screen_reads_a_folder(folder):
    row = dict.fromkeys(COLUMNS, "") | {
        "SCREENER": "FG",
        "NSC1": "752",
        "CONC1": "1e-6",
        "CONCUNIT1": "M",
        "NSC2": "740",
        "CONC2": "1e-5",
        "CONCUNIT2": "M",
        "PERCENTGROWTH": "50",
        "VALID": "Y",
        "PANEL": "Leukemia",
        "CELLNAME": "SR",
    }
    changes = [{}, {"CONC1": "1e-7"}, {"CELLNAME": "HS 578T"}]
    lines = [",".join(COLUMNS), *(",".join((row | change).values()) for change in changes)]
    (folder / "ComboDrugGrowth_extract.csv").write_text("\n".join(lines) + "\n")
    screen = open_screen(folder)
    assert len(screen.pairs) == 3
    assert list(screen.drugs.index) == [740, 752]
    assert len(open_screen(folder, n_records=2).pairs) == 2
    pd.testing.assert_frame_equal(
        open_screen(folder, n_records=2, seed=5).pairs,
        open_screen(folder, n_records=2, seed=5).pairs,
    )


def test_open_screen_without_records(tmp_path):
    with pytest.raises(InputError, match="no file of records"):
        open_screen(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        open_screen(tmp_path / "nowhere")
    with pytest.raises(InputError, match="n_records"):
        open_screen(n_records=0)


def test_a_frame_that_breaks_the_schema_is_refused(screen):
    swapped = screen.pairs.rename(columns={"drug_a": "drug_b", "drug_b": "drug_a"})
    with pytest.raises(InputError, match="one pair"):
        replace(screen, pairs=swapped)
    with pytest.raises(InputError, match="growth_fraction"):
        replace(screen, pairs=screen.pairs.drop(columns="growth_fraction"))
    infinite = screen.singles.assign(log10_dose_molar=-np.inf)
    with pytest.raises(InputError, match="finite"):
        replace(screen, singles=infinite)


# The real tables, where they are at hand


@pytest.fixture
def real() -> Path:
    path = os.environ.get("SPIKEDROP_DATA")
    if not path:
        pytest.skip("real features are read only from the folder SPIKEDROP_DATA names")
    return Path(path)


def test_every_real_record_has_features(real):
    screen = open_screen(real)
    design = fit_design(screen, np.arange(len(screen.pairs)))
    assert np.isfinite(design.matrix(screen.pairs.head(1000))).all()
    assert design.cells.shape[1] == 10


def test_rdkit_agrees_with_the_real_table(real):
    pytest.importorskip("rdkit", reason="RDKit is an extra")
    smiles = pd.read_csv(real / "drug_features.csv.gz").set_index("NSC")["SMILES"]
    table, _ = load_features(real)
    chosen = [752, 3088, 19893]
    computed = rdkit_features(smiles.loc[chosen].to_dict())
    for name in ("MolWt", "TPSA", "MolLogP", "NumHDonors", "RingCount"):
        expected = table.loc[chosen, f"rdkit.{name}"]
        np.testing.assert_allclose(computed[f"rdkit.{name}"], expected, rtol=1e-4)


def test_lines_are_counted_with_blank_ones_and_cells_over_lines(folder):
    path = folder / "drug_features.csv"
    lines = path.read_text().splitlines()
    lines[1] = lines[1].replace(lines[1].split(",")[1], '"over\ntwo"', 1)
    cells = lines[2].split(",")
    cells[-1] = "much"
    path.write_text("\n".join([lines[0], lines[1], "", "", ",".join(cells)]) + "\n")
    with pytest.raises(InputError, match="line 6, column"):
        load_features(folder)
