"""Scenarios: what a run is, as a TOML file that is checked as a whole before anything starts."""

from tagfleet.scenario.errors import ScenarioError
from tagfleet.scenario.library import builtin_names, find, read
from tagfleet.scenario.model import Scenario

__all__ = ["Scenario", "ScenarioError", "builtin_names", "find", "read"]
