//! Connections that may be encrypted, and whose certificates they trust.

use std::sync::Arc;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;

pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// Who must have signed the certificate of a server behind `https://`: the authorities that
/// browsers trust, unless told.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    only: Option<Arc<RootCertStore>>,
}

impl Trust {
    /// Trusts these certificates, in PEM, and no others.
    ///
    /// # Errors
    /// `Invalid` if one of them cannot be read, or there is none.
    pub fn only(pem: &[u8]) -> Result<Self, Error> {
        let bad = |reason: &dyn std::fmt::Display| {
            Error::Invalid(format!("not certificates in PEM: {reason}"))
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| bad(&error))?;
            roots.add(certificate).map_err(|error| bad(&error))?;
        }
        if roots.is_empty() {
            return Err(bad(&"there is none"));
        }
        Ok(Self {
            only: Some(Arc::new(roots)),
        })
    }
}

pub(super) fn connector(mut http: HttpConnector, trust: &Trust) -> Result<Connector, Error> {
    http.enforce_http(false);
    let builder = HttpsConnectorBuilder::new();
    let builder = match &trust.only {
        None => builder.with_webpki_roots(),
        Some(roots) => {
            let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| Error::Invalid(error.to_string()))?;
            let config = config.with_root_certificates(Arc::clone(roots));
            builder.with_tls_config(config.with_no_client_auth())
        }
    };
    Ok(builder.https_or_http().enable_http1().wrap_connector(http))
}
