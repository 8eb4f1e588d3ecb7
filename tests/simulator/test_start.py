"""What a command has to load before it can begin."""

import subprocess
import sys

WITHOUT_TWINS = "tagfleet.command_line, tagfleet.runner, tagfleet.fleet.worker"


def test_bluetooth_stack_is_loaded_only_for_runs_with_twins_or_hci() -> None:
    program = f"import sys, {WITHOUT_TWINS}; sys.exit('bumble' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
