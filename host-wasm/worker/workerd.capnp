# The Worker on bare workerd: what `cargo xtask worker serve` and the tests run. What is
# deployed is described by wrangler.jsonc. Variables are taken from the environment.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "data", disk = (path = "data", writable = true)),
    (name = "internet", network = (allow = [])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:8787", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [
    (name = "index.js", esModule = embed "build/index.js"),
    (name = "index_bg.wasm", wasm = embed "build/index_bg.wasm"),
  ],
  compatibilityDate = "2026-04-01",
  compatibilityFlags = ["enable_request_signal"],
  bindings = [
    (name = "QUEUES", durableObjectNamespace = "Queue"),
    (name = "ACCOUNTS", durableObjectNamespace = "Account"),
    (name = "ROOT", durableObjectNamespace = "Root"),
    (name = "GATEWAYS", durableObjectNamespace = "Gateway"),
    (name = "CLOCK", fromEnvironment = "CLOCK"),
    (name = "COUNTERS", fromEnvironment = "COUNTERS"),
    (name = "CORS_ORIGIN", fromEnvironment = "CORS_ORIGIN"),
    (name = "DEFAULT_TTL_MS", fromEnvironment = "DEFAULT_TTL_MS"),
    (name = "DEFAULT_HIDE_MS", fromEnvironment = "DEFAULT_HIDE_MS"),
    (name = "MARKER_RETENTION_MS", fromEnvironment = "MARKER_RETENTION_MS"),
    (name = "CLAIM_DELAY_MS", fromEnvironment = "CLAIM_DELAY_MS"),
    (name = "CHECKPOINT_BYTES", fromEnvironment = "CHECKPOINT_BYTES"),
    (name = "MAX_BODY_BYTES", fromEnvironment = "MAX_BODY_BYTES"),
    (name = "MAX_BATCH_MESSAGES", fromEnvironment = "MAX_BATCH_MESSAGES"),
    (name = "MAX_ANSWER_BYTES", fromEnvironment = "MAX_ANSWER_BYTES"),
    (name = "MAX_REQUEST_BYTES", fromEnvironment = "MAX_REQUEST_BYTES"),
    (name = "MAX_WAIT_MS", fromEnvironment = "MAX_WAIT_MS"),
    (name = "MAX_QUEUE_MESSAGES", fromEnvironment = "MAX_QUEUE_MESSAGES"),
    (name = "MAX_QUEUE_BYTES", fromEnvironment = "MAX_QUEUE_BYTES"),
    (name = "MAX_IN_FLIGHT", fromEnvironment = "MAX_IN_FLIGHT"),
    (name = "MAX_WAITERS", fromEnvironment = "MAX_WAITERS"),
    (name = "ALARM_SLACK_MS", fromEnvironment = "ALARM_SLACK_MS"),
  ],
  durableObjectNamespaces = [
    (className = "Queue", uniqueKey = "burrow-queue", enableSql = true),
    (className = "Account", uniqueKey = "burrow-account", enableSql = true),
    (className = "Root", uniqueKey = "burrow-root", enableSql = true),
    (className = "Gateway", uniqueKey = "burrow-gateway", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "data"),
  globalOutbound = "internet",
);
