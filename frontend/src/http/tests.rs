#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::{IntCounter, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{HttpOptions, HttpServer, Readiness};

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn start(readiness: Arc<Readiness>, metrics: Registry, options: HttpOptions) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(HttpServer::new(readiness, metrics, None, options).serve(listener, stop.clone()));
    Running { address, stop, task }
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses may close before it has read everything.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn readiness_says_why_not() {
    let readiness = Arc::new(Readiness::blocked_by(&["starting"]));
    let writable = Arc::new(AtomicBool::new(false));
    let probe = Arc::clone(&writable);
    readiness.probe("audit_not_writable", move || probe.load(Ordering::Relaxed));
    let server = start(Arc::clone(&readiness), Registry::new(), HttpOptions::default()).await;

    assert!(get(server.address, "/healthz").await.starts_with("HTTP/1.1 200"));
    let answer = get(server.address, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains(r#"{"ready":false,"reasons":["audit_not_writable","starting"]}"#), "{answer}");

    readiness.clear("starting");
    writable.store(true, Ordering::Relaxed);
    assert!(get(server.address, "/readyz").await.starts_with("HTTP/1.1 200"));

    readiness.block("draining");
    assert!(get(server.address, "/readyz").await.contains(r#"["draining"]"#));
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let registry = Registry::new();
    let counter = IntCounter::new("lakeward_things_total", "Things").unwrap();
    registry.register(Box::new(counter.clone())).unwrap();
    counter.inc_by(3);
    let server = start(Arc::default(), registry, HttpOptions::default()).await;
    let answer = get(server.address, "/metrics").await;
    assert!(answer.contains("text/plain; version=0.0.4"), "{answer}");
    assert!(answer.contains("\nlakeward_things_total 3\n"), "{answer}");
}

#[tokio::test]
async fn nothing_else_is_served() {
    let server = start(Arc::default(), Registry::new(), HttpOptions::default()).await;
    assert!(get(server.address, "/").await.starts_with("HTTP/1.1 404"));
    let answer = exchange(
        server.address,
        "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100_000));
    let answer = exchange(server.address, &long).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn a_silent_client_is_let_go() {
    let options = HttpOptions { idle_timeout: Duration::from_millis(50), ..HttpOptions::default() };
    let server = start(Arc::default(), Registry::new(), options).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /healthz HT").await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection must end by itself");
}

#[tokio::test]
async fn stopping_closes_idle_connections() {
    let server = start(Arc::default(), Registry::new(), HttpOptions::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    server.stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), server.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
