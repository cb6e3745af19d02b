#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use super::signals::Requests;
use super::{Addresses, Service};
use crate::config::Config;
use crate::demo::{self, DemoOptions};

const DEADLINE: Duration = Duration::from_secs(30);

struct Running {
    lake: tempfile::TempDir,
    addresses: Addresses,
    requests: Requests,
    task: JoinHandle<anyhow::Result<()>>,
}

fn config(directory: &Path) -> Config {
    let variables = [
        ("LAKEWARD_LISTEN__POSTGRES", "127.0.0.1:0"),
        ("LAKEWARD_LISTEN__HTTP", "127.0.0.1:0"),
        ("LAKEWARD_SHUTDOWN__GRACE_PERIOD", "1s"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Config::load_with(&directory.join("lakeward.yaml"), variables.into_iter()).unwrap()
}

async fn start() -> Running {
    let lake = tempfile::tempdir().unwrap();
    let directory = lake.path().join("lake");
    demo::create(DemoOptions { patients: 200, ..DemoOptions::new(&directory) }).await.unwrap();
    let requests = Requests::default();
    let service = Service::start(config(&directory), Arc::clone(&requests.reload)).await.unwrap();
    let addresses = service.addresses().clone();
    let told = requests.clone();
    let task = tokio::spawn(async move { service.run(&told).await });
    Running { lake, addresses, requests, task }
}

impl Running {
    async fn connect(&self, user: &str) -> Result<Client, tokio_postgres::Error> {
        let url = format!("postgresql://{user}:{user}-demo@{}/lakeward", self.addresses.postgres);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.addresses.http.unwrap()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn metric(&self, name: &str) -> f64 {
        let answer = self.get("/metrics").await;
        let line = answer.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.rsplit(' ').next().unwrap().parse().unwrap_or(f64::NAN)
    }

    /// Until a metric has a value; bounded by the deadline of the test.
    async fn until(&self, metric: &str, value: f64) {
        let reached = async {
            while self.metric(metric).await != value {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, reached).await.unwrap();
    }

    async fn stop(self) {
        self.requests.drain.cancel();
        tokio::time::timeout(DEADLINE, self.task).await.unwrap().unwrap().unwrap();
    }
}

async fn count(client: &Client) -> i64 {
    client.query_one("SELECT count(*) FROM silver.patients", &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_reloads_and_ends_well() {
    let service = start().await;
    assert!(service.get("/readyz").await.starts_with("HTTP/1.1 200"));
    let alice = service.connect("alice").await.unwrap();
    let own = count(&alice).await;
    assert_eq!(count(&service.connect("stella").await.unwrap()).await, 200);
    assert!(own > 0 && own < 200, "{own}");

    // A wrong policy file changes nothing but the metric.
    let policies = service.lake.path().join("lake/policies.yaml");
    let good = std::fs::read_to_string(&policies).unwrap();
    std::fs::write(&policies, format!("{good}\nno_such_key: 1\n")).unwrap();
    service.requests.reload.notify_one();
    service.until("lakeward_reload_failures_total{what=\"policies\"}", 1.0).await;
    assert_eq!(count(&alice).await, own);
    assert_eq!(service.metric("lakeward_policy_epoch").await, 1.0);

    // A right one holds for open connections.
    let closed = good.replace("tenant_id = principal.tenant", "tenant_id = 'nobody'");
    assert_ne!(closed, good);
    std::fs::write(&policies, closed).unwrap();
    service.requests.reload.notify_one();
    service.until("lakeward_policy_epoch", 2.0).await;
    assert_eq!(count(&alice).await, 0);

    service.stop().await;
    assert!(alice.query("SELECT 1", &[]).await.is_err(), "an idle connection ends with the service");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_gives_no_more_rows_once_the_policies_changed() {
    let service = start().await;
    let mut alice = service.connect("alice").await.unwrap();
    let own = count(&alice).await;
    assert!(own > 20, "{own}");
    let transaction = alice.transaction().await.unwrap();
    let portal = transaction.bind("SELECT patient_id FROM silver.patients", &[]).await.unwrap();
    assert_eq!(transaction.query_portal(&portal, 5).await.unwrap().len(), 5);
    assert_eq!(transaction.query_portal(&portal, 5).await.unwrap().len(), 5);

    let policies = service.lake.path().join("lake/policies.yaml");
    let text = std::fs::read_to_string(&policies).unwrap();
    std::fs::write(&policies, text.replace("tenant_id = principal.tenant", "tenant_id = 'nobody'")).unwrap();
    service.requests.reload.notify_one();
    service.until("lakeward_policy_epoch", 2.0).await;
    // The rows that follow were read already, and wait in the service.
    let error = transaction.query_portal(&portal, 5).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "57014", "{error:?}");
    drop(transaction);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_too_long_ends_with_57p01() {
    let service = start().await;
    let client = service.connect("stella").await.unwrap();
    let endless = tokio::spawn(async move {
        client
            .query_one(
                "SELECT count(*) FROM silver.patients a, silver.patients b, silver.patients c, silver.patients d, \
                 silver.patients e WHERE a.birth_date < b.birth_date AND c.birth_date < d.birth_date \
                 AND d.birth_date < e.birth_date",
                &[],
            )
            .await
    });
    let watcher = service.connect("oscar").await.unwrap();
    let running = async {
        let sql = "SELECT count(*) FROM system.queries WHERE user_name = 'stella' AND state = 'running'";
        while watcher.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, running).await.unwrap();
    service.stop().await;
    let error = endless.await.unwrap().unwrap_err();
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("57P01"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_service_is_told_which_port_is_taken() {
    let service = start().await;
    let mut second = config(&service.lake.path().join("lake"));
    second.listen.postgres.address = service.addresses.postgres;
    let error = Service::start(second, Arc::default()).await.unwrap_err().to_string();
    assert!(error.contains("the port is in use") && error.contains("`listen.postgres`"), "{error}");
    service.stop().await;
}
