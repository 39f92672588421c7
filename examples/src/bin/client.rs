//! The client: the same calls on a server, by any of its protocols, and on a data folder
//! without a server.
//!
//! `cargo run -p burrow-examples --bin client -- http://127.0.0.1:8080`, `-- burrow://127.0.0.1:8081`
//! or `-- some-folder`

use std::path::Path;
use std::time::Duration;

use burrow::embedded::Embedded;
use burrow_client::{Claiming, Client, Error, Put};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = std::env::args()
        .nth(1)
        .unwrap_or("http://127.0.0.1:8080".into());
    if place.contains("://") {
        let client = Client::builder()
            .server(&place)?
            // For each call with all its tries, beside the time that it asks to wait.
            .deadline(Duration::from_secs(10))
            .max_in_flight(64)
            .on_first_failure(|error, left| eprintln!("{error}; trying again for {left:.0?}"))
            .build()?;
        return Ok(work(&client).await?);
    }
    let embedded = Embedded::open(Path::new(&place))?;
    let outcome = work(&embedded.client()?).await;
    embedded.stop().await;
    Ok(outcome?)
}

async fn work(client: &Client) -> Result<(), Error> {
    let jobs = client.queue("shop", "jobs");
    let bodies = ["print the label", "pack the parcel", "call the courier"];
    // Tried again after any failure: each has an id by which the server knows it.
    for body in bodies {
        let put = Put::new(body).ttl(Duration::from_secs(24 * 3600));
        jobs.put(put).await?;
    }
    println!("{} to do", jobs.stats().await?.visible);

    // Two are claimed ahead at the most; all that are held are extended until they are
    // acknowledged, released or dropped, however long the work takes.
    let mut stream = jobs.claim_stream(Claiming {
        batch: 2,
        hide: Duration::from_secs(10),
        ..Claiming::default()
    });
    for _ in bodies {
        let Some(claimed) = stream.next().await else {
            break;
        };
        let claimed = claimed?;
        tokio::select! {
            () = take_time() => {}
            // Somebody else has it by now: what was done here must not count.
            () = claimed.lost() => continue,
        }
        println!("did {}", String::from_utf8_lossy(&claimed.message().body));
        claimed.ack().await?;
    }
    Ok(())
}

async fn take_time() {
    tokio::task::yield_now().await;
}
