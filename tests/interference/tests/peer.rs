//! Row security of a real PostgreSQL beside ours: the same tables, the same policies, the same statements.
//!
//! Compared are names of columns, rows as text, command tags, and of errors the SQLSTATE. A case that is marked
//! `-- known:` is answered otherwise, for that reason; it must be.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::HashMap;
use std::path::Path;

use lakeward_interference::cases::{Case, Step, read};
use lakeward_interference::counts::keep;
use lakeward_interference::doors::{Door, Visitor};
use lakeward_interference::matrix::find;
use lakeward_interference::observe::Answer;
use lakeward_interference::peer::{Postgres, lake};
use lakeward_interference::service::Service;

/// What counts of an answer.
fn essence(answer: Answer, case: &Case) -> String {
    if let Some(code) = answer.code {
        return format!("    {code}\n");
    }
    let answer = answer.normal(case.ordered);
    let name = |column: &String| column.rsplitn(3, ' ').last().unwrap_or_default().to_owned();
    let columns: Vec<_> = answer.columns.iter().map(name).collect();
    let rows: String = answer.rows.iter().map(|row| format!("    {row}\n")).collect();
    format!("    {}\n{rows}    {}\n", columns.join("|"), answer.end)
}

/// What a case is answered, and the SQLSTATE it ends with, if it fails.
async fn answers(visitors: &mut HashMap<String, Visitor>, case: &Case) -> (String, Option<String>) {
    let (mut told, mut code) = (String::new(), None);
    for step in &case.steps {
        let sql = if let Step::Run(sql) = step { Some(sql) } else { None };
        let sql = sql.expect("only statements are for both");
        let answer = visitors.get_mut(&case.person).unwrap().run(sql).await.unwrap();
        code.clone_from(&answer.code);
        told.push_str(&essence(answer, case));
    }
    (told, code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_shows_the_same_rows() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("peer/statements.sql");
    let cases = read("statements.sql", &std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(cases.len() >= 80, "{} statements", cases.len());
    let postgres = Postgres::start().await.unwrap();
    let service = Service::over(lake(), find("plain_8_simple").unwrap().tuning).await.unwrap();
    let (mut theirs, mut ours) = (HashMap::new(), HashMap::new());
    for person in ["alice", "bob", "dora", "norman", "stella"] {
        theirs.insert(person.to_owned(), postgres.visitor(person).await.unwrap());
        ours.insert(person.to_owned(), Visitor::enter(&service, Door::Simple, person).await.unwrap());
    }
    let (mut findings, mut known) = (Vec::new(), 0);
    for case in &cases {
        let ((theirs, _), (ours, code)) = (answers(&mut theirs, case).await, answers(&mut ours, case).await);
        let place = format!("{} `{}`, {}", case.place, case.name, case.person);
        match (theirs == ours, &case.known) {
            (false, None) => findings.push(format!("{place}\n  PostgreSQL\n{theirs}  Lakeward\n{ours}")),
            (true, Some(_)) => findings.push(format!("{place}: there is no difference any more\n")),
            (_, Some(_)) => known += 1,
            (true, None) => {}
        }
        // What fails on both sides by mistake proves nothing.
        if code != case.code {
            findings.push(format!("{place} ends with {code:?} instead of {:?}\n{ours}", case.code));
        }
    }
    println!("PostgreSQL: {} statements, {known} known differences", cases.len());
    assert!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
    keep(env!("CARGO_TARGET_TMPDIR"), "peer-postgresql", cases.len()).unwrap();
}
