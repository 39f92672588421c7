//! Typed commands. `index.js` has looked at the types of what is given; spans are in milliseconds.

use burrow_core::{
    ClaimToken, Command, Detail, NewMessage, Order, Page, QueueName, Selection, Settings,
    SettleAction, Settlement, Update,
};
use wasm_bindgen::prelude::*;

use crate::{Machine, whole};

/// A batch of messages, filled one by one.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct Batch(Vec<NewMessage<'static>>);

#[wasm_bindgen]
impl Batch {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add(
        &mut self,
        id: Option<String>,
        body: Vec<u8>,
        content_type: Option<String>,
        ttl_ms: Option<f64>,
        hide_ms: Option<f64>,
    ) {
        self.0.push(NewMessage {
            id: id.map(Into::into),
            body: body.into(),
            content_type: content_type.map(Into::into),
            ttl_ms: ttl_ms.map(whole),
            hide_ms: hide_ms.map(whole),
        });
    }
}

/// Settlements, filled one by one.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct Settlements(Vec<Settlement<'static>>);

#[wasm_bindgen]
impl Settlements {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn delete(&mut self, id: String, claim: Option<String>) -> Result<(), JsError> {
        self.push(id, claim, SettleAction::Delete)
    }

    pub fn update(
        &mut self,
        id: String,
        claim: Option<String>,
        ttl_ms: Option<f64>,
        hide_ms: Option<f64>,
    ) -> Result<(), JsError> {
        self.push(id, claim, SettleAction::Update(update(ttl_ms, hide_ms)))
    }

    fn push(
        &mut self,
        id: String,
        claim: Option<String>,
        action: SettleAction,
    ) -> Result<(), JsError> {
        self.0.push(Settlement {
            id: id.into(),
            claim: token(claim)?,
            action,
        });
        Ok(())
    }
}

/// Which messages of a queue a command covers, and how it waits for them.
#[wasm_bindgen]
#[derive(Clone, Debug)]
pub struct Choice {
    account: String,
    queue: String,
    marker: Option<String>,
    limit: Option<f64>,
    match_hidden: bool,
    wait_ms: f64,
    detail: u8,
}

#[wasm_bindgen]
impl Choice {
    #[wasm_bindgen(constructor)]
    pub fn new(
        account: String,
        queue: String,
        marker: Option<String>,
        limit: Option<f64>,
        match_hidden: bool,
        wait_ms: f64,
        detail: u8,
    ) -> Self {
        Self {
            account,
            queue,
            marker,
            limit,
            match_hidden,
            wait_ms,
            detail,
        }
    }
}

impl Choice {
    fn queue(&self) -> QueueName<'_> {
        QueueName {
            account: self.account.as_str().into(),
            queue: self.queue.as_str().into(),
        }
    }

    fn selection(&self) -> Selection<'_> {
        Selection {
            marker: self.marker.as_deref().map(Into::into),
            limit: self.limit.map(whole),
            match_hidden: self.match_hidden,
        }
    }

    fn detail(&self) -> Detail {
        detail(self.detail)
    }
}

#[wasm_bindgen]
impl Machine {
    pub fn list(&mut self, now: f64, choice: &Choice) -> u32 {
        let command = Command::ListMessages {
            queue: choice.queue(),
            selection: choice.selection(),
            wait_ms: whole(choice.wait_ms),
            detail: choice.detail(),
        };
        self.submit(now, command)
    }

    #[wasm_bindgen(js_name = updateMany)]
    pub fn update_many(
        &mut self,
        now: f64,
        choice: &Choice,
        ttl_ms: Option<f64>,
        hide_ms: Option<f64>,
    ) -> u32 {
        let command = Command::UpdateMessages {
            queue: choice.queue(),
            selection: choice.selection(),
            update: update(ttl_ms, hide_ms),
            wait_ms: whole(choice.wait_ms),
            detail: choice.detail(),
        };
        self.submit(now, command)
    }

    #[wasm_bindgen(js_name = deleteMany)]
    pub fn delete_many(&mut self, now: f64, choice: &Choice) -> u32 {
        let command = Command::DeleteMessages {
            queue: choice.queue(),
            selection: choice.selection(),
            wait_ms: whole(choice.wait_ms),
            detail: choice.detail(),
        };
        self.submit(now, command)
    }

    /// Puts the first message of a batch.
    pub fn put(&mut self, now: f64, account: &str, queue: &str, batch: Batch) -> Option<u32> {
        let message = batch.0.into_iter().next()?;
        let queue = queue_name(account, queue);
        Some(self.submit(now, Command::Put { queue, message }))
    }

    #[wasm_bindgen(js_name = putBatch)]
    pub fn put_batch(&mut self, now: f64, account: &str, queue: &str, batch: Batch) -> u32 {
        let command = Command::PutBatch {
            queue: queue_name(account, queue),
            messages: batch.0,
        };
        self.submit(now, command)
    }

    pub fn get(&mut self, now: f64, account: &str, queue: &str, id: &str) -> u32 {
        let command = Command::GetMessage {
            queue: queue_name(account, queue),
            id: id.into(),
            detail: Detail::All,
        };
        self.submit(now, command)
    }

    #[allow(clippy::too_many_arguments)] // the call comes from JavaScript, argument by argument
    #[wasm_bindgen(js_name = updateOne)]
    pub fn update_one(
        &mut self,
        now: f64,
        account: &str,
        queue: &str,
        id: &str,
        claim: Option<String>,
        ttl_ms: Option<f64>,
        hide_ms: Option<f64>,
    ) -> Result<u32, JsError> {
        let command = Command::UpdateMessage {
            queue: queue_name(account, queue),
            id: id.into(),
            update: update(ttl_ms, hide_ms),
            claim: token(claim)?,
            detail: Detail::Attributes,
        };
        Ok(self.submit(now, command))
    }

    #[wasm_bindgen(js_name = deleteOne)]
    pub fn delete_one(
        &mut self,
        now: f64,
        account: &str,
        queue: &str,
        id: &str,
        claim: Option<String>,
    ) -> Result<u32, JsError> {
        let command = Command::DeleteMessage {
            queue: queue_name(account, queue),
            id: id.into(),
            claim: token(claim)?,
            detail: Detail::None,
        };
        Ok(self.submit(now, command))
    }

    pub fn settle(&mut self, now: f64, account: &str, queue: &str, all: Settlements) -> u32 {
        let command = Command::Settle {
            queue: queue_name(account, queue),
            settlements: all.0,
        };
        self.submit(now, command)
    }

    /// Names of accounts, or of the queues of `account`; `remove` deletes them.
    pub fn names(
        &mut self,
        now: f64,
        account: Option<String>,
        marker: Option<String>,
        limit: Option<f64>,
        remove: bool,
    ) -> u32 {
        let page = Page {
            marker: marker.map(Into::into),
            limit: limit.map(whole),
        };
        let account = account.map(Into::into);
        let command = match (account, remove) {
            (None, false) => Command::ListAccounts { page },
            (None, true) => Command::DeleteAccounts { page },
            (Some(account), false) => Command::ListQueues { account, page },
            (Some(account), true) => Command::DeleteQueues { account, page },
        };
        self.submit(now, command)
    }

    #[wasm_bindgen(js_name = getSettings)]
    pub fn get_settings(&mut self, now: f64, account: &str, queue: &str) -> u32 {
        let queue = queue_name(account, queue);
        self.submit(now, Command::GetSettings { queue })
    }

    #[allow(clippy::too_many_arguments)] // the call comes from JavaScript, argument by argument
    #[wasm_bindgen(js_name = putSettings)]
    pub fn put_settings(
        &mut self,
        now: f64,
        account: &str,
        queue: &str,
        default_ttl_ms: Option<f64>,
        default_hide_ms: Option<f64>,
        max_attempts: Option<u32>,
        dead_letter: Option<String>,
        max_messages: Option<f64>,
        max_bytes: Option<f64>,
        newest_first: bool,
        marker_retention_ms: Option<f64>,
    ) -> u32 {
        let settings = Settings {
            default_ttl_ms: default_ttl_ms.map(whole),
            default_hide_ms: default_hide_ms.map(whole),
            max_attempts,
            dead_letter: dead_letter.map(String::into_boxed_str),
            max_messages: max_messages.map(whole),
            max_bytes: max_bytes.map(whole),
            order: if newest_first {
                Order::Lifo
            } else {
                Order::Fifo
            },
            marker_retention_ms: marker_retention_ms.map(whole),
        };
        let queue = queue_name(account, queue);
        self.submit(now, Command::PutSettings { queue, settings })
    }

    #[wasm_bindgen(js_name = clearSettings)]
    pub fn clear_settings(&mut self, now: f64, account: &str, queue: &str) -> u32 {
        let queue = queue_name(account, queue);
        self.submit(now, Command::ClearSettings { queue })
    }

    #[wasm_bindgen(js_name = exportPiece)]
    pub fn export_piece(
        &mut self,
        now: f64,
        account: &str,
        queue: &str,
        after: Option<f64>,
        max_bytes: f64,
    ) -> u32 {
        let command = Command::Export {
            queue: queue_name(account, queue),
            after: after.map(whole),
            max_bytes: whole(max_bytes),
        };
        self.submit(now, command)
    }

    #[wasm_bindgen(js_name = importPiece)]
    pub fn import_piece(&mut self, now: f64, account: &str, queue: &str, piece: Vec<u8>) -> u32 {
        let command = Command::Import {
            queue: queue_name(account, queue),
            piece: piece.into(),
        };
        self.submit(now, command)
    }
}

fn queue_name<'a>(account: &'a str, queue: &'a str) -> QueueName<'a> {
    QueueName {
        account: account.into(),
        queue: queue.into(),
    }
}

fn update(ttl_ms: Option<f64>, hide_ms: Option<f64>) -> Update {
    Update {
        ttl_ms: ttl_ms.map(whole),
        hide_ms: hide_ms.map(whole),
    }
}

fn token(claim: Option<String>) -> Result<Option<ClaimToken>, JsError> {
    let claim = claim.map(|claim| claim.parse()).transpose()?;
    Ok(claim)
}

/// The names are in `input.js`, in this order.
fn detail(number: u8) -> Detail {
    match number {
        0 => Detail::None,
        1 => Detail::Id,
        2 => Detail::Attributes,
        3 => Detail::Body,
        _ => Detail::All,
    }
}
