"""The service beacon of a tag that makes no samples, or sends none. Loaded when that happens."""

from tag import VERSION
from tag.boards import Board, load_board
from tagwire.advertise import COMPANY_ID_TEST, advertisement
from tagwire.service import BOARD_UNKNOWN, Service, encode_service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.config import Config
    from tag.state import State


def service_advertisement(config: "Config | None", state: "State | None", reason: int, uptime_s: int) -> bytes:
    """Its 31 bytes of AdvData. A tag with private ids, which does not know the time, names itself by nothing."""
    board = None
    tag_id = counter = 0
    company_id = COMPANY_ID_TEST
    if config is not None:
        board = board_of(config)
        company_id = config.company_id
        if not config.settings.private_ids:
            tag_id = config.tag_id
            counter = 0 if state is None else state.next_counter & 0xFFFF
    battery_mv = None
    if board is not None:
        from tag.measure import read_battery

        battery_mv = read_battery(board)[0]
    number = BOARD_UNKNOWN if board is None else board.number
    return advertisement(
        company_id, encode_service(Service(reason, VERSION, number, battery_mv, uptime_s), tag_id, counter)
    )


def board_of(config: "Config | None") -> "Board | None":
    """The board, None where it is not known."""
    if config is None:
        return None
    try:
        return load_board(config.board)
    except ImportError:
        return None
