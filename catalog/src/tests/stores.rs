//! What goes to a store over the network, and what is made of its answers. The stand-ins of the
//! providers are in the client tests; here a small server shows each request as it came.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;
use zeroize::Zeroizing;

use crate::stores::{StoreFailure, Stores};
use crate::{
    ConnectionOptions, S3Addressing, S3ConditionalPut, S3Credentials, S3Encryption, S3Options, S3Role,
    Secret, SecretSource, StoreOptions, StoreProvider,
};

/// A request as it came.
#[derive(Debug, Clone)]
struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Whether it was signed with this access key.
    fn is_signed_by(&self, key: &str) -> bool {
        self.header("authorization").is_some_and(|text| text.contains(&format!("Credential={key}/")))
    }
}

/// An HTTP server that answers as it is told; one request per connection.
struct Server {
    endpoint: Url,
    seen: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(answer: impl Fn(&Request) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = BufReader::new(stream);
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).await.unwrap();
                    match line.trim_end() {
                        "" => break,
                        line => lines.push(line.to_owned()),
                    }
                }
                let mut first = lines[0].split(' ');
                let (method, path) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
                let headers: BTreeMap<String, String> = lines[1..]
                    .iter()
                    .filter_map(|line| line.split_once(": "))
                    .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                    .collect();
                let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                let body = String::from_utf8(body).unwrap();
                let request = Request { method, path, headers, body };
                let text = answer(&request);
                requests.lock().unwrap().push(request);
                stream.get_mut().write_all(text.as_bytes()).await.unwrap();
            }
        });
        Self { endpoint, seen, task }
    }

    fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(status: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text + "\r\n" + body
}

const OBJECT: [(&str, &str); 2] = [("etag", "\"1\""), ("last-modified", "Sun, 22 Nov 2026 08:00:00 GMT")];

/// The digits 0 to 9, over and over: `size` bytes, of which the asked ones are given.
fn object(request: &Request, size: usize) -> String {
    let content: String = (0..size).map(|n| char::from(b'0' + (n % 10) as u8)).collect();
    let Some(range) = request.header("range") else { return answer("200 OK", &OBJECT, &content) };
    let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
    let content_range = format!("bytes {start}-{end}/{size}");
    let headers = [OBJECT[0], OBJECT[1], ("content-range", content_range.as_str())];
    answer("206 Partial Content", &headers, &content[start..=end])
}

fn refusal(code: &str) -> String {
    answer("403 Forbidden", &[], &format!("<Error><Code>{code}</Code><Secret>what was sent</Secret></Error>"))
}

/// A secret that the test changes.
#[derive(Clone, Default)]
struct Changing(Arc<Mutex<String>>);

impl std::fmt::Debug for Changing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Changing")
    }
}

impl Changing {
    fn new(value: &str) -> Self {
        Self(Arc::new(Mutex::new(value.to_owned())))
    }

    fn set(&self, value: &str) {
        value.clone_into(&mut self.0.lock().unwrap());
    }

    fn handle(&self) -> Secret {
        Arc::new(self.clone())
    }
}

impl SecretSource for Changing {
    fn read(&self) -> Result<Zeroizing<String>, String> {
        match self.0.lock().unwrap().as_str() {
            "" => Err("the test took the secret away".to_owned()),
            value => Ok(Zeroizing::new(value.to_owned())),
        }
    }
}

fn keys(id: &Changing) -> S3Credentials {
    S3Credentials::Keys {
        access_key_id: id.handle(),
        secret_access_key: Changing::new("hunter2hunter2").handle(),
        session_token: None,
    }
}

fn connection() -> ConnectionOptions {
    ConnectionOptions {
        allow_http: true,
        max_retries: 2,
        retry_timeout: Duration::from_secs(5),
        ..ConnectionOptions::default()
    }
}

/// The bucket `lake` at `server`.
fn bucket(server: &Server, options: S3Options) -> Arc<dyn ObjectStore> {
    let options = S3Options {
        endpoint: Some(server.endpoint.clone()),
        region: Some("eu-west-2".to_owned()),
        ..options
    };
    let settings = StoreOptions {
        name: "lake".to_owned(),
        prefix: "s3://lake/".to_owned(),
        provider: StoreProvider::S3(options),
        connection: connection(),
    };
    let location = Stores::new(vec![settings]).locate(&"s3://lake/silver".parse().unwrap()).unwrap();
    Arc::clone(&location.store.objects)
}

#[tokio::test]
async fn what_is_written_is_encrypted_as_the_settings_say() {
    let server = Server::start(|_| answer("200 OK", &OBJECT, "")).await;
    let kms = S3Encryption::Kms { key_id: Some("arn:aws:kms:key/1".to_owned()), bucket_key: Some(true) };
    for (encryption, expected) in [
        (Some(kms), [Some("aws:kms"), Some("arn:aws:kms:key/1"), Some("true")]),
        (Some(S3Encryption::Kms { key_id: None, bucket_key: None }), [Some("aws:kms"), None, None]),
        (Some(S3Encryption::S3), [Some("AES256"), None, None]),
        (None, [None, None, None]),
    ] {
        let options =
            S3Options { credentials: keys(&Changing::new("KEY1")), encryption, ..S3Options::default() };
        bucket(&server, options).put(&"a/b".into(), "rows".into()).await.unwrap();
        let request = server.seen().pop().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/lake/a/b"));
        assert!(request.is_signed_by("KEY1"), "{request:?}");
        assert_eq!(request.body, "rows");
        for (name, expected) in [
            "x-amz-server-side-encryption",
            "x-amz-server-side-encryption-aws-kms-key-id",
            "x-amz-server-side-encryption-bucket-key-enabled",
        ]
        .iter()
        .zip(expected)
        {
            assert_eq!(request.header(name), expected, "{name}");
            let signed = request.header("authorization").unwrap().contains(name);
            assert_eq!(signed, expected.is_some(), "{name} is signed");
        }
    }
}

#[tokio::test]
async fn what_must_not_overwrite_says_so_or_is_not_written() {
    let server = Server::start(|_| answer("200 OK", &OBJECT, "")).await;
    let create = || PutOptions::from(PutMode::Create);
    let options = |conditional_put| S3Options {
        credentials: S3Credentials::Anonymous,
        conditional_put,
        ..S3Options::default()
    };
    let store = bucket(&server, options(S3ConditionalPut::ETag));
    store.put_opts(&"a".into(), "x".into(), create()).await.unwrap();
    assert_eq!(server.seen()[0].header("if-none-match"), Some("*"));
    assert_eq!(server.seen()[0].header("authorization"), None, "nobody does not sign");
    let store = bucket(&server, options(S3ConditionalPut::Disabled));
    store.put_opts(&"a".into(), "x".into(), create()).await.unwrap_err();
    assert_eq!(server.seen().len(), 1, "nothing was sent");
}

#[tokio::test]
async fn buckets_are_named_in_the_path_or_in_the_host() {
    let server = Server::start(|request| object(request, 10)).await;
    let options =
        |addressing| S3Options { credentials: S3Credentials::Anonymous, addressing, ..S3Options::default() };
    bucket(&server, options(S3Addressing::Path)).get(&"a b".into()).await.unwrap();
    assert_eq!(server.seen()[0].path, "/lake/a%20b");
    let settings = StoreOptions {
        name: "lake".to_owned(),
        prefix: "s3://".to_owned(),
        provider: StoreProvider::S3(S3Options {
            endpoint: Some("http://store.invalid:9000".parse().unwrap()),
            ..options(S3Addressing::VirtualHosted)
        }),
        connection: ConnectionOptions { max_retries: 0, ..connection() },
    };
    let location = Stores::new(vec![settings]).locate(&"s3://lake/x".parse().unwrap()).unwrap();
    let error = location.store.objects.get(&"a".into()).await.unwrap_err();
    assert!(StoreFailure::within(&error).is_some_and(|failure| failure.kind.may_pass()), "{error}");
}

#[tokio::test]
async fn ranges_that_lie_close_together_are_one_request() {
    let server = Server::start(|request| object(request, 4_000_000)).await;
    let store = bucket(&server, S3Options { credentials: S3Credentials::Anonymous, ..S3Options::default() });
    let ranges = [10..15, 100..103, 900_000..900_002, 3_999_998..4_000_000];
    let got = store.get_ranges(&"a".into(), &ranges).await.unwrap();
    let expected: [&[u8]; 4] = [b"01234", b"012", b"01", b"89"];
    assert_eq!(got, expected);
    assert_eq!(server.seen().len(), 2, "three within a MiB, one beyond");
}

#[tokio::test]
async fn less_than_was_announced_is_an_error() {
    // The length agrees with the body, and neither with the range.
    let short = |request: &Request| {
        let whole = object(request, 100);
        let (head, body) = whole.split_once("\r\n\r\n").unwrap();
        let body = &body[..body.len() / 2];
        let head: Vec<_> = head.lines().filter(|line| !line.starts_with("content-length")).collect();
        format!("{}\r\ncontent-length: {}\r\n\r\n{body}", head.join("\r\n"), body.len())
    };
    let server = Server::start(short).await;
    let store = bucket(&server, S3Options { credentials: S3Credentials::Anonymous, ..S3Options::default() });
    for error in [
        store.get_range(&"a".into(), 0..50).await.unwrap_err(),
        store.get_ranges(&"a".into(), &[0..50, 80..90]).await.unwrap_err(),
    ] {
        let failure = StoreFailure::within(&error).unwrap_or_else(|| panic!("{error:?}"));
        assert!(failure.kind.may_pass(), "{failure}");
    }
}

#[tokio::test]
async fn a_refused_key_is_looked_up_again_at_once() {
    let good = Changing::new("KEY1");
    let valid = good.clone();
    let server = Server::start(move |request| match request.is_signed_by(valid.0.lock().unwrap().as_str()) {
        true => object(request, 10),
        false => refusal("InvalidAccessKeyId"),
    })
    .await;
    let reference = Changing::new("KEY1");
    let store = bucket(&server, S3Options { credentials: keys(&reference), ..S3Options::default() });
    store.get(&"a".into()).await.unwrap();
    // The old key is revoked when the new one is in place: the next request is refused, and repeated.
    good.set("KEY2");
    reference.set("KEY2");
    assert_eq!(store.get(&"a".into()).await.unwrap().bytes().await.unwrap(), "0123456789");
    assert_eq!(server.seen().len(), 3);
    // No new key: refused once, not over and over.
    good.set("KEY3");
    let error = store.get(&"a".into()).await.unwrap_err();
    assert_eq!(server.seen().len(), 4);
    let text = format!("{error} {error:?}");
    assert!(text.contains("access denied (403 InvalidAccessKeyId)"), "{text}");
    assert!(!text.contains("what was sent"), "{text}");
    // A reference that cannot be read now: what is held is used, and refused.
    reference.set("");
    store.get(&"a".into()).await.unwrap_err();
    reference.set("KEY3");
    store.get(&"a".into()).await.unwrap();
}

#[tokio::test]
async fn many_requests_that_are_refused_together_look_once() {
    let server = Server::start(|request| match request.is_signed_by("KEY2") {
        true => object(request, 10),
        false => refusal("InvalidAccessKeyId"),
    })
    .await;
    let reference = Changing::new("KEY1");
    let store = bucket(&server, S3Options { credentials: keys(&reference), ..S3Options::default() });
    store.get(&"a".into()).await.unwrap_err();
    reference.set("KEY2");
    let all = futures::future::join_all((0..8).map(|_| async { store.get(&"a".into()).await })).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
}

#[tokio::test]
async fn credentials_that_cannot_be_had_are_the_reason() {
    let server = Server::start(|request| object(request, 10)).await;
    let store =
        bucket(&server, S3Options { credentials: keys(&Changing::default()), ..S3Options::default() });
    let error = store.get(&"a".into()).await.unwrap_err();
    let failure = StoreFailure::within(&error).unwrap().to_string();
    assert_eq!(failure, "s3://lake: no credentials: the test took the secret away");
    // A line end in the middle would end up in a header.
    let store = bucket(
        &server,
        S3Options { credentials: keys(&Changing::new("KEY\r\nx: y")), ..S3Options::default() },
    );
    let error = store.get(&"a".into()).await.unwrap_err();
    assert!(error.to_string().contains("has characters that none has"), "{error}");
    assert!(server.seen().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_role_is_taken_on_once_for_many_requests() {
    let server = Server::start(|request| {
        if request.method == "POST" {
            let end = (chrono::Utc::now() + chrono::Duration::hours(1)).to_rfc3339();
            return answer(
                "200 OK",
                &[],
                &format!(
                    "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
                     <AssumedRoleUser><Arn>arn:x</Arn></AssumedRoleUser><Credentials><AccessKeyId>ASIA1</AccessKeyId>\
                     <SecretAccessKey>s3cr3t</SecretAccessKey><SessionToken>t0k3n</SessionToken><Expiration>{end}\
                     </Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
                ),
            );
        }
        assert_eq!(request.header("x-amz-security-token"), Some("t0k3n"));
        object(request, 10)
    })
    .await;
    let role = S3Role {
        arn: "arn:aws:iam::123456789012:role/lake".to_owned(),
        session_name: "lakeward".to_owned(),
        external_id: Some("trust 7281".to_owned()),
        duration: Duration::from_secs(1800),
        sts_endpoint: Some(server.endpoint.clone()),
    };
    let options =
        S3Options { credentials: keys(&Changing::new("KEY1")), role: Some(role), ..S3Options::default() };
    let store = bucket(&server, options);
    for _ in 0..3 {
        store.get(&"a".into()).await.unwrap();
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 4, "one session for three requests");
    assert!(seen[0].is_signed_by("KEY1") && seen[0].header("authorization").unwrap().contains("/sts/"));
    assert_eq!(
        seen[0].body,
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Flake&\
         RoleSessionName=lakeward&DurationSeconds=1800&ExternalId=trust+7281"
    );
    assert!(seen[1..].iter().all(|request| request.is_signed_by("ASIA1")));
}

#[tokio::test]
async fn nothing_prints_a_secret() {
    let server = Server::start(|request| object(request, 10)).await;
    let options = S3Options { credentials: keys(&Changing::new("KEY1")), ..S3Options::default() };
    let printed = format!("{options:?}");
    let store = bucket(&server, options);
    store.get(&"a".into()).await.unwrap();
    let printed = format!("{printed} {store:?} {store}");
    assert!(!printed.contains("hunter2") && !printed.contains("KEY1"), "{printed}");
}

#[tokio::test]
async fn an_endpoint_without_tls_is_refused() {
    let settings = StoreOptions {
        name: "lake".to_owned(),
        prefix: "s3://".to_owned(),
        provider: StoreProvider::S3(S3Options {
            endpoint: Some("http://store.example.org".parse().unwrap()),
            ..S3Options::default()
        }),
        connection: ConnectionOptions::default(),
    };
    let error = Stores::new(vec![settings]).locate(&"s3://lake/x".parse().unwrap()).unwrap_err().to_string();
    assert!(error.contains("http://store.example.org/ has no TLS"), "{error}");
}
