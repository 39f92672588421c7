//! The servers of a client.

use std::sync::Arc;

use burrow_core::QueueName;

use crate::error::Error;
use crate::placement::{self, MAX_WEIGHT, Spec};
use crate::rest::{Rest, Trust};
use crate::transport::Transport;
use crate::wire::Wire;

/// One server, by the name that is hashed.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) weight: u32,
    pub(crate) transport: Arc<dyn Transport>,
}

impl Server {
    /// Reads `[NAME=]URL[@WEIGHT]`.
    pub(crate) fn read(text: &str, trust: &Trust) -> Result<Self, Error> {
        let spec = Spec::read(text).ok_or_else(|| {
            let text = format!(
                "{text}: before a server's URL there may be a name and =, behind it @ and a \
                 weight from 1 to {MAX_WEIGHT}"
            );
            Error::Invalid(text)
        })?;
        let (own_name, transport): (String, Arc<dyn Transport>) = if Wire::is_meant(spec.address) {
            let wire = Wire::new(spec.address)?;
            (wire.placed_name(), Arc::new(wire))
        } else if !is_http(spec.address) {
            let text = format!(
                "{text}: a server is given as http://HOST:PORT or https://HOST:PORT, or by the wire \
                 protocol as burrow://HOST:PORT or burrow+unix:///PATH"
            );
            return Err(Error::Invalid(text));
        } else {
            let rest = Rest::trusting(spec.address, trust)?;
            let url = spec.address.trim_end_matches('/').to_owned();
            (url, Arc::new(rest))
        };
        Ok(Self {
            name: spec.name.map_or(own_name, str::to_owned),
            weight: spec.weight,
            transport,
        })
    }
}

fn is_http(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        ["http", "https"]
            .iter()
            .any(|own| scheme.eq_ignore_ascii_case(own))
    })
}

/// The first `count` servers of a queue, the one that it lives on before those that stand
/// in for it.
pub(crate) fn preference<'a>(
    servers: &'a [Server],
    queue: &QueueName<'_>,
    count: usize,
) -> Vec<&'a Server> {
    if let [only] = servers {
        return vec![only];
    }
    let placed = servers.iter().map(|server| (&*server.name, server.weight));
    let order = placement::preference(placed, &[&queue.account, &queue.queue]);
    let order = order.into_iter().take(count);
    order.filter_map(|place| servers.get(place)).collect()
}
