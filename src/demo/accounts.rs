//! The demo's people, and the files that make a running service of the lake: configuration, policies,
//! users, keys.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use chrono::{Days, SecondsFormat, Utc};
use lakeward_policy::identity::ScramVerifier;
use rand::TryRngCore as _;
use rand::rngs::OsRng;

use super::DemoError;

/// Somebody to log in as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoPerson {
    /// Login name.
    pub user: &'static str,
    /// Password. Everyone knows it: a demo lake must never listen beyond this machine.
    pub password: &'static str,
    /// The one role.
    pub role: &'static str,
    /// The tenant, of those who belong to one.
    pub tenant: Option<&'static str>,
    /// For people: what the policies let them see.
    pub what_they_see: &'static str,
}

/// Everyone in the demo's users file.
pub const PEOPLE: &[DemoPerson] = &[
    DemoPerson {
        user: "alice",
        password: "alice-demo",
        role: "analyst",
        tenant: Some("northgate"),
        what_they_see: "Northgate's silver and gold; last four digits of NHS numbers, no contact details",
    },
    DemoPerson {
        user: "bob",
        password: "bob-demo",
        role: "analyst",
        tenant: Some("lakeside"),
        what_they_see: "Lakeside's silver and gold; last four digits of record numbers, no contact details",
    },
    DemoPerson {
        user: "dana",
        password: "dana-demo",
        role: "data_scientist",
        tenant: None,
        what_they_see: "silver and gold of all tenants; tokens for ids, no names, birth years, outward postcodes",
    },
    DemoPerson {
        user: "parker",
        password: "parker-demo",
        role: "partner",
        tenant: Some("lakeside"),
        what_they_see: "Lakeside's gold only, doctors' names withheld; the account expires in a year",
    },
    DemoPerson {
        user: "stella",
        password: "stella-demo",
        role: "steward",
        tenant: None,
        what_they_see: "everything as it is, bronze included",
    },
    DemoPerson {
        user: "oscar",
        password: "oscar-demo",
        role: "operator",
        tenant: None,
        what_they_see: "system tables, plans and policies; no patient",
    },
];

/// Writes configuration, policies, users and keys into the demo directory.
pub(super) fn write(directory: &Path) -> Result<(), DemoError> {
    file(&directory.join("lakeward.yaml"), CONFIGURATION)?;
    file(&directory.join("policies.yaml"), POLICIES)?;
    secret(&directory.join("users.yaml"), &users()?)?;
    let keys = directory.join("keys");
    fs::create_dir(&keys).map_err(DemoError::io("create", &keys))?;
    restrict(&keys, 0o700)?;
    secret(&keys.join("mask.key"), &random_key()?)?;
    secret(&keys.join("audit.key"), &random_key()?)
}

fn users() -> Result<String, DemoError> {
    let mut text = String::from(
        "# Who may connect. `lakeward user add` adds people. Passwords are never kept, only SCRAM-SHA-256\n\
         # verifiers; the demo's passwords are known to everyone (alice-demo, bob-demo ...).\n\
         version: 1\nusers:\n",
    );
    for person in PEOPLE {
        let verifier =
            ScramVerifier::generate(person.password).map_err(|error| DemoError::Account(Box::new(error)))?;
        text.push_str(&format!("  - name: {}\n    scram: \"{verifier}\"\n", person.user));
        if let Some(tenant) = person.tenant {
            text.push_str(&format!("    tenant: {tenant}\n"));
        }
        text.push_str(&format!("    roles: [{}]\n", person.role));
        if person.role == "partner" {
            let expires = Utc::now() + Days::new(365);
            text.push_str(&format!("    expires: {}\n", expires.to_rfc3339_opts(SecondsFormat::Secs, true)));
        }
    }
    Ok(text)
}

/// 32 random bytes, in hexadecimal so that no editor or shell harms them.
fn random_key() -> Result<String, DemoError> {
    let mut bytes = [0_u8; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| DemoError::Account(Box::new(error)))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn file(path: &Path, text: &str) -> Result<(), DemoError> {
    fs::write(path, text).map_err(DemoError::io("write", path))
}

/// Writes a file that only its owner can read, from its first byte on.
fn secret(path: &Path, text: &str) -> Result<(), DemoError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(DemoError::io("create", path))?;
    file.write_all(text.as_bytes()).map_err(DemoError::io("write", path))
}

#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> Result<(), DemoError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(DemoError::io("protect", path))
}

#[cfg(not(unix))]
fn restrict(_path: &Path, _mode: u32) -> Result<(), DemoError> {
    Ok(())
}

const CONFIGURATION: &str = r#"# The demo's configuration. Every key with its default: `lakeward config reference`.
# Paths are relative to this file.

database: lakeward

listen:
  postgres: "127.0.0.1:5433"
  http: "127.0.0.1:8480"

catalog:
  # A schema for each layer; every folder below with a `_delta_log` is a table.
  layers:
    bronze: lake/bronze
    silver: lake/silver
    gold: lake/gold
  refresh_interval: 2s

identity:
  users: users.yaml

policy:
  files: [policies.yaml]
  # Statements such as CREATE ROW POLICY and GRANT change this one of them.
  managed: policies.yaml

audit:
  directory: audit
  key: "file:keys/audit.key"

execution:
  memory_limit: 2GiB
  spill_directory: spill
"#;

const POLICIES: &str = r#"# Who sees what in the demo lake. Nothing granted means nothing visible: a table that is not granted
# does not exist for the person who asks.
#
# Change it while the service runs: it is read again by itself. `lakeward policy check` says what is
# wrong with it first, with line and column; a bad file changes nothing.

version: 1

grants:
  # Analysts work with the cleaned tables and the aggregates. They have no grant on bronze: to them there
  # is no such schema.
  - { role: analyst, object: "silver.*", action: select }
  - { role: analyst, object: "gold.*", action: select }

  # Data scientists see the same tables, of all tenants, but nobody in person (see the masks).
  - { role: data_scientist, object: "silver.*", action: select }
  - { role: data_scientist, object: "gold.*", action: select }

  # Partners get aggregates only.
  - { role: partner, object: "gold.*", action: select }

  # The steward answers for the data and may read all of it, as it was received, too.
  - { role: steward, object: "bronze.*", action: select }
  - { role: steward, object: "silver.*", action: select }
  - { role: steward, object: "gold.*", action: select }

  # Operators keep the service running. They may see that tables exist and how queries on them would be
  # planned (describe), but not one row of them.
  - { role: operator, object: "bronze.*", action: describe }
  - { role: operator, object: "silver.*", action: describe }
  - { role: operator, object: "gold.*", action: describe }
  - { role: operator, object: "system.*", action: select }
  # They change these policies by statements (GRANT, CREATE ROW POLICY ...). No pattern gives that.
  - { role: operator, object: system.policy_changes, action: select }

row_filters:
  # Who belongs to a tenant sees that tenant's rows. Restrictive: whatever other filters allow, this one
  # must hold. A user without a tenant would see no row.
  - name: own-tenant
    on: ["silver.*", "gold.*"]
    kind: restrictive
    to: [analyst, partner]
    except: [steward]
    using: "tenant_id = principal.tenant"

masks:
  # Masks go by tags that the tables carry on their columns, so a new table with tagged columns is covered
  # from its first day. The steward is excepted from all of them.

  # -- analysts: enough of a number to recognise a patient on the telephone. Patient ids stay, tables are
  # joined by them. `except: data_scientist`: who is both gets the stricter mask below; two masks on one
  # column would be refused.
  - name: last-digits-of-nhs-number
    on: silver.patients
    column: nhs_number
    to: [analyst]
    except: [data_scientist, steward]
    mask: { type: show_last, n: 4 }
  - name: last-digits-of-mrn
    on: silver.patients
    column: mrn
    to: [analyst]
    except: [data_scientist, steward]
    mask: { type: show_last, n: 4 }
  - name: no-contact-details
    tag: pii.contact
    to: [analyst, data_scientist]
    except: [steward]
    mask: { type: "null" }

  # -- data scientists: equal patients have equal tokens in all tables, so joins and counts stay right,
  # but nobody can be looked up without the key.
  - name: tokens-for-ids
    tag: pii.id
    to: [data_scientist]
    except: [steward]
    mask: { type: token, domain: patient, key: demo }
  - name: no-names
    tag: pii.name
    to: [data_scientist]
    except: [steward]
    mask: { type: "null" }
  - name: birth-year
    tag: pii.date
    to: [data_scientist]
    except: [steward]
    mask: { type: truncate_date, to: year }
  - name: postcode-district
    tag: pii.postcode
    to: [data_scientist]
    except: [steward]
    mask: { type: outward_postcode }
  - name: zip-area
    tag: pii.zip
    to: [data_scientist]
    except: [steward]
    mask: { type: zip3 }
  - name: no-towns
    tag: pii.place
    to: [data_scientist]
    except: [steward]
    mask: { type: "null" }

  # -- partners and data scientists: revenue by doctor, but not which doctor.
  - name: staff-withheld
    tag: staff.name
    to: [data_scientist, partner]
    except: [steward]
    mask: { type: constant, value: "withheld" }

keys:
  demo: { from: "file:keys/mask.key" }
"#;
