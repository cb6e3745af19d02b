use std::sync::atomic::Ordering;

use bytes::{BufMut, BytesMut};
use futures::TryStreamExt;
use postgres_protocol::message::frontend;
use rand::{Rng, RngCore, SeedableRng};
use tokio::io::AsyncWriteExt;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

use super::raw::Raw;
use super::{TestServer, code, soon};

#[tokio::test]
async fn several_statements_in_one_message() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let messages = client.simple_query("numbers 2; SET x TO 1; numbers 1").await.unwrap();
    let rows: Vec<String> = messages
        .iter()
        .map(|message| match message {
            SimpleQueryMessage::Row(row) => format!("row {}", row.get(0).unwrap()),
            SimpleQueryMessage::CommandComplete(count) => format!("done {count}"),
            SimpleQueryMessage::RowDescription(columns) => format!("column {}", columns[0].name()),
            _ => "other".to_owned(),
        })
        .collect();
    assert_eq!(rows, ["column n", "row 0", "row 1", "done 2", "done 0", "column n", "row 0", "done 1"]);
}

#[tokio::test]
async fn after_an_error_the_rest_of_the_message_is_skipped() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let error = client.simple_query("numbers 1; divide; numbers 5").await.unwrap_err();
    assert_eq!(code(&error), "22012");
    assert_eq!(server.engine.seen.rows.load(Ordering::SeqCst), 1);
    let error = client.simple_query("syntax").await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "42601");
    assert_eq!(error.hint(), Some("Try harder."));
    assert_eq!(error.position(), Some(&tokio_postgres::error::ErrorPosition::Original(7)));
    // An error in the middle of the rows is one, too.
    assert_eq!(code(&client.simple_query("broken").await.unwrap_err()), "58030");
    client.simple_query("numbers 1").await.unwrap();
}

#[tokio::test]
async fn the_messages_of_the_simple_protocol() {
    let server = TestServer::start().await;
    let (mut client, ..) = Raw::log_in(server.address).await;
    for (sql, expected) in [
        ("", "IZI"),
        ("numbers 2", "TDDCZI"),
        ("SET x TO 1", "NSCZI"),
        ("begin", "CZT"),
        ("divide", "E[22012]ZE"),
        ("rollback", "CZI"),
        ("echo text", "E[42P02]ZI"),
    ] {
        client.query(sql).await;
        assert_eq!(soon(client.answer()).await, expected, "{sql}");
    }
}

/// Sends messages and a Sync; gives the answer.
async fn series(client: &mut Raw, write: impl FnOnce(&mut BytesMut)) -> String {
    client
        .send(|out| {
            write(out);
            frontend::sync(out);
        })
        .await;
    soon(client.answer()).await
}

#[tokio::test]
async fn the_messages_of_the_extended_protocol() {
    let server = TestServer::start().await;
    let (mut client, ..) = Raw::log_in(server.address).await;
    let parse = |name: &str, sql: &str, out: &mut BytesMut| frontend::parse(name, sql, [], out).unwrap();
    let bind = |portal: &str, name: &str, out: &mut BytesMut| {
        frontend::bind(portal, name, [], std::iter::empty::<()>(), |(), _| unreachable!(), [], out)
            .map_err(|_| "bind")
            .unwrap();
    };
    let answer = series(&mut client, |out| {
        parse("s", "numbers 5", out);
        frontend::describe(b'S', "s", out).unwrap();
        bind("p", "s", out);
        frontend::describe(b'P', "p", out).unwrap();
        frontend::execute("p", 2, out).unwrap();
        frontend::execute("p", 2, out).unwrap();
        frontend::execute("p", 0, out).unwrap();
        frontend::execute("p", 0, out).unwrap();
        frontend::close(b'P', "p", out).unwrap();
    })
    .await;
    assert_eq!(answer, "1tT2TDDsDDsDCC3ZI");
    // The limit is reached exactly: suspended, and the next fetch finds nothing.
    let answer = series(&mut client, |out| {
        bind("", "s", out);
        frontend::execute("", 5, out).unwrap();
        frontend::execute("", 5, out).unwrap();
    })
    .await;
    assert_eq!(answer, "2DDDDDsCZI");
    // Outside a transaction a portal ends with its series.
    assert_eq!(series(&mut client, |out| frontend::execute("", 0, out).unwrap()).await, "E[34000]ZI");
    assert_eq!(series(&mut client, |out| parse("s", "numbers 1", out)).await, "E[42P05]ZI");
    assert_eq!(series(&mut client, |out| bind("", "nobody", out)).await, "E[26000]ZI");
    assert_eq!(series(&mut client, |out| parse("", "numbers 1; numbers 2", out)).await, "E[42601]ZI");
    // After an error everything up to Sync is skipped.
    let answer = series(&mut client, |out| {
        parse("t", "divide", out);
        bind("", "t", out);
        frontend::describe(b'P', "", out).unwrap();
        frontend::execute("", 0, out).unwrap();
        parse("u", "numbers 1", out);
        frontend::query("numbers 1", out).unwrap();
    })
    .await;
    assert_eq!(answer, "12nE[22012]ZI");
    assert_eq!(series(&mut client, |out| frontend::describe(b'S', "u", out).unwrap()).await, "E[26000]ZI");
    let answer = series(&mut client, |out| {
        parse("", "", out);
        bind("", "", out);
        frontend::describe(b'S', "", out).unwrap();
        frontend::execute("", 0, out).unwrap();
    })
    .await;
    assert_eq!(answer, "12tnIZI");
    // Statements are forgotten by name and all at once.
    let answer = series(&mut client, |out| {
        parse("", "deallocate s", out);
        bind("", "", out);
        frontend::execute("", 0, out).unwrap();
    })
    .await;
    assert_eq!(answer, "12CZI");
    assert_eq!(series(&mut client, |out| bind("", "s", out)).await, "E[26000]ZI");
    assert_eq!(series(&mut client, |out| parse("s", "numbers 1", out)).await, "1ZI");
    let answer = series(&mut client, |out| {
        parse("", "discard all", out);
        bind("", "", out);
        frontend::execute("", 0, out).unwrap();
    })
    .await;
    assert_eq!(answer, "12CZI");
    assert_eq!(series(&mut client, |out| parse("s", "numbers 1", out)).await, "1ZI");
}

#[tokio::test]
async fn parameters_and_columns_in_binary() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let statement = client.prepare("echo text int8 day").await.unwrap();
    assert_eq!(statement.params(), [Type::TEXT, Type::INT8, Type::DATE]);
    let row = client.query_one("echo text int8", &[&"é", &42_i64]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "é");
    assert_eq!(row.get::<_, i64>(1), 42);
    let row = client.query_one("echo text", &[&None::<&str>]).await.unwrap();
    assert_eq!(row.get::<_, Option<&str>>(0), None);
    // Declared types win over inferred ones.
    let statement = client.prepare_typed("types any any any", &[Type::INT2, Type::FLOAT8, Type::TEXT_ARRAY]);
    let statement = statement.await.unwrap();
    let row = client.query_one(&statement, &[&1_i16, &1.5_f64, &vec!["a", "b"]]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "Int16 Float64 List(Utf8)");
    let error = client.prepare_typed("types any", &[Type::POINT]).await.unwrap_err();
    assert_eq!(code(&error), "0A000");
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_planned_anew_not_rounded() {
    let server = TestServer::start().await;
    let (mut client, ..) = Raw::log_in(server.address).await;
    for (value, answer) in [("10.50", "Decimal128(12, 2)"), ("10.005", "Decimal128(5, 3)")] {
        client
            .send(|out| {
                frontend::parse("", "types money", [], out).unwrap();
                frontend::bind(
                    "",
                    "",
                    [0],
                    [value],
                    |value, out| {
                        out.put_slice(value.as_bytes());
                        Ok(postgres_protocol::IsNull::No)
                    },
                    [0],
                    out,
                )
                .map_err(|_| "bind")
                .unwrap();
                frontend::execute("", 0, out).unwrap();
                frontend::sync(out);
            })
            .await;
        let mut kinds = Vec::new();
        loop {
            let (kind, body) = soon(client.message()).await.unwrap();
            kinds.push(kind);
            if kind == b'D' {
                assert_eq!(std::str::from_utf8(&body[6..]).unwrap(), answer);
            }
            if kind == b'Z' {
                break;
            }
        }
        assert_eq!(kinds, b"12DCZ");
    }
}

#[tokio::test]
async fn a_result_is_fetched_part_by_part() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let statement = client.prepare("numbers 2500").await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind(&statement, &[]).await.unwrap();
    let other = transaction.bind(&statement, &[]).await.unwrap();
    let mut seen = Vec::new();
    for expected in [700, 700, 700, 400, 0] {
        let rows = transaction.query_portal(&portal, 700).await.unwrap();
        assert_eq!(rows.len(), expected);
        seen.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
        // Two results at the same time do not disturb each other.
        transaction.query_portal(&other, 1).await.unwrap();
    }
    assert_eq!(seen, (0..2_500).collect::<Vec<_>>());
    assert_eq!(transaction.query_portal(&other, 0).await.unwrap().len(), 2_495);
    transaction.commit().await.unwrap();
    let rows: Vec<_> = client
        .query_raw(&statement, std::iter::empty::<i64>())
        .await
        .unwrap()
        .map_ok(|row| row.get::<_, i64>(0))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(rows, (0..2_500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_portal_does_not_outlive_its_transaction() {
    let server = TestServer::start().await;
    let (mut client, ..) = Raw::log_in(server.address).await;
    client.query("begin").await;
    assert_eq!(soon(client.answer()).await, "CZT");
    let bound = series(&mut client, |out| {
        frontend::parse("s", "numbers 5", [], out).unwrap();
        frontend::bind("p", "s", [], std::iter::empty::<()>(), |(), _| unreachable!(), [], out)
            .map_err(|_| "bind")
            .unwrap();
        frontend::execute("p", 1, out).unwrap();
    });
    assert_eq!(bound.await, "12DsZT");
    assert_eq!(series(&mut client, |out| frontend::execute("p", 1, out).unwrap()).await, "DsZT");
    client.query("rollback").await;
    assert_eq!(soon(client.answer()).await, "CZI");
    assert_eq!(server.engine.seen.dropped.load(Ordering::SeqCst), 1);
    assert_eq!(series(&mut client, |out| frontend::execute("p", 1, out).unwrap()).await, "E[34000]ZI");
}

#[tokio::test]
async fn broken_messages_are_answered_and_survived() {
    let server = TestServer::start().await;
    let (mut client, ..) = Raw::log_in(server.address).await;
    let frame = |kind: u8, body: &[u8]| {
        let mut out = BytesMut::new();
        out.put_u8(kind);
        out.put_u32(4 + body.len() as u32);
        out.put_slice(body);
        out
    };
    for (kind, body, expected) in [
        (b'Q', &b"no end"[..], "E[08P01]ZI"),
        (b'Q', b"\xff\0", "E[22021]ZI"),
        (b'F', b"anything", "E[0A000]ZI"),
        (b'c', b"", "IZI"),
    ] {
        client.stream.write_all(&frame(kind, body)).await.unwrap();
        if kind == b'c' {
            // Ignored; the next one is answered.
            client.query("").await;
        }
        assert_eq!(soon(client.answer()).await, expected);
    }
    client.stream.write_all(&frame(b'B', b"\0\0\0")).await.unwrap();
    client.send(frontend::sync).await;
    assert_eq!(soon(client.answer()).await, "E[08P01]ZI");
    client.stream.write_all(&frame(b'~', b"")).await.unwrap();
    assert_eq!(soon(client.answer()).await, "E[08P01]");
}

#[tokio::test]
async fn a_message_above_the_limit_is_not_read() {
    let server = TestServer::start_with(|options| options.max_message_bytes = 1_000).await;
    let (mut client, ..) = Raw::log_in(server.address).await;
    client.query(&format!("numbers 1{}", " ".repeat(900))).await;
    assert_eq!(soon(client.answer()).await, "TDCZI");
    client.query(&" ".repeat(1_000)).await;
    assert_eq!(soon(client.answer()).await, "E[08P01]");
}

#[tokio::test]
async fn random_messages_never_stop_the_service() {
    let server = TestServer::start().await;
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    for _ in 0..60 {
        let (mut client, ..) = Raw::log_in(server.address).await;
        let mut out = BytesMut::new();
        for _ in 0..40 {
            let kinds = b"QPBDCEHSFdcf";
            let mut body = vec![0; random.random_range(0..40)];
            random.fill_bytes(&mut body);
            // Names and counts near zero go deeper than noise.
            body.iter_mut().filter(|byte| **byte > 200).for_each(|byte| *byte = 0);
            out.put_u8(kinds[random.random_range(0..kinds.len())]);
            out.put_u32(4 + body.len() as u32);
            out.put_slice(&body);
        }
        frontend::sync(&mut out);
        frontend::terminate(&mut out);
        let (mut reader, mut writer) = client.stream.split();
        let all = async {
            // The server may have closed before everything was written.
            let _ = writer.write_all(&out).await;
            let mut rest = Vec::new();
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut rest).await;
        };
        soon(all).await;
    }
    server.connect().await.simple_query("numbers 1").await.unwrap();
}
