#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::*;

const VERIFIER: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

fn complaints(text: &str) -> Vec<String> {
    let error = UserDirectory::parse(Path::new("users.yaml"), text).unwrap_err();
    error.0.iter().map(ToString::to_string).collect()
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn new_user(name: &str) -> NewUser {
    NewUser {
        name: name.to_owned(),
        verifier: ScramVerifier::generate("secret").unwrap(),
        tenant: None,
        roles: BTreeSet::new(),
        attributes: BTreeMap::new(),
        expires: None,
    }
}

#[test]
fn a_full_entry_becomes_a_principal() {
    let text = format!(
        "version: 1\nusers:\n  - name: alice\n    scram: \"{VERIFIER}\"\n    tenant: northgate\n    \
         roles: [analyst, steward]\n    attributes: {{ practice: P001, floor: 007 }}\n    \
         expires: 2027-01-01T00:00:00+01:00\n"
    );
    let directory = UserDirectory::parse(Path::new("users.yaml"), &text).unwrap();
    let alice = directory.get("alice").unwrap();
    assert!(alice.enabled);
    assert!(alice.verifier.check_password("pencil"));
    let principal = alice.principal();
    assert_eq!(principal.tenant.as_deref(), Some("northgate"));
    assert_eq!(principal.roles, BTreeSet::from(["analyst".to_owned(), "steward".to_owned()]));
    assert_eq!(principal.attributes["practice"], "P001");
    assert_eq!(principal.attributes["floor"], "007");
    assert_eq!(principal.expires_at, Some(instant("2026-12-31T23:00:00Z")));
    assert!(directory.get("Alice").is_none());
}

#[test]
fn an_empty_list_is_a_directory_without_users() {
    for text in ["version: 1\nusers:\n", "version: 1\nusers: []\n", "version: 1\n"] {
        assert!(UserDirectory::parse(Path::new("users.yaml"), text).unwrap().is_empty(), "{text}");
    }
}

#[test]
fn every_mistake_is_reported_where_it_stands() {
    let text = format!(
        "version: 2\nusers:\n  - name: alice\n    scram: nonsense\n    roles: [analyst, '*', analyst]\n  - name: alice\n    scram: \"{VERIFIER}\"\n    attributes: {{ Practice: x }}\n    expires: tomorrow\n"
    );
    let found = complaints(&text);
    assert_eq!(found.len(), 7, "{found:#?}");
    let expect = |index: usize, place: &str, part: &str| {
        assert!(found[index].starts_with(&format!("users.yaml:{place}: ")), "{}", found[index]);
        assert!(found[index].contains(part), "{}", found[index]);
    };
    expect(0, "1:10", "unknown version 2, expected 1");
    expect(1, "4:12", "not a password verifier: expected SCRAM-SHA-256$");
    expect(2, "5:22", "role is not acceptable");
    expect(3, "5:27", "role `analyst` is given twice");
    expect(4, "6:11", "user `alice` is given twice, first in line 3");
    expect(5, "8:19", "attribute is not acceptable");
    expect(6, "9:14", "expected RFC 3339");
}

#[test]
fn structure_is_strict() {
    let entry = format!("version: 1\nusers:\n  - name: a\n    scram: \"{VERIFIER}\"\n");
    let one = |text: String, want: &str| assert_eq!(complaints(&text), vec![want.to_owned()], "{text}");
    one(
        format!("{entry}    password: hunter2\n"),
        "users.yaml:5:5: unknown key `password`, expected one of name, scram, tenant, roles, attributes, enabled, expires, end_users",
    );
    one(format!("{entry}    name: b\n"), "users.yaml:5:5: key `name` is given twice");
    one(format!("{entry}    attributes: {{ x: 1, x: 2 }}\n"), "users.yaml:5:25: key `x` is given twice");
    one(
        format!("{entry}    enabled: maybe\n"),
        "users.yaml:5:14: invalid boolean (strict mode expects true/false)",
    );
    assert!(
        complaints(&format!("{entry}groups: []\n"))[0].starts_with("users.yaml:5:1: unknown key `groups`")
    );
    assert!(complaints("users: []\n")[0].contains("missing key `version`"));
    assert!(complaints("version: 1\nusers:\n  - name: a\n")[0].contains("missing key `scram`"));
    assert!(complaints("version: 1\nusers: [\n")[0].starts_with("users.yaml:"));
    assert!(complaints("")[0].starts_with("users.yaml"));
}

#[test]
fn complaints_never_repeat_what_may_be_a_secret() {
    for text in [
        "version: hunter2\nusers: []\n",
        "version: 1\nusers: hunter2\n",
        "version: 1\nusers:\n  - name: a\n    scram: hunter2\n",
        "version: 1\nusers:\n  - name: a\n    scram: [hunter2]\n",
        "version: 1\nusers:\n  - name: a\n    scram: x\n    roles: hunter2\n",
    ] {
        assert!(!complaints(text).join("\n").contains("hunter2"), "{text}");
    }
}

#[test]
fn a_missing_or_unreadable_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent.yaml");
    let error = UserDirectory::load(&path).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: cannot be read", path.display())), "{error}");
    fs::write(&path, b"version: 1\n# \xff\n").unwrap();
    let error = UserDirectory::load(&path).unwrap_err();
    assert_eq!(error.0[0].line, 2);
}

#[test]
fn the_store_reloads_changes_and_keeps_the_last_good_users() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.yaml");
    add_user(&path, new_user("alice")).unwrap();
    let store = IdentityStore::load(&path).unwrap();
    assert!(!store.reload().unwrap());
    assert!(store.principal("alice").is_ok());
    assert_eq!(store.principal("bob").unwrap_err(), IdentityError::Unknown);

    add_user(&path, new_user("bob")).unwrap();
    assert!(store.reload().unwrap());
    assert!(store.principal("bob").is_ok());

    fs::write(&path, "version: 1\nusers: nobody\n").unwrap();
    assert!(store.reload().is_err());
    assert!(store.principal("bob").is_ok());
}

#[test]
fn disabled_and_expired_accounts_get_no_principal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.yaml");
    add_user(&path, new_user("alice")).unwrap();
    let expires = Some(instant("2027-01-01T00:00:00Z"));
    add_user(&path, NewUser { expires, ..new_user("partner") }).unwrap();
    set_enabled(&path, "alice", false).unwrap();
    let store = IdentityStore::load(&path).unwrap();
    assert_eq!(store.principal("alice").unwrap_err(), IdentityError::Disabled);
    assert!(store.principal_at("partner", instant("2026-12-31T23:59:59Z")).is_ok());
    assert_eq!(
        store.principal_at("partner", instant("2027-01-01T00:00:00Z")).unwrap_err(),
        IdentityError::Expired
    );
    // Their verifiers are still answered, so that a wrong password says nothing about them.
    assert!(store.verifier("alice").check_password("secret"));
}

#[test]
fn unknown_users_look_like_known_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.yaml");
    let store = {
        add_user(&path, new_user("alice")).unwrap();
        IdentityStore::load(&path).unwrap()
    };
    let real = store.verifier("alice");
    let decoy = store.verifier("mallory");
    assert_eq!(decoy.iterations(), real.iterations());
    assert_eq!(decoy.salt().len(), real.salt().len());
    assert_eq!(store.verifier("mallory"), decoy);
    assert_ne!(store.verifier("mallorz").salt(), decoy.salt());
    assert_ne!(IdentityStore::load(&path).unwrap().verifier("mallory").salt(), decoy.salt());

    // Where all accounts have more iterations, so do decoys.
    let verifier = ScramVerifier::derive("secret", &[7; 20], 5000).unwrap();
    set_verifier(&path, "alice", &verifier).unwrap();
    store.reload().unwrap();
    assert_eq!(store.verifier("mallory").iterations(), 5000);
    assert_eq!(store.verifier("mallory").salt().len(), 20);
}

#[test]
fn adding_keeps_what_people_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.yaml");
    let before = format!(
        "# Reviewed by the platform team.\nversion: 1\nusers:\n# the boss\n- name: boss   # since 2020\n  scram: '{VERIFIER}'\n\n# end\n"
    );
    fs::write(&path, &before).unwrap();
    let user = NewUser {
        tenant: Some("north".into()),
        roles: BTreeSet::from(["analyst".to_owned(), "yes".to_owned()]),
        attributes: BTreeMap::from([("say".to_owned(), "\"hi\\ # {x}: y".to_owned())]),
        expires: Some(instant("2027-01-01T00:00:00.5Z")),
        ..new_user("new@trust.uk")
    };
    add_user(&path, user.clone()).unwrap();
    let after = fs::read_to_string(&path).unwrap();
    let added: Vec<&str> = after.lines().filter(|line| !before.contains(*line)).collect();
    assert_eq!(after.lines().count(), before.lines().count() + added.len(), "{after}");
    assert!(after.ends_with("\n\n# end\n"), "{after}");
    assert!(after.starts_with(before.strip_suffix("\n# end\n").unwrap()), "{after}");

    let directory = UserDirectory::load(&path).unwrap();
    let record = directory.get("new@trust.uk").unwrap();
    assert_eq!(record.verifier, user.verifier);
    assert_eq!(record.roles, user.roles);
    assert_eq!(record.attributes, user.attributes);
    assert_eq!(record.expires, user.expires);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn adding_works_on_every_usual_layout() {
    let folder = tempfile::tempdir().unwrap();
    for (index, text) in [
        "version: 1\nusers: []\n",
        "version: 1\nusers: [] # none yet\n",
        "version: 1\nusers:",
        "users:\nversion: 1\n",
        "users: # all\n  # nobody\n\nversion: 1\n",
        &format!("version: 1\r\nusers:\r\n    - name: a\r\n      scram: \"{VERIFIER}\"\r\n"),
        &format!("users:\n  -\n    name: a\n    scram: \"{VERIFIER}\"\nversion: 1"),
        &format!("users:\n  - {{ name: a, scram: \"{VERIFIER}\" }}\nversion: 1"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{index}.yaml"));
        fs::write(&path, text).unwrap();
        let count = UserDirectory::load(&path).unwrap().len();
        add_user(&path, new_user("b")).unwrap();
        add_user(&path, new_user("c")).unwrap();
        assert_eq!(UserDirectory::load(&path).unwrap().len(), count + 2, "{text}");
    }
}

#[test]
fn what_cannot_be_done_safely_leaves_the_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.yaml");
    let flow = format!("version: 1\nusers: [ {{ name: a, scram: \"{VERIFIER}\" }} ]\n");
    fs::write(&path, &flow).unwrap();
    assert!(matches!(add_user(&path, new_user("b")).unwrap_err(), EditError::Layout(_)));
    assert!(matches!(add_user(&path, new_user("a")).unwrap_err(), EditError::Exists(_)));
    assert!(matches!(
        add_user(&path, new_user("*")).unwrap_err(),
        EditError::Layout(_) | EditError::Invalid(_)
    ));
    assert!(matches!(set_enabled(&path, "zed", false).unwrap_err(), EditError::Missing(_)));
    assert_eq!(fs::read_to_string(&path).unwrap(), flow);
    fs::write(&path, "version: 1\nusers: 7\n").unwrap();
    assert!(matches!(add_user(&path, new_user("b")).unwrap_err(), EditError::Invalid(_)));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn accounts_are_switched_and_passwords_changed_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.yaml");
    fs::write(
        &path,
        format!(
            "version: 1\nusers:\n  - name: a # first\n    scram: \"{VERIFIER}\" # old\n  - scram: {VERIFIER}\n    enabled: true # for now\n    name: b\n"
        ),
    )
    .unwrap();
    set_enabled(&path, "a", false).unwrap();
    set_enabled(&path, "b", false).unwrap();
    let verifier = ScramVerifier::generate("new").unwrap();
    set_verifier(&path, "a", &verifier).unwrap();
    set_verifier(&path, "b", &verifier).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("- name: a # first\n    enabled: false\n"), "{text}");
    assert!(text.contains("enabled: false # for now"), "{text}");
    assert!(text.contains("\" # old\n"), "{text}");
    let directory = UserDirectory::load(&path).unwrap();
    assert!(directory.users().all(|user| !user.enabled && user.verifier == verifier));
    set_enabled(&path, "a", true).unwrap();
    set_enabled(&path, "a", true).unwrap();
    assert!(UserDirectory::load(&path).unwrap().get("a").unwrap().enabled);
}
