//! Servers that do less than a queue, each on one thread: what the layers below it cost.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::put;
use clap::ValueEnum;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bare {
    /// What comes in goes out.
    Echo,
    /// hyper, which reads the body and answers an empty 201.
    Hyper,
    /// The same through axum's router.
    Axum,
}

/// Serves until the process is killed; the first line on standard output is the address.
pub fn serve(kind: Bare) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        println!("{}", listener.local_addr()?);
        let router = Router::new().route("/v1.0/{account}/{queue}/{id}", put(created));
        loop {
            let (stream, _) = listener.accept().await?;
            let _ = stream.set_nodelay(true);
            match kind {
                Bare::Echo => tokio::spawn(echo(stream)),
                Bare::Hyper => tokio::spawn(hyper_alone(stream)),
                Bare::Axum => tokio::spawn(through_axum(stream, router.clone())),
            };
        }
    })
}

/// Until the client goes away, which is no error; so with the others.
async fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count) = stream.read(&mut buffer).await {
        if count == 0 || stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.pipeline_flush(true);
    http
}

async fn hyper_alone(stream: TcpStream) {
    let service = service_fn(|request: Request<Incoming>| async {
        let _ = request.into_body().collect().await;
        let mut response = Response::new(Empty::<Bytes>::new());
        *response.status_mut() = StatusCode::CREATED;
        Ok::<_, Infallible>(response)
    });
    let _ = http().serve_connection(TokioIo::new(stream), service).await;
}

async fn through_axum(stream: TcpStream, router: Router) {
    let service = TowerToHyperService::new(router);
    let _ = http().serve_connection(TokioIo::new(stream), service).await;
}

async fn created(_: Bytes) -> StatusCode {
    StatusCode::CREATED
}
