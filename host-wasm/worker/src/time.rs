//! Sees to it that what becomes due happens: by a timer if that is soon or somebody waits, else by
//! the object's alarm.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::abortable;
use wasm_bindgen::JsValue;
use worker::js_sys::Date;
use worker::wasm_bindgen_futures::spawn_local;
use worker::{Delay, Result, ScheduledTime};

use crate::object::Object;
use crate::spent;

/// The longest that a timer is set for.
const TIMER_MS: u64 = 3_600_000;
/// When messages that did not reach their dead-letter queue are sent again.
pub(crate) const FORWARD_AGAIN_MS: u64 = 5_000;
/// What is due within this is waited for; what is due later has the alarm.
const SOON_MS: u64 = 10_000;

impl Object {
    /// Sets timer and alarm for what is there now.
    pub(crate) fn arm(self: &Rc<Self>) -> Result<()> {
        if self.forward_again.get() {
            self.soon(FORWARD_AGAIN_MS, |_| {});
        }
        let variables = self.variables()?;
        if variables.manual_clock() {
            return Ok(());
        }
        let (now_ms, deadline_ms, waiters) = match &*self.held.borrow() {
            Some(held) => {
                let node = held.desk.node();
                let deadline = node.deadline().map(|at| at.as_millis());
                (held.now(None).as_millis(), deadline, node.stats().waiters)
            }
            None => return Ok(()),
        };
        if let Some(left_ms) = deadline_ms.map(|at_ms| at_ms.saturating_sub(now_ms))
            && (waiters > 0 || left_ms < SOON_MS)
        {
            self.soon(left_ms, |object| {
                object.now(None, |held, now| held.desk.handle_deadline(now));
            });
        }
        let slack_ms = variables.alarm_slack_ms;
        let at_ms = match deadline_ms {
            _ if self.forward_again.get() => now_ms.saturating_add(FORWARD_AGAIN_MS),
            None => now_ms.saturating_add(variables.marker_retention_ms()),
            Some(deadline_ms) => deadline_ms.max(now_ms).saturating_add(slack_ms),
        };
        let is_early_enough = |alarm_at_ms| at_ms.saturating_add(slack_ms) > alarm_at_ms;
        if self.is_registered.get() && !self.alarm_at_ms.get().is_some_and(is_early_enough) {
            self.set_alarm(at_ms);
        }
        Ok(())
    }

    fn set_alarm(self: &Rc<Self>, at_ms: u64) {
        self.alarm_at_ms.set(Some(at_ms));
        spent::count_alarm();
        let object = self.clone();
        spawn_local(async move {
            let at = ScheduledTime::new(Date::new(&JsValue::from_f64(at_ms as f64)));
            if object.state.storage().set_alarm(at).await.is_err() {
                object.alarm_at_ms.set(None);
            }
        });
    }

    /// Does something after a while, instead of what was to be done so before. The timer keeps no
    /// object: one that was evicted has none.
    pub(crate) fn soon(self: &Rc<Self>, after_ms: u64, act: impl FnOnce(&Rc<Self>) + 'static) {
        let object = Rc::downgrade(self);
        let delay = Delay::from(Duration::from_millis(after_ms.min(TIMER_MS)));
        let (timer, handle) = abortable(async move {
            delay.await;
            if let Some(object) = object.upgrade() {
                act(&object);
                object.kick();
            }
        });
        if let Some(before) = self.timer.replace(Some(handle)) {
            before.abort();
        }
        spawn_local(async move {
            timer.await.ok();
        });
    }
}
