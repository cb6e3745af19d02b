#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::time::Duration;

use lakeward_catalog::{S3Credentials, S3Encryption, StoreProvider};

use super::*;

const MINIMAL: &str = "\
catalog:
  layers: { silver: lake/silver }
identity: { users: users.yaml }
policy: { files: [policies.yaml] }
audit: { key: 'file:keys/audit.key' }
";

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(text, Path::new("/etc/lakeward/lakeward.yaml"), variables)
        .map_err(|problems| problems.to_string())
}

fn complaint(text: &str) -> String {
    load(text, &[]).unwrap_err()
}

#[test]
fn a_small_file_gets_the_defaults() {
    let config = load(MINIMAL, &[]).unwrap();
    assert_eq!(config.database.as_str(), "lakeward");
    assert_eq!(config.listen.postgres.address.to_string(), "127.0.0.1:5433");
    assert_eq!(config.listen.http.unwrap().address.to_string(), "127.0.0.1:8480");
    assert_eq!(config.execution.memory_limit.bytes(), 4 << 30);
    assert_eq!(config.execution.statement_timeout.limit(), Some(Duration::from_secs(300)));
    assert_eq!(config.shutdown.grace_period.get(), Duration::from_secs(30));
    assert_eq!(config.identity.users.path, Path::new("/etc/lakeward/users.yaml"));
    assert_eq!(config.catalog.layers["silver"].url.as_str(), "file:///etc/lakeward/lake/silver/");
    assert_eq!(config.audit.key.file(), Some(Path::new("/etc/lakeward/keys/audit.key")));
    assert!(config.tls.is_none());
}

#[test]
fn the_reference_loads_and_says_what_the_code_says() {
    let text = reference();
    let config = load(&text, &[]).unwrap();
    let defaults = load(MINIMAL, &[]).unwrap();
    assert_eq!(config.listen.postgres.address, defaults.listen.postgres.address);
    assert_eq!(config.execution.batch_size, defaults.execution.batch_size);
    // What is commented out is right too.
    let uncommented: String = text
        .lines()
        .map(|line| {
            let body = line.trim_start();
            let is_key = body.strip_prefix("# ").is_some_and(|rest| {
                rest.split_once(':').is_some_and(|(key, _)| ["tls", "certificate", "key"].contains(&key))
            });
            if is_key { line.replacen("# ", "", 1) } else { line.to_owned() }
        })
        .map(|line| line + "\n")
        .collect();
    assert!(load(&uncommented, &[]).unwrap().tls.is_some(), "{uncommented}");
}

#[test]
fn every_mistake_is_reported_at_its_place() {
    let text = "\
databse: clinic
listen:
  postgres: 5433
  http: 127.0.0.1:8480
  allow_insecure: \"true\"
catalog:
  layers: { silver: lake/silver }
  refresh_interval: 2
identity: { users: users.yaml }
policy:
  files: policies.yaml
audit: { key: hunter2 }
execution:
  batch_size: 8192.5
  memory_limit: 4G
";
    let expected = "\
/etc/lakeward/lakeward.yaml:1:1: unknown key `databse`; did you mean `database`?
/etc/lakeward/lakeward.yaml:3:13: `listen.postgres`: expected an IP address and port such as 127.0.0.1:5433 or [::1]:5433, found `5433`
/etc/lakeward/lakeward.yaml:5:19: `listen.allow_insecure`: expected true or false, found `true`
/etc/lakeward/lakeward.yaml:8:21: `catalog.refresh_interval`: expected a length of time such as 250ms, 30s, 5m, 2h or 1d, found `2`
/etc/lakeward/lakeward.yaml:11:10: `policy.files`: expected a list, found `policies.yaml`
/etc/lakeward/lakeward.yaml:12:15: `audit.key`: expected a reference to a secret, `env:NAME` or `file:PATH`; secrets are not written in this file
/etc/lakeward/lakeward.yaml:15:17: `execution.memory_limit`: expected a size such as 512MiB or 4GiB, found `4G`
/etc/lakeward/lakeward.yaml:14:15: `execution.batch_size`: expected a whole number from 64 to 1048576, found `8192.5`";
    let mut found: Vec<_> = complaint(text).lines().map(str::to_owned).collect();
    let mut expected: Vec<_> = expected.lines().map(str::to_owned).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn duplicates_are_refused_with_both_places() {
    let text = format!("{MINIMAL}listen:\n  http: 127.0.0.1:1\n  http: 127.0.0.1:2\naudit: {{}}\n");
    assert_eq!(
        complaint(&text),
        "/etc/lakeward/lakeward.yaml:8:3: duplicate key `http`, first given in line 7\n\
         /etc/lakeward/lakeward.yaml:9:1: duplicate key `audit`, first given in line 5"
    );
}

#[test]
fn missing_keys_name_an_example() {
    let found = complaint("catalog:\n  layers: { silver: x }\nidentity: {}\n");
    assert!(
        found.contains(
            "lakeward.yaml:3:11: `identity.users`: missing; expected for example `users: users.yaml`"
        ),
        "{found}"
    );
    assert!(!found.contains("`policy"), "without policies nobody sees anything: {found}");
    assert!(found.contains("`audit.key`: missing"), "{found}");
}

#[test]
fn the_managed_policy_file_is_one_of_the_files() {
    let text = MINIMAL.replace("files: [policies.yaml]", "files: [policies.yaml], managed: other.yaml");
    assert!(text.contains("{ files: [policies.yaml], managed: other.yaml }"), "{text}");
    let found = complaint(&text);
    assert!(found.contains("`policy.managed`: expected one of `policy.files`"), "{found}");
}

#[test]
fn what_is_not_yaml_is_refused_with_its_place() {
    let found = complaint("listen: [1, 2\nidentity: }\n");
    assert!(found.starts_with("/etc/lakeward/lakeward.yaml:2:"), "{found}");
    assert!(found.contains("not valid YAML"), "{found}");
    assert!(complaint("a: &x 1\nb: *x\n").contains("2:4: YAML aliases"));
    assert!(complaint(&format!("{MINIMAL}---\nlog: {{}}\n")).contains("6:1: expected one YAML document"));
    let deep = format!("a: {}{}", "[".repeat(500), "]".repeat(500));
    assert!(complaint(&deep).contains("nested too deeply") || complaint(&deep).contains("not valid YAML"));
}

#[test]
fn the_environment_overrides_the_file() {
    let config = load(
        MINIMAL,
        &[
            ("LAKEWARD_LISTEN__POSTGRES", "127.0.0.1:6000"),
            ("LAKEWARD_LISTEN__HTTP", "null"),
            ("LAKEWARD_DATABASE", "clinic"),
            ("LAKEWARD_POLICY__FILES", "[a.yaml, b.yaml]"),
            ("LAKEWARD_CATALOG__LAYERS__GOLD", "/data/gold: new"),
            ("LAKEWARD_PASSWORD", "belongs to another command"),
            ("PATH", "/usr/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.listen.postgres.address.port(), 6000);
    assert!(config.listen.http.is_none());
    assert_eq!(config.database.as_str(), "clinic");
    assert_eq!(config.policy.files.len(), 2);
    assert_eq!(config.catalog.layers["gold"].directory().unwrap(), Path::new("/data/gold: new"));
    assert!(config.catalog.layers.contains_key("silver"));
}

#[test]
fn the_environment_is_checked_as_strictly_as_the_file() {
    let found = load(
        MINIMAL,
        &[
            ("LAKEWARD_LISTEN__POSTGRE", "127.0.0.1:6000"),
            ("LAKEWARD_EXECUTION__BATCH_SIZE", "many"),
            ("LAKEWARD_LISTEN__HTTP__PORT", "1"),
        ],
    )
    .unwrap_err();
    assert!(
        found.contains("LAKEWARD_LISTEN__POSTGRE: not a setting; did you mean LAKEWARD_LISTEN__POSTGRES?"),
        "{found}"
    );
    assert!(
        found.contains("LAKEWARD_EXECUTION__BATCH_SIZE: `execution.batch_size`: expected a whole number"),
        "{found}"
    );
    assert!(found.contains("LAKEWARD_LISTEN__HTTP__PORT: not a setting"), "{found}");
}

#[test]
fn beyond_this_machine_only_with_tls_or_on_purpose() {
    let open = format!("{MINIMAL}listen: {{ postgres: '0.0.0.0:5433', http: '[::]:8480' }}\n");
    let found = complaint(&open);
    assert!(
        found.contains(":6:21: `listen.postgres`: 0.0.0.0:5433 can be reached from other machines"),
        "{found}"
    );
    assert!(found.contains("`listen.http`"), "{found}");
    assert!(load(&open, &[("LAKEWARD_LISTEN__ALLOW_INSECURE", "true")]).is_ok());
    assert!(load(&format!("{open}tls: {{ certificate: a, key: b }}\n"), &[]).is_ok());
    assert!(load(&format!("{MINIMAL}listen: {{ postgres: '[::1]:5433' }}\n"), &[]).is_ok());
}

#[test]
fn schemas_of_the_service_cannot_be_layers() {
    let found = complaint(&MINIMAL.replace("silver:", "pg_catalog:"));
    assert!(found.contains(":2:25: `pg_catalog`: expected another name"), "{found}");
}

#[test]
fn files_that_are_not_there_are_named_where_they_were_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lakeward.yaml");
    std::fs::write(&file, MINIMAL).unwrap();
    let config = Config::load_with(&file, std::iter::empty()).unwrap();
    let problems: Vec<_> = config.missing_files().iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 4, "{problems:#?}");
    assert!(
        problems.iter().any(|problem| problem.contains("lakeward.yaml:3:20: expected the users file")),
        "{problems:#?}"
    );
    assert!(
        problems.iter().any(|problem| problem.contains("lakeward.yaml:5:15: `audit.key`: cannot read")),
        "{problems:#?}"
    );
}

/// A file with one layer in S3 and these settings of its store.
fn with_store(settings: &str) -> String {
    let minimal = MINIMAL.replace("lake/silver", "s3://lake/silver");
    format!("{minimal}stores:\n  lake:\n    location: s3://lake/\n{settings}")
}

#[test]
fn stores_are_reached_as_they_say() {
    let config = load(
        &with_store(
            "    requests: { timeout: 5s, max_retries: 2 }\n    s3:\n      region: eu-west-2\n      \
             access_key_id: env:KEY\n      secret_access_key: file:keys/s3\n      role: { arn: 'arn:aws:iam::1:role/r' }\n      \
             encryption: { kind: sse_kms, bucket_key: true }\n",
        ),
        &[("LAKEWARD_STORES__LAKE__S3__REGION", "eu-west-1")],
    )
    .unwrap();
    let options = config.stores["lake"].options("lake").unwrap();
    assert_eq!(options.prefix, "s3://lake/");
    assert_eq!(options.connection.request_timeout, Duration::from_secs(5));
    assert_eq!(options.connection.max_retries, 2);
    assert_eq!(options.connection.max_concurrent_requests, 128);
    let StoreProvider::S3(s3) = options.provider else { panic!("{options:?}") };
    assert_eq!(s3.region.as_deref(), Some("eu-west-1"), "the environment wins");
    assert!(matches!(s3.credentials, S3Credentials::Keys { .. }));
    assert_eq!(s3.role.unwrap().duration, Duration::from_secs(3600));
    assert_eq!(s3.encryption, Some(S3Encryption::Kms { key_id: None, bucket_key: Some(true) }));
    assert_eq!(config.catalog.layers["silver"].url.as_str(), "s3://lake/silver/");
    assert_eq!(config.catalog.layers["silver"].directory(), None);
}

#[test]
fn stores_that_do_not_fit_together_are_refused() {
    for (settings, expected) in [
        (
            "    s3: { access_key_id: env:A }\n",
            "`stores.lake`: `s3.access_key_id` needs `s3.secret_access_key`",
        ),
        ("    s3: { access_key_id: hunter2 }\n", "expected a reference to a secret"),
        (
            "    s3: { anonymous: true, web_identity_token_file: t }\n",
            "choose one of `s3.web_identity_token_file`",
        ),
        ("    s3: { web_identity_token_file: t }\n", "needs `s3.role`"),
        (
            "    s3: { endpoint: 'http://store:9000' }\n",
            ":9:21: `stores.lake.s3.endpoint`: http://store:9000/ has no TLS",
        ),
        ("    s3: { role: { arn: 'arn:x', duration: 1m } }\n", "`s3.role.duration`: expected 15m to 12h"),
        ("    s3: { role: { arn: me } }\n", "`s3.role.arn`: expected an ARN"),
        ("    s3: { encryption: { kind: sse_s3, key_id: k } }\n", "`key_id` and `bucket_key` are for"),
        ("    azure: {}\n", "`azure` is for another kind of store: s3:// takes `s3`"),
        ("    requests: { max_concurrent: 2 }\n", "expected a whole number from 8 to 10000"),
        ("    requests: { timeout: 0s }\n", "`requests.timeout`: expected more than nothing"),
        ("    s3: { regoin: x }\n", "unknown key `regoin`; did you mean `region`?"),
        ("  Other: { location: 's3://b' }\n", "expected a name of lower-case letters"),
        ("  other: { location: s3://lake }\n", "other settings are for s3://lake/ too"),
        (
            "  other: { location: ftp://lake }\n",
            "expected a URL that begins with s3://, az://, abfss:// or gs://",
        ),
        ("  other: { location: 'az://c', azure: { client_secret: env:A } }\n", "needs `azure.tenant_id`"),
        ("  other: { location: 'az://c', azure: { tenant_id: a } }\n", "need `azure.client_secret`"),
        (
            "  other: { location: 'gs://c', gcs: { anonymous: true, service_account_key: env:A } }\n",
            "choose one of",
        ),
    ] {
        let found = complaint(&with_store(settings));
        assert!(found.contains(expected), "{settings}\n{found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn credentials_in_urls_are_refused_and_not_repeated() {
    for text in [
        MINIMAL.replace("lake/silver", "s3://AKIA:hunter2@lake/x"),
        MINIMAL.replace("lake/silver", "\"az://lake/x?sig=hunter2\""),
        with_store("    s3: { endpoint: 'https://me:hunter2@store' }\n"),
        with_store("  other: { location: 'gs://hunter2@lake/' }\n"),
    ] {
        let found = complaint(&text);
        assert!(found.contains("credentials do not belong into URLs"), "{found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn the_reference_shows_the_settings_of_a_store() {
    let text = reference();
    let (_, example) = text.split_once("\nstores: {}\n").unwrap();
    let lines = example.lines().take_while(|line| line.starts_with("# "));
    let example: String = lines.map(|line| format!("{}\n", &line[2..])).collect();
    let found = load(&format!("{MINIMAL}stores:\n{example}"), &[]).unwrap();
    let store = &found.stores["name"];
    assert_eq!(store.location.prefix, "s3://lake/");
    assert_eq!(store.requests.max_concurrent.get(), 128);
    // Optional parts are there, too, once more behind a mark.
    for key in ["region", "access_key", "service_account_key", "sts_endpoint", "ca_certificate"] {
        assert!(example.contains(&format!("# {key}: ")), "{key}");
    }
}

#[test]
fn the_example_for_servers_is_right() {
    let text = include_str!("../../deploy/lakeward.yaml");
    let config = load(text, &[]).unwrap();
    assert!(config.tls.is_some());
    assert_eq!(config.catalog.annotations[0].columns["nhs_number"].tags, ["pii.id"]);
}

#[test]
fn the_configuration_page_holds_the_reference() {
    let page = include_str!("../../docs/configuration.md");
    assert!(
        page.contains(&reference()),
        "docs/configuration.md is out of date: paste `lakeward config reference`"
    );
}
