//! The settings of a machine, by the names that they have in JavaScript.

use burrow_core::Config;
use burrow_core::rest::RestConfig;
use js_sys::{Array, Object};
use wasm_bindgen::{JsError, JsValue};

use crate::whole;

/// Reads whole numbers by name. `index.js` has looked at their types.
pub(crate) fn read(settings: &Object) -> Result<(Config, RestConfig), JsError> {
    let mut config = Config::default();
    let mut origin = None;
    let mut manual = false;
    for entry in Object::entries(settings).iter() {
        let entry = Array::from(&entry);
        let name = entry.get(0).as_string().unwrap_or_default();
        let value = entry.get(1);
        match name.as_str() {
            "manualClock" => manual = value.is_truthy(),
            "corsOrigin" => origin = value.as_string().map(String::into_boxed_str),
            _ => set(&mut config, &name, &value)?,
        }
    }
    let rest = RestConfig {
        cors_origin: origin,
        manual_clock: manual,
        ..RestConfig::from(&config.limits)
    };
    Ok((config, rest))
}

fn set(config: &mut Config, name: &str, value: &JsValue) -> Result<(), JsError> {
    let limits = &mut config.limits;
    let setting = match name {
        "defaultTtlMs" => &mut config.default_ttl_ms,
        "defaultHideMs" => &mut config.default_hide_ms,
        "markerRetentionMs" => &mut config.marker_retention_ms,
        "maxBodyBytes" => &mut limits.max_body_bytes,
        "maxBatchMessages" => &mut limits.max_batch_messages,
        "maxAnswerBytes" => &mut limits.max_answer_bytes,
        "maxQueueMessages" => &mut limits.max_queue_messages,
        "maxQueueBytes" => &mut limits.max_queue_bytes,
        "maxAccountMessages" => &mut limits.max_account_messages,
        "maxAccountBytes" => &mut limits.max_account_bytes,
        "maxAccountQueues" => &mut limits.max_account_queues,
        "maxMessages" => &mut limits.max_messages,
        "maxBytes" => &mut limits.max_bytes,
        "maxQueues" => &mut limits.max_queues,
        "maxWaiters" => &mut limits.max_waiters,
        "maxQueueWaiters" => &mut limits.max_queue_waiters,
        "maxWaitMs" => &mut limits.max_wait_ms,
        "maxMarkers" => &mut limits.max_markers,
        "checkpointBytes" => &mut config.journal.checkpoint_bytes,
        "claimDelayMs" => &mut config.journal.claim_delay_ms,
        "seed" => &mut config.seed,
        _ => return Err(JsError::new(&format!("there is no setting {name}"))),
    };
    let number = value
        .as_f64()
        .ok_or_else(|| JsError::new(&format!("{name} is not a number")))?;
    *setting = whole(number);
    Ok(())
}
