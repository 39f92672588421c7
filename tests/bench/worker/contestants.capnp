# What the Worker is measured beside. `--directory-path=data=DIR` and `queued=DIR` say where it is kept.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .contestants),
    (name = "queues", worker = .queues),
    (name = "data", disk = (path = "data", writable = true)),
    (name = "queued", disk = (path = "queued", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:8788", http = (), service = "main")],
);

const contestants :Workerd.Worker = (
  modules = [(name = "contestants.js", esModule = embed "contestants.js")],
  compatibilityDate = "2026-04-01",
  bindings = [
    (name = "EMPTY", durableObjectNamespace = "Empty"),
    (name = "INSERTING", durableObjectNamespace = "Inserting"),
    (name = "GATHERING", durableObjectNamespace = "Gathering"),
    (name = "QUEUE", queue = (name = "queues", props = (json = "{\"queue\": \"bench\"}"))),
  ],
  durableObjectNamespaces = [
    (className = "Empty", uniqueKey = "empty", enableSql = true),
    (className = "Inserting", uniqueKey = "inserting", enableSql = true),
    (className = "Gathering", uniqueKey = "gathering", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "data"),
);

const queues :Workerd.Worker = (
  modules = [(name = "queues.js", bundled = "/workerd/queues.js")],
  compatibilityDate = "2026-04-01",
  compatibilityFlags = ["service_binding_extra_handlers", "experimental"],
  bindings = [
    (name = "SHARD", durableObjectNamespace = "QueueShard"),
    (name = "MAIN", service = "main"),
    (name = "CONSUMERS", json = "{\"bench\": {\"consumer\": \"MAIN\", \"maxBatchSize\": 100, \"maxBatchTimeout\": 1}}"),
  ],
  durableObjectNamespaces = [(className = "QueueShard", uniqueKey = "shard", enableSql = true)],
  durableObjectStorage = (localDisk = "queued"),
);
