//! Connections without encryption.

use hyper_util::client::legacy::connect::HttpConnector;

use crate::error::Error;

pub(crate) type Connector = HttpConnector;

/// Nobody's certificate is looked at.
#[derive(Clone, Debug, Default)]
pub struct Trust;

pub(super) fn connector(http: HttpConnector, _: &Trust) -> Result<Connector, Error> {
    Ok(http)
}
