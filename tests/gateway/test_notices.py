"""Service beacons: shown, counted, and nothing more."""

from tags import NOW_US, Tag

from taghub import intake as words
from taghub.heard import Heard
from taghub.intake import Intake
from taghub.notices import NEWS_PER_MINUTE, QUIET_US, SENDERS_MAX
from taghub.registry import Registry
from tagwire.service import SERVICE_COUNTER_LOST, SERVICE_NO_KEY, Service, encode_service

LOST = Service(SERVICE_COUNTER_LOST, (1, 2, 3), 1, 3_320, 60)


def heard(tag_id: int = 7, service: Service = LOST, t_us: int = NOW_US) -> Heard:
    return Heard(t_us, -60, encode_service(service, tag_id))


def test_service_beacon_is_no_sample_and_moves_nothing() -> None:
    tag = Tag(7)
    intake = Intake(Registry([tag.entry()]))
    assert intake.take([heard(), tag.heard(0), heard()])[0].counter == 0
    assert (intake.counts[words.SERVICE], intake.counts[words.ACCEPTED]) == (2, 1)
    (notice,) = intake.notices.latest()
    assert (notice.tag_id, notice.service) == (7, LOST)


def test_same_complaint_is_news_once_in_ten_minutes() -> None:
    intake = Intake(Registry([]))
    intake.take([heard(), heard(), heard(t_us=NOW_US + QUIET_US - 1), heard(t_us=NOW_US + QUIET_US)])
    assert [notice.t_us for notice in intake.news] == [NOW_US, NOW_US + QUIET_US]
    intake.take([heard(service=LOST._replace(reason=SERVICE_NO_KEY), t_us=NOW_US + QUIET_US)])
    assert len(intake.news) == 3


def test_flood_of_forged_senders_is_bounded() -> None:
    intake = Intake(Registry([]))
    intake.take([heard(tag_id) for tag_id in range(10_000)])
    assert len(intake.notices.latest()) == SENDERS_MAX
    assert len(intake.news) == NEWS_PER_MINUTE
