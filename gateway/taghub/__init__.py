"""taghub: the gateway. BLE in, MQTT out."""
