"""What is wrong with a scenario."""

from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong. line: in the file, from 1; 0 where it belongs to none (an option, a missing table)."""

    line: int
    key: str
    text: str


class ScenarioError(Exception):
    """A scenario cannot be run. `problems` holds everything that is wrong with it, in the order of its lines."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = sorted(problems)
        super().__init__("\n".join(self._said(problem) for problem in self.problems))

    def _said(self, problem: Problem) -> str:
        where = f"{self.source}:{problem.line}" if problem.line else self.source
        return f"{where}: {problem.key}: {problem.text}" if problem.key else f"{where}: {problem.text}"
