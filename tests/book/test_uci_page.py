"""The recorded run of the UCI protocol, its page, and what pages say beyond recorded values."""

import json
import re

import pytest
from scipy.stats import beta, t

from benchmarks import uci as recording
from book.tree import ROOT
from book.uci import uci_values
from book.values import derived, fill
from spikedrop.errors import InputError
from spikedrop.study import uci


def test_the_recorded_run_is_whole_and_names_where_it_comes_from():
    recorded = uci.read_recorded()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", recorded.date)
    assert re.match(r"[0-9a-f]{40}", recorded.commit)
    assert "cores" in recorded.machine
    runs = {(row["set"], row["layers"]) for row in recorded.rows}
    assert len(recorded.rows) == 2 * len(runs)
    for name, layers in runs:
        assert f"{name},{layers}," in recorded.command
        assert uci.published_name(name) in uci.PUBLISHED


@pytest.mark.parametrize("text", ["", "[]", '{"date": "2026-01-02"}'])
def test_what_is_not_a_recorded_run_is_refused(tmp_path, text):
    file = tmp_path / "recorded.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"recorded\.json is not a recorded run"):
        uci.read_recorded(file)


def test_the_page_shows_every_row_with_its_depth_and_the_published_ones():
    values = uci_values()
    page = fill((ROOT / "book" / "uci.md").read_text(encoding="utf-8"), values, "uci.md")
    assert "{{" not in page
    rows = [line.split(" | ") for line in values["uci_table"].splitlines()]
    assert len({len(row) for row in rows[2:]}) == 1
    for row in uci.read_recorded().rows:
        assert f"{row['rmse']:.3f} ± {row['rmse_se']:.3f}" in page
    for source in uci.SOURCES.values():
        assert source.label in page and source.reference in page
    spiking = [row for row in uci.read_recorded().rows if row["network"] == "snn"]
    most = max(abs(row[f"{key}_difference"] / row[f"{key}_difference_se"])
               for row in spiking for key in ("rmse", "log_likelihood"))  # fmt: skip
    assert values["uci_largest"] == pytest.approx(most)
    above = values["uci_largest"] > values["uci_needed"]
    assert values["uci_largest_word"] == ("above" if above else "below")
    assert t.cdf(values["uci_needed"], values["uci_largest_splits"] - 1) == pytest.approx(0.975)


def test_a_run_is_recorded_by_one_command(tmp_path, monkeypatch):
    rows = [{"set": "power", "network": name, "layers": 1, "rmse": 1.0, "rmse_se": 0.1, "splits": 2,
             "log_likelihood": -1.0, "log_likelihood_se": 0.1, "seconds": 3.0,
             "rmse_difference": 0.1, "rmse_difference_se": 0.1, "log_likelihood_difference": 0.1,
             "log_likelihood_difference_se": 0.1} for name in ("ann", "snn")]  # fmt: skip
    monkeypatch.setattr(recording, "RECORDED", ROOT / "_build" / "test_uci_recorded.json")
    monkeypatch.setattr(uci, "find_sets", lambda folder, names: {"power": folder})
    monkeypatch.setattr(uci, "read_set", lambda name, folder: None)
    monkeypatch.setattr(uci, "run_set", lambda *_, **settings: rows)
    monkeypatch.setattr("sys.argv", ["uci", str(tmp_path), "power,1,2", "--words", "quiet"])
    (ROOT / "_build").mkdir(exist_ok=True)
    recording.main()
    found = json.loads(recording.RECORDED.read_text())
    recording.RECORDED.unlink()
    assert found["command"] == "python -m benchmarks.uci FOLDER power,1,2"
    assert found["machine"].endswith("; quiet") and "seconds" not in found["rows"][0]


@pytest.mark.parametrize(("share", "inputs"), [(12.5, 40), (0.0, 20), (100.0, 12)])
def test_the_interval_of_a_share_is_exact(share, inputs):
    found = derived({"ks_beyond_floor": share, "n_observations": inputs, "other": 1})
    k = round(share / 100 * inputs)
    low = 0 if k == 0 else 100 * beta.ppf(0.025, k, inputs - k + 1)
    high = 100 if k == inputs else 100 * beta.ppf(0.975, k + 1, inputs - k)
    assert (found["ks_beyond_low"], found["ks_beyond_high"]) == pytest.approx((low, high))
    assert found["ks_beyond_side"] == ("inside" if low <= 5 <= high else "outside")


def test_without_the_share_nothing_is_derived():
    assert derived({"n_observations": 40}) == {}
