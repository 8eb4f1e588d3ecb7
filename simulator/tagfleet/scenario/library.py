"""Scenario files: those that come with tagfleet, and anybody's own."""

import difflib
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from tagfleet.scenario.errors import Problem, ScenarioError
from tagfleet.scenario.model import Scenario
from tagfleet.scenario.toml_lines import Path as KeyPath
from tagfleet.scenario.toml_lines import key_lines, line_of

_FILES = (
    ("world", "network"),
    ("broker", "password_file"),
    ("broker", "tls", "ca_file"),
    ("broker", "tls", "cert_file"),
    ("broker", "tls", "key_file"),
)


def scenarios_folder() -> Path:
    """Where the built-in scenarios lie: within the installed package, or in the repository beside it."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_scenarios"
    return installed if installed.is_dir() else package.parents[0] / "scenarios"


def builtin_names() -> list[str]:
    """The names of the built-in scenarios."""
    return sorted(path.stem for path in scenarios_folder().glob("*.toml"))


def find(name: str) -> Path:
    """The file of a scenario: a path to one, or the name of a built-in one. Raises ScenarioError."""
    if name.endswith(".toml") or "/" in name:
        return Path(name)
    if name in builtin_names():
        return scenarios_folder() / f"{name}.toml"
    close = difflib.get_close_matches(name, builtin_names(), 1)
    hint = f'did you mean "{close[0]}"?' if close else "`tagfleet list` shows them; a file's name ends in .toml"
    raise ScenarioError(name, [Problem(0, "", f"no such scenario; {hint}")])


def read(path: Path, changes: dict[tuple[str, ...], Any] | None = None) -> Scenario:
    """The scenario of a file, with `changes` (of options) in place of what it says. Files that it names lie beside it.
    Raises ScenarioError, which names the lines."""
    try:
        text = path.read_text("utf-8-sig")  # editors on Windows put a mark before the text
        document = tomllib.loads(text)
    except FileNotFoundError:
        raise ScenarioError(str(path), [Problem(0, "", "no such file; `tagfleet new` writes one")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(str(path), [Problem(0, "", f"cannot be read: {error}")]) from None
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(str(path), [_not_toml(error, text)]) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; arrays in each other without end
        raise ScenarioError(str(path), [Problem(0, "", f"no scenario: {error}")]) from None
    for key in _FILES:
        _beside(document, key, path.parent)
    return parse(document, key_lines(text), str(path), changes or {})


def _beside(document: dict[str, Any], key: tuple[str, ...], folder: Path) -> None:
    """Make the path under `key`, if there is one, relative to where we are."""
    table: Any = document
    for part in key[:-1]:
        table = table.get(part) if isinstance(table, dict) else None
    if isinstance(table, dict) and isinstance(name := table.get(key[-1]), str):
        table[key[-1]] = str(folder / name)


def line_of_key(path: Path, key: KeyPath) -> int:
    """The line of a key in a scenario's file."""
    return line_of(key_lines(path.read_text("utf-8-sig")), key)


def parse(
    document: dict[str, Any], lines: dict[KeyPath, int], source: str, changes: dict[tuple[str, ...], Any]
) -> Scenario:
    """A scenario from what a TOML file holds. Raises ScenarioError with everything that is wrong."""
    for path, value in changes.items():
        table = document
        for part in path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ScenarioError(source, [Problem(0, ".".join(path), "is no key of a scenario")])
        table[path[-1]] = value

    def problem(path: KeyPath, text: str) -> Problem:
        line = 0 if path in changes else line_of(lines, path)
        return Problem(line, _dotted(path), text)

    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        found = [problem(path, text) for path, text in map(_explained, error.errors())]
        raise ScenarioError(source, found) from None
    if conflicts := scenario.problems():
        raise ScenarioError(source, [problem(path, text) for path, text in conflicts])
    return scenario


def _explained(error: Any) -> tuple[KeyPath, str]:
    # pydantic puts a union's tag into the location
    kinds = {"dead_zone", "broker_outage", "hub_reboot", "clock_error", "broken_sensor", "cooler_failure"}
    kinds |= {"dying_batteries", "replay_attack", "intruders", "cloned_tags"}
    path = tuple(part for i, part in enumerate(error["loc"]) if not (part in kinds and i == 2))
    kind = error["type"]
    if kind == "missing":
        return path, "is missing"
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(str(path[-1]), _keys_beside(error["loc"]), 1)
        return path, "is no key of a scenario" + (f'; did you mean "{close[0]}"?' if close else "")
    if kind == "union_tag_invalid":
        return (*path, "kind"), f"{error['ctx']['tag']!r} is no fault; there are {', '.join(sorted(kinds))}"
    if kind == "union_tag_not_found":
        return (*path, "kind"), f"is missing; there are {', '.join(sorted(kinds))}"
    if kind == "list_type" and path == ("fault",):
        return path, "is one of many: write [[fault]] above each"
    text = str(error["msg"]).removeprefix("Value error, ")
    if kind != "value_error":
        text = f"{text[0].lower()}{text[1:]}, not {error['input']!r}"
    return path, text


def _keys_beside(location: tuple[Any, ...]) -> list[str]:
    """The keys that the table of a location may have."""
    model: type[BaseModel] = Scenario
    for part in location[:-1]:
        if not isinstance(part, str) or part not in model.model_fields:
            return ["at", "lasts", "hubs", "tags", "kind", "how", "step", "symptom", "per_s", "silent", "offset_c"]
        annotation = model.model_fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            continue
        model = annotation
    return list(model.model_fields)


def _not_toml(error: tomllib.TOMLDecodeError, text: str) -> Problem:
    """tomllib tells the line within its message."""
    message, _, place = str(error).rpartition(" (at ")
    line = text.count("\n") + 1 if "end of document" in place else 0
    for word in place.replace(",", " ").split():
        if word.isdigit():
            line = int(word)
            break
    return Problem(line, "", f"not TOML: {message or error}")


def _dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text
