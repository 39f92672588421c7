//! `burrow proxy`.

use std::process::ExitCode;

use burrow::config::ProxySettings;
use burrow::proxy::Proxy;
use burrow::server;

use crate::running::{Open, RunError, runtime, stop_signal};
use crate::{FAILED, fail};

pub(crate) fn run(settings: &ProxySettings) -> ExitCode {
    match serve(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(FAILED, &error),
    }
}

fn serve(settings: &ProxySettings) -> Result<(), RunError> {
    let open = Open::new(&settings.server, &settings.connections)?;
    runtime(&settings.server)?.block_on(async {
        let stop = stop_signal()?;
        let proxy = Proxy::start(settings).await;
        let (up, all) = proxy.servers();
        open.first_line(&format!("{up} of {all} servers reached"))?;
        let connections = settings.connections.clone();
        let rest = settings.rest_config();
        server::serve(open.listeners, proxy.desk(), None, rest, connections, stop).await?;
        tracing::info!("stopped");
        Ok(())
    })
}
