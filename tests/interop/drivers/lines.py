"""What the drivers in Python share: the line protocol of ../driver.py."""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

lock = threading.Lock()


def say(line):
    with lock:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def end(number, code, text):
    say({"id": number, "code": code, "text": text})


def serve(body, can, begin):
    """Hands each call to begin(line, running) on a thread of its own, which leaves in
    `running` what cancels it: {id: function}."""
    running = {}
    say({"body": body, "can": can})

    def one(line):
        try:
            begin(line, running)
        except Exception as error:  # an end must come, whatever went wrong
            end(line["id"], 2, f"driver: {error!r}")
        finally:
            running.pop(line["id"], None)

    with ThreadPoolExecutor(max_workers=32) as pool:
        for text in sys.stdin:
            line = json.loads(text)
            if line.get("cancel"):
                cancel = running.get(line["id"])
                if cancel is not None:
                    cancel()
            else:
                pool.submit(one, line)
