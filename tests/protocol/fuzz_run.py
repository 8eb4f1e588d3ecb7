"""Looks for inputs that break one decoder: `python fuzz_run.py TARGET SECONDS CORPUS_FOLDER`.

The folder holds the vectors as a start, and what atheris finds; an input that breaks the target is left in it as
`crash-...`. Exit code 0: none was found.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tagwire"]):
    import fuzz_targets

MEMORY_MB_MAX = 512  # the interpreter with numpy, and what a decoder may take
INPUT_BYTES_MAX = 61_440


def main() -> None:
    target, seconds, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(fuzz_targets.seeds(target)):
        (folder / f"seed-{number}").write_bytes(seed)
    atheris.Setup(
        [
            sys.argv[0],
            str(folder),
            f"-max_total_time={seconds}",
            f"-max_len={INPUT_BYTES_MAX if target in ('batch', 'publish') else 2_048}",
            f"-rss_limit_mb={MEMORY_MB_MAX}",
            f"-malloc_limit_mb={MEMORY_MB_MAX // 4}",
            "-timeout=5",
            f"-artifact_prefix={folder}/",
            "-print_final_stats=1",
            "-verbosity=0",
        ],
        lambda data: fuzz_targets.run(target, bytes(data)),
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
