use bytes::BufMut;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::raw::{Raw, sqlstate};
use super::{Duration, TestServer, code, soon};

#[tokio::test]
async fn the_right_password_opens_a_session_as_that_user() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    client.simple_query("numbers 1").await.unwrap();
    let seen = server.engine.seen.principals.lock().clone();
    assert_eq!(seen, [("alice".to_owned(), "test".to_owned())]);
    assert_eq!(server.server.metrics.open.get(), 1);
    assert_eq!(server.server.metrics.rows.get(), 1);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_look_alike() {
    let server = TestServer::start().await;
    for user in ["alice", "mallory"] {
        let error = server.connect_as(server.config().user(user).password("wrong")).await.unwrap_err();
        assert_eq!(code(&error), "28P01");
        let message = error.as_db_error().unwrap().message().to_owned();
        assert_eq!(message, format!("password authentication failed for user \"{user}\""));
    }
    assert_eq!(server.server.metrics.auth_failures.get(), 2);
    let refused = server.engine.seen.refused.lock().clone();
    let expected = ["alice", "mallory"]
        .map(|user| (user.to_owned(), lakeward_scheduler::error::SqlState::InvalidPassword));
    assert_eq!(refused, expected);
}

#[tokio::test]
async fn closed_accounts_are_told_so_only_with_their_password() {
    let server = TestServer::start().await;
    for user in ["bob", "carol"] {
        let error = server.connect_as(server.config().user(user)).await.unwrap_err();
        assert_eq!(code(&error), "28000", "{user}");
        let error = server.connect_as(server.config().user(user).password("wrong")).await.unwrap_err();
        assert_eq!(code(&error), "28P01", "{user}");
    }
}

#[tokio::test]
async fn there_is_one_database() {
    let server = TestServer::start().await;
    let error = server.connect_as(server.config().dbname("other")).await.unwrap_err();
    assert_eq!(code(&error), "3D000");
    server.connect_as(server.config().dbname("alice")).await.unwrap();
}

#[tokio::test]
async fn one_client_too_many_is_turned_away() {
    let server = TestServer::start_with(|options| options.max_connections = 1).await;
    let first = server.connect().await;
    let error = server.connect_as(&server.config()).await.unwrap_err();
    assert_eq!(code(&error), "53300");
    drop(first);
    soon(server.engine.seen.wait(|seen| &seen.closed, 1)).await;
    // The place is given back with the session.
    soon(async {
        while server.connect_as(&server.config()).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn start_up_settings_go_through_set() {
    let server = TestServer::start().await;
    let config = server.config().options("-c statement_timeout=5s -c search_path=silver,gold").clone();
    server.connect_as(&config).await.unwrap();
    let statements = server.engine.seen.statements.lock().clone();
    assert_eq!(statements, ["SET statement_timeout TO '5s'", "SET search_path TO 'silver', 'gold'",]);
}

#[tokio::test]
async fn silence_is_not_waited_for() {
    let server = TestServer::start_with(|options| options.auth_timeout = Duration::from_millis(50)).await;
    let mut client = Raw::connect(server.address).await;
    assert!(soon(client.message()).await.is_none());
}

#[tokio::test]
async fn strangers_send_short_packets_only() {
    let server = TestServer::start().await;
    let mut client = Raw::connect(server.address).await;
    client
        .send(|out| {
            out.put_u32(1_000_000_000);
            out.put_u32(0x0003_0000);
        })
        .await;
    let (kind, body) = soon(client.message()).await.unwrap();
    assert_eq!((kind, sqlstate(&body).as_str()), (b'E', "08P01"));
    assert!(client.message().await.is_none());

    let mut client = Raw::connect(server.address).await;
    client.send(|out| frontend::startup_message([("user", "alice")], out).unwrap()).await;
    assert_eq!(soon(client.message()).await.unwrap().0, b'R');
    client
        .send(|out| {
            out.put_u8(b'p');
            out.put_u32(20_000);
        })
        .await;
    assert_eq!(sqlstate(&soon(client.message()).await.unwrap().1), "08P01");
}

#[tokio::test]
async fn other_protocols_are_refused_and_newer_ones_negotiated() {
    let server = TestServer::start().await;
    let mut client = Raw::connect(server.address).await;
    client
        .send(|out| {
            out.put_u32(8);
            out.put_u32(0x0002_0000);
        })
        .await;
    assert_eq!(sqlstate(&soon(client.message()).await.unwrap().1), "0A000");

    let mut client = Raw::connect(server.address).await;
    let body = b"user\0alice\0_pq_.shiny\0on\0\0";
    client
        .send(|out| {
            out.put_u32(8 + body.len() as u32);
            out.put_u32(0x0003_270f);
            out.put_slice(body);
        })
        .await;
    let (kind, body) = soon(client.message()).await.unwrap();
    assert_eq!(kind, b'v');
    assert_eq!(body[..], b"\x00\x03\x00\x02\x00\x00\x00\x01_pq_.shiny\0"[..]);
    assert_eq!(soon(client.message()).await.unwrap().0, b'R');
}

#[tokio::test]
async fn nonsense_instead_of_a_start_up_packet_ends_the_connection() {
    let server = TestServer::start().await;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 64], &[0xff; 64], b"\x16\x03\x01\x02\x00\x01"] {
        let mut client = Raw::connect(server.address).await;
        client.stream.write_all(bytes).await.unwrap();
        client.stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        // An answer or a reset, but an end.
        let _ = soon(client.stream.read_to_end(&mut rest)).await;
    }
    server.connect().await;
}
