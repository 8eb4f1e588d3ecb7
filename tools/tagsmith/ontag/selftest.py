# Runs on the board: measures, judges nothing. ARGUMENTS: {"board": name, "fitted": {part: kind
# or "none"}, "gnss_s": seconds to listen, "gnss_baud": baud of the receiver's line}.
# One line per part as soon as it is known: [part, values], or [part, {"fault": why}].
import gc
import json
import os
import sys
import time

# What the firmware had loaded when it was stopped, should it not have got to giving that back itself.
main = None
for name in list(sys.modules):
    if name.startswith("tag"):
        del sys.modules[name]


def measured(part, measure):
    try:
        values = measure()
    except Exception as error:
        values = {"fault": "%s: %s" % (type(error).__name__, error)}
    print("@" + json.dumps([part, values]))


def flash():
    pattern = bytes(range(256)) * 4
    with open("selftest.tmp", "wb") as file:
        file.write(pattern)
    with open("selftest.tmp", "rb") as file:
        same = file.read() == pattern
    os.remove("selftest.tmp")
    stat = os.statvfs("/")
    return {"free_kb": stat[0] * stat[3] // 1024, "same": same}


def memory():
    gc.collect()
    return {"free_kb": gc.mem_free() // 1024}


def run(board_name, fitted, gnss_s, gnss_baud):
    measured("flash", flash)
    measured("memory", memory)
    from machine import ADC, UART, Pin

    from tag.boards import load_board
    from tag.measure import open_bus, open_i2c
    from tag.sensors.battery import read_mv
    from tag.sensors.nmea import NmeaReader

    board = load_board(board_name)
    power = Pin(board.gnss_power, Pin.OUT, value=1)

    def sensor(name):
        def measure():
            driver = __import__("tag.sensors." + name, None, None, ("start",))
            bus = open_bus(board, driver.BUS)
            driver.start(bus)
            time.sleep_ms(driver.MEASURE_MS)
            temperature_mc, humidity_mpct = driver.finish(bus)
            return {"kind": name, "temperature_mc": temperature_mc, "humidity_mpct": humidity_mpct}

        return measure

    def battery():
        return {"battery_mv": read_mv(ADC(Pin(board.battery_adc), atten=ADC.ATTN_11DB), board.battery_divider)}

    def gnss():
        uart = UART(board.gnss_uart, baudrate=gnss_baud, rx=board.gnss_rx, tx=board.gnss_tx, rxbuf=2048)
        reader = NmeaReader()
        fixes = 0
        started_ms = time.ticks_ms()
        # Enough is two whole seconds' worth of sentences; a fix is a matter of sky, not of soldering.
        while time.ticks_diff(time.ticks_ms(), started_ms) < gnss_s * 1000 and reader.sentences < 4:
            fixes += len(reader.feed(uart.read() or b""))
            time.sleep_ms(20)
        return {"sentences": reader.sentences, "rejected": reader.rejected, "fixes": fixes}

    def accelerometer():
        from tag.sensors.lis2dh12 import felt

        felt(open_i2c(board), 64, 0)
        return {"kind": fitted["accelerometer"], "answers": True}

    def radio():
        from bluetooth import BLE

        ble = BLE()
        ble.active(True)
        try:
            # Flags and a name, no beacon: hubs must not take a bench for a tag.
            ble.gap_advertise(100000, adv_data=b"\x02\x01\x06\x06\x09bench", connectable=False)
            time.sleep_ms(150)
            ble.gap_advertise(None)
        finally:
            ble.active(False)
        return {"advertised": True}

    try:
        for part in ("climate", "probe"):
            if fitted[part] != "none":
                measured(part, sensor(fitted[part]))
        if fitted["accelerometer"] != "none":
            measured("accelerometer", accelerometer)
        measured("battery", battery)
        measured("gnss", gnss)
    finally:
        power.value(0)
    measured("radio", radio)


run(ARGUMENTS["board"], ARGUMENTS["fitted"], ARGUMENTS["gnss_s"], ARGUMENTS["gnss_baud"])
