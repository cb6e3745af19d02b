use std::sync::atomic::Ordering;

use bytes::BufMut;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::NoTls;

use super::raw::Raw;
use super::{Duration, TestServer, code, soon};

#[tokio::test]
async fn cancel_stops_a_statement_that_waits_and_one_that_streams() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    for (statement, started) in [("hang", 1), ("forever", 2)] {
        let running = client.simple_query(statement);
        let cancel = async {
            server.engine.seen.wait(|seen| &seen.started, started).await;
            client.cancel_token().cancel_query(NoTls).await.unwrap();
        };
        let (result, ()) = soon(async { tokio::join!(running, cancel) }).await;
        assert_eq!(code(&result.unwrap_err()), "57014", "{statement}");
    }
    client.simple_query("numbers 1").await.unwrap();
    assert_eq!(server.server.metrics.cancels.get(), 2);
}

#[tokio::test]
async fn a_wrong_secret_cancels_nothing() {
    let server = TestServer::start().await;
    let (mut client, pid, secret) = Raw::log_in(server.address).await;
    assert_eq!(secret.len(), 4);
    client.query("hang").await;
    soon(server.engine.seen.wait(|seen| &seen.started, 1)).await;
    let cancel = async |pid: i32, secret: &[u8]| {
        let mut stranger = Raw::connect(server.address).await;
        stranger
            .send(|out| {
                out.put_u32(12 + secret.len() as u32);
                out.put_u32(80_877_102);
                out.put_i32(pid);
                out.put_slice(secret);
            })
            .await;
        // The answer is a closed connection, whatever the request was.
        let mut rest = Vec::new();
        stranger.stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
    };
    let wrong = [secret[0] ^ 1, secret[1], secret[2], secret[3]];
    soon(cancel(pid, &wrong)).await;
    soon(cancel(pid, &[])).await;
    soon(cancel(pid + 1, &secret)).await;
    assert_eq!(server.engine.seen.dropped.load(Ordering::SeqCst), 0);
    soon(cancel(pid, &secret)).await;
    assert_eq!(soon(client.answer()).await, "TE[57014]ZI");
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_query_with_it() {
    let server = TestServer::start().await;
    let seen = &server.engine.seen;
    // While nothing is written, and while the client does not read what is.
    for (index, statement) in ["hang", "forever"].into_iter().enumerate() {
        let (mut client, ..) = Raw::log_in(server.address).await;
        client.query(statement).await;
        let count = index as u64 + 1;
        soon(seen.wait(|seen| &seen.started, count)).await;
        drop(client);
        soon(seen.wait(|seen| &seen.dropped, count)).await;
        soon(seen.wait(|seen| &seen.closed, count)).await;
    }
}

#[tokio::test]
async fn it_is_noticed_behind_any_amount_of_pipelined_input() {
    let server = TestServer::start().await;
    let seen = &server.engine.seen;
    for (index, size) in [1_000, 200_000].into_iter().enumerate() {
        let (mut client, ..) = Raw::log_in(server.address).await;
        client.query("hang").await;
        client.query(&" ".repeat(size)).await;
        let count = index as u64 + 1;
        soon(seen.wait(|seen| &seen.started, count)).await;
        drop(client);
        soon(seen.wait(|seen| &seen.dropped, count)).await;
    }
}

#[tokio::test]
async fn a_slow_client_slows_its_query_and_nothing_grows() {
    let server = TestServer::start().await;
    let (mut client, ..) = Raw::log_in(server.address).await;
    client.query("numbers 100000000").await;
    let mut chunk = vec![0; 64 * 1024];
    let mut read = 0_u64;
    for _ in 0..200 {
        read += soon(client.stream.read(&mut chunk)).await.unwrap() as u64;
        // Every row takes twelve bytes at least. Between the engine and us are one batch, one buffer and
        // the kernel's.
        let made = server.engine.seen.rows.load(Ordering::SeqCst) * 12;
        assert!(made < read + 32 * 1024 * 1024, "{made} bytes made, {read} read");
    }
    let made = server.engine.seen.rows.load(Ordering::SeqCst);
    assert!(made < 100_000_000);
    // Cancelling works while the server is blocked by a client that does not read.
    drop(client);
    soon(server.engine.seen.wait(|seen| &seen.dropped, 1)).await;
}

#[tokio::test]
async fn rows_go_out_while_the_next_ones_are_made() {
    let server = TestServer::start().await;
    let (mut client, ..) = Raw::log_in(server.address).await;
    // The description of a result whose rows never come.
    client.query("hang").await;
    assert_eq!(soon(client.message()).await.unwrap().0, b'T');
}

#[tokio::test]
async fn at_the_end_idle_connections_close_and_statements_finish() {
    let server = TestServer::start().await;
    let (mut idle, ..) = Raw::log_in(server.address).await;
    let (mut busy, pid, secret) = Raw::log_in(server.address).await;
    busy.query("hang").await;
    soon(server.engine.seen.wait(|seen| &seen.started, 1)).await;
    server.stop.cancel();
    assert_eq!(soon(idle.answer()).await, "E[57P01]");
    // The listener is closed, so the statement is ended from inside.
    let drained = server.server.drain(super::SOON);
    let finish = async {
        assert!(server.server.connections.cancel(pid, &secret));
        busy.answer().await
    };
    let ((), answer) = soon(async { tokio::join!(drained, finish) }).await;
    assert_eq!(answer, "TE[57014]ZI");
    assert_eq!(soon(busy.answer()).await, "E[57P01]");
    assert_eq!(server.server.metrics.open.get(), 0);
}

#[tokio::test]
async fn after_the_grace_period_statements_are_ended() {
    let server = TestServer::start().await;
    let (mut busy, ..) = Raw::log_in(server.address).await;
    let (mut deaf, ..) = Raw::log_in(server.address).await;
    busy.query("hang").await;
    deaf.query("forever").await;
    soon(server.engine.seen.wait(|seen| &seen.started, 2)).await;
    server.stop.cancel();
    soon(server.server.drain(Duration::from_millis(10))).await;
    assert_eq!(soon(busy.answer()).await, "TE[57P01]");
    assert_eq!(server.engine.seen.closed.load(Ordering::SeqCst), 2);
    drop(deaf);
}

#[tokio::test]
async fn a_series_that_is_under_way_is_finished() {
    let server = TestServer::start().await;
    let (mut client, ..) = Raw::log_in(server.address).await;
    client
        .send(|out| {
            frontend::parse("", "numbers 1", [], out).unwrap();
            frontend::flush(out);
        })
        .await;
    assert_eq!(soon(client.message()).await.unwrap().0, b'1');
    server.stop.cancel();
    client
        .send(|out| {
            frontend::bind("", "", [], std::iter::empty::<()>(), |(), _| unreachable!(), [], out)
                .map_err(|_| "bind")
                .unwrap();
            frontend::execute("", 0, out).unwrap();
            frontend::sync(out);
        })
        .await;
    assert_eq!(soon(client.answer()).await, "2DCZI");
    assert_eq!(soon(client.answer()).await, "E[57P01]");
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).await.unwrap();
    client.stream.shutdown().await.unwrap();
}
