"""The wire's codes in words, as they stand in JSON and on screens. Host only."""

from tagwire import alarm, service

FIX_WORDS = ("none", "5 m", "15 m", "50 m", "poor", "10 min old", "1 h old", "1 d old")
MOTION_WORDS = ("unknown", "still", "moving", "unknown")
TIME_WORDS = ("unknown", "estimated", "hub", "gnss")
ALARM_WORDS = {
    alarm.REASON_UNSPECIFIED: "unspecified",
    alarm.REASON_TEMPERATURE_HIGH: "temperature high",
    alarm.REASON_TEMPERATURE_LOW: "temperature low",
    alarm.REASON_HUMIDITY_HIGH: "humidity high",
    alarm.REASON_HUMIDITY_LOW: "humidity low",
    alarm.REASON_BATTERY_LOW: "battery low",
    alarm.REASON_OPENED: "opened",
    alarm.REASON_SHOCK: "shock",
    alarm.REASON_SENSOR_FAULT: "sensor fault",
    alarm.REASON_CLEARED: "cleared",
}
"""Other reasons, up to 15, are shown as their number."""

SOURCE_WORDS = {0: "tagstack", 1: "ruuvi", 2: "bthome"}
"""Whose tag it is; other sources, up to 255, are shown as their number."""

SERVICE_WORDS = {
    service.SERVICE_UNSPECIFIED: "unspecified",
    service.SERVICE_NO_KEY: "no key",
    service.SERVICE_SETTINGS: "settings that do not work",
    service.SERVICE_COUNTER_LOST: "counter lost",
    service.SERVICE_COUNTER_EXHAUSTED: "counter exhausted",
    service.SERVICE_CRASH_LOOP: "crash loop",
    service.SERVICE_BATTERY_LOW: "battery low",
    service.SERVICE_STORAGE: "storage",
    service.SERVICE_CLOCK_LOST: "clock lost",
}
"""Other reasons are shown as their number."""

BOARD_WORDS = {
    service.BOARD_UNKNOWN: "unknown",
    service.BOARD_ESP32_DEVKIT: "esp32-devkit",
    service.BOARD_ESP32C3_DEVKIT: "esp32c3-devkit",
    service.BOARD_ESP32S3_DEVKIT: "esp32s3-devkit",
    service.BOARD_ESP32C6_DEVKIT: "esp32c6-devkit",
}
KIND_WORDS = ("sample", "alarm", "service")
