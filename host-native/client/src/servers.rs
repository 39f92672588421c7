//! The servers of a client.

use std::cmp::Reverse;
use std::sync::Arc;

use burrow_core::QueueName;

use crate::placement::score;
use crate::transport::Transport;

/// One server, by the name that is hashed.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) transport: Arc<dyn Transport>,
}

/// The first `count` servers of a queue, the one that it lives on before those that stand
/// in for it.
pub(crate) fn preference<'a>(
    servers: &'a [Server],
    queue: &QueueName<'_>,
    count: usize,
) -> Vec<&'a Server> {
    let mut order: Vec<&Server> = servers.iter().collect();
    let parts = [&*queue.account, &*queue.queue];
    order.sort_by_cached_key(|server| Reverse(score(&server.name, 1, &parts)));
    order.truncate(count);
    order
}
