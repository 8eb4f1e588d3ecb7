"""Each test is a world of its own: what its tags seal is held against the nonce rule together."""

import pytest
from radio_bench import MACHINE
from tags import Tag

from tagfleet.oracle import NonceOracle


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselected, not skipped: raw HCI has no bluetoothd, whatever is installed."""
    if config.getoption("--radio") != MACHINE:
        bluez = [item for item in items if item.get_closest_marker("bluez")]
        config.hook.pytest_deselected(items=bluez)
        items[:] = [item for item in items if item not in bluez]


@pytest.fixture(autouse=True)
def oracle() -> NonceOracle:
    Tag.oracle = NonceOracle()
    return Tag.oracle
