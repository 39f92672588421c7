//! What this isolate has spent, for the tests of what the Worker costs.

use std::cell::Cell;

use crate::memory::most_in_use;

thread_local! {
    static ROWS: Cell<u64> = const { Cell::new(0) };
    static ALARMS: Cell<u64> = const { Cell::new(0) };
    static GATEWAYS: Cell<u64> = const { Cell::new(0) };
    static QUESTIONS: Cell<u64> = const { Cell::new(0) };
    static WAITING: Cell<u64> = const { Cell::new(0) };
}

pub(crate) fn count_rows(rows: u64) {
    ROWS.set(ROWS.get() + rows);
}

pub(crate) fn count_alarm() {
    count_rows(1);
    ALARMS.set(ALARMS.get() + 1);
}

/// A gateway begins, for the first time or after it was evicted.
#[cfg(feature = "wire")]
pub(crate) fn count_gateway() {
    GATEWAYS.set(GATEWAYS.get() + 1);
}

/// One object asks another.
pub(crate) fn count_question() {
    QUESTIONS.set(QUESTIONS.get() + 1);
}

/// Counts as waiting until it is dropped.
pub(crate) struct Waiting(());

pub(crate) fn wait() -> Waiting {
    WAITING.set(WAITING.get() + 1);
    Waiting(())
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.set(WAITING.get() - 1);
    }
}

pub(crate) fn to_json() -> String {
    let counts = [
        ("rows", ROWS.get()),
        ("alarms", ALARMS.get()),
        ("gateways", GATEWAYS.get()),
        ("questions", QUESTIONS.get()),
        ("waiting", WAITING.get()),
        ("most_bytes", most_in_use() as u64),
    ];
    let mut json = String::from("{");
    for (name, count) in counts {
        json.push_str(&format!("\"{name}\":{count},"));
    }
    json.pop();
    json.push('}');
    json
}
