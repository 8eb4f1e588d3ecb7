"""What can stop a hub, each with its exit code and a message of one line that says what to do next."""

from tagwire.program import EXIT_INTERRUPTED

EXIT_OUTPUT = 1
EXIT_SETTINGS = 2
EXIT_KEYRING = 3
EXIT_BROKER = 4
EXIT_PORT = 5
EXIT_RADIO = 6
EXIT_SPOOL = 7

EXIT_CODES = {
    0: "ended as asked, everything delivered that could be",
    EXIT_OUTPUT: "what the command prints cannot be written",
    EXIT_SETTINGS: "the command or the settings file is wrong",
    EXIT_KEYRING: "the keyring is missing or malformed",
    EXIT_BROKER: "the MQTT broker cannot be reached or refuses this hub",
    EXIT_PORT: "a port or socket this hub should listen on is not free",
    EXIT_RADIO: "a required radio cannot be used",
    EXIT_SPOOL: "the spool cannot be opened or made",
    EXIT_INTERRUPTED: "interrupted before it had started",
}


class TaghubError(Exception):
    """Base of every error that ends the program; `str()` is the one line for the operator."""

    exit_code = 1


class SettingsError(TaghubError):
    """The settings file is missing, is no TOML, or has a wrong or unknown key."""

    exit_code = EXIT_SETTINGS


class KeyringError(TaghubError):
    """The keyring is missing or malformed."""

    exit_code = EXIT_KEYRING


class BrokerError(TaghubError):
    """The broker cannot be reached, or has refused the connection."""

    exit_code = EXIT_BROKER


class PortError(TaghubError):
    """A TCP port or unix socket is in use, or may not be opened by this user."""

    exit_code = EXIT_PORT


class RadioError(TaghubError):
    """A radio cannot be opened, or died."""

    exit_code = EXIT_RADIO


class AbsentError(RadioError):
    """The adapter, or the service that runs it, is not there; it may come."""


class SwitchedOffError(RadioError):
    """The adapter is there, and off or blocked."""


class PassiveError(RadioError):
    """This machine cannot scan passively; actively it may."""


class SpoolError(TaghubError):
    """The spool file cannot be opened, nor a new one be made."""

    exit_code = EXIT_SPOOL
