#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use chrono::{TimeZone, Utc};
use proptest::prelude::*;

use super::replace::Step;
use super::*;
use crate::records::FilterKind;
use crate::tests::{patients, securable};
use crate::{PolicyEngine, Reload};

/// Every way in which people write records, and comments wherever they put them.
const FILE: &str = "# Who sees what.
version: 1

roles: [{ role: lead, inherits: [analyst] }]   # leads
grants:
# the lake
- { role: analyst, object: silver.*, action: select }
-   role: steward   # answers for it
    object: \"silver.*\"
    action: select
    # no effect: allow

# rows
row_filters:   # obligations
  # oscar, 2026-01-02T03:04:05Z
  - name: own-tenant
    on: [silver.*]
    to: [analyst]
    using: >-
      tenant_id = principal.tenant

  # below the last one

masks: []   # none yet
keys: {}
# the end";

fn stamp() -> Stamp {
    Stamp::new("alice", Utc.with_ymd_and_hms(2026, 11, 22, 19, 40, 0).unwrap())
}

fn changed(text: &str, change: &PolicyChange) -> Result<String, ChangeError> {
    apply((Path::new("p.yaml"), text), &[], std::slice::from_ref(change), &stamp(), &mut Vec::new())
}

fn grant(role: &str, object: &str) -> GrantKey {
    GrantKey { privilege: Privilege::Select, object: object.to_owned(), role: role.to_owned(), tenant: None }
}

fn row_policy(using: &str) -> RuleClauses {
    RuleClauses {
        target: Some(RuleTarget::Tables(vec!["silver.*".to_owned()])),
        using: Some(using.to_owned()),
        ..RuleClauses::default()
    }
}

fn create(name: &str, using: &str) -> PolicyChange {
    PolicyChange::Create {
        kind: RuleKind::RowPolicy,
        name: name.to_owned(),
        replace: false,
        clauses: row_policy(using),
    }
}

#[test]
fn a_record_is_added_where_its_like_are() {
    let text = changed(FILE, &create("cheap", "cost < 5")).unwrap();
    let expected = "      tenant_id = principal.tenant
  # alice, 2026-11-22T19:40:00Z
  - name: \"cheap\"
    on: [\"silver.*\"]
    using: \"cost < 5\"

  # below the last one
";
    assert!(text.contains(expected), "{text}");
    let text = changed(
        &text,
        &PolicyChange::Create {
            kind: RuleKind::MaskingPolicy,
            name: "ids".to_owned(),
            replace: false,
            clauses: RuleClauses {
                target: Some(RuleTarget::Tag("pii.id".to_owned())),
                to: Some(Some(vec!["analyst".to_owned()])),
                mask: Some(MaskCall {
                    function: "show_last".to_owned(),
                    arguments: BTreeMap::from([("n".to_owned(), Scalar::Integer(4))]),
                }),
                ..RuleClauses::default()
            },
        },
    )
    .unwrap();
    let expected = "masks:   # none yet
  # alice, 2026-11-22T19:40:00Z
  - name: \"ids\"
    tag: \"pii.id\"
    to: [\"analyst\"]
    mask: { type: \"show_last\", n: 4 }
keys: {}
# the end
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn only_the_lines_of_a_record_and_its_stamp_are_replaced() {
    let alter = PolicyChange::Alter {
        kind: RuleKind::RowPolicy,
        name: "own-tenant".to_owned(),
        clauses: RuleClauses {
            permissive: Some(true),
            except: Some(vec!["steward".to_owned()]),
            ..RuleClauses::default()
        },
    };
    let text = changed(FILE, &alter).unwrap();
    let expected = "row_filters:   # obligations
  # alice, 2026-11-22T19:40:00Z
  - name: \"own-tenant\"
    on: [\"silver.*\"]
    kind: \"permissive\"
    to: [\"analyst\"]
    except: [\"steward\"]
    using: \"tenant_id = principal.tenant\"

  # below the last one
";
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains("oscar"));

    let drop =
        PolicyChange::Drop { kind: RuleKind::RowPolicy, name: "own-tenant".to_owned(), if_exists: false };
    let text = changed(FILE, &drop).unwrap();
    let expected = "row_filters: []   # obligations
  # alice, 2026-11-22T19:40:00Z: dropped row policy \"own-tenant\"

  # below the last one
";
    assert!(text.contains(expected), "{text}");

    let text = changed(FILE, &PolicyChange::Revoke(grant("analyst", "silver.*"))).unwrap();
    let expected = "# the lake
# alice, 2026-11-22T19:40:00Z: revoked select on \"silver.*\" from \"analyst\"
-   role: steward   # answers for it
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_denial_takes_the_place_of_a_grant() {
    let deny = PolicyChange::Grant { grant: grant("steward", "silver.*"), deny: true };
    let text = changed(FILE, &deny).unwrap();
    let expected = "# alice, 2026-11-22T19:40:00Z
- { role: \"steward\", object: \"silver.*\", action: \"select\", effect: \"deny\" }
    # no effect: allow
";
    assert!(text.contains(expected), "{text}");
    assert_eq!(changed(&text, &deny).unwrap(), text, "the same again changes nothing");
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let is = |change: &PolicyChange, text: &str| changed(text, change).unwrap_err().to_string();
    assert_eq!(is(&create("own-tenant", "true"), FILE), "row policy \"own-tenant\" already exists");
    let drop = |kind, if_exists| PolicyChange::Drop { kind, name: "own".to_owned(), if_exists };
    assert_eq!(is(&drop(RuleKind::RowPolicy, false), FILE), "row policy \"own\" does not exist");
    assert_eq!(is(&drop(RuleKind::MaskingPolicy, false), FILE), "masking policy \"own\" does not exist");
    assert_eq!(changed(FILE, &drop(RuleKind::RowPolicy, true)).unwrap(), FILE);
    let revoke =
        PolicyChange::Revoke(GrantKey { tenant: Some("a".to_owned()), ..grant("analyst", "silver.*") });
    assert!(is(&revoke, FILE).starts_with("nothing removed"));
    for layout in [
        "{ version: 1, grants: [{ role: a, object: silver.*, action: select }] }\n",
        "version: 1\ngrants: [\n  { role: a, object: silver.*, action: select } ]\n",
        "version: 1\n\"grants\":\n  - { role: a, object: silver.*, action: select }\n",
    ] {
        let change = PolicyChange::Grant { grant: grant("b", "silver.*"), deny: false };
        assert!(is(&change, layout).contains("by hand"), "{layout}");
    }
    // What an ALTER does not mean would become another text: 7.
    let filters = "version: 1\nrow_filters:\n  - { name: f, on: [a.b], to: [007], using: 'true' }\n";
    assert_eq!(Model::of(filters).rules[0].1.to, Some(vec!["007".to_owned()]));
    let alter = PolicyChange::Alter {
        kind: RuleKind::RowPolicy,
        name: "f".to_owned(),
        clauses: RuleClauses { except: Some(vec!["x".to_owned()]), ..RuleClauses::default() },
    };
    assert!(is(&alter, filters).contains("by hand"));
}

#[test]
fn every_mask_can_be_written() {
    for function in mask_functions() {
        let argument = |name: &&str| {
            let value = match *name {
                "n" => Scalar::Integer(3),
                "width" | "origin" | "amount" => Scalar::Number(2.5),
                "to" => Scalar::Text("quarter".to_owned()),
                _ => Scalar::Text("x".to_owned()),
            };
            ((*name).to_owned(), value)
        };
        let arguments = mask_parameters(function).unwrap().iter().map(argument).collect();
        let change = PolicyChange::Create {
            kind: RuleKind::MaskingPolicy,
            name: "m".to_owned(),
            replace: false,
            clauses: RuleClauses {
                target: Some(RuleTarget::Tag("t".to_owned())),
                mask: Some(MaskCall { function: function.to_owned(), arguments }),
                ..RuleClauses::default()
            },
        };
        let text = changed(FILE, &change).unwrap();
        let file =
            parse(Path::new("p.yaml"), &text).unwrap_or_else(|why| panic!("{function}: {why}\n{text}"));
        assert_eq!(file.masks.len(), 1, "{function}");
    }
}

/// What the records say, kept beside the file.
#[derive(Debug, Clone, PartialEq, Default)]
struct Model {
    rules: Vec<(String, Rule)>,
    grants: BTreeMap<GrantKey, bool>,
}

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    on: Vec<String>,
    tag: Option<String>,
    permissive: bool,
    to: Option<Vec<String>>,
    except: Vec<String>,
    using: String,
}

impl Rule {
    fn take(&mut self, clauses: &RuleClauses) {
        match &clauses.target {
            Some(RuleTarget::Tables(on)) => (self.on, self.tag) = (on.clone(), None),
            Some(RuleTarget::Tag(tag)) => (self.on, self.tag) = (Vec::new(), Some(tag.clone())),
            _ => {}
        }
        self.permissive = clauses.permissive.unwrap_or(self.permissive);
        self.to = clauses.to.clone().unwrap_or(self.to.take());
        self.except = clauses.except.clone().unwrap_or(std::mem::take(&mut self.except));
        self.using = clauses.using.clone().unwrap_or(std::mem::take(&mut self.using));
    }
}

impl Model {
    /// Whether it can be done; then it is.
    fn apply(&mut self, change: &PolicyChange) -> bool {
        let place = |rules: &[(String, Rule)], name: &str| rules.iter().position(|(known, _)| known == name);
        let empty = Rule {
            on: Vec::new(),
            tag: None,
            permissive: false,
            to: None,
            except: Vec::new(),
            using: String::new(),
        };
        match change {
            PolicyChange::Create { name, replace, clauses, .. } => {
                let mut rule = empty;
                rule.take(clauses);
                match place(&self.rules, name) {
                    Some(index) if *replace => self.rules[index].1 = rule,
                    Some(_) => return false,
                    None => self.rules.push((name.clone(), rule)),
                }
            }
            PolicyChange::Alter { name, clauses, .. } => match place(&self.rules, name) {
                Some(index) => self.rules[index].1.take(clauses),
                None => return false,
            },
            PolicyChange::Drop { name, if_exists, .. } => match place(&self.rules, name) {
                Some(index) => drop(self.rules.remove(index)),
                None => return *if_exists,
            },
            PolicyChange::Grant { grant, deny } => {
                self.grants.insert(grant.clone(), *deny);
            }
            PolicyChange::Revoke(grant) => return self.grants.remove(grant).is_some(),
        }
        true
    }

    fn of(text: &str) -> Self {
        let file = parse(Path::new("p.yaml"), text).unwrap_or_else(|why| panic!("{why}\n{text}"));
        let rules = file.row_filters.into_iter().map(|record| {
            let rule = Rule {
                on: record.on.into_iter().map(|on| on.value).collect(),
                tag: record.tag.map(|tag| tag.value),
                permissive: record.kind == FilterKind::Permissive,
                to: record.to,
                except: record.except,
                using: record.using.value,
            };
            (record.name.value, rule)
        });
        let grants = file.grants.into_iter().map(|record| {
            let key = GrantKey {
                privilege: match record.action {
                    Action::Select => Privilege::Select,
                    Action::Describe => Privilege::Describe,
                },
                object: record.object.unwrap().value,
                role: record.role.value,
                tenant: (record.tenant != "*").then_some(record.tenant),
            };
            (key, record.effect == Effect::Deny)
        });
        Self { rules: rules.collect(), grants: grants.collect() }
    }
}

/// Texts that are something else to YAML wherever they are not quoted well.
fn text_strategy() -> impl Strategy<Value = String> {
    let hostile = [
        "a",
        "own-tenant",
        "lead: x",
        "x # y",
        "# c",
        "it's",
        "\"",
        "\\",
        "\\\"",
        "a\nb",
        "a\n- name: b",
        "\r\n",
        "\t",
        "- a",
        "null",
        "~",
        "true",
        "007",
        "1e3",
        "{a}",
        "[a]",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "|",
        ">",
        "\u{0}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{fffe}",
        "\u{1f600}",
        "ß",
        "",
        " ",
        "a ",
        "---",
        "...",
        "\\n",
        "\\U00000041",
        "*",
        "?",
        ": ",
        ",",
    ];
    prop_oneof![
        4 => proptest::sample::select(hostile[..3].to_vec()).prop_map(str::to_owned),
        4 => proptest::sample::select(hostile.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn clauses_strategy(whole: bool) -> impl Strategy<Value = RuleClauses> {
    let texts = || proptest::collection::vec(text_strategy(), 0..3);
    let target =
        prop_oneof![texts().prop_map(RuleTarget::Tables), text_strategy().prop_map(RuleTarget::Tag),];
    (
        (any::<bool>(), target),
        proptest::option::of(any::<bool>()),
        proptest::option::of(proptest::option::of(texts())),
        proptest::option::of(texts()),
        (any::<bool>(), text_strategy()),
    )
        .prop_map(move |(target, permissive, to, except, using)| RuleClauses {
            target: (whole || target.0).then_some(target.1),
            permissive,
            to,
            except,
            using: (whole || using.0).then_some(using.1),
            mask: None,
        })
}

fn change_strategy() -> impl Strategy<Value = PolicyChange> {
    let kind = RuleKind::RowPolicy;
    let key = || {
        (any::<bool>(), text_strategy(), text_strategy(), proptest::option::of(text_strategy())).prop_map(
            |(select, object, role, tenant)| GrantKey {
                privilege: if select { Privilege::Select } else { Privilege::Describe },
                object,
                role,
                tenant: tenant.filter(|tenant| tenant != "*"),
            },
        )
    };
    prop_oneof![
        3 => (text_strategy(), any::<bool>(), clauses_strategy(true))
            .prop_map(move |(name, replace, clauses)| PolicyChange::Create { kind, name, replace, clauses }),
        2 => (text_strategy(), clauses_strategy(false))
            .prop_map(move |(name, clauses)| PolicyChange::Alter { kind, name, clauses }),
        2 => (text_strategy(), any::<bool>())
            .prop_map(move |(name, if_exists)| PolicyChange::Drop { kind, name, if_exists }),
        2 => (key(), any::<bool>()).prop_map(|(grant, deny)| PolicyChange::Grant { grant, deny }),
        1 => key().prop_map(PolicyChange::Revoke),
        1 => any::<bool>().prop_map(|first| {
            PolicyChange::Revoke(grant(if first { "analyst" } else { "steward" }, "silver.*"))
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_file_says_what_the_changes_say(changes in proptest::collection::vec(change_strategy(), 1..12)) {
        let (mut text, mut model) = (FILE.to_owned(), Model::of(FILE));
        for change in &changes {
            let possible = model.apply(change);
            match changed(&text, change) {
                Ok(next) => {
                    prop_assert!(possible, "{change:?}\n{text}");
                    text = next;
                }
                Err(why) => prop_assert!(!possible, "{change:?}: {why}\n{text}"),
            }
            prop_assert_eq!(&Model::of(&text), &model, "{:?}\n{}", change, text);
        }
        for line in FILE.lines().filter(|line| line.trim().starts_with('#') && !line.contains("oscar")) {
            prop_assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
        let rest = ["version: 1", "roles: [{ role: lead, inherits: [analyst] }]   # leads", "masks: []   # none yet"];
        for line in rest {
            prop_assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
    }
}

const LOADED: &str = "version: 1
grants:
  - { role: analyst, object: silver.*, action: select }   # all
row_filters:
  - { name: own, on: [silver.*], to: [analyst], using: tenant_id = principal.tenant }
";

fn engine(directory: &Path, files: &[(&str, &str)]) -> PolicyEngine {
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| directory.join(name)).collect();
    for (path, (_, text)) in paths.iter().zip(files) {
        std::fs::write(path, text).unwrap();
    }
    let managed = paths[0].clone();
    PolicyEngine::load(paths, &[securable(patients().schema())]).unwrap().managing(managed)
}

#[test]
fn a_change_is_in_force_and_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("p.yaml");
    let engine = engine(directory.path(), &[("p.yaml", LOADED)]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let tables = [securable(patients().schema())];
    let before = engine.current();

    let done = engine.change(&[create("cheap", "cost < 5")], "alice", &tables).unwrap();
    assert_eq!((done.old_digest.as_str(), before.epoch() + 1), (before.digest(), engine.current().epoch()));
    assert_eq!(done.new_digest, engine.current().digest());
    assert_ne!(done.new_digest, done.old_digest);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("# alice, 2") && text.contains("- name: \"cheap\"") && text.contains("# all"),
        "{text}"
    );
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    assert_eq!(engine.reload(&tables).unwrap(), Reload::Unchanged, "the file says what is in force");

    // Refused as a whole, with what is wrong.
    let two = [create("fine", "true"), create("wrong", "no_such_column = 1")];
    let refused = engine.change(&two, "alice", &tables).unwrap_err();
    assert!(matches!(&refused, ChangeError::Refused(_)) && refused.to_string().contains("no_such_column"));
    let drop = |name: &str| PolicyChange::Drop {
        kind: RuleKind::RowPolicy,
        name: name.to_owned(),
        if_exists: false,
    };
    let all = [drop("own"), drop("cheap"), PolicyChange::Revoke(grant("analyst", "silver.*"))];
    let refused = engine.change(&all, "alice", &tables).unwrap_err().to_string();
    assert!(refused.contains("no grants at all"), "{refused}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    assert_eq!(engine.current().digest(), done.new_digest);

    // Somebody else's change must be in force first.
    std::fs::write(&file, format!("{text}# mine\n")).unwrap();
    let create = [create("more", "true")];
    assert!(matches!(engine.change(&create, "alice", &tables), Err(ChangeError::ChangedOnDisk)));
    engine.reload(&tables).unwrap();
    engine.change(&create, "alice", &tables).unwrap();
    assert!(std::fs::read_to_string(&file).unwrap().contains("# mine"));
}

#[test]
fn only_the_managed_file_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let other = "version: 1\ngrants:\n  - { role: partner, object: silver.*, action: select, effect: deny }\n\
        row_filters:\n  - { name: theirs, on: [silver.*], using: 'true' }\n";
    let engine = engine(directory.path(), &[("p.yaml", LOADED), ("q.yaml", other)]);
    let tables = [securable(patients().schema())];
    let change = |change: PolicyChange| engine.change(&[change], "alice", &tables);
    let drop = PolicyChange::Drop { kind: RuleKind::RowPolicy, name: "theirs".to_owned(), if_exists: true };
    assert!(matches!(change(drop), Err(ChangeError::Elsewhere(_))));
    assert!(matches!(change(create("theirs", "true")), Err(ChangeError::Exists { .. })));
    assert!(matches!(
        change(PolicyChange::Revoke(grant("partner", "silver.*"))),
        Err(ChangeError::Elsewhere(_))
    ));
    let done = change(PolicyChange::Grant { grant: grant("partner", "silver.*"), deny: false }).unwrap();
    assert!(done.notices[0].contains("a denial of the same"), "{:?}", done.notices);
    assert_eq!(std::fs::read_to_string(directory.path().join("q.yaml")).unwrap(), other);
    let unmanaged = PolicyEngine::load(vec![directory.path().join("p.yaml")], &tables).unwrap();
    assert!(matches!(unmanaged.change(&[create("x", "true")], "a", &tables), Err(ChangeError::NotManaged)));
}

#[test]
fn a_crash_leaves_the_old_file_or_the_new_one() {
    use Step::{Create, Own, Rename, Sync, SyncFolder, Write};
    for (step, is_new) in
        [(Create, false), (Own, false), (Write, false), (Sync, false), (Rename, false), (SyncFolder, true)]
    {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("p.yaml");
        std::fs::write(&file, "old").unwrap();
        // A panic goes past all that would be tidied up, as a crash does.
        let crashed = std::panic::catch_unwind(|| {
            let stop = |now| if now == step { panic!("crash") } else { io::Result::Ok(()) };
            Replacement::begin(&file).unwrap().put_with(b"new", stop)
        });
        assert!(crashed.is_err(), "{step:?}");
        let expected = if is_new { "new" } else { "old" };
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected, "{step:?}");
        // The next one is not hindered by what was left.
        assert!(!Replacement::begin(&file).unwrap().put(b"newer").unwrap());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "newer", "{step:?}");

        std::fs::write(&file, "old").unwrap();
        let fail = |now| if now == step { Err(io::Error::other("full")) } else { Ok(()) };
        let failed = Replacement::begin(&file).unwrap().put_with(b"new", fail);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected, "{step:?}");
        assert_eq!(matches!(failed, Ok(true)), is_new, "{step:?}: {failed:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("real.yaml"), directory.path().join("p.yaml"));
    std::fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    Replacement::begin(&link).unwrap().put(b"new").unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
}

#[test]
fn who_did_it_cannot_end_the_comment() {
    let stamp = Stamp::new("a\nb\u{2028}c", Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap());
    assert_eq!(stamp.0, "# a?b?c, 2026-01-01T00:00:00Z");
    assert!(Stamp::is_one(&stamp.0) && Stamp::is_one("   # oscar, 2026-01-02T03:04:05Z\n"));
    assert!(!Stamp::is_one("# a, b") && !Stamp::is_one("# x, 2026-01-01T00:00:00Z: dropped"));
}

#[tokio::test]
async fn the_right_to_change_policies_is_given_by_name_alone() {
    let table = securable(patients().schema());
    for (grants, may) in [
        ("{ role: r, object: system.policy_changes, action: select }", true),
        ("{ role: base, object: system.policy_changes, action: select }", true),
        ("{ role: r, object: system.policy_changes, action: select, tenant: a }", true),
        ("{ role: r, object: system.policy_changes, action: select, tenant: b }", false),
        ("{ role: r, object: system.policy_changes, action: describe }", false),
        ("{ role: r, object: system.*, action: select }", false),
        ("{ role: r, object: '*.*', action: select }", false),
        ("{ role: other, object: system.policy_changes, action: select }", false),
        (
            "{ role: r, object: system.policy_changes, action: select }\n  - { role: r, object: system.*, action: select, effect: deny }",
            false,
        ),
    ] {
        let text = format!("version: 1\nroles: [{{ role: r, inherits: [base] }}]\ngrants:\n  - {grants}\n");
        let who = crate::tests::principal("oscar", Some("a"), &["r"]);
        let resolved = crate::tests::resolve(&text, &table, &who).await;
        assert_eq!(resolved.may_change_policies(), may, "{grants}");
    }
}
