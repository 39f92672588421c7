//! Sees to it that what becomes due happens: by a timer if that is soon or somebody waits, else by
//! the object's alarm.

use std::rc::Rc;

use wasm_bindgen::prelude::*;
use worker::js_sys::{Date, Promise};
use worker::wasm_bindgen_futures::JsFuture;

use crate::error::Result;
use crate::object::Object;
use crate::promise::spawn;
use crate::runtime;
use crate::spent;

/// The longest that a timer is set for.
const TIMER_MS: u64 = 3_600_000;
/// What is due within this is waited for; what is due later has the alarm.
pub(crate) const SOON_MS: u64 = 10_000;
/// An alarm that could not be set is set again after so long.
const AGAIN_MS: u64 = 1_000;

impl Object {
    /// Sets timer and alarm for what is there now.
    pub(crate) fn arm(self: &Rc<Self>) -> Result<()> {
        let variables = self.variables()?;
        if variables.manual_clock() {
            return Ok(());
        }
        let (now_ms, deadline_ms, waiters, is_unstored) = match &*self.held.borrow() {
            Some(held) => {
                let node = held.desk.node();
                let deadline = node.deadline().map(|at| at.as_millis());
                let (waiters, is_unstored) = (node.stats().waiters, node.unstored_bytes() > 0);
                (held.now(None).as_millis(), deadline, waiters, is_unstored)
            }
            None => return Ok(()),
        };
        let claim_delay_ms = variables.settings.node.journal.claim_delay_ms;
        let within = |ms: u64| deadline_ms.is_some_and(|at_ms| at_ms <= now_ms.saturating_add(ms));
        let has_claims = is_unstored && within(claim_delay_ms);
        if let Some(left_ms) = deadline_ms.map(|at_ms| at_ms.saturating_sub(now_ms))
            && (waiters > 0 || has_claims || within(SOON_MS))
        {
            let timer = timer(self, left_ms, |object| {
                object.now(None, |held, now| held.desk.handle_deadline(now));
            });
            *self.timer.borrow_mut() = Some(timer);
        }
        // The deadline is that of claims that are not stored yet. If the object falls asleep they are lost,
        // and once they are stored, this is called again.
        if has_claims && !self.forward_again.get() {
            return Ok(());
        }
        let slack_ms = variables.alarm_slack_ms;
        let at_ms = match deadline_ms {
            _ if self.forward_again.get() => now_ms.saturating_add(self.again_ms.get()),
            None => now_ms.saturating_add(variables.marker_retention_ms()),
            Some(deadline_ms) => deadline_ms.max(now_ms).saturating_add(slack_ms),
        };
        let is_early_enough = |alarm_at_ms| at_ms.saturating_add(slack_ms) > alarm_at_ms;
        if self.is_stored.get() && !self.alarm_at_ms.get().is_some_and(is_early_enough) {
            let object = self.clone();
            spawn(async move {
                if let Err(error) = object.set_alarm(at_ms).await {
                    error.log("no alarm is set:");
                    // There may be no other request that would.
                    let timer = timer(&object, AGAIN_MS, |_| {});
                    *object.alarm_timer.borrow_mut() = Some(timer);
                }
            });
        }
        Ok(())
    }

    /// Has the alarm come after a while, as what it came for did not work.
    pub(crate) async fn set_alarm_again(&self) -> Result<()> {
        let slack_ms = self.variables()?.alarm_slack_ms;
        self.set_alarm(system_ms() + slack_ms).await
    }

    async fn set_alarm(&self, at_ms: u64) -> Result<()> {
        self.alarm_at_ms.set(Some(at_ms));
        spent::count_alarm();
        let set: Result<()> = async {
            let storage = self.storage()?;
            let alarms: &Alarms = storage.unchecked_ref();
            JsFuture::from(alarms.set_alarm(at_ms as f64)?).await?;
            Ok(())
        }
        .await;
        // However it failed, the next who arms sets it.
        if set.is_err() {
            self.alarm_at_ms.set(None);
        }
        set
    }
}

/// The runtime's clock.
pub(crate) fn system_ms() -> u64 {
    Date::now() as u64
}

#[wasm_bindgen]
extern "C" {
    /// A storage, which takes the instant of an alarm as a number, too.
    type Alarms;

    #[wasm_bindgen(method, catch, js_name = setAlarm)]
    fn set_alarm(this: &Alarms, at_ms: f64) -> std::result::Result<Promise, JsValue>;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// Something that happens after a while, unless this is dropped before. It may be dropped by what happens.
pub(crate) struct Timer {
    id: JsValue,
    _act: Closure<dyn FnMut()>,
}

impl Timer {
    pub(crate) fn new(after_ms: u64, act: Box<dyn FnMut()>) -> Self {
        let act = Closure::wrap(act);
        Self {
            id: runtime::later(act.as_ref(), after_ms.min(TIMER_MS) as f64),
            _act: act,
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        clear_timeout(&self.id);
    }
}

/// Does something to an object after a while. The timer keeps no object: one that was evicted has none.
pub(crate) fn timer(object: &Rc<Object>, after_ms: u64, act: fn(&Rc<Object>)) -> Timer {
    let object = Rc::downgrade(object);
    Timer::new(
        after_ms,
        Box::new(move || {
            if let Some(object) = object.upgrade() {
                act(&object);
                object.kick();
            }
        }),
    )
}
