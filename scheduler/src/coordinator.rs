//! The process-wide state that sessions share.

use std::sync::Arc;

use lakeward_policy::Principal;

use crate::error::{QueryError, SqlState};
use crate::session::{ClientInfo, Session};

/// Catalog, policies, runtime, registry and audit of one process.
#[derive(Debug)]
pub struct Coordinator {}

impl Coordinator {
    /// Opens a governed session for an authenticated principal.
    pub fn open_session(self: &Arc<Self>, _principal: Principal, _client: ClientInfo) -> Result<Arc<Session>, QueryError> {
        Err(QueryError::new(SqlState::InternalError, ""))
    }
}
