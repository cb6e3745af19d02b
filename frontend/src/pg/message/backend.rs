//! What the server says. Every function appends one whole message.

use lakeward_scheduler::session::TransactionStatus;

use super::super::encode::ResultColumn;
use super::super::error::WireError;
use super::super::types::PgType;

/// Appends a message with this type and body, and fills in its length.
fn message(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = (out.len() - start) as u32;
    if let Some(slot) = out.get_mut(start..start + 4) {
        slot.copy_from_slice(&length.to_be_bytes());
    }
}

/// A zero ends a string on the wire, so none may be inside.
fn text(out: &mut Vec<u8>, value: &str) {
    out.extend(value.bytes().filter(|&byte| byte != 0));
    out.push(0);
}

/// Offers SASL mechanisms.
pub(crate) fn authentication_sasl(out: &mut Vec<u8>, mechanisms: &[&str]) {
    message(out, b'R', |out| {
        out.extend_from_slice(&10_i32.to_be_bytes());
        mechanisms.iter().for_each(|mechanism| text(out, mechanism));
        out.push(0);
    });
}

/// A challenge.
pub(crate) fn authentication_sasl_continue(out: &mut Vec<u8>, data: &[u8]) {
    message(out, b'R', |out| {
        out.extend_from_slice(&11_i32.to_be_bytes());
        out.extend_from_slice(data);
    });
}

/// The server's own proof.
pub(crate) fn authentication_sasl_final(out: &mut Vec<u8>, data: &[u8]) {
    message(out, b'R', |out| {
        out.extend_from_slice(&12_i32.to_be_bytes());
        out.extend_from_slice(data);
    });
}

/// The client is who it says.
pub(crate) fn authentication_ok(out: &mut Vec<u8>) {
    message(out, b'R', |out| out.extend_from_slice(&0_i32.to_be_bytes()));
}

/// A setting's present value.
pub(crate) fn parameter_status(out: &mut Vec<u8>, name: &str, value: &str) {
    message(out, b'S', |out| {
        text(out, name);
        text(out, value);
    });
}

/// What a CancelRequest must repeat.
pub(crate) fn backend_key_data(out: &mut Vec<u8>, pid: i32, secret: &[u8]) {
    message(out, b'K', |out| {
        out.extend_from_slice(&pid.to_be_bytes());
        out.extend_from_slice(secret);
    });
}

/// The newest protocol spoken, and the protocol options that were not understood.
pub(crate) fn negotiate_protocol_version(out: &mut Vec<u8>, newest: u32, options: &[String]) {
    message(out, b'v', |out| {
        out.extend_from_slice(&newest.to_be_bytes());
        out.extend_from_slice(&(options.len() as u32).to_be_bytes());
        options.iter().for_each(|option| text(out, option));
    });
}

/// The server waits for the next command.
pub(crate) fn ready_for_query(out: &mut Vec<u8>, status: TransactionStatus) {
    let status = match status {
        TransactionStatus::Idle => b'I',
        TransactionStatus::Active => b'T',
        TransactionStatus::Failed => b'E',
    };
    message(out, b'Z', |out| out.push(status));
}

/// A failure.
pub(crate) fn error_response(out: &mut Vec<u8>, error: &WireError) {
    message(out, b'E', |out| {
        let mut field = |kind: u8, value: &str| {
            out.push(kind);
            text(out, value);
        };
        field(b'S', error.severity());
        field(b'V', error.severity());
        field(b'C', error.code);
        field(b'M', &error.message);
        if let Some(hint) = &error.hint {
            field(b'H', hint);
        }
        if let Some(position) = error.position {
            field(b'P', &position.to_string());
        }
        out.push(0);
    });
}

/// A warning that stops nothing.
pub(crate) fn warning(out: &mut Vec<u8>, message_text: &str) {
    message(out, b'N', |out| {
        for (kind, value) in [(b'S', "WARNING"), (b'V', "WARNING"), (b'C', "01000"), (b'M', message_text)] {
            out.push(kind);
            text(out, value);
        }
        out.push(0);
    });
}

/// A statement is done.
pub(crate) fn command_complete(out: &mut Vec<u8>, tag: &str) {
    message(out, b'C', |out| text(out, tag));
}

/// A row-returning statement is done, or this fetch of it.
pub(crate) fn rows_complete(out: &mut Vec<u8>, command: &str, rows: u64) {
    message(out, b'C', |out| {
        out.extend_from_slice(command.as_bytes());
        // EXPLAIN and SHOW have no count in PostgreSQL's tags.
        if !matches!(command, "EXPLAIN" | "SHOW") {
            out.push(b' ');
            out.extend_from_slice(itoa::Buffer::new().format(rows).as_bytes());
        }
        out.push(0);
    });
}

/// There was no statement.
pub(crate) fn empty_query(out: &mut Vec<u8>) {
    message(out, b'I', |_| ());
}

/// Parse has worked.
pub(crate) fn parse_complete(out: &mut Vec<u8>) {
    message(out, b'1', |_| ());
}

/// Bind has worked.
pub(crate) fn bind_complete(out: &mut Vec<u8>) {
    message(out, b'2', |_| ());
}

/// Close has worked.
pub(crate) fn close_complete(out: &mut Vec<u8>) {
    message(out, b'3', |_| ());
}

/// The row limit of an Execute was reached.
pub(crate) fn portal_suspended(out: &mut Vec<u8>) {
    message(out, b's', |_| ());
}

/// A statement without rows.
pub(crate) fn no_data(out: &mut Vec<u8>) {
    message(out, b'n', |_| ());
}

/// The types of `$1`, `$2` …
pub(crate) fn parameter_description(out: &mut Vec<u8>, types: &[PgType]) {
    message(out, b't', |out| {
        out.extend_from_slice(&(types.len() as u16).to_be_bytes());
        types.iter().for_each(|kind| out.extend_from_slice(&kind.oid().to_be_bytes()));
    });
}

/// The columns of a result.
pub(crate) fn row_description(out: &mut Vec<u8>, columns: &[ResultColumn]) {
    message(out, b'T', |out| {
        out.extend_from_slice(&(columns.len() as u16).to_be_bytes());
        for column in columns {
            text(out, &column.name);
            // No table and no attribute number: results are not tied to stored columns.
            out.extend_from_slice(&0_i32.to_be_bytes());
            out.extend_from_slice(&0_i16.to_be_bytes());
            out.extend_from_slice(&column.kind.oid().to_be_bytes());
            out.extend_from_slice(&column.kind.len().to_be_bytes());
            out.extend_from_slice(&column.modifier.to_be_bytes());
            out.extend_from_slice(&column.format.code().to_be_bytes());
        }
    });
}
