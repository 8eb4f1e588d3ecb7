"""What is well and what is not about a hub and its machine, and what to do about it. Pure: `doctor_probe` asks."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from taghub.errors import EXIT_KEYRING, EXIT_RADIO, EXIT_SPOOL
from taghub.radio.adapters import Adapter, choose
from tagwire.fields import TIME_ESTIMATED, TIME_HUB
from tagwire.keyring import KeyringEntry

GOOD = "good"
WARNING = "warning"  # it works, and will not in some cases that come
FAILURE = "failure"  # the hub does not work like this

EXPIRES_SOON_S = 7 * 86_400
SYNC_SLOW_MS = 200.0
PASSIVE_BLUEZ = (5, 56)  # its advertisement monitors; bleak's documentation
MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")
NETWORK_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")


class Finding(NamedTuple):
    """One line: about what, how it is, in words, and what to do; exit_code: of `taghub run` in a case like this."""

    subject: str
    level: str
    text: str
    advice: str = ""
    exit_code: int = 0


class BlueZLook(NamedTuple):
    """What was found of BlueZ. version: of bluetoothctl, () unknown. monitors: adapters that have advertisement
    monitors. blocks: rfkill's, by adapter. writable: whether each of the files that recovery writes to may be written.
    """

    error: str
    version: tuple[int, ...]
    adapters: Sequence[Adapter]
    monitors: frozenset[str]
    blocks: dict[str, str]
    writable: dict[str, bool]


def judge_bluez(look: BlueZLook, name: str, wanted: str | None, passive: bool) -> list[Finding]:
    """One radio of kind bleak on Linux."""
    if look.error:
        advice = "apt-get install bluez dbus; systemctl enable --now bluetooth"
        return [Finding(name, FAILURE, look.error, advice, EXIT_RADIO)]
    findings = []
    adapter = choose(look.adapters, wanted, None, ())
    if adapter is None:
        there = ", ".join(f"{one.name} ({one.address})" for one in look.adapters) or "none"
        advice = "plug one in; `dmesg | grep -i bluetooth` tells whether the kernel has its firmware"
        text = f"no adapter {wanted}; there is: {there}" if wanted else "no adapter"
        return [Finding(name, FAILURE, text, advice, EXIT_RADIO)]
    block = look.blocks.get(adapter.name, "")
    if block == "hard":
        findings.append(
            Finding(
                name, FAILURE, f"{adapter.name} is blocked by a switch", "find the machine's radio switch", EXIT_RADIO
            )
        )
    elif block == "soft":
        findings.append(
            Finding(name, FAILURE, f"{adapter.name} is blocked by rfkill", "rfkill unblock bluetooth", EXIT_RADIO)
        )
    elif not adapter.powered:
        findings.append(Finding(name, FAILURE, f"{adapter.name} is switched off", "bluetoothctl power on", EXIT_RADIO))
    else:
        findings.append(Finding(name, GOOD, f"{adapter.name} ({adapter.address}) is on"))
    findings.append(_judge_passive(look, name, adapter, passive))
    closed = [path for path, may in look.writable.items() if not may]
    if closed:
        text = f"recovery may not write {', '.join(closed)}"
        findings.append(Finding(name, WARNING, text, "a group or a udev rule; docs/radios.md"))
    else:
        findings.append(Finding(name, GOOD, "recovery may unblock and reset the adapter"))
    return findings


def _judge_passive(look: BlueZLook, name: str, adapter: Adapter, passive: bool) -> Finding:
    """Only a radio that shall scan passively misses it."""
    version = ".".join(str(part) for part in look.version) or "of unknown version"
    if adapter.name in look.monitors:
        return Finding(name, GOOD, f"BlueZ {version}, experimental: passive scans work")
    if look.version and look.version < PASSIVE_BLUEZ:
        text, advice = f"BlueZ {version} cannot scan passively", "BlueZ 5.56 or later"
    else:
        text = f"BlueZ {version} without --experimental: no passive scans"
        advice = "start bluetoothd with --experimental (docs/radios.md)"
    return Finding(name, WARNING, text, f'{advice}, or scan = "active"') if passive else Finding(name, GOOD, text)


def judge_keyring(entries: Iterable[KeyringEntry], now_s: int) -> Finding:
    """How many tags the hub may open, and for how long."""
    all_entries = list(entries)
    expired = sum(1 for entry in all_entries if entry.expires_s is not None and entry.expires_s <= now_s)
    soon = sum(
        1 for entry in all_entries if entry.expires_s is not None and now_s < entry.expires_s <= now_s + EXPIRES_SOON_S
    )
    text = f"{len(all_entries)} tag{'' if len(all_entries) == 1 else 's'}"
    advice = "tagsmith inventory export, and kill -HUP of the hub"
    if not all_entries:
        return Finding("keyring", WARNING, "no tag in it: nobody will be heard", advice)
    if expired == len(all_entries):
        return Finding("keyring", FAILURE, f"{text}, all of them expired", advice, EXIT_KEYRING)
    if expired or soon:
        return Finding("keyring", WARNING, f"{text}, {expired} expired, {soon} more within a week", advice)
    return Finding("keyring", GOOD, text)


def judge_clock(quality: int) -> Finding:
    """Whether samples will carry the right time."""
    if quality == TIME_HUB:
        return Finding("clock", GOOD, "synchronised")
    advice = "timedatectl set-ntp true; or chrony, which also takes GPS"
    if quality == TIME_ESTIMATED:
        return Finding("clock", WARNING, "not synchronised: samples are marked estimated", advice)
    return Finding("clock", WARNING, "shows a time before 2025: samples wait for the right one", advice)


def judge_disk(file_system: str, free_bytes: int, wanted_bytes: int, sync_ms: float) -> list[Finding]:
    """Where the spool is. sync_ms: of one write that is forced to the disk."""
    findings = []
    if file_system in MEMORY_FILE_SYSTEMS:
        text = f"spool on {file_system}: a power cut loses it"
        findings.append(Finding("disk", FAILURE, text, "set spool.path to a real disk", EXIT_SPOOL))
    elif file_system in NETWORK_FILE_SYSTEMS:
        findings.append(Finding("disk", WARNING, f"spool on {file_system}, a network drive", "use a local disk"))
    if free_bytes < wanted_bytes:
        text = f"{free_bytes / 1e6:,.0f} MB free, spool.max_mb allows {wanted_bytes / 1e6:,.0f}"
        findings.append(Finding("disk", WARNING, text, "free some space, or a smaller spool.max_mb"))
    if sync_ms > SYNC_SLOW_MS:
        text = f"a synced write takes {sync_ms:.0f} ms"
        findings.append(Finding("disk", WARNING, text, 'a better card, or spool.durability = "normal"'))
    return findings or [Finding("disk", GOOD, f"{free_bytes / 1e6:,.0f} MB free, synced writes take {sync_ms:.0f} ms")]


def exit_code(findings: Iterable[Finding]) -> int:
    """Of the first failure; 0 when there is none."""
    return next((finding.exit_code for finding in findings if finding.level == FAILURE), 0)


def doctor_lines(findings: Iterable[Finding]) -> list[str]:
    """For a terminal: what is not well comes with what to do."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:8} {finding.subject:12} {finding.text}")
        if finding.level != GOOD and finding.advice:
            lines.append(f"{'':21} -> {finding.advice}")
    return lines
