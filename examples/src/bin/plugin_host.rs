//! A host that gives each of its tenants a queue of its own, as a plugin in wasmtime: with
//! its own storage, and limits on memory and time. One tenant asks for too much; the others
//! do not notice.
//!
//! `cargo run -p burrow-examples --bin plugin_host -- burrow.wasm FOLDER`

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

use burrow_embed::{
    Handled, Limits, NodeLimits, Options, Plugin, Queue, QueueConfig, Request, Response,
    SqliteStorage,
};

/// The tenants, and the memory that each pays for.
const TENANTS: [(&str, usize); 3] = [("ada", 64 << 20), ("bob", 64 << 20), ("mallory", 8 << 20)];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(component), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: plugin_host burrow.wasm FOLDER".into());
    };
    // Compiled once, for all tenants.
    let plugin = Plugin::compile(&std::fs::read(component)?, &Options::default())?;
    let mut tenants = BTreeMap::new();
    for (name, memory_bytes) in TENANTS {
        let queue = open(&plugin, &Path::new(&folder).join(name), memory_bytes)?;
        println!("{name}: {} messages", queue.opened().messages);
        tenants.insert(name, queue);
    }

    for (tenant, method, target, body) in [
        ("ada", "PUT", "/v1.0/shop/jobs/1", "pack the parcel"),
        ("bob", "PUT", "/v1.0/shop/jobs/1", "print the label"),
        ("mallory", "PUT", "/v1.0/shop/jobs/1", "be good"),
    ] {
        exchange(&mut tenants, tenant, method, target, body.into());
    }
    // More than mallory's instance has room for: it ends, and nothing that was answered is lost.
    for number in 2..30 {
        let target = format!("/v1.0/shop/jobs/{number}");
        if exchange(&mut tenants, "mallory", "PUT", &target, vec![b'x'; 400_000]) != 201 {
            break;
        }
    }
    for tenant in ["ada", "bob", "mallory"] {
        exchange(
            &mut tenants,
            tenant,
            "GET",
            "/v1.0/shop/jobs/1?detail=body",
            Vec::new(),
        );
    }
    for (tenant, queue) in &tenants {
        println!("{tenant}: {} instances", queue.lives());
    }
    Ok(())
}

fn open(plugin: &Plugin, folder: &Path, memory_bytes: usize) -> Result<Queue, Box<dyn Error>> {
    let config = QueueConfig {
        limits: Limits {
            memory_bytes,
            call_time: Duration::from_secs(1),
            ..Limits::default()
        },
        // Left out, the queue refuses in good time what does not fit.
        node: NodeLimits {
            max_bytes: Some(1 << 40),
            ..NodeLimits::default()
        },
        default_ttl_ms: Some(0),
        ..QueueConfig::default()
    };
    Ok(plugin.instantiate(SqliteStorage::open(folder)?, config)?)
}

/// What a server would do with a request of one of its tenants.
fn exchange(
    tenants: &mut BTreeMap<&str, Queue>,
    tenant: &str,
    method: &str,
    target: &str,
    body: Vec<u8>,
) -> u16 {
    let request = Request {
        method: method.into(),
        target: target.into(),
        headers: Vec::new(),
        body,
    };
    let response = match tenants.get_mut(tenant).map(|queue| queue.handle(&request)) {
        Some(Ok(Handled::Response(response))) => response,
        // A server would keep the connection until the ticket is completed.
        Some(Ok(Handled::Pending(_))) | None => return 0,
        Some(Err(error)) => {
            println!("{tenant}: {error}");
            error.response()
        }
    };
    show(tenant, method, target, &response);
    response.status
}

fn show(tenant: &str, method: &str, target: &str, response: &Response) {
    let body = String::from_utf8_lossy(&response.body);
    println!("{tenant}: {method} {target} {} {body}", response.status);
}
