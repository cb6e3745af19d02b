//! Ports, opened before anything else that takes time: a mistake there should show at once.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// A listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address} ({what}): {reason}; change `{key}` in the configuration or set {variable}=ADDRESS:PORT",
    reason = reason(cause)
)]
pub struct ListenError {
    what: &'static str,
    key: &'static str,
    variable: &'static str,
    address: SocketAddr,
    cause: io::Error,
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use by another process".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        io::ErrorKind::PermissionDenied => "not allowed (ports below 1024 need a privilege)".to_owned(),
        _ => error.to_string(),
    }
}

/// Opens the PostgreSQL listener.
pub async fn postgres(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|cause| ListenError {
        what: "PostgreSQL",
        key: "listen.postgres",
        variable: "LAKEWARD_LISTEN__POSTGRES",
        address,
        cause,
    })
}

/// Opens the HTTP listener.
pub async fn http(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|cause| ListenError {
        what: "HTTP",
        key: "listen.http",
        variable: "LAKEWARD_LISTEN__HTTP",
        address,
        cause,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    #[tokio::test]
    async fn a_port_in_use_says_which_and_how_to_change_it() {
        let taken = super::http("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(
            super::postgres(address).await.unwrap_err().to_string(),
            format!(
                "cannot listen on {address} (PostgreSQL): the port is in use by another process; change \
                 `listen.postgres` in the configuration or set LAKEWARD_LISTEN__POSTGRES=ADDRESS:PORT"
            )
        );
    }
}
