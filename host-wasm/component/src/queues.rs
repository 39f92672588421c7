//! The exported interface `queues`.

use alloc::string::String;
use alloc::vec::Vec;

use burrow_core::{Command, Detail, Refusal, Reply};

use crate::Plugin;
use crate::bindings::burrow::queue::types as wit;
use crate::bindings::burrow::queue::types::Error;
use crate::bindings::exports::burrow::queue::queues::{Answer, Guest, Piece};
use crate::convert;
use crate::host::{self, Called, Form};

/// Carries out a command that does not wait.
fn ask(command: Command<'_>) -> Result<Reply, Error> {
    match host::with(|host| host.command(command, Form::Typed))? {
        Called::Done(reply) => reply.map_err(convert::refusal),
        Called::Waits(_) => Err(Error::OutcomeUnknown("it waits".into())),
    }
}

/// Carries out a command that may wait.
fn ask_waiting(command: Command<'_>) -> Result<Answer, Error> {
    match host::with(|host| host.command(command, Form::Typed))? {
        Called::Done(reply) => read_messages(reply).map(Answer::Done),
        Called::Waits(ticket) => Ok(Answer::Pending(ticket)),
    }
}

fn read_messages(reply: Result<Reply, Refusal>) -> Result<wit::Messages, Error> {
    match reply.map_err(convert::refusal)? {
        Reply::Messages(list) => Ok(convert::messages(&list)),
        other => Err(convert::unexpected(&other)),
    }
}

fn ask_names(command: Command<'_>) -> Result<wit::Names, Error> {
    match ask(command)? {
        Reply::Names(names) => Ok(convert::names(names)),
        other => Err(convert::unexpected(&other)),
    }
}

/// New times for one message.
fn update_one(
    queue: wit::QueueName,
    id: String,
    claim: Option<u64>,
    update: wit::Times,
) -> Result<(), Error> {
    let command = Command::UpdateMessage {
        queue: convert::queue(queue),
        id: id.into(),
        update: convert::update(update),
        claim: claim.map(convert::claim).transpose()?,
        detail: Detail::None,
    };
    ask(command).map(drop)
}

fn hide_for(hide_ms: u64) -> wit::Times {
    wit::Times {
        ttl_ms: None,
        hide_ms: Some(hide_ms),
    }
}

impl Guest for Plugin {
    fn put(queue: wit::QueueName, message: wit::NewMessage) -> Result<bool, Error> {
        let command = Command::Put {
            queue: convert::queue(queue),
            message: convert::new_message(message),
        };
        match ask(command)? {
            Reply::Put { created } => Ok(created),
            other => Err(convert::unexpected(&other)),
        }
    }

    fn put_batch(
        queue: wit::QueueName,
        messages: Vec<wit::NewMessage>,
    ) -> Result<Vec<String>, Error> {
        let command = Command::PutBatch {
            queue: convert::queue(queue),
            messages: messages.into_iter().map(convert::new_message).collect(),
        };
        match ask(command)? {
            Reply::PutBatch(ids) => Ok(ids.iter().map(Into::into).collect()),
            other => Err(convert::unexpected(&other)),
        }
    }

    fn claim(
        queue: wit::QueueName,
        selection: wit::Selection,
        hide_ms: u64,
        wait_ms: u64,
        detail: wit::Detail,
    ) -> Result<Answer, Error> {
        if hide_ms == 0 {
            return Err(Error::Invalid("hide is 0: that would be no claim".into()));
        }
        ask_waiting(Command::UpdateMessages {
            queue: convert::queue(queue),
            selection: convert::selection(selection),
            update: convert::update(hide_for(hide_ms)),
            wait_ms,
            detail: convert::detail(detail),
        })
    }

    fn extend(queue: wit::QueueName, id: String, claim: u64, hide_ms: u64) -> Result<(), Error> {
        update_one(queue, id, Some(claim), hide_for(hide_ms))
    }

    fn release(queue: wit::QueueName, id: String, claim: u64) -> Result<(), Error> {
        update_one(queue, id, Some(claim), hide_for(0))
    }

    fn ack(queue: wit::QueueName, id: String, claim: Option<u64>) -> Result<(), Error> {
        let command = Command::DeleteMessage {
            queue: convert::queue(queue),
            id: id.into(),
            claim: claim.map(convert::claim).transpose()?,
            detail: Detail::None,
        };
        ask(command).map(drop)
    }

    fn settle(
        queue: wit::QueueName,
        settlements: Vec<wit::Settlement>,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let settlements = settlements.into_iter().map(convert::settlement);
        let command = Command::Settle {
            queue: convert::queue(queue),
            settlements: settlements.collect::<Result<_, _>>()?,
        };
        match ask(command)? {
            Reply::Settled(results) => Ok(results
                .into_iter()
                .map(|result| result.map_err(convert::refusal))
                .collect()),
            other => Err(convert::unexpected(&other)),
        }
    }

    fn pop(
        queue: wit::QueueName,
        selection: wit::Selection,
        wait_ms: u64,
        detail: wit::Detail,
    ) -> Result<Answer, Error> {
        ask_waiting(Command::DeleteMessages {
            queue: convert::queue(queue),
            selection: convert::selection(selection),
            wait_ms,
            detail: convert::detail(detail),
        })
    }

    fn list(
        queue: wit::QueueName,
        selection: wit::Selection,
        wait_ms: u64,
        detail: wit::Detail,
    ) -> Result<Answer, Error> {
        ask_waiting(Command::ListMessages {
            queue: convert::queue(queue),
            selection: convert::selection(selection),
            wait_ms,
            detail: convert::detail(detail),
        })
    }

    fn get(queue: wit::QueueName, id: String, detail: wit::Detail) -> Result<wit::Messages, Error> {
        let reply = ask(Command::GetMessage {
            queue: convert::queue(queue),
            id: id.into(),
            detail: convert::detail(detail),
        })?;
        read_messages(Ok(reply))
    }

    fn update(
        queue: wit::QueueName,
        id: String,
        claim: Option<u64>,
        update: wit::Times,
    ) -> Result<(), Error> {
        update_one(queue, id, claim, update)
    }

    fn get_settings(queue: wit::QueueName) -> Result<wit::Settings, Error> {
        let queue = convert::queue(queue);
        match ask(Command::GetSettings { queue })? {
            Reply::Settings(settings) => Ok(convert::settings_told(settings)),
            other => Err(convert::unexpected(&other)),
        }
    }

    fn put_settings(queue: wit::QueueName, settings: wit::Settings) -> Result<(), Error> {
        let command = Command::PutSettings {
            queue: convert::queue(queue),
            settings: convert::settings(settings),
        };
        ask(command).map(drop)
    }

    fn clear_settings(queue: wit::QueueName) -> Result<(), Error> {
        let queue = convert::queue(queue);
        ask(Command::ClearSettings { queue }).map(drop)
    }

    fn list_accounts(page: wit::Page) -> Result<wit::Names, Error> {
        let page = convert::page(page);
        ask_names(Command::ListAccounts { page })
    }

    fn delete_accounts(page: wit::Page) -> Result<wit::Names, Error> {
        let page = convert::page(page);
        ask_names(Command::DeleteAccounts { page })
    }

    fn list_queues(account: String, page: wit::Page) -> Result<wit::Names, Error> {
        ask_names(Command::ListQueues {
            account: account.into(),
            page: convert::page(page),
        })
    }

    fn delete_queues(account: String, page: wit::Page) -> Result<wit::Names, Error> {
        ask_names(Command::DeleteQueues {
            account: account.into(),
            page: convert::page(page),
        })
    }

    fn export_piece(
        queue: wit::QueueName,
        after: Option<u64>,
        max_bytes: u64,
    ) -> Result<Piece, Error> {
        let command = Command::Export {
            queue: convert::queue(queue),
            after,
            max_bytes,
        };
        match ask(command)? {
            Reply::Exported { piece, next } => Ok(Piece { bytes: piece, next }),
            other => Err(convert::unexpected(&other)),
        }
    }

    fn import_piece(queue: wit::QueueName, bytes: Vec<u8>) -> Result<u64, Error> {
        let command = Command::Import {
            queue: convert::queue(queue),
            piece: bytes.into(),
        };
        match ask(command)? {
            Reply::Imported { messages } => Ok(messages),
            other => Err(convert::unexpected(&other)),
        }
    }
}
