"""Keys: published anchors, then our own derivation."""

from tagwire import reference
from vector_cases.subject import ROOT_KEY, Case


def keys() -> Case:
    """Published anchors, then our own derivation."""
    rfc4493_key = "2b7e151628aed2a6abf7158809cf4f3c"
    message = (
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52ef"
        "f69f2445df4f9b17ad2b417be66c3710"
    )
    cmac = [
        {"name": f"RFC 4493, section 4, {n} bytes", "key": rfc4493_key, "message": message[: 2 * n], "mac": mac}
        for n, mac in (
            (0, "bb1d6929e95937287fa37d129b756746"),
            (16, "070a16b46b4d4144f79bdd9dd04a287c"),
            (40, "dfa66747de9ae63030ca32611497c827"),
            (64, "51f0bebf7e3b9d92fc49741779363cfe"),
        )
    ]
    ccm_key = "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
    ccm = [
        {
            "name": f"RFC 3610, section 8, packet vector #{number}",
            "key": ccm_key,
            "nonce": nonce,
            "associated": bytes(range(associated)).hex(),
            "plaintext": bytes(range(associated, end)).hex(),
            "mic_bytes": mic_bytes,
            "sealed": sealed,
        }
        for number, nonce, associated, end, mic_bytes, sealed in (
            (
                1,
                "00000003020100a0a1a2a3a4a5",
                8,
                31,
                8,
                "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0",
            ),
            (
                2,
                "00000004030201a0a1a2a3a4a5",
                8,
                32,
                8,
                "72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3ba091d56e10400916",
            ),
            (4, "00000006050403a0a1a2a3a4a5", 12, 31, 8, "a28c6865939a9a79faaa5c4c2a9d4a91cdac8c96c861b9c9e61ef1"),
            (
                7,
                "00000009080706a0a1a2a3a4a5",
                8,
                31,
                10,
                "0135d1b2c95f41d5d1d4fec185d166b8094e999dfed96c048c56602c97acbb7490",
            ),
        )
    ]
    derived = [
        {
            "name": f"generation {generation}",
            "root_key": root_key.hex(),
            "generation": generation,
            "input": reference.KdfInput.build({"label": b"tagstack beacon", "context": bytes([generation])}).hex(),
            "beacon_key": reference.beacon_key(root_key, generation).hex(),
            "id_key": reference.id_key(root_key, generation).hex(),
        }
        for root_key, generation in ((ROOT_KEY, 0), (ROOT_KEY, 1), (ROOT_KEY, 255), (bytes(16), 0), (b"\xff" * 16, 7))
    ]
    return {
        "about": "AES-CMAC and AES-CCM as published, and K_beacon and K_id from K_root; input is K_beacon's.",
        "cmac": cmac,
        "ccm": ccm,
        "derive": derived,
    }
