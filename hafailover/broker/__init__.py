"""The connection to an MQTT broker, for whatever has something to say or to hear there."""
