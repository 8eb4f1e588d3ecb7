"""Three real nats-servers with JetStream, one cluster, each with an MQTT 3.1.1 listener."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Self

from waiting import wait_until

NODES = 3


class NatsCluster:
    """Each node has its own folder and ports on 127.0.0.1."""

    def __init__(self, program: str, folder: Path, free_port: Callable[[], int]) -> None:
        self._program = program
        self._folder = folder
        self.mqtt_ports = [free_port() for _ in range(NODES)]
        routes = [free_port() for _ in range(NODES)]
        for node in range(NODES):
            (folder / f"node{node}").mkdir(parents=True)
            urls = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
            (folder / f"node{node}.conf").write_text(
                f'server_name: node{node}\nlisten: "127.0.0.1:{free_port()}"\n'
                f'jetstream {{ store_dir: "{folder}/node{node}" }}\n'
                f'cluster {{ name: tags, listen: "127.0.0.1:{routes[node]}", routes: [{urls}] }}\n'
                f'mqtt {{ listen: "127.0.0.1:{self.mqtt_ports[node]}", ack_wait: "5s" }}\n',
                "utf-8",
            )
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for node in range(NODES):
            with (self._folder / f"node{node}.log").open("ab") as log:
                command = [self._program, "-c", str(self._folder / f"node{node}.conf")]
                self._processes.append(subprocess.Popen(command, stderr=log, stdout=log))
        wait_until(self._has_leader, "the cluster has a leader")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def lose(self, node: int) -> None:
        """One node is gone, without a word."""
        self._processes[node].send_signal(signal.SIGKILL)
        self._processes[node].wait()

    def _has_leader(self) -> bool:
        logs = [(self._folder / f"node{node}.log").read_text("utf-8") for node in range(NODES)]
        return any("metadata leader" in log for log in logs)
