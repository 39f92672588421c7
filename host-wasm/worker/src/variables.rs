//! The variables of the Worker; each is described in the README.

use std::cell::RefCell;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use worker::Env;
use worker::js_sys::{Object, Reflect, Uint8Array};

use crate::config::Settings;
use crate::error::{Error, Result};

/// Those that concern the node and its front-end.
const FOR_NODE: [&str; 14] = [
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
#[cfg(feature = "wire")]
const DEFAULT_IN_FLIGHT: u64 = 256;
const DEFAULT_REQUEST_BYTES: u64 = 8 << 20;
/// Expiry is exact without the alarm, which is there to give space back: it may be late.
const DEFAULT_ALARM_SLACK_MS: u64 = 300_000;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn fill_at_random(bytes: &Uint8Array);
}

/// A seed for the hash tables of a new node, which no client can know.
pub(crate) fn random_seed() -> u64 {
    let bytes = Uint8Array::new_with_length(8);
    fill_at_random(&bytes);
    let mut seed = [0; 8];
    bytes.copy_to(&mut seed);
    u64::from_le_bytes(seed)
}

#[derive(Debug)]
pub(crate) struct Variables {
    pub(crate) settings: Settings,
    pub(crate) counters: bool,
    pub(crate) max_request_bytes: u64,
    #[cfg(feature = "wire")]
    pub(crate) max_in_flight: u64,
    pub(crate) alarm_slack_ms: u64,
}

impl Variables {
    /// The variables, which are the same for all of an isolate.
    pub(crate) fn of(env: &Env) -> Result<Rc<Self>> {
        thread_local! {
            static READ: RefCell<Option<Rc<Variables>>> = const { RefCell::new(None) };
        }
        if let Some(variables) = READ.with_borrow(Clone::clone) {
            return Ok(variables);
        }
        let variables = Rc::new(Self::read(env)?);
        READ.set(Some(variables.clone()));
        Ok(variables)
    }

    fn read(env: &Env) -> Result<Self> {
        // What the environment of this machine does not set is null.
        let value = |name: &str| {
            let value = Reflect::get(env, &JsValue::from_str(name)).ok()?;
            let is_set = !value.is_null() && !value.is_undefined();
            is_set.then(|| String::from(value.unchecked_ref::<Object>().to_string()))
        };
        let mut settings = Settings::default();
        for name in FOR_NODE {
            if let Some(value) = value(name) {
                settings.set(name, &value).map_err(Error::from)?;
            }
        }
        let whole = |name: &str, default: u64| match value(name) {
            None => Ok(default),
            Some(value) => match value.parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(Error::from(format!(
                    "{name} = {value} is not a whole number above 0"
                ))),
            },
        };
        Ok(Self {
            settings,
            counters: value("COUNTERS").as_deref() == Some("true"),
            max_request_bytes: whole("MAX_REQUEST_BYTES", DEFAULT_REQUEST_BYTES)?,
            #[cfg(feature = "wire")]
            max_in_flight: whole("MAX_IN_FLIGHT", DEFAULT_IN_FLIGHT)?,
            alarm_slack_ms: whole("ALARM_SLACK_MS", DEFAULT_ALARM_SLACK_MS)?,
        })
    }

    pub(crate) fn manual_clock(&self) -> bool {
        self.settings.rest.manual_clock
    }

    pub(crate) fn marker_retention_ms(&self) -> u64 {
        self.settings.node.marker_retention_ms
    }
}
