"""A real mosquitto as a child process: with persistence, so that it can be stopped and come back."""

import signal
import subprocess
from pathlib import Path
from typing import Self

from waiting import wait_until


class Mosquitto:
    """Listens on 127.0.0.1. `extra`: more lines for its configuration."""

    def __init__(
        self,
        program: str,
        folder: Path,
        port: int,
        extra: str = "",
        listener: str = "",
        access: str = "allow_anonymous true",
    ) -> None:
        self._program = program
        self._port = port
        self._log_path = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text(
            f"{listener or f'listener {port} 127.0.0.1'}\n{access}\nuser root\n"
            f"persistence true\npersistence_location {folder}/\nautosave_interval 1\nautosave_on_changes true\n"
            f"max_queued_messages 0\nmax_inflight_messages 50\n{extra}\n",
            "utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.end(signal.SIGKILL)

    def start(self) -> None:
        with self._log_path.open("ab") as log:
            lines = self.log.count(" running")  # of earlier starts; counted before this one can write its own
            command = [self._program, "-c", str(self._config), "-v"]
            self._process = subprocess.Popen(command, stderr=log, stdout=log)
        wait_until(lambda: self.log.count(" running") > lines or not self.running, "mosquitto runs")
        assert self.running, self.log

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        return self._log_path.read_text("utf-8", "replace")

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, in order or not."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(20)
        self._process = None

    def reload(self) -> None:
        """Read access lists anew."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def stop_answering(self) -> None:
        """It hangs: connections stay, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def answer_again(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
