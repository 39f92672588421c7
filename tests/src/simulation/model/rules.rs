//! What is refused: commands that are wrong in themselves, and those for which there is
//! no room. Each function lists all the reasons, as any of them may be named.

use burrow_core::{
    Command, Field, LimitName, Limits, MAX_CONTENT_TYPE_BYTES, MAX_ID_BYTES, MAX_SPAN_MS,
    NewMessage, Page, Problem, QueueName, Refusal, Selection, Settings, SettleAction, Settlement,
    Update,
};

use super::state::{Id, Name, State};

/// Why the command can never be carried out.
pub(crate) fn wrong(command: &Command<'_>, limits: &Limits) -> Vec<Refusal> {
    let mut reasons = Reasons {
        list: Vec::new(),
        limits,
    };
    match command {
        Command::ListAccounts { page } | Command::DeleteAccounts { page } => reasons.page(page),
        Command::ListQueues { account, page } | Command::DeleteQueues { account, page } => {
            reasons.id(Field::Account, account);
            reasons.page(page);
        }
        Command::ListMessages {
            queue,
            selection,
            wait_ms,
            ..
        }
        | Command::DeleteMessages {
            queue,
            selection,
            wait_ms,
            ..
        } => {
            reasons.bulk(queue, selection, *wait_ms);
        }
        Command::UpdateMessages {
            queue,
            selection,
            update,
            wait_ms,
            ..
        } => {
            reasons.bulk(queue, selection, *wait_ms);
            reasons.update(update);
        }
        Command::Put { queue, message } => {
            reasons.queue(queue);
            if message.id.is_none() {
                reasons.invalid(Field::Id, Problem::Missing);
            }
            reasons.message(message);
        }
        Command::PutBatch { queue, messages } => {
            reasons.queue(queue);
            reasons.batch(messages.len());
            messages.iter().for_each(|message| reasons.message(message));
        }
        Command::GetMessage { queue, id, .. } | Command::DeleteMessage { queue, id, .. } => {
            reasons.queue(queue);
            reasons.id(Field::Id, id);
        }
        Command::UpdateMessage {
            queue, id, update, ..
        } => {
            reasons.queue(queue);
            reasons.id(Field::Id, id);
            reasons.update(update);
        }
        Command::Settle { queue, settlements } => {
            reasons.queue(queue);
            reasons.batch(settlements.len());
        }
        Command::GetStats { queue }
        | Command::GetSettings { queue }
        | Command::ClearSettings { queue }
        | Command::Export { queue, .. }
        | Command::Import { queue, .. } => reasons.queue(queue),
        Command::PutSettings { queue, settings } => {
            reasons.queue(queue);
            reasons.settings(queue, settings);
        }
    }
    reasons.list
}

/// Why a settlement can never be carried out.
pub(crate) fn wrong_settlement(settlement: &Settlement<'_>, limits: &Limits) -> Vec<Refusal> {
    let mut reasons = Reasons {
        list: Vec::new(),
        limits,
    };
    reasons.id(Field::Id, &settlement.id);
    if let SettleAction::Update(update) = &settlement.action {
        reasons.update(update);
    }
    reasons.list
}

struct Reasons<'a> {
    list: Vec<Refusal>,
    limits: &'a Limits,
}

impl Reasons<'_> {
    fn invalid(&mut self, field: Field, problem: Problem) {
        self.list.push(Refusal::Invalid { field, problem });
    }

    fn too_large(&mut self, limit: LimitName, maximum: u64, actual: usize) {
        if actual as u64 > maximum {
            self.list.push(Refusal::TooLarge { limit, maximum });
        }
    }

    fn id(&mut self, field: Field, id: &str) {
        if id.is_empty() {
            self.invalid(field, Problem::Empty);
        } else if id.len() > MAX_ID_BYTES {
            self.invalid(
                field,
                Problem::TooLong {
                    maximum: MAX_ID_BYTES as u64,
                },
            );
        }
    }

    fn queue(&mut self, queue: &QueueName<'_>) {
        self.id(Field::Account, &queue.account);
        self.id(Field::Queue, &queue.queue);
    }

    fn range(&mut self, field: Field, value: Option<u64>, minimum: u64, maximum: u64) {
        if value.is_some_and(|value| value < minimum || value > maximum) {
            self.invalid(field, Problem::OutOfRange { minimum, maximum });
        }
    }

    fn page(&mut self, page: &Page<'_>) {
        self.range(Field::Limit, page.limit, 1, u64::MAX);
    }

    fn bulk(&mut self, queue: &QueueName<'_>, selection: &Selection<'_>, wait_ms: u64) {
        self.queue(queue);
        self.range(Field::Limit, selection.limit, 1, u64::MAX);
        self.range(Field::Wait, Some(wait_ms), 0, self.limits.max_wait_ms);
    }

    fn update(&mut self, update: &Update) {
        self.range(Field::Ttl, update.ttl_ms, 0, MAX_SPAN_MS);
        self.range(Field::Hide, update.hide_ms, 0, MAX_SPAN_MS);
    }

    fn batch(&mut self, messages: usize) {
        self.too_large(
            LimitName::BatchMessages,
            self.limits.max_batch_messages,
            messages,
        );
    }

    fn message(&mut self, message: &NewMessage<'_>) {
        if let Some(id) = &message.id {
            self.id(Field::Id, id);
        }
        if message
            .content_type
            .as_ref()
            .is_some_and(|text| text.len() > MAX_CONTENT_TYPE_BYTES)
        {
            self.invalid(
                Field::ContentType,
                Problem::TooLong {
                    maximum: MAX_CONTENT_TYPE_BYTES as u64,
                },
            );
        }
        self.update(&Update {
            ttl_ms: message.ttl_ms,
            hide_ms: message.hide_ms,
        });
        self.too_large(
            LimitName::BodyBytes,
            self.limits.max_body_bytes,
            message.body.len(),
        );
    }

    fn settings(&mut self, queue: &QueueName<'_>, settings: &Settings) {
        self.range(Field::DefaultTtl, settings.default_ttl_ms, 0, MAX_SPAN_MS);
        self.range(Field::DefaultHide, settings.default_hide_ms, 0, MAX_SPAN_MS);
        self.range(
            Field::Retention,
            settings.marker_retention_ms,
            0,
            MAX_SPAN_MS,
        );
        self.range(
            Field::MaxAttempts,
            settings.max_attempts.map(u64::from),
            1,
            u64::from(u32::MAX),
        );
        self.range(Field::MaxMessages, settings.max_messages, 1, u64::MAX);
        self.range(Field::MaxBytes, settings.max_bytes, 1, u64::MAX);
        match (&settings.max_attempts, &settings.dead_letter) {
            (Some(_), None) => self.invalid(Field::MaxAttempts, Problem::Needs(Field::DeadLetter)),
            (None, Some(_)) => self.invalid(Field::DeadLetter, Problem::Needs(Field::MaxAttempts)),
            _ => {}
        }
        if let Some(dead_letter) = &settings.dead_letter {
            self.id(Field::DeadLetter, dead_letter);
            if **dead_letter == *queue.queue {
                self.invalid(Field::DeadLetter, Problem::SameQueue);
            }
        }
    }
}

/// Limits that a queue would break by being created.
pub(crate) fn no_room_for_queue(state: &State, name: &Name, limits: &Limits) -> Vec<Refusal> {
    if state.index(name).is_some() {
        return Vec::new();
    }
    let in_account = state
        .queues
        .iter()
        .filter(|queue| queue.name.account == name.account)
        .count();
    let counts = [
        (
            LimitName::AccountQueues,
            limits.max_account_queues,
            in_account,
        ),
        (LimitName::NodeQueues, limits.max_queues, state.queues.len()),
    ];
    counts
        .iter()
        .filter(|(_, maximum, count)| *count as u64 >= *maximum)
        .map(|(limit, maximum, _)| Refusal::Exhausted {
            limit: *limit,
            maximum: *maximum,
        })
        .collect()
}

/// Limits that the messages would break, all put together.
pub(crate) fn no_room(
    state: &State,
    name: &Name,
    messages: &[(Id, u64)],
    limits: &Limits,
) -> Vec<Refusal> {
    let mut refusals = no_room_for_queue(state, name, limits);
    let queue = state.index(name).map(|index| &state.queues[index]);
    let mut sizes: Vec<(&Id, u64)> = Vec::new();
    let (mut count, mut bytes) = (0, 0);
    // The last message of the batch with an id is the one that stays.
    for (at, (id, size)) in messages.iter().enumerate() {
        if messages[at + 1..].iter().any(|(later, _)| later.same(id)) {
            continue;
        }
        sizes.push((id, *size));
        count += 1;
        bytes += *size as i64;
    }
    let own = [count, bytes];
    for message in queue.iter().flat_map(|queue| &queue.messages) {
        if sizes.iter().any(|(id, _)| id.same(&message.id)) {
            count -= 1;
            bytes -= message.bytes() as i64;
        }
    }
    let settings = queue
        .and_then(|queue| queue.settings.clone())
        .unwrap_or_default();
    let of_queue =
        |maximum: Option<u64>, limit: u64| maximum.map_or(limit, |maximum| maximum.min(limit));
    let mut check = |names: [LimitName; 2], within: &dyn Fn(&Name) -> bool, maximum: [u64; 2]| {
        let held: Vec<_> = state
            .queues
            .iter()
            .filter(|queue| within(&queue.name))
            .collect();
        let messages: i64 = held.iter().map(|queue| queue.messages.len() as i64).sum();
        let held_bytes: i64 = held.iter().map(|queue| queue.bytes() as i64).sum();
        for (limit, maximum, held, more, own) in [
            (names[0], maximum[0], messages, count, own[0]),
            (names[1], maximum[1], held_bytes, bytes, own[1]),
        ] {
            if more > 0 && own as u64 > maximum {
                refusals.push(Refusal::TooLarge { limit, maximum });
            } else if more > 0 && (held + more) as u64 > maximum {
                refusals.push(Refusal::Exhausted { limit, maximum });
            }
        }
    };
    check(
        [LimitName::QueueMessages, LimitName::QueueBytes],
        &|other| other == name,
        [
            of_queue(settings.max_messages, limits.max_queue_messages),
            of_queue(settings.max_bytes, limits.max_queue_bytes),
        ],
    );
    check(
        [LimitName::AccountMessages, LimitName::AccountBytes],
        &|other| other.account == name.account,
        [limits.max_account_messages, limits.max_account_bytes],
    );
    check(
        [LimitName::NodeMessages, LimitName::NodeBytes],
        &|_| true,
        [limits.max_messages, limits.max_bytes],
    );
    refusals
}
