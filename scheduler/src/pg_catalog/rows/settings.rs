//! `pg_settings`: what can be shown, with its default.

use super::super::cells::Rows;

/// Name, default, type (`bool`, `integer`, `string`, `enum`), context, description.
pub(super) const SETTINGS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "application_name",
        "",
        "string",
        "user",
        "Sets the application name to be reported in statistics and logs.",
    ),
    ("bytea_output", "hex", "enum", "user", "Sets the output format for bytea."),
    ("client_encoding", "UTF8", "string", "user", "Sets the client's character set encoding."),
    ("client_min_messages", "notice", "enum", "user", "Sets the message levels that are sent to the client."),
    ("DateStyle", "ISO, MDY", "string", "user", "Sets the display format for date and time values."),
    (
        "default_table_access_method",
        "heap",
        "string",
        "user",
        "Sets the default table access method for new tables.",
    ),
    (
        "default_transaction_isolation",
        "read committed",
        "enum",
        "user",
        "Sets the transaction isolation level of each new transaction.",
    ),
    (
        "default_transaction_read_only",
        "on",
        "bool",
        "internal",
        "Sets the default read-only status of new transactions.",
    ),
    (
        "extra_float_digits",
        "1",
        "integer",
        "user",
        "Sets the number of digits displayed for floating-point values.",
    ),
    ("in_hot_standby", "off", "bool", "internal", "Shows whether hot standby is currently active."),
    ("integer_datetimes", "on", "bool", "internal", "Shows whether datetimes are integer based."),
    ("IntervalStyle", "postgres", "enum", "user", "Sets the display format for interval values."),
    ("is_superuser", "off", "bool", "internal", "Shows whether the current user is a superuser."),
    ("jit", "off", "bool", "user", "Allow JIT compilation."),
    ("lc_collate", "C.UTF-8", "string", "internal", "Shows the collation order locale."),
    (
        "lc_ctype",
        "C.UTF-8",
        "string",
        "internal",
        "Shows the character classification and case conversion locale.",
    ),
    ("lc_messages", "C.UTF-8", "string", "user", "Sets the language in which messages are displayed."),
    ("max_identifier_length", "63", "integer", "internal", "Shows the maximum identifier length."),
    ("max_index_keys", "32", "integer", "internal", "Shows the maximum number of index keys."),
    ("row_security", "on", "bool", "user", "Enable row security."),
    (
        "search_path",
        "\"$user\", public",
        "string",
        "user",
        "Sets the schema search order for names that are not schema-qualified.",
    ),
    ("server_encoding", "UTF8", "string", "internal", "Shows the server (database) character set encoding."),
    ("server_version", "", "string", "internal", "Shows the server version."),
    ("server_version_num", "", "integer", "internal", "Shows the server version as an integer."),
    ("session_authorization", "", "string", "user", "Sets the session user name."),
    (
        "standard_conforming_strings",
        "on",
        "bool",
        "user",
        "Causes '...' strings to treat backslashes literally.",
    ),
    ("statement_timeout", "0", "integer", "user", "Sets the maximum allowed duration of any statement."),
    ("TimeZone", "UTC", "string", "user", "Sets the time zone for displaying and interpreting time stamps."),
    (
        "transaction_isolation",
        "read committed",
        "enum",
        "user",
        "Sets the current transaction's isolation level.",
    ),
    ("transaction_read_only", "on", "bool", "user", "Sets the current transaction's read-only status."),
];

/// Defaults; a session's own values are put in their place where the table is named in a statement.
pub(super) fn settings(rows: &mut Rows) {
    for (name, value, kind, context, description) in SETTINGS {
        rows.push([
            ("name", (*name).into()),
            ("setting", (*value).into()),
            ("category", "Client Connection Defaults".into()),
            ("short_desc", (*description).into()),
            ("context", (*context).into()),
            ("vartype", (*kind).into()),
            ("source", "default".into()),
            ("boot_val", (*value).into()),
            ("reset_val", (*value).into()),
            ("pending_restart", false.into()),
        ]);
    }
}
