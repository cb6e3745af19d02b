//! The session and the server: who, where, which settings.

use datafusion::common::Result;

use super::super::cells::Cell;
use super::super::error::RewriteError;
use super::super::types::oid as types;
use super::names::search_path;
use super::{Definition, Environment, Kind, lenient, number, strict, text};
use crate::error::SqlState;

const NONE: &[Kind] = &[];

pub(super) const DEFINITIONS: &[Definition] = &[
    lenient("version", NONE, 0, types::TEXT, |env, _| Ok(version(&env.directory().server_version).into())),
    lenient("current_database", NONE, 0, types::NAME, database),
    lenient("current_catalog", NONE, 0, types::NAME, database),
    lenient("current_user", NONE, 0, types::NAME, user),
    lenient("session_user", NONE, 0, types::NAME, user),
    lenient("current_role", NONE, 0, types::NAME, user),
    lenient("user", NONE, 0, types::NAME, user),
    lenient("current_schema", NONE, 0, types::NAME, |env, _| {
        Ok(search_path(env, false).into_iter().next().into())
    }),
    strict("current_schemas", &[Kind::Bool], 1, 1003, |env, args| {
        Ok(search_path(env, args.first() == Some(&Cell::Bool(true))).into())
    }),
    strict("current_setting", &[Kind::Text, Kind::Bool], 1, types::TEXT, |env, args| {
        let name = text(args.first()).unwrap_or_default();
        match env.setting(name) {
            Some(value) => Ok(value.into()),
            None if args.get(1) == Some(&Cell::Bool(true)) => Ok(Cell::Null),
            None => Err(RewriteError::new(
                SqlState::UndefinedObject,
                format!("unrecognized configuration parameter \"{name}\""),
            )
            .into()),
        }
    }),
    // A setting is changed by SET alone, which has its allow-list; what is asked for already holds or is refused.
    lenient("set_config", &[Kind::Text, Kind::Text, Kind::Bool], 3, types::TEXT, |env, args| {
        let (name, value) = (text(args.first()).unwrap_or_default(), text(args.get(1)).unwrap_or_default());
        let harmless = ["jit", "search_path", "bytea_output", "client_min_messages"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name));
        if harmless || env.setting(name).is_some_and(|current| current == value) {
            return Ok(value.into());
        }
        Err(RewriteError::unsupported(format!("set_config for \"{name}\"")).into())
    }),
    lenient("pg_backend_pid", NONE, 0, types::INT4, |_, _| Ok(Cell::from(std::process::id() as i32))),
    lenient("pg_is_in_recovery", NONE, 0, types::BOOL, |_, _| Ok(false.into())),
    lenient("pg_is_wal_replay_paused", NONE, 0, types::BOOL, |_, _| Ok(false.into())),
    lenient("txid_current", NONE, 0, types::INT8, |_, _| Ok(Cell::Int(1))),
    lenient("txid_current_if_assigned", NONE, 0, types::INT8, |_, _| Ok(Cell::Null)),
    lenient("pg_current_xact_id", NONE, 0, types::INT8, |_, _| Ok(Cell::Int(1))),
    lenient("pg_current_xact_id_if_assigned", NONE, 0, types::INT8, |_, _| Ok(Cell::Null)),
    strict("age", &[Kind::Number], 1, types::INT4, |_, _| Ok(Cell::Int(0))),
    lenient("pg_postmaster_start_time", NONE, 0, types::TIMESTAMPTZ, |_, _| Ok(started().into())),
    lenient("pg_conf_load_time", NONE, 0, types::TIMESTAMPTZ, |_, _| Ok(started().into())),
    lenient("inet_server_addr", NONE, 0, types::INET, |_, _| Ok(Cell::Null)),
    lenient("inet_server_port", NONE, 0, types::INT4, |_, _| Ok(Cell::Null)),
    lenient("inet_client_addr", NONE, 0, types::INET, |_, _| Ok(Cell::Null)),
    lenient("inet_client_port", NONE, 0, types::INT4, |_, _| Ok(Cell::Null)),
    lenient("pg_my_temp_schema", NONE, 0, types::OID, |_, _| Ok(Cell::Int(0))),
    strict("pg_is_other_temp_schema", &[Kind::Number], 1, types::BOOL, |_, _| Ok(false.into())),
    lenient("getdatabaseencoding", NONE, 0, types::NAME, |_, _| Ok("UTF8".into())),
    lenient("pg_client_encoding", NONE, 0, types::NAME, |_, _| Ok("UTF8".into())),
    strict("pg_encoding_to_char", &[Kind::Number], 1, types::NAME, |_, args| {
        Ok(if number(args.first()) == Some(6) { "UTF8" } else { "" }.into())
    }),
    strict("pg_char_to_encoding", &[Kind::Text], 1, types::INT4, |_, args| {
        let name = text(args.first()).unwrap_or_default().to_lowercase().replace(['-', '_'], "");
        Ok(Cell::Int(if name == "utf8" || name == "unicode" { 6 } else { -1 }))
    }),
    strict("pg_encoding_max_length", &[Kind::Number], 1, types::INT4, |_, args| {
        Ok(if number(args.first()) == Some(6) { Cell::Int(4) } else { Cell::Null })
    }),
    // No locks are held, so every release of all of them succeeds.
    lenient("pg_advisory_unlock_all", NONE, 0, types::TEXT, |_, _| Ok("".into())),
];

fn database(env: &Environment, _: &[Cell]) -> Result<Cell> {
    Ok(env.directory().database.as_str().into())
}

fn user(env: &Environment, _: &[Cell]) -> Result<Cell> {
    Ok(env.directory().user.as_str().into())
}

/// As clients parse it: `PostgreSQL` and the number come first.
fn version(server_version: &str) -> String {
    if server_version.starts_with("PostgreSQL") {
        server_version.to_string()
    } else {
        format!("PostgreSQL {server_version}")
    }
}

/// When this was first asked, which is close enough to the start for what clients do with it.
fn started() -> i64 {
    static STARTED: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    *STARTED.get_or_init(|| chrono::Utc::now().timestamp_micros())
}
