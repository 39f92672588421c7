//! Which of several servers holds a queue: rendezvous hashing.
//!
//! Each server has a score for each queue, the hash of both; a queue's servers are those
//! with the highest scores. A further server takes its share from all, and nothing else moves.

use std::cmp::Reverse;
use std::sync::Arc;

use burrow_core::QueueName;
use xxhash_rust::xxh3::xxh3_64;

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
    order.sort_by_cached_key(|server| Reverse(score(&server.name, queue)));
    order.truncate(count);
    order
}

/// The hash of server, account and queue, each behind its length.
fn score(server: &str, queue: &QueueName<'_>) -> u64 {
    let mut bytes = Vec::new();
    for part in [server, &queue.account, &queue.queue] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Calling;
    use burrow_core::Command;

    #[derive(Debug)]
    struct Nowhere;

    impl Transport for Nowhere {
        fn call<'a>(&'a self, _: &'a Command<'a>) -> Calling<'a> {
            unreachable!("nobody calls")
        }
    }

    fn servers(count: usize) -> Vec<Server> {
        (0..count)
            .map(|number| Server {
                name: format!("http://10.0.0.{number}:8080"),
                transport: Arc::new(Nowhere),
            })
            .collect()
    }

    #[test]
    fn a_further_server_takes_its_share_and_nothing_else_moves() {
        let (few, more) = (servers(4), servers(5));
        let mut moved = 0;
        for number in 0..1000 {
            let queue = QueueName {
                account: "a".into(),
                queue: number.to_string().into(),
            };
            let before = preference(&few, &queue, 1)[0].name.clone();
            let after = preference(&more, &queue, 1)[0].name.clone();
            if before != after {
                assert_eq!(after, more[4].name);
                moved += 1;
            }
        }
        assert!((150..250).contains(&moved), "{moved} of 1000");
    }
}
