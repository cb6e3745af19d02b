//! `lakeward policy`: check policies, and say what they mean for people and tables.

mod cases;
mod diff;
mod dry_run;
mod lake;
mod matrix;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Subcommand;
use lakeward_policy::POLICY_SCHEMA;
use lakeward_policy::document::Diagnostics;

use self::lake::PolicyLake;
use crate::config::{Config, DEFAULT_FILE};
use crate::service::inspect;

/// Arguments of `lakeward policy`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Args)]
struct From {
    /// Configuration file
    #[arg(long, short, value_name = "FILE", default_value = DEFAULT_FILE, env = "LAKEWARD_CONFIG")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check grants, row filters and masks against the catalog
    #[command(after_help = "Examples:\n  \
        lakeward policy check\n  \
        lakeward policy check --config /etc/lakeward/lakeward.yaml\n\n\
        Each problem is one line: file:line:column: what is wrong. Exit code 2 if there is any.\n\
        What looks like a mistake and is none for sure is a line too, `warning: file:line:column: …`, and no\n\
        problem unless --strict says so: rules that never apply, and tables that filters by tenant leave out.\n\n\
        Run it before merging a change to a policy file; the running service keeps the last good\n\
        policies when a file is wrong.")]
    Check {
        /// Warnings are problems
        #[arg(long)]
        strict: bool,
        #[command(flatten)]
        from: From,
    },
    /// Print the JSON schema of policy files, for editors
    #[command(after_help = "Example:\n  \
        lakeward policy schema > policies.schema.json\n\n\
        It says which keys and words there are. Names of tables, columns and roles, and conditions, are\n\
        checked by `lakeward policy check`.")]
    Schema,
    /// Why somebody sees of a table what they see: rules, in order, and the table as a query
    #[command(after_help = "Examples:\n  \
        lakeward policy explain --user alice --table silver.patients\n  \
        lakeward policy explain --user alice               every table\n\n\
        Shows rules and the user's attributes, no rows.")]
    Explain {
        /// User, from the users file
        #[arg(long, value_name = "NAME")]
        user: String,
        /// Table, as schema.table; every table unless given
        #[arg(long, value_name = "TABLE")]
        table: Option<String>,
        #[command(flatten)]
        from: From,
    },
    /// Who sees what: people across, tables down
    #[command(after_help = "Cells:\n  \
        all          every row, every value\n  \
        rows         rows are filtered\n  \
        masks        values are masked (with `rows`: both)\n  \
        none         readable, but a filter leaves no row\n  \
        describe     columns and plans only\n  \
        -            invisible\n\n\
        Example:\n  \
        lakeward policy matrix --user alice --user bob")]
    Matrix {
        /// Only these users
        #[arg(long = "user", value_name = "NAME")]
        users: Vec<String>,
        #[command(flatten)]
        from: From,
    },
    /// Who gains or loses what when policy files change
    #[command(after_help = "Examples:\n  \
        lakeward policy diff policies.yaml policies.new.yaml\n  \
        lakeward policy diff main/policies/ branch/policies/\n\n\
        OLD and NEW are a policy file each, or a folder each that has all files of `policy.files` under\n\
        their own names. Exit code 1 if anybody sees more or less than before, so that a change that is\n\
        meant to change nothing can be checked.")]
    Diff {
        /// File or folder as it was
        old: PathBuf,
        /// File or folder as it would be
        new: PathBuf,
        #[command(flatten)]
        from: From,
    },
    /// What a draft would change for statements that people ran
    #[command(after_help = "Examples:\n  \
        lakeward policy dry-run --draft policies.new.yaml --statements audit\n  \
        lakeward policy dry-run --draft branch/policies/ --statements recorded.yaml\n\n\
        A file of statements:\n\n  \
        version: 1\n  \
        statements:\n    \
        - { user: alice, query: SELECT count(*) FROM silver.patients }\n\n\
        `audit` takes them from the audit trail, each once for each who ran it. Every statement is planned\n\
        under the policies as they are and under the draft, and not run: what would be denied or allowed,\n\
        and which row filters and masks would be others. Exit code 1 if any would.")]
    DryRun {
        /// A policy file, or a folder that has all files of `policy.files` under their own names
        #[arg(long, value_name = "FILE_OR_DIR")]
        draft: PathBuf,
        /// A file of statements, or `audit`
        #[arg(long, value_name = "FILE|audit")]
        statements: PathBuf,
        #[command(flatten)]
        from: From,
    },
    /// Run cases: what somebody must see, and must not
    #[command(after_help = "A file of cases:\n\n  \
        version: 1\n  \
        cases:\n    \
        - name: analysts see their own tenant\n      \
          user: alice\n      \
          query: SELECT DISTINCT tenant_id FROM silver.patients\n      \
          expect: { values: [[northgate]] }\n    \
        - name: staff notes do not exist for them\n      \
          user: alice\n      \
          query: SELECT * FROM silver.staff_notes\n      \
          expect: { denied: 42P01 }\n\n\
        `expect` has any of: rows (how many), columns (names), values (rows of texts, null for NULL),\n\
        denied (the SQLSTATE). Statements run in this process, as the user, against the lake, through\n\
        everything a statement of a client goes through, and are on record: in the folder `policy-test` of\n\
        the audit trail. A case that fails shows up to five rows. Exit code 1 if one does.")]
    Test {
        /// Files of cases
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        from: From,
    },
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Check { strict, from } => {
            let report = inspect::policies(&Config::load(&from.config)?).await?;
            if strict && !report.warnings.is_empty() {
                return Err(Diagnostics(report.warnings).into());
            }
            report.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
            println!("{}", report.summary);
            Ok(ExitCode::SUCCESS)
        }
        Action::Schema => {
            print!("{POLICY_SCHEMA}");
            Ok(ExitCode::SUCCESS)
        }
        Action::Explain { user, table, from } => {
            explain(&PolicyLake::open(&from.config).await?, &user, table.as_deref())
        }
        Action::Matrix { users, from } => {
            let lake = PolicyLake::open(&from.config).await?;
            println!("{}", matrix::of(&lake, &users)?);
            Ok(ExitCode::SUCCESS)
        }
        Action::Diff { old, new, from } => {
            let (text, same) = diff::between(&from.config, &old, &new).await?;
            println!("{text}");
            Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Action::DryRun { draft, statements, from } => dry_run::run(&from.config, &draft, &statements).await,
        Action::Test { files, from } => cases::run(&from.config, &files).await,
    }
}

fn explain(lake: &PolicyLake, user: &str, table: Option<&str>) -> anyhow::Result<ExitCode> {
    let resolved = lake.resolved(user)?;
    let wanted: Vec<_> =
        lake.tables.iter().filter(|known| table.is_none_or(|table| known.full_name() == table)).collect();
    if wanted.is_empty() {
        let known: Vec<_> = lake.tables.iter().map(lakeward_policy::Securable::full_name).collect();
        bail!("there is no table {}; there are: {}", table.unwrap_or_default(), known.join(", "));
    }
    for table in wanted {
        println!("{}", resolved.explain(table));
    }
    Ok(ExitCode::SUCCESS)
}
