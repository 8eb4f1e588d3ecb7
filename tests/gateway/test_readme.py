"""The gateway's README says what the code does."""

from pathlib import Path

from taghub.errors import EXIT_CODES
from taghub.intake import OUTCOMES
from taghub.settings import PROFILES
from taghub.status import Figures, status

README = (Path(__file__).resolve().parents[2] / "gateway" / "README.md").read_text("utf-8")


def test_exit_codes() -> None:
    rows = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    assert rows in README


def test_profiles() -> None:
    for name, profile in PROFILES.items():
        intervals = (profile.max_age_s, profile.status_interval_s, profile.presence_interval_s, profile.keepalive_s)
        cells = " | ".join(f"{interval:g}" for interval in intervals)
        assert f"| `{name}` | {cells} | {str(profile.describe).lower()} |\n" in README


def test_every_outcome_of_a_report_is_explained() -> None:
    table = README.split("## What becomes of a report")[1].split("##")[0]
    assert [word for word in OUTCOMES if f"`{word}`" not in table] == []


def test_every_key_of_the_status_is_shown() -> None:
    figures = Figures(0.0, "hub", None, 0, 0, {}, {}, 0.0, 0.0, {}, {}, {}, {}, [])
    keys = [part.split('"')[0] for part in status("online", "s", "h", 0, figures).decode().split('{"')[1:]]
    keys += [part.split('"')[0] for part in status("online", "s", "h", 0, figures).decode().split(',"')[1:]]
    assert [key for key in keys if f'"{key}"' not in README] == []
