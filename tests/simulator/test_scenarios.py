"""Scenario files: what is wrong is said before anything starts, with its line."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tagfleet.command_line import app
from tagfleet.fault_schedule import actions
from tagfleet.scenario import ScenarioError, builtin_names, find, read
from tagfleet.scenario.estimate import estimate, too_fast, too_much
from tagfleet.scenario.faults import ClockError, DeadZone, Fault, HubReboot
from tagfleet.scenario.library import scenarios_folder
from tagfleet.scenario.quantities import amount, numbers, seconds, share, speed
from tagfleet.scenario.toml_lines import key_lines, line_of

GOOD = """\
title = "A test"

[run]
duration = "1 min"

[tags]
count = 100
interval = "5 s"

[hubs]
count = 4

[[fault]]
kind = "dead_zone"
hubs = "1-2"
at = "10 s"
lasts = "5 s"

[[fault]]
kind = "broker_outage"
at = "30 s"
lasts = "5 s"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ScenarioError) as raised:
        read(written(tmp_path, text))
    return str(raised.value).replace(str(tmp_path / "mine.toml"), "mine.toml").split("\n")


@pytest.mark.parametrize("name", builtin_names())
def test_builtin_scenario_is_good_and_tells_what_it_is_for(name: str) -> None:
    scenario = read(find(name))
    assert scenario.title
    assert len(scenario.about) > 80
    assert estimate(scenario, 0).memory_bytes > 1e8


def test_good_scenario_has_its_values(tmp_path: Path) -> None:
    scenario = read(written(tmp_path, GOOD))
    assert (scenario.run.duration, scenario.tags.interval, scenario.run.time) == (60.0, 5.0, 1.0)
    assert isinstance(scenario.fault[0], DeadZone)


@pytest.mark.parametrize(
    ("line", "wrong", "said"),
    [
        (4, 'duration = "5 kg"', 'mine.toml:4: run.duration: "5 kg" is no time; write it with its unit'),
        (4, "duration = 300", "mine.toml:4: run.duration: 300 is no time"),
        (4, 'duration = "-5 s"', "mine.toml:4: run.duration: has to be longer than 0 s"),
        (4, 'duraton = "5 s"', 'mine.toml:4: run.duraton: is no key of a scenario; did you mean "duration"?'),
        (3, "[runn]", 'mine.toml:3: runn: is no key of a scenario; did you mean "run"?'),
        (7, 'count = "many"', "mine.toml:7: tags.count: input should be a valid integer"),
        (7, "count = 0", "mine.toml:7: tags.count: input should be greater than or equal to 1, not 0"),
        (11, 'count = 4\ntarget = "moon"', "mine.toml:12: hubs.target: input should be 'inside'"),
        (14, 'kind = "earthquake"', "mine.toml:14: fault[1].kind: 'earthquake' is no fault; there are broken_sensor"),
        (15, 'hubs = "3-7"', "mine.toml:15: fault[1].hubs: 3-7 is not within 1 and 4"),
        (15, 'hubs = "none"', 'mine.toml:15: fault[1].hubs: "none" names none'),
        (17, 'last = "5 s"', 'mine.toml:17: fault[1].last: is no key of a scenario; did you mean "lasts"?'),
        (21, 'at = "5 min"', "mine.toml:21: fault[2].at: begins when the run of 1 min is over"),
        (22, 'lasts = "2 min"', "mine.toml:22: fault[2].lasts: outlives the run"),
        (22, "lasts = 5 s", "mine.toml:22: not TOML"),
        (
            22,
            'lasts = "5 s"\nhow = "kill"\n[broker]\nstart = "none"\nhost = "b"',
            "mine.toml:23: fault[2].how: this run",
        ),
        (22, 'lasts = "5 s"\n[slo]\nradio = 1.5', "mine.toml:24: slo.radio: 1.5 is no limit"),
        (22, 'lasts = "5 s"\n[slo]\nradio = "200 %"', 'mine.toml:24: slo.radio: "200 %" is no share'),
        (8, 'interval = "5 s"\ntwins = 2', "mine.toml:9: tags.twins: twins need target"),
        (11, 'count = 4\naddresses = ["127.0.0.1:1"]', "mine.toml:12: hubs.addresses: belongs to target"),
        (11, 'count = 99\ntarget = "taghub"', "mine.toml:11: hubs.count: 99 taghub processes are too many"),
        (8, 'interval = "1 s"', "mine.toml:8: tags.interval: the bursts do not fit"),
        (12, '[air]\nscan_window = "1 s"', "mine.toml:13: air.scan_window: is longer than scan_interval"),
        (8, "history = true", 'mine.toml:8: tags.history: needs target = "taghub" or "air"'),
        (8, "settings = { humidity_hi = 5 }", "mine.toml:8: tags.settings: humidity_hi: a flock tag knows private_ids"),
        (
            8,
            "twins = 1\nsettings = { private_ids = true }",
            "mine.toml:8: tags.twins: cannot be followed under names that change",
        ),
        (8, "settings = { private_ids = true }", "mine.toml:8: tags.settings: private_ids needs target"),
        (
            8,
            "settings = { still_interval_s = 90000 }",
            "mine.toml:8: tags.settings: still_interval_s is '90000', not an integer",
        ),
        (
            11,
            'count = 4\ntarget = "batches"\n[[fault]]\nkind = "intruders"',
            'mine.toml:14: fault[1].kind: target "batches" has no air that this run',
        ),
        (8, "settings = { window_every = 0 }", "mine.toml:8: tags.settings: window_every is '0'"),
        (8, "settings = { private_ids = 1 }", "mine.toml:8: tags.settings: private_ids is '1', neither"),
        (1, 'title = "a\\u0007b"', "mine.toml:1: title: has to be one line of printable characters"),
        (4, 'duration = "9999 d"', "mine.toml:4: run.duration: more than 3660 d is too long"),
        (4, f'duration = "{"9" * 400} s"', "mine.toml:4: run.duration: more than 3660 d is too long"),
        (11, 'count = 4\nbatch_age = "2 h"', "mine.toml:12: hubs.batch_age: has to be within 50 ms and 1 h"),
        (11, 'count = 4\nbatch_age = "1 ms"', "mine.toml:12: hubs.batch_age: has to be within 50 ms and 1 h"),
        (4, 'duration = "400 d"', "mine.toml:4: run.duration: is too long; at most 366 d"),
        (4, 'duration = "1 min"\nstart = 1960-01-01', "mine.toml:5: run.start: has to be within the years 1990"),
        (8, 'interval = "0.000001 ms"', "mine.toml:8: tags.interval: a tag would make 63,157,894,738 samples"),
        (11, 'target = "air"\naddresses = ["here"]', "mine.toml:12: hubs.addresses[1]: 'here' is no address"),
        (
            11,
            'count = 4\ntarget = "taghub"\n[[fault]]\nkind = "clock_error"\nstep = "1 h"\nat = "1 s"\nlasts = "1 s"',
            "mine.toml:14: fault[1].kind: only hubs of target",
        ),
        (21, 'at = "99999 d"', "mine.toml:21: fault[2].at: more than 3660 d is too long"),
        (7, "count = " + "9" * 5000, "mine.toml: no scenario: Exceeds the limit"),
        (7, "count = " + "[" * 5000 + "]" * 5000, "mine.toml: no scenario: maximum recursion depth"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, line: int, wrong: str, said: str) -> None:
    lines = GOOD.split("\n")
    lines[line - 1] = wrong
    assert any(problem.startswith(said) for problem in problems(tmp_path, "\n".join(lines)))


@pytest.mark.parametrize("target", ["batches", "hci"])
@pytest.mark.parametrize("kind", ["replay_attack", "cloned_tags"])
def test_attack_that_could_reach_nobody_is_refused(tmp_path: Path, target: str, kind: str) -> None:
    fault = f'[[fault]]\nkind = "{kind}"\nat = "1 s"\nlasts = "1 s"\n' + ('tags = "5 %"' if "tags" in kind else "")
    said = problems(tmp_path, f"{GOOD.partition('[[')[0].replace('count = 4', f'target = {target!r}')}{fault}")
    assert len(said) == 1
    assert f'target "{target}" has no air that this run could send into' in said[0]


def test_fault_without_double_brackets_gets_a_hint(tmp_path: Path) -> None:
    said = problems(tmp_path, GOOD.partition("[[")[0] + '[fault]\nkind = "dead_zone"\n')
    assert said == ["mine.toml:13: fault: is one of many: write [[fault]] above each"]


def test_files_that_a_scenario_names_lie_beside_it(tmp_path: Path) -> None:
    text = (
        GOOD.partition("[[")[0]
        + """
[world]
network = "roads.csv"
[broker]
start = "none"
host = "broker"
password_file = "secret"
tls = { ca_file = "/no/ca.pem" }
"""
    )
    said = problems(tmp_path, text)
    assert "mine.toml:15: world.network:" in said[0]
    assert f"mine.toml:19: broker.password_file: {tmp_path}/secret: no such file" in said[1]
    assert "mine.toml:20: broker.tls.ca_file: /no/ca.pem: no such file" in said[2]
    (tmp_path / "secret").write_text("x")
    shutil.copy(scenarios_folder().parent / "tagfleet" / "world" / "roads.csv", tmp_path)
    text = text.replace("/no/ca.pem", "secret")
    scenario = read(written(tmp_path, text))
    assert scenario.world.network == tmp_path / "roads.csv"
    assert scenario.broker.password_file == tmp_path / "secret"


def test_scenario_of_a_windows_editor_is_read(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert read(path) == read(written(tmp_path, GOOD))


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('"1 min"', '"1 m"').replace("count = 100", "count = -1").replace('"5 s"\n\n[[', '"x"\n\n[[')
    said = problems(tmp_path, text)
    assert [int(problem.split(":")[1]) for problem in said] == sorted(int(problem.split(":")[1]) for problem in said)
    assert len(said) == 3


def test_scenario_that_does_not_exist_gets_a_hint() -> None:
    with pytest.raises(ScenarioError, match=r'did you mean "depot-morning"\?'):
        find("depot-mornin")
    with pytest.raises(ScenarioError, match="tagfleet list"):
        find("zzz")


def test_more_tags_than_the_memory_holds_is_said(tmp_path: Path) -> None:
    scenario = read(written(tmp_path, GOOD.replace("count = 100", "count = 4_000_000")))
    found = estimate(scenario, 1_000_000_000)
    assert re.search(
        r"4,000,000 tags need about [\d.]+ GB of memory, and this machine has 1.0 GB free; at most about [\d,]+ fit",
        too_much(scenario, found, 1_000_000_000),
    )
    assert not too_much(scenario, estimate(scenario, 0), 0)  # a machine that does not tell
    hasty = read(find("first"), {("tags", "count"): 1_000_000})
    assert "200,000 samples/s are more than" in too_fast(estimate(hasty, 0))
    assert not too_fast(estimate(read(find("first")), 0))
    assert not too_fast(estimate(read(find("million-tags")), 0))  # without a schedule, none is missed


def test_run_that_does_not_fit_the_memory_names_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagfleet.commands.run.free_memory_bytes", lambda: 500_000_000)
    path = written(tmp_path, GOOD.replace("count = 100", "count = 3_000_000"))
    done = CliRunner().invoke(app, ["run", str(path)])
    assert done.exit_code == 2
    assert f"{path}:7: tags.count: 3,000,000 tags need about" in done.stderr
    estimated = CliRunner().invoke(app, ["run", str(path), "--estimate"])
    assert estimated.exit_code == 0
    assert "WARNING" in estimated.stdout
    path = written(tmp_path, GOOD.replace("count = 4", "count = 5000"))
    done = CliRunner().invoke(app, ["run", str(path)])
    assert f'{path}:11: hubs.count: 5,000 hubs of target "inside" need about' in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("nothing.toml",), "nothing.toml: no such file; `tagfleet new` writes one"),
        (("first", "--set", "tags.cuont=3"), 'tags.cuont: is no key of a scenario; did you mean "count"?'),
        (("first", "--set", "tags"), "--set tags: write KEY=VALUE"),
        (("first", "--time", "soon"), 'run.time: "soon" is no speed of time'),
        (("first", "--broker", ":x"), "--broker :x: write HOST, HOST:PORT or [IPV6-ADDRESS]:PORT"),
        (("first", "--broker", "::1"), "--broker ::1: write HOST, HOST:PORT or [IPV6-ADDRESS]:PORT"),
        (("first", "--broker", "[::1]:70000"), "broker.port: input should be less than or equal to 65535"),
        (("first", "--shard", "2"), "--shard 2: write I/N"),
        (("first", "--shard", "3/2"), "3/2: the first is 1/2"),
        (("first", "--folder", "/proc/no"), "cannot use the folder /proc/no"),
        (("first", "--junit", "/no/where.xml"), "/no/where.xml cannot be written"),
    ],
)
def test_wrong_option_is_one_clear_message_and_exit_code_2(options: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(app, ["run", *options])
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("new", ""), "the new scenario needs a name"),
        (("new", "mine", "--from", "nowhere.toml"), "nowhere.toml: no such file"),
        (("new", "mine", "--from", "first", "--capture", "air"), "starts from one of them"),
        (("explain", str(1 << 70), "0"), "Invalid value for 'tag'"),
        (("explain", "10001", "-1"), "No such option"),
    ],
)
def test_wrong_word_to_another_command_is_exit_code_2(command: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the full disk is Linux's")
@pytest.mark.parametrize("command", [("list",), ("run", "first", "--estimate", "--json")])
def test_output_that_finds_no_room_is_one_line(command: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tagfleet", *command], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr == "tagfleet: cannot write the output: No space left on device\n"


def test_new_writes_a_scenario_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["new", "mine"]).exit_code == 0
    assert read(tmp_path / "mine.toml").tags.count == 200
    again = CliRunner().invoke(app, ["new", "mine"])
    assert (again.exit_code, "mine.toml exists" in again.stderr) == (2, True)
    other = CliRunner().invoke(app, ["new", "mine", "--from", "million-tags", "--force"])
    assert other.exit_code == 0
    assert read(tmp_path / "mine.toml").tags.count == 1_000_000


def test_option_takes_the_place_of_a_line(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    assert read(path, {("tags", "count"): 7, ("slo", "radio"): "5 %"}).tags.count == 7
    with pytest.raises(ScenarioError) as raised:
        read(path, {("tags", "count"): 0})
    assert raised.value.problems[0].line == 0  # no line of the file is to blame


@pytest.mark.parametrize(
    ("text", "value"),
    [("250 ms", 0.25), ("30 s", 30), ("1.5min", 90), ("2 h", 7200), (" 1 d ", 86400), ("-2 h", -7200)],
)
def test_times(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "5", "5 m", "h", "1 2 s", "nan s", "1e3 s", 5, None, True])
def test_what_is_no_time(text: object) -> None:
    with pytest.raises(ValueError, match="is no time"):
        seconds(text)


def test_shares_limits_speeds_and_numbers() -> None:
    assert (share("20 %"), share(0.2), share(1)) == (0.2, 0.2, 1.0)
    assert amount("1 %").allows(10, 1_000)
    assert not amount("1 %").allows(11, 1_000)
    assert amount(3).allows(3, 10**9)
    assert (speed("real"), speed("60x"), speed("fast")) == (1.0, 60.0, float("inf"))
    assert numbers("1-3, 8", 9) == [1, 2, 3, 8]
    for function, wrong in ((share, True), (amount, -1), (amount, 0.5), (speed, "0.5x"), (speed, 3)):
        with pytest.raises(ValueError, match="is no"):
            function(wrong)


def test_faults_become_actions_in_order_of_time() -> None:
    faults: list[Fault] = [
        HubReboot(kind="hub_reboot", hubs=2, at="30 s", lasts="10 s"),  # type: ignore[arg-type]
        DeadZone(kind="dead_zone", hubs="1-2", at="5 s", lasts="30 s", silent=False),  # type: ignore[arg-type]
    ]
    found = [(action.moment_s, action.do, action.hubs) for action in actions(faults, 3)]
    assert found == [(5, "cut", (0, 1)), (30, "crash", (1,)), (35, "join", (0, 1)), (40, "start", (1,))]


def test_clock_shows_the_error_that_began_last() -> None:
    faults = [
        ClockError(kind="clock_error", hubs="1-2", at="20 s", lasts="20 s", step="1 h"),  # type: ignore[arg-type]
        ClockError(kind="clock_error", hubs="1", at="10 s", lasts="20 s", step="-2 h"),  # type: ignore[arg-type]
    ]
    found = [(action.moment_s, action.hubs, action.skew_us / 3.6e9) for action in actions(faults, 2)]
    assert found == [(10, (0,), -2), (20, (0, 1), 1), (30, (0,), 1), (40, (0, 1), 0)]


KEYS = st.text("abcdefgh_-", min_size=1, max_size=6)
VALUES = st.sampled_from(
    [
        "1",
        '"text"',
        '"[x] # no"',
        "[1, 2]",
        '{ a = 1, b = "]" }',
        "'''\nx = 1\n[no]\n'''",
        '[\n  "a = 1",\n  2,\n]',
        "2026-03-02",
    ]
)


@given(
    st.lists(st.tuples(KEYS, VALUES), max_size=8, unique_by=lambda pair: pair[0]),
    st.lists(KEYS, max_size=3, unique=True),
)
def test_every_key_is_found_on_its_line(pairs: list[tuple[str, str]], tables: list[str]) -> None:
    text, expected = "", {}
    for table in [None, *tables]:
        prefix: tuple[str | int, ...] = ()
        if table is not None:
            text += f"[[x.t{table}]]  # a table\n"
            prefix = ("x", f"t{table}", 0)
        for key, value in pairs:
            expected[(*prefix, key)] = text.count("\n") + 1
            text += f"{key} = {value}  # key = 3\n\n"
    lines = key_lines(text)
    assert {path: lines.get(path) for path in expected} == expected


def test_line_of_what_has_none_is_that_of_its_table() -> None:
    lines = key_lines(GOOD)
    assert line_of(lines, ("fault", 1, "hubs")) == 19
    assert line_of(lines, ("slo", "lost")) == 0
