// The variables of the Worker.

/** Those that the module knows; each is described in ../README.md. */
const FOR_MODULE = [
  "CLOCK",
  "CORS_ORIGIN",
  "DEFAULT_TTL_MS",
  "DEFAULT_HIDE_MS",
  "MARKER_RETENTION_MS",
  "CLAIM_DELAY_MS",
  "CHECKPOINT_BYTES",
  "MAX_BODY_BYTES",
  "MAX_BATCH_MESSAGES",
  "MAX_ANSWER_BYTES",
  "MAX_WAIT_MS",
  "MAX_QUEUE_MESSAGES",
  "MAX_QUEUE_BYTES",
  "MAX_WAITERS",
];

const DEFAULT_REQUEST_BYTES = 8 << 20;
const DEFAULT_MARKER_RETENTION_MS = 3_600_000;
/** Expiry is exact without the alarm, which is there to give space back: it may be late. */
const DEFAULT_ALARM_SLACK_MS = 300_000;

export class Settings {
  constructor(env) {
    this.variables = FOR_MODULE.filter((name) => env[name] != null).map((name) => [name, String(env[name])]);
    this.manualClock = env.CLOCK === "manual";
    this.counters = env.COUNTERS === "true";
    this.maxRequestBytes = whole(env, "MAX_REQUEST_BYTES", DEFAULT_REQUEST_BYTES);
    this.markerRetentionMs = whole(env, "MARKER_RETENTION_MS", DEFAULT_MARKER_RETENTION_MS);
    this.alarmSlackMs = whole(env, "ALARM_SLACK_MS", DEFAULT_ALARM_SLACK_MS);
  }
}

function whole(env, name, byDefault) {
  const number = Number(env[name] ?? byDefault);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`${name} = ${env[name]} is not a whole number above 0`);
  return number;
}
