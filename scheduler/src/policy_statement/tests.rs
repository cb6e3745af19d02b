#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use crate::error::QueryError;
use lakeward_policy::change::{GrantKey, Privilege, RuleClauses, RuleTarget, Scalar};

fn one(sql: &str) -> Result<PolicyStatement, QueryError> {
    let pieces = pieces(sql).unwrap_or_else(|| panic!("no statement about policies: {sql}"));
    assert_eq!(pieces.len(), 1, "{sql}");
    parse(&pieces[0])
}

fn clauses(sql: &str) -> (String, RuleClauses) {
    match one(sql) {
        Ok(PolicyStatement::Change { changes, .. }) => match changes.as_slice() {
            [PolicyChange::Create { name, clauses, .. } | PolicyChange::Alter { name, clauses, .. }] => {
                (name.clone(), clauses.clone())
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{sql}: {other:?}"),
    }
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

#[test]
fn a_row_policy_has_its_clauses() {
    let (name, all) = clauses(
        "create or replace row policy \"own-tenant\" ON silver.*, Gold.pat_2024*, \"Silver\".\"A b\", 'x.y*' \
         AS PERMISSIVE TO analyst, \"Lead\" EXCEPT steward USING (tenant_id = principal.tenant AND (a > ')'))",
    );
    assert_eq!(name, "own-tenant");
    assert_eq!(
        all,
        RuleClauses {
            target: Some(RuleTarget::Tables(texts(&["silver.*", "gold.pat_2024*", "Silver.A b", "x.y*"]))),
            permissive: Some(true),
            to: Some(Some(texts(&["analyst", "Lead"]))),
            except: Some(texts(&["steward"])),
            using: Some("tenant_id = principal.tenant AND (a > ')')".to_owned()),
            mask: None,
        }
    );
    let (_, all) = clauses("ALTER ROW POLICY Own TO PUBLIC EXCEPT NONE ON TAG patient-level;");
    assert_eq!(
        all,
        RuleClauses {
            target: Some(RuleTarget::Tag("patient-level".to_owned())),
            to: Some(None),
            except: Some(Vec::new()),
            ..RuleClauses::default()
        }
    );
    let (_, all) = clauses("ALTER ROW POLICY own ON tag.patients");
    assert_eq!(all.target, Some(RuleTarget::Tables(texts(&["tag.patients"]))));
}

#[test]
fn a_mask_is_a_call() {
    let mask = |sql: &str| {
        let (_, all) = clauses(&format!("CREATE MASKING POLICY m ON TAG pii.id USING {sql}"));
        let mask = all.mask.unwrap();
        (mask.function, mask.arguments.into_iter().collect::<Vec<_>>())
    };
    let text = |name: &str, value: &str| (name.to_owned(), Scalar::Text(value.to_owned()));
    assert_eq!(mask("null()"), ("null".to_owned(), vec![]));
    assert_eq!(mask("redact"), ("redact".to_owned(), vec![]));
    assert_eq!(mask("constant('it''s')").1, vec![text("value", "it's")]);
    assert_eq!(
        mask("token(key => 'demo', domain => 'patient')").1,
        vec![text("domain", "patient"), text("key", "demo")]
    );
    assert_eq!(
        mask("bucket(10, origin => -2.5)").1,
        vec![("origin".to_owned(), Scalar::Number(-2.5)), ("width".to_owned(), Scalar::Integer(10))]
    );
    let (_, all) = clauses("CREATE MASKING POLICY m ON silver.patients (address.Postcode) USING zip3()");
    let column =
        RuleTarget::Column { on: "silver.patients".to_owned(), column: "address.postcode".to_owned() };
    assert_eq!(all.target, Some(column));
}

#[test]
fn grants_are_single_records() {
    let Ok(PolicyStatement::Change { tag, changes }) =
        one("DENY select, describe ON silver.*, TABLE_x.y TO analyst IN TENANT 'a b'")
    else {
        panic!("no change")
    };
    assert_eq!((tag, changes.len()), ("DENY", 4));
    let grant = GrantKey {
        privilege: Privilege::Select,
        object: "silver.*".to_owned(),
        role: "analyst".to_owned(),
        tenant: Some("a b".to_owned()),
    };
    assert_eq!(changes[0], PolicyChange::Grant { grant: grant.clone(), deny: true });
    let revoked = one("REVOKE SELECT ON silver.* FROM analyst IN TENANT 'a b'").unwrap();
    let expected = PolicyStatement::Change { tag: "REVOKE", changes: vec![PolicyChange::Revoke(grant)] };
    assert_eq!(revoked, expected);
}

#[test]
fn syntax_errors_have_place_and_form() {
    for (sql, code, position) in [
        ("GRANT SELECT ON t TO x", "42601", 17),
        ("GRANT SELECT ON s.t, TO x", "42601", 22),
        ("GRANT ALL ON s.t TO x", "42601", 7),
        ("GRANT analyst TO bob", "42601", 7),
        ("GRANT SELECT ON s.t FROM x", "42601", 21),
        ("GRANT SELECT ON s.t TO x WITH GRANT OPTION", "42601", 26),
        ("GRANT SELECT ON \"s*\".t TO x", "42601", 17),
        ("REVOKE SELECT ON s.t TO x", "42601", 22),
        ("CREATE ROW POLICY p ON s.t", "42601", 27),
        ("CREATE ROW POLICY p USING (true)", "42601", 33),
        ("CREATE ROW POLICY p ON s.t USING ()", "42601", 35),
        ("CREATE ROW POLICY p ON s.t USING (a", "42601", 36),
        ("CREATE ROW POLICY p ON s.t USING true", "42601", 34),
        ("CREATE ROW POLICY p ON s.t ON s.u USING (true)", "42601", 28),
        ("CREATE ROW POLICY using ON s.t USING (true)", "42601", 19),
        ("CREATE MASKING POLICY p ON s.t USING null()", "42601", 32),
        ("CREATE MASKING POLICY p ON s.t (c) USING nul()", "42883", 42),
        ("CREATE MASKING POLICY p ON s.t (c) USING show_last(1, 2)", "42883", 55),
        ("CREATE MASKING POLICY p ON s.t (c) USING show_last(m => 2)", "42883", 52),
        ("CREATE MASKING POLICY p ON s.t (c) USING show_last(1, n => 2)", "42883", 55),
        ("CREATE MASKING POLICY p ON s.t (c) USING noise(1e999, 'd', 'k')", "42601", 48),
        ("ALTER ROW POLICY p", "42601", 19),
        ("DROP ROW POLICY IF p", "42601", 20),
        ("SHOW POLICIES ON patients", "42601", 26),
        ("SHOW POLICIES FOR alice", "42601", 15),
        ("EXPLAIN POLICY FOR alice ON s.t", "42601", 20),
        ("-- ü\n  GRANT x", "42601", 14),
    ] {
        let error = one(sql).unwrap_err();
        assert_eq!((error.state.code(), error.position), (code, Some(position)), "{sql}: {error}");
        assert!(error.hint.is_some(), "{sql}");
    }
    let error = one("CREATE POLICY p ON s.t USING (true)").unwrap_err();
    assert_eq!(error.state.code(), "0A000");
    assert!(error.hint.unwrap().contains("CREATE [OR REPLACE] ROW POLICY"));
}

#[test]
fn other_statements_are_not_ours() {
    for sql in [
        "SELECT 1",
        "SELECT policy FROM grants",
        "SELECT 'GRANT SELECT ON s.t TO x; DROP ROW POLICY p'",
        "SHOW policy",
        "EXPLAIN SELECT * FROM policies",
        "CREATE TABLE policy (a int)",
        "SELECT $$; GRANT $$",
        "SELECT 'unfinished GRANT",
    ] {
        assert!(pieces(sql).is_none(), "{sql}");
    }
}

#[test]
fn a_message_may_hold_both() {
    let message = "SELECT 1; /* a; b */ GRANT SELECT ON s.t TO x ;; SHOW POLICIES -- the end";
    let all = crate::session::Statement::parse_all(message).unwrap();
    let all: Vec<_> = all.iter().map(crate::session::Statement::text).collect();
    assert_eq!(all, ["SELECT 1", "/* a; b */ GRANT SELECT ON s.t TO x", "SHOW POLICIES -- the end"]);
    let error = crate::session::Statement::parse_all("SHOW POLICIES; SELEC 1").unwrap_err();
    assert_eq!((error.state.code(), error.position), ("42601", Some(16)));
}
