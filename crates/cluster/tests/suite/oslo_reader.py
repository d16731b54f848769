"""Reads notifications with oslo.messaging, as services of a cloud do, and prints each as a line of JSON.

Arguments: the exchange, the topic, how many. On standard input: the address of the broker.
"""

import json
import sys
import threading

import oslo_messaging
from oslo_config import cfg


class Printer:
    def __init__(self, wanted):
        self.left = wanted
        self.done = threading.Event()

    def show(self, priority, publisher_id, event_type, payload, metadata):
        if self.left > 0:
            line = {
                "priority": priority,
                "publisher_id": publisher_id,
                "event_type": event_type,
                "payload": payload,
                "message_id": metadata["message_id"],
                "timestamp": metadata["timestamp"],
            }
            print(json.dumps(line), flush=True)
        self.left -= 1
        if self.left <= 0:
            self.done.set()

    def info(self, ctxt, publisher_id, event_type, payload, metadata):
        self.show("info", publisher_id, event_type, payload, metadata)

    def error(self, ctxt, publisher_id, event_type, payload, metadata):
        self.show("error", publisher_id, event_type, payload, metadata)


def main():
    exchange, topic, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
    conf = cfg.ConfigOpts()
    conf([])
    transport = oslo_messaging.get_notification_transport(conf, url=sys.stdin.read().strip())
    printer = Printer(wanted)
    target = oslo_messaging.Target(topic=topic, exchange=exchange)
    listener = oslo_messaging.get_notification_listener(transport, [target], [printer], executor="threading")
    listener.start()
    printer.done.wait(240)
    listener.stop()
    listener.wait()


if __name__ == "__main__":
    main()
