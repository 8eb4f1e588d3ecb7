"""The bill of a tag's charge, and the command that makes it from the real firmware."""

import json
from pathlib import Path

import pytest
from twin_bench import interpreter
from typer.testing import CliRunner

from tagfleet.command_line import app
from tagfleet.energy import SLEEP_UA, Phases, bill

DAY = Phases(86_400, 864, 288, 400.0, 864, 300.0, 10_368, 860.0, 40, 0.0)


def test_bill_adds_up_and_its_range_holds_it() -> None:
    result = bill(DAY, "bare-module", 2600, frozen=False)
    assert result.total.typical == pytest.approx(sum(charge.typical for charge in result.phases.values()))
    assert result.phases["boot"].typical == pytest.approx(864 * 26.5 / 3600)
    assert result.phases["GNSS"].typical == pytest.approx(860 * 30 / 3600)
    for charge in (*result.phases.values(), result.total, result.life_days):
        assert charge.low <= charge.typical <= charge.high
    assert result.life_days.typical < 2600 * 0.85 / result.total.typical


def test_bill_grows_with_what_is_done_and_falls_with_a_frozen_application() -> None:
    usual = bill(DAY, "bare-module", 2600, frozen=False).total.typical
    assert bill(DAY._replace(gnss_s=1720), "bare-module", 2600, False).total.typical > usual
    assert bill(DAY._replace(slow_s=300.0), "bare-module", 2600, False).total.typical < usual
    assert bill(DAY, "bare-module", 2600, True).total.typical < usual
    motion, shock = (
        bill(DAY, "bare-module", 2600, False, looks_for).total.typical for looks_for in ("motion", "shock")
    )
    assert usual < motion < shock
    assert bill(DAY, "esp32-devkit", 2600, False).total.typical > 10 * usual / 3
    assert "esp32c6-devkit" in SLEEP_UA


def test_energy_command_measures_the_firmware_and_draws_it(tmp_path: Path) -> None:
    interpreter()
    picture = tmp_path / "energy.svg"
    words = ["energy", "--hours", "1", "--setting", "interval_s=900", "--setting", "climate=aht20", "--json"]
    done = CliRunner().invoke(app, [*words, "--plot", str(picture)])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["observed"]["samples"] == 4
    assert answer["observed"]["wakes"] == 12
    assert answer["observed"]["events"] == pytest.approx(12 * 12, rel=0.1)
    observed = answer["observed"]
    assert 0 < observed["slow_s"] <= observed["gnss_s"] < observed["awake_s"]
    assert answer["mah_per_day"]["low"] < answer["mah_per_day"]["typical"] < answer["mah_per_day"]["high"]
    assert picture.read_text().startswith("<svg")


@pytest.mark.parametrize("words", [["--setting", "interval_s=1"], ["--setting", "interval_s"], ["--board", "toaster"]])
def test_energy_command_says_what_is_wrong(words: list[str]) -> None:
    interpreter()
    done = CliRunner().invoke(app, ["energy", *words])
    assert done.exit_code == 2
    assert "tagfleet energy: " in done.stderr
