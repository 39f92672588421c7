"""Burrow inside a Python program: the component in wasmtime, with storage in a folder.

python host.py burrow.wasm FOLDER
"""

import os
import sys
import time
from pathlib import Path

from wasmtime import Engine, Store
from wasmtime.component import Component, Linker, Record, Variant


class Files:
    """The import `storage`: a file for each blob, complete or not there at all."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)

    def append(self, _store, sequence, blob, drops):
        try:
            partial = self.folder / "partial"
            with partial.open("wb") as file:
                file.write(blob)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(self.folder / str(sequence))
            for span in drops:
                for needless in range(span.first, span.last + 1):
                    (self.folder / str(needless)).unlink(missing_ok=True)
            folder = os.open(self.folder, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        except OSError as error:
            return Variant("outcome-unknown", str(error))
        return None

    def sequences(self, _store):
        return sorted(int(file.name) for file in self.folder.glob("[0-9]*"))

    def read(self, _store, sequence):
        return (self.folder / str(sequence)).read_bytes()


def record(**fields):
    """A record of the world; names have hyphens there."""
    made = Record()
    for name, value in fields.items():
        setattr(made, name.replace("_", "-"), value)
    return made


class Queue:
    """An instance of the component: `call("queues", "put", ...)` calls what it exports."""

    def __init__(self, path, storage):
        engine = Engine()
        self.store = Store(engine)
        component = Component.from_file(engine, path)
        linker = Linker(engine)
        with linker.root() as root:
            with root.add_instance("burrow:queue/storage@0.1.0") as imports:
                imports.add_func("append", storage.append)
                imports.add_func("sequences", storage.sequences)
                imports.add_func("read", storage.read)
            with root.add_instance("burrow:queue/clock@0.1.0") as imports:
                imports.add_func("now", lambda _store: int(time.time() * 1000))
        self.instance = linker.instantiate(self.store, component)

    def call(self, interface, name, *arguments):
        of = self.instance.get_export_index(self.store, f"burrow:queue/{interface}@0.1.0")
        index = self.instance.get_export_index(self.store, name, of)
        function = self.instance.get_func(self.store, index)
        answer = function(self.store, *arguments)
        function.post_return(self.store)
        # An error is a variant, and no call here answers with another.
        if isinstance(answer, Variant):
            raise RuntimeError(f"{name}: {answer.tag} {answer.payload or ''}")
        return answer


def main(path, folder):
    queue = Queue(path, Files(folder))
    limits = (
        "max_body_bytes max_batch_messages max_answer_bytes max_messages max_bytes "
        "max_queues max_waiters max_wait_ms max_markers"
    )
    config = record(
        clock="host",
        seed=int.from_bytes(os.urandom(8), "little"),
        default_ttl_ms=None,
        limits=record(**dict.fromkeys(limits.split())),
        cors_origin=None,
        claim_delay_ms=None,
    )
    found = queue.call("node", "open", config)
    print(f"restored {found.messages} messages")

    jobs = record(account="shop", queue="jobs")
    first = record(marker=None, limit=1, match_hidden=False)
    if found.messages == 0:
        for id in ["1", "2"]:
            parcel = record(id=id, body=f"parcel {id}".encode(), content_type=None, ttl_ms=None, hide_ms=None)
            queue.call("queues", "put", jobs, parcel)
            print(f"put {id}")
    claimed = queue.call("queues", "claim", jobs, first, 60_000, 0, "all")
    message = claimed.entries[0]
    print(f"claimed {message.id}: {bytes(message.body).decode()}")
    marker = None
    while True:
        listed = queue.call("queues", "list-queues", "shop", record(marker=marker, limit=None))
        print("queues:", *listed.names)
        # An answer has a bound. If it is full, go on behind its last name.
        if not getattr(listed, "has-more"):
            break
        marker = listed.names[-1]

    queue.call("queues", "ack", jobs, message.id, message.claim)
    print("acknowledged")

    request = record(method="GET", target="/v1.0/shop/jobs?detail=id", headers=[], body=b"")
    answer = queue.call("requests", "handle", request)
    print(f"{answer.status} {bytes(answer.body).decode()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
