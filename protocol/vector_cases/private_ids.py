"""Private ids: the names that K_id gives a tag."""

from tagwire import reference
from vector_cases.subject import NOW_S, OTHER_KEY, ROOT_KEY, Case


def private_ids() -> Case:
    """Names by epoch, and epochs by time."""
    names = []
    for root_key, generation, epoch in (
        (ROOT_KEY, 0, 0),
        (ROOT_KEY, 0, 1),
        (ROOT_KEY, 0, NOW_S // 1024),
        (ROOT_KEY, 0, NOW_S // 1024 + 1),
        (ROOT_KEY, 1, NOW_S // 1024),
        (OTHER_KEY, 255, 0xFF_FFFF),
    ):
        key = reference.id_key(root_key, generation)
        private_id, mask = reference.private_name(key, epoch)
        block = reference.EpochBlock.build({"epoch": epoch}).hex()
        values = {"block": block, "id": private_id.to_bytes(4, "little").hex(), "mask": mask}
        names.append({"name": f"generation {generation}, epoch {epoch}", "id_key": key.hex(), "epoch": epoch, **values})
    epochs = [
        {"time_s": time_s, "epoch": epoch}
        for time_s, epoch in (
            (0, 0),
            (1023, 0),
            (1024, 1),
            (NOW_S, NOW_S // 1024),
            ((1 << 34) - 1, 0xFF_FFFF),
            (1 << 34, 0xFF_FFFF),
        )
    ]
    return {
        "about": "Private ids. names: AES(id_key, block) -> id (bytes as sent) and the mask of the counter's low 16 "
        "bits. epochs: Unix time -> epoch.",
        "names": names,
        "epochs": epochs,
    }
