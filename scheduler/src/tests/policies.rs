//! Policies changed and shown by statements.

use super::lake::Lake;
use super::{ask, code, value};
use crate::session::Outcome;

async fn tag(session: &crate::session::Session, sql: &str) -> String {
    let statement = session.parse(sql).unwrap().remove(0);
    let prepared = session.prepare(&statement, &[]).await.unwrap();
    match session.execute(&prepared, Vec::new()).await.unwrap() {
        Outcome::Done { tag, .. } => tag,
        other => panic!("{sql}: {other:?}"),
    }
}

#[tokio::test]
async fn an_operator_changes_what_others_see() {
    let lake = Lake::new().await;
    let (alice, oscar) = (lake.login("alice").await, lake.login("oscar").await);
    let count = "SELECT count(*) FROM silver.people";
    assert_eq!(value(&alice, count).await.unwrap(), "3");

    assert_eq!(
        tag(&oscar, "CREATE ROW POLICY first ON silver.people TO analyst USING (id < 2)").await,
        "CREATE ROW POLICY"
    );
    assert_eq!(value(&alice, count).await.unwrap(), "1", "from the next statement on");
    assert_eq!(tag(&oscar, "ALTER ROW POLICY first USING (id < 3)").await, "ALTER ROW POLICY");
    assert_eq!(value(&alice, count).await.unwrap(), "2");
    assert_eq!(tag(&oscar, "DROP ROW POLICY first").await, "DROP ROW POLICY");
    assert_eq!(value(&alice, count).await.unwrap(), "3");

    assert_eq!(
        tag(&oscar, "CREATE MASKING POLICY costs ON silver.people (cost) TO analyst USING bucket(2)").await,
        "CREATE MASKING POLICY"
    );
    assert_eq!(value(&alice, "SELECT max(cost) FROM silver.people").await.unwrap(), "2");
    assert_eq!(tag(&oscar, "DROP MASKING POLICY costs").await, "DROP MASKING POLICY");

    assert_eq!(code(&alice, "SELECT * FROM bronze.raw").await, "42P01");
    assert_eq!(tag(&oscar, "GRANT SELECT ON bronze.raw TO analyst IN TENANT 'a'").await, "GRANT");
    assert_eq!(value(&alice, "SELECT count(*) FROM bronze.raw").await.unwrap(), "1");
    let bob = lake.login("bob").await;
    assert_eq!(code(&bob, "SELECT * FROM bronze.raw").await, "42P01");
    assert_eq!(tag(&oscar, "DENY SELECT ON silver.* TO analyst").await, "DENY");
    assert_eq!(code(&alice, count).await, "42P01", "the grant of the same is replaced by it");
    assert_eq!(tag(&oscar, "GRANT SELECT ON silver.* TO analyst").await, "GRANT");
    assert_eq!(value(&alice, count).await.unwrap(), "3");
    assert_eq!(tag(&oscar, "REVOKE SELECT ON bronze.raw FROM analyst IN TENANT 'a'").await, "REVOKE");
    assert_eq!(code(&alice, "SELECT * FROM bronze.raw").await, "42P01");

    let text = std::fs::read_to_string(lake.path("policies.yaml")).unwrap();
    assert!(text.contains("# oscar, "), "{text}");
    assert_eq!(lake.coordinator.reload_policies().unwrap(), lakeward_policy::Reload::Unchanged);
}

#[tokio::test]
async fn who_may_not_learns_nothing() {
    let lake = Lake::new().await;
    let before = std::fs::read_to_string(lake.path("policies.yaml")).unwrap();
    for person in ["alice", "stella"] {
        // Stella reads everything there is, `system.policies` too: to change policies is another right.
        let session = lake.login(person).await;
        let mut told = Vec::new();
        let mut statements = vec![
            "DROP ROW POLICY own",
            "DROP ROW POLICY no_such_policy",
            "GRANT SELECT ON silver.people TO analyst",
            "GRANT SELECT ON nowhere.nothing TO nobody",
            "CREATE ROW POLICY own ON silver.people USING (no_such_column = 1)",
            "REVOKE SELECT ON silver.* FROM steward",
        ];
        if person == "alice" {
            statements.extend([
                "SHOW POLICIES",
                "SHOW POLICIES ON silver.people",
                "SHOW POLICIES ON silver.nothing",
                "EXPLAIN POLICY FOR USER bob ON silver.people",
                "EXPLAIN POLICY FOR USER nobody ON silver.people",
            ]);
        }
        for sql in statements {
            let error = ask(&session, sql).await.unwrap_err();
            told.push((error.state.code(), error.message, error.hint, error.position));
        }
        told.dedup();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0, "42501");
    }
    assert_eq!(std::fs::read_to_string(lake.path("policies.yaml")).unwrap(), before);
}

#[tokio::test]
async fn what_is_in_force_is_shown() {
    let lake = Lake::new().await;
    let oscar = lake.login("oscar").await;
    let all = ask(&oscar, "SHOW POLICIES").await.unwrap();
    for words in ["tenant_id = principal.tenant", "constant 'somebody'", "to analyst", "policies.yaml:"] {
        assert!(all.contains(words), "{words}\n{all}");
    }
    let on = ask(&oscar, "SHOW POLICIES ON bronze.raw").await.unwrap();
    assert!(on.contains("*.*") && !on.contains("silver.*") && !on.contains("principal.tenant"), "{on}");
    let why = ask(&oscar, "EXPLAIN POLICY FOR USER bob ON silver.people").await.unwrap();
    assert!(why.contains("tenant_id = 'b'") && why.contains("bob on silver.people: select"), "{why}");
    assert_eq!(code(&oscar, "EXPLAIN POLICY FOR USER nobody ON silver.people").await, "42704");
    assert_eq!(code(&oscar, "SHOW POLICIES ON silver.nothing").await, "42P01");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_and_changes_nothing() {
    let lake = Lake::new().await;
    let oscar = lake.login("oscar").await;
    let file = lake.path("policies.yaml");
    let before = std::fs::read_to_string(&file).unwrap();
    for (sql, expected) in [
        ("CREATE ROW POLICY own ON silver.people USING (true)", "42710"),
        ("CREATE ROW POLICY names ON silver.people USING (true)", "42710"),
        ("CREATE ROW POLICY x ON silver.people USING (no_such_column = 1)", "42P17"),
        ("CREATE ROW POLICY x ON silver.people USING (1 / cost > 0)", "42P17"),
        ("CREATE ROW POLICY x ON silver.people TO no_such_role USING (true)", "42P17"),
        ("CREATE ROW POLICY x ON nowhere.people USING (true)", "42P17"),
        ("CREATE MASKING POLICY x ON silver.people (cost) USING show_last(4)", "42P17"),
        ("CREATE MASKING POLICY x ON silver.people (name) TO analyst USING null()", "42P17"),
        ("CREATE MASKING POLICY x ON silver.people (name) USING show_last()", "42P17"),
        ("GRANT SELECT ON silver.nothing TO analyst", "42P17"),
        ("ALTER ROW POLICY x USING (true)", "42704"),
        ("DROP ROW POLICY x", "42704"),
        ("DROP MASKING POLICY own", "42704"),
        ("REVOKE DESCRIBE ON silver.* FROM analyst", "42704"),
    ] {
        assert_eq!(code(&oscar, sql).await, expected, "{sql}");
    }
    tag(&oscar, "DROP ROW POLICY IF EXISTS x").await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);

    ask(&oscar, "BEGIN").await.unwrap();
    assert_eq!(code(&oscar, "DROP ROW POLICY own").await, "25001");
    ask(&oscar, "ROLLBACK").await.unwrap();

    std::fs::write(&file, format!("{before}# mine\n")).unwrap();
    assert_eq!(code(&oscar, "DROP ROW POLICY own").await, "40001");
    lake.coordinator.reload_policies().unwrap();
    tag(&oscar, "DROP ROW POLICY own").await;
    assert!(std::fs::read_to_string(&file).unwrap().ends_with("# mine\n"));
}

#[tokio::test]
async fn every_change_is_on_record() {
    let lake = Lake::new().await;
    let oscar = lake.login("oscar").await;
    tag(&oscar, "GRANT SELECT ON bronze.raw TO analyst").await;
    assert_eq!(code(&oscar, "DROP ROW POLICY x").await, "42704");
    let alice = lake.login("alice").await;
    assert_eq!(code(&alice, "DROP ROW POLICY own").await, "42501");
    lake.coordinator.audit().close().await.unwrap();
    let mut trail = String::new();
    for file in std::fs::read_dir(lake.path("audit")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            trail.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    let records: Vec<serde_json::Value> =
        trail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| records.iter().filter(|record| record["type"] == kind).collect::<Vec<_>>();
    let changed = of("policy_changed");
    assert_eq!(changed.len(), 2, "{trail}");
    assert_eq!(changed[0]["actor"]["user"], "oscar");
    assert_ne!(changed[0]["old_digest"], changed[0]["new_digest"]);
    assert_eq!(changed[1]["old_digest"], changed[0]["new_digest"]);
    assert_eq!(
        (&changed[1]["new_digest"], &changed[1]["sqlstate"]),
        (&serde_json::Value::Null, &"42704".into())
    );
    let intents: Vec<_> = of("intent").iter().map(|intent| intent["kind"].clone()).collect();
    assert_eq!(intents, ["GRANT", "DROP ROW POLICY"]);
    assert_eq!(of("denied").len(), 1);
}
