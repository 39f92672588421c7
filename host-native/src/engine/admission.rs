//! Which commands are taken while nothing can be stored.

use burrow_core::Command;

/// True if the command can change anything, or is a change by its meaning.
pub(super) fn is_change(command: &Command<'_>) -> bool {
    match command {
        Command::ListAccounts { .. }
        | Command::ListQueues { .. }
        | Command::ListMessages { .. }
        | Command::GetMessage { .. }
        | Command::GetSettings { .. }
        | Command::Export { .. } => false,
        Command::DeleteAccounts { .. }
        | Command::DeleteQueues { .. }
        | Command::UpdateMessages { .. }
        | Command::DeleteMessages { .. }
        | Command::Put { .. }
        | Command::PutBatch { .. }
        | Command::UpdateMessage { .. }
        | Command::DeleteMessage { .. }
        | Command::Settle { .. }
        | Command::PutSettings { .. }
        | Command::ClearSettings { .. }
        | Command::Import { .. } => true,
    }
}
