//! Sees to it that what becomes due happens: by a timer if that is soon or somebody waits, else by
//! the object's alarm.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{AbortHandle, abortable};
use wasm_bindgen::JsValue;
use worker::js_sys::{Date, Object as Options};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Delay, console_error};

use crate::error::Result;
use crate::object::Object;
use crate::promise::spawn;
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
            if let Some(before) = self.timer.replace(Some(timer)) {
                before.abort();
            }
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
                    console_error!("burrow: no alarm is set: {error}");
                    // There may be no other request that would.
                    timer(&object, AGAIN_MS, |_| {});
                }
            });
        }
        Ok(())
    }

    /// Has the alarm come after a while, as what it came for did not work.
    pub(crate) async fn set_alarm_again(&self) -> Result<()> {
        let slack_ms = self.variables()?.alarm_slack_ms;
        self.set_alarm(Date::now() as u64 + slack_ms).await
    }

    async fn set_alarm(&self, at_ms: u64) -> Result<()> {
        self.alarm_at_ms.set(Some(at_ms));
        spent::count_alarm();
        let set: Result<()> = async {
            let at = Date::new(&JsValue::from_f64(at_ms as f64));
            let set = self.storage()?.set_alarm(at, Options::new())?;
            JsFuture::from(set).await?;
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

/// Does something after a while. The timer keeps no object: one that was evicted has none.
pub(crate) fn timer(
    object: &Rc<Object>,
    after_ms: u64,
    act: impl FnOnce(&Rc<Object>) + 'static,
) -> AbortHandle {
    let object = Rc::downgrade(object);
    let delay = Delay::from(Duration::from_millis(after_ms.min(TIMER_MS)));
    let (timer, handle) = abortable(async move {
        delay.await;
        if let Some(object) = object.upgrade() {
            act(&object);
            object.kick();
        }
    });
    spawn(async move {
        timer.await.ok();
    });
    handle
}
