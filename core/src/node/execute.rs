//! Commands, one by one.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use super::search::{Action, Search};
use super::{Node, Ticket, check};
use crate::command::{Command, Detail, QueueName, Selection, SettleAction, Settlement, Update};
use crate::journal::change::Change;
use crate::refusal::{Field, LimitName, Refusal};
use crate::reply::{MessageList, Reply};
use crate::settings::Settings;
use crate::state::{NEVER, Place};
use crate::token::ClaimToken;

type Outcome = Result<Reply, Refusal>;

impl Node {
    /// Carries a command out and answers it, or makes it wait.
    pub(super) fn execute(&mut self, ticket: Ticket, command: Command<'_>) {
        self.expect_one(&command);
        let outcome = match command {
            Command::ListMessages {
                queue,
                selection,
                wait_ms,
                detail,
            } => {
                return self.search(ticket, queue, selection, Action::List, wait_ms, detail);
            }
            Command::UpdateMessages {
                queue,
                selection,
                update,
                wait_ms,
                detail,
            } => {
                return self.search(
                    ticket,
                    queue,
                    selection,
                    Action::Update(update),
                    wait_ms,
                    detail,
                );
            }
            Command::DeleteMessages {
                queue,
                selection,
                wait_ms,
                detail,
            } => {
                return self.search(ticket, queue, selection, Action::Delete, wait_ms, detail);
            }
            Command::Put { queue, message } => self.put_one(&queue, message),
            Command::PutBatch { queue, messages } => self.put_batch(&queue, messages),
            Command::GetMessage { queue, id, detail } => self.get_message(&queue, &id, detail),
            Command::UpdateMessage {
                queue,
                id,
                update,
                claim,
                detail,
            } => self.update_message(&queue, &id, update, claim, detail),
            Command::DeleteMessage {
                queue,
                id,
                claim,
                detail,
            } => self.delete_message(&queue, &id, claim, detail),
            Command::Settle { queue, settlements } => self.settle(&queue, &settlements),
            Command::ListAccounts { page } => self.account_names(&page).map(Reply::Names),
            Command::DeleteAccounts { page } => self.delete_accounts(&page),
            Command::ListQueues { account, page } => {
                self.queue_names(&account, &page).map(Reply::Names)
            }
            Command::DeleteQueues { account, page } => self.delete_queues(&account, &page),
            Command::GetStats { queue } => self.get_stats(&queue),
            Command::GetSettings { queue } => self.get_settings(&queue),
            Command::PutSettings { queue, settings } => self.put_settings(&queue, settings),
            Command::ClearSettings { queue } => self.clear_settings(&queue),
            Command::Export {
                queue,
                after,
                max_bytes,
            } => self.export(&queue, after.unwrap_or(0), max_bytes),
            Command::Import { queue, piece } => self.import(&queue, &piece),
        };
        self.answer(ticket, outcome);
    }

    fn search(
        &mut self,
        ticket: Ticket,
        queue: QueueName<'_>,
        selection: Selection<'_>,
        action: Action,
        wait_ms: u64,
        detail: Detail,
    ) {
        let checked = check::queue_name(&queue)
            .and_then(|()| check::limit(selection.limit))
            .and_then(|()| check::wait(wait_ms, &self.config.limits))
            .and_then(|()| action.check());
        if let Err(refusal) = checked {
            return self.answer(ticket, Err(refusal));
        }
        let marker = selection.marker.as_ref();
        let after = marker.and_then(|id| {
            self.state
                .marker_position(&queue.account, &queue.queue, id.as_bytes())
        });
        let search = Search {
            after,
            limit: selection.limit,
            match_hidden: selection.match_hidden,
            action,
            detail,
        };
        let is_behind = wait_ms > 0 && self.is_behind_others(&queue, &search);
        if !is_behind && self.run_search(ticket, &queue, &search) {
            return;
        }
        let outcome = if wait_ms == 0 {
            Err(self.missing(&queue))
        } else {
            self.enlist(ticket, &queue, search, wait_ms)
        };
        if let Err(refusal) = outcome {
            self.answer(ticket, Err(refusal));
        }
    }

    /// Searches once; true if something matched, and the ticket is answered.
    pub(super) fn run_search(
        &mut self,
        ticket: Ticket,
        queue: &QueueName<'_>,
        search: &Search,
    ) -> bool {
        let Some(place) = self.state.find_queue(&queue.account, &queue.queue) else {
            return false;
        };
        let Some((list, claimed)) = self.run_on(place, search) else {
            return false;
        };
        let claimed = claimed.map(Box::new);
        self.replies.push(
            self.journal.barrier(),
            ticket,
            Ok(Reply::Messages(list)),
            claimed,
        );
        true
    }

    /// Why nothing was found.
    pub(super) fn missing(&self, queue: &QueueName<'_>) -> Refusal {
        match self.state.account(&queue.account) {
            None => Refusal::AccountNotFound,
            Some(account) if account.queues.get(&queue.queue).is_none() => Refusal::QueueNotFound,
            Some(_) => Refusal::MessageNotFound,
        }
    }

    pub(super) fn find_queue(&self, queue: &QueueName<'_>) -> Result<u32, Refusal> {
        check::queue_name(queue)?;
        self.state
            .find_queue(&queue.account, &queue.queue)
            .ok_or_else(|| self.missing(queue))
    }

    fn find_in(&self, queue: u32, id: &str) -> Result<Place, Refusal> {
        check::name(Field::Id, id)?;
        self.state
            .find_message(queue, id.as_bytes())
            .ok_or(Refusal::MessageNotFound)
    }

    fn require_claim(&self, message: Place, claim: Option<ClaimToken>) -> Result<(), Refusal> {
        let Some(claim) = claim else { return Ok(()) };
        if self.state.fence(message) == claim.fence {
            Ok(())
        } else {
            Err(Refusal::ClaimLost)
        }
    }

    fn one(&self, message: Place, detail: Detail) -> Reply {
        let mut list = MessageList::default();
        self.describe(&mut list, message, detail, None);
        Reply::Messages(list)
    }

    fn get_message(&mut self, queue: &QueueName<'_>, id: &str, detail: Detail) -> Outcome {
        let message = self.find_in(self.find_queue(queue)?, id)?;
        Ok(self.one(message, detail))
    }

    fn update_message(
        &mut self,
        queue: &QueueName<'_>,
        id: &str,
        update: Update,
        claim: Option<ClaimToken>,
        detail: Detail,
    ) -> Outcome {
        check::update(&update)?;
        let place = self.find_queue(queue)?;
        let message = self.find_in(place, id)?;
        self.require_claim(message, claim)?;
        self.update_places(place, &[message], update);
        Ok(self.one(message, detail))
    }

    fn delete_message(
        &mut self,
        queue: &QueueName<'_>,
        id: &str,
        claim: Option<ClaimToken>,
        detail: Detail,
    ) -> Outcome {
        let place = self.find_queue(queue)?;
        let message = self.find_in(place, id)?;
        self.require_claim(message, claim)?;
        let reply = self.one(message, detail);
        self.remove(place, &[self.state.position(message)]);
        self.close_if_idle(place, false);
        Ok(reply)
    }

    /// Gives messages of one queue new times.
    pub(super) fn update_places(&mut self, queue: u32, messages: &[Place], update: Update) {
        let now = self.state.clock;
        let expires_at = update
            .ttl_ms
            .map(|ttl_ms| if ttl_ms == 0 { NEVER } else { now + ttl_ms });
        let visible_at = update
            .hide_ms
            .map(|hide_ms| if hide_ms == 0 { 0 } else { now + hide_ms });
        if messages.is_empty() || expires_at.is_none() && visible_at.is_none() {
            return;
        }
        let positions = self.positions(messages);
        self.apply(&Change::Updated {
            queue,
            expires_at,
            visible_at,
            positions: positions.into(),
        });
        // What is about to move, and so cannot be claimed, can be met once it is hidden.
        let is_woken = match visible_at {
            None => false,
            Some(0) => true,
            Some(_) => self.has_burials_due(queue),
        };
        if is_woken {
            self.wake(queue);
        }
    }

    pub(super) fn positions(&self, messages: &[Place]) -> Vec<u64> {
        messages
            .iter()
            .map(|&message| self.state.position(message))
            .collect()
    }

    fn settle(&mut self, queue: &QueueName<'_>, settlements: &[Settlement<'_>]) -> Outcome {
        check::queue_name(queue)?;
        self.check_count(settlements.len())?;
        let Ok(place) = self.find_queue(queue) else {
            return Ok(Reply::Settled(
                settlements
                    .iter()
                    .map(|_| Err(self.missing(queue)))
                    .collect(),
            ));
        };
        let ids = settlements
            .iter()
            .map(|settlement| (place, &*settlement.id));
        let mut likely = self.state.expect_ids(ids).into_iter();
        let mut leaving = Vec::with_capacity(settlements.len());
        let results = settlements
            .iter()
            .map(|settlement| {
                let likely = likely.next().flatten();
                self.settle_one(place, settlement, likely, &mut leaving)
            })
            .collect();
        self.remove(place, &leaving);
        self.close_if_idle(place, false);
        Ok(Reply::Settled(results))
    }

    /// Those that leave one after another in the queue's order, or against it, leave together: their positions are
    /// in `leaving` until then.
    fn settle_one(
        &mut self,
        queue: u32,
        settlement: &Settlement<'_>,
        likely: Option<Place>,
        leaving: &mut Vec<u64>,
    ) -> Result<(), Refusal> {
        check::name(Field::Id, &settlement.id)?;
        let (message, position) = loop {
            let message = self
                .state
                .find_expected(queue, settlement.id.as_bytes(), likely)
                .ok_or(Refusal::MessageNotFound)?;
            let position = self.state.position(message);
            let ends = leaving.first().zip(leaving.last());
            if ends.is_none_or(|(&first, &last)| {
                first <= last && last < position || first >= last && last > position
            }) {
                break (message, position);
            }
            // It may be one of those.
            self.remove(queue, leaving);
            leaving.clear();
        };
        if let SettleAction::Update(update) = &settlement.action {
            check::update(update)?;
        }
        self.require_claim(message, settlement.claim)?;
        match settlement.action {
            SettleAction::Delete => leaving.push(position),
            SettleAction::Update(update) => self.update_places(queue, &[message], update),
        }
        Ok(())
    }

    /// Removes the messages at these positions.
    pub(super) fn remove(&mut self, queue: u32, positions: &[u64]) {
        if !positions.is_empty() {
            self.apply(&Change::Removed {
                queue,
                positions: Cow::Borrowed(positions),
            });
        }
    }

    pub(super) fn check_count(&self, count: usize) -> Result<(), Refusal> {
        let maximum = self.config.limits.max_batch_messages;
        if count as u64 > maximum {
            return Err(Refusal::TooLarge {
                limit: LimitName::BatchMessages,
                maximum,
            });
        }
        Ok(())
    }

    fn get_stats(&mut self, queue: &QueueName<'_>) -> Outcome {
        check::queue_name(queue)?;
        let place = self.state.find_queue(&queue.account, &queue.queue);
        let place = place.ok_or_else(|| self.missing(queue))?;
        Ok(Reply::Stats(self.state.queue_stats(place)))
    }

    fn get_settings(&mut self, queue: &QueueName<'_>) -> Outcome {
        check::queue_name(queue)?;
        let place = self
            .state
            .find_queue(&queue.account, &queue.queue)
            .ok_or_else(|| self.missing(queue))?;
        let settings = self.state.queue(place).settings.as_deref();
        let given = settings.map(|settings| settings.given());
        Ok(Reply::Settings(given.unwrap_or_default()))
    }

    fn put_settings(&mut self, queue: &QueueName<'_>, settings: Settings) -> Outcome {
        check::queue_name(queue)?;
        check::settings(queue, &settings)?;
        let place = self.open(queue)?;
        self.apply(&Change::SettingsPut {
            queue: place,
            settings: Cow::Owned(settings),
        });
        // Another order may put messages behind a marker that were before it.
        self.wake(place);
        Ok(Reply::Done)
    }

    fn clear_settings(&mut self, queue: &QueueName<'_>) -> Outcome {
        check::queue_name(queue)?;
        if let Some(place) = self.state.find_queue(&queue.account, &queue.queue)
            && self.state.queue(place).settings.is_some()
        {
            self.apply(&Change::SettingsCleared { queue: place });
            self.wake(place);
            self.close_if_idle(place, false);
        }
        Ok(Reply::Done)
    }

    /// The queue with this name, made if need be and if the limits allow.
    pub(super) fn open(&mut self, queue: &QueueName<'_>) -> Result<u32, Refusal> {
        if let Some(place) = self.state.find_queue(&queue.account, &queue.queue) {
            return Ok(place);
        }
        let limits = &self.config.limits;
        if self.state.queue_count() >= limits.max_queues {
            return Err(Refusal::Exhausted {
                limit: LimitName::NodeQueues,
                maximum: limits.max_queues,
            });
        }
        let queues = self
            .state
            .account(&queue.account)
            .map_or(0, |account| account.queues.len() as u64);
        if queues >= limits.max_account_queues {
            return Err(Refusal::Exhausted {
                limit: LimitName::AccountQueues,
                maximum: limits.max_account_queues,
            });
        }
        Ok(self.open_unlimited(&queue.account, &queue.queue))
    }

    pub(super) fn open_unlimited(&mut self, account: &str, name: &str) -> u32 {
        if let Some(place) = self.state.find_queue(account, name) {
            return place;
        }
        let number = self.state.next_queue;
        self.apply(&Change::QueueOpened {
            number,
            account: account.into(),
            name: name.into(),
        });
        self.state.by_number[&number]
    }
}
