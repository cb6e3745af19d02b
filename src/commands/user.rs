//! `lakeward user`: accounts in the users file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use clap::Subcommand;
use comfy_table::{ContentArrangement, Table, presets};
use lakeward_policy::identity::{
    self, EditError, NewUser, ScramVerifier, UserDirectory, UserRecord, check_attribute_key,
    check_attribute_value, check_name,
};
use zeroize::Zeroizing;

use super::password;
use crate::cli::EXIT_BAD_INPUT;
use crate::config::{Config, DEFAULT_FILE};

/// Fewest characters of a new password (NIST SP 800-63B).
const MIN_PASSWORD: usize = 8;

/// Arguments of `lakeward user`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add an account; the password is asked for
    #[command(after_help = "Examples:\n  \
        lakeward user add alice --tenant northgate --role analyst\n  \
        lakeward user add audit-partner --role partner --expires 2027-01-31T00:00:00Z\n  \
        pass show lakeward/etl | lakeward user add etl --role loader --password-stdin\n\n\
        A running service notices the change by itself.")]
    Add(Add),
    /// List the accounts
    List {
        #[command(flatten)]
        file: UsersFile,
    },
    /// Let an account log in no more; what runs is not interrupted
    Disable(Named),
    /// Let an account log in again
    Enable(Named),
    /// Give an account another password
    Password {
        #[command(flatten)]
        named: Named,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    /// Login name
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// A role of the account; may be given more than once
    #[arg(long = "role", value_name = "ROLE", value_parser = name)]
    roles: Vec<String>,
    /// Tenant the account belongs to
    #[arg(long, value_name = "TENANT", value_parser = name)]
    tenant: Option<String>,
    /// An attribute that policies may ask for; may be given more than once
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// When the account ends: a date and time with zone (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    expires: Option<DateTime<Utc>>,
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    file: UsersFile,
}

#[derive(Debug, clap::Args)]
struct Named {
    /// Login name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    file: UsersFile,
}

#[derive(Debug, clap::Args)]
struct UsersFile {
    /// The users file itself
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    users: Option<PathBuf>,
    /// Configuration that names the users file
    #[arg(long, short, value_name = "FILE", default_value = DEFAULT_FILE, env = "LAKEWARD_CONFIG")]
    config: PathBuf,
}

impl UsersFile {
    fn path(&self) -> anyhow::Result<PathBuf> {
        match &self.users {
            Some(path) => Ok(path.clone()),
            None => Ok(Config::load(&self.config)?.identity.users.path),
        }
    }
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let result = match args.action {
        Action::Add(add) => self::add(add).await,
        Action::List { file } => list(&file).await,
        Action::Disable(named) => set_enabled(named, false).await,
        Action::Enable(named) => set_enabled(named, true).await,
        Action::Password { named, password_stdin } => set_password(named, password_stdin).await,
    };
    match result {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => match error.downcast::<EditError>() {
            Ok(EditError::Invalid(diagnostics)) => Err(diagnostics.into()),
            Ok(error @ EditError::Io { .. }) => Err(error.into()),
            Ok(error) => {
                eprintln!("lakeward: {error}");
                Ok(ExitCode::from(EXIT_BAD_INPUT))
            }
            Err(error) => Err(error),
        },
    }
}

async fn add(add: Add) -> anyhow::Result<()> {
    let path = add.file.path()?;
    let mut attributes = BTreeMap::new();
    for (key, value) in add.attributes {
        if attributes.insert(key.clone(), value).is_some() {
            bail!("attribute `{key}` is given twice");
        }
    }
    // Before anybody types a password for nothing.
    if path.try_exists()? && load(&path).await?.get(&add.name).is_some() {
        return Err(EditError::Exists(add.name).into());
    }
    if add.roles.is_empty() {
        eprintln!("lakeward: note: without a role {} may log in and see nothing", add.name);
    }
    let verifier = verifier(new_password(&add.name, add.password_stdin).await?).await?;
    let user = NewUser {
        name: add.name.clone(),
        verifier,
        tenant: add.tenant,
        roles: BTreeSet::from_iter(add.roles),
        attributes,
        expires: add.expires,
    };
    let file = path.clone();
    tokio::task::spawn_blocking(move || identity::add_user(&file, user)).await??;
    println!("added {} to {}", add.name, path.display());
    Ok(())
}

async fn list(file: &UsersFile) -> anyhow::Result<()> {
    let directory = load(&file.path()?).await?;
    let now = Utc::now();
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["USER", "TENANT", "ROLES", "ATTRIBUTES", "EXPIRES", "STATE"]);
    for user in directory.users() {
        table.add_row(row(user, now));
    }
    println!("{}", table.trim_fmt());
    Ok(())
}

fn row(user: &UserRecord, now: DateTime<Utc>) -> [String; 6] {
    let attributes: Vec<String> =
        user.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let state = if !user.enabled {
        "disabled"
    } else if user.principal().is_expired(now) {
        "expired"
    } else {
        "active"
    };
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    [
        user.name.clone(),
        or_dash(user.tenant.clone().unwrap_or_default()),
        or_dash(Vec::from_iter(user.roles.iter().cloned()).join(", ")),
        or_dash(attributes.join(", ")),
        or_dash(user.expires.map(|end| end.to_rfc3339()).unwrap_or_default()),
        state.to_owned(),
    ]
}

async fn set_enabled(named: Named, enabled: bool) -> anyhow::Result<()> {
    let path = named.file.path()?;
    let name = named.name.clone();
    tokio::task::spawn_blocking(move || identity::set_enabled(&path, &name, enabled)).await??;
    println!("{} is {}", named.name, if enabled { "enabled" } else { "disabled" });
    Ok(())
}

async fn set_password(named: Named, stdin: bool) -> anyhow::Result<()> {
    let path = named.file.path()?;
    if load(&path).await?.get(&named.name).is_none() {
        return Err(EditError::Missing(named.name).into());
    }
    let verifier = verifier(new_password(&named.name, stdin).await?).await?;
    let name = named.name.clone();
    tokio::task::spawn_blocking(move || identity::set_verifier(&path, &name, &verifier)).await??;
    println!("{} has a new password", named.name);
    Ok(())
}

async fn load(path: &Path) -> anyhow::Result<UserDirectory> {
    let path = path.to_path_buf();
    Ok(tokio::task::spawn_blocking(move || UserDirectory::load(path)).await??)
}

async fn new_password(user: &str, stdin: bool) -> anyhow::Result<Zeroizing<String>> {
    let password =
        if stdin { password::from_stdin().await? } else { password::new_from_terminal(user).await? };
    if password.chars().count() < MIN_PASSWORD {
        bail!("the password has fewer than {MIN_PASSWORD} characters; nothing was changed");
    }
    Ok(password)
}

async fn verifier(password: Zeroizing<String>) -> anyhow::Result<ScramVerifier> {
    let made = tokio::task::spawn_blocking(move || ScramVerifier::generate(&password)).await?;
    made.context("cannot use this password")
}

fn name(text: &str) -> Result<String, String> {
    check_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    check_attribute_key(key).map_err(|error| error.to_string())?;
    check_attribute_value(value).map_err(|error| error.to_string())?;
    Ok((key.to_owned(), value.to_owned()))
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .map_err(|_| "expected a time such as 2027-01-31T00:00:00Z".to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use lakeward_policy::identity::ActsFor;

    use super::*;

    #[test]
    fn arguments_are_checked_as_the_file_is() {
        assert_eq!(attribute("practice=P001=x").unwrap(), ("practice".to_owned(), "P001=x".to_owned()));
        assert!(attribute("practice").is_err());
        assert!(attribute("Practice=1").is_err());
        assert!(name("*").is_err());
        assert_eq!(time("2027-01-31T01:00:00+01:00").unwrap().to_rfc3339(), "2027-01-31T00:00:00+00:00");
        assert!(time("2027-01-31").is_err());
    }

    #[test]
    fn a_listed_account_says_why_it_cannot_log_in() {
        let mut user = UserRecord {
            name: "a".into(),
            verifier: ScramVerifier::generate("x").unwrap(),
            tenant: None,
            roles: BTreeSet::from(["r".to_owned(), "s".to_owned()]),
            attributes: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            enabled: true,
            expires: None,
            end_users: ActsFor::Nobody,
        };
        let now = Utc::now();
        assert_eq!(row(&user, now), ["a", "-", "r, s", "k=v", "-", "active"]);
        user.expires = Some(now);
        assert_eq!(row(&user, now)[5], "expired");
        user.enabled = false;
        assert_eq!(row(&user, now)[5], "disabled");
    }
}
