"""Each test is a world of its own: what its tags seal is held against the nonce rule together."""

import pytest
from tags import Tag

from tagfleet.oracle import NonceOracle


@pytest.fixture(autouse=True)
def oracle() -> NonceOracle:
    Tag.oracle = NonceOracle()
    return Tag.oracle
