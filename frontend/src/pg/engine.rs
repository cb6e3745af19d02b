//! What the wire needs of the rest: sessions that parse, plan and run. One implementation serves people; the
//! other one is in this crate's tests.

use std::future::Future;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use futures::StreamExt;
use futures::stream::BoxStream;
use lakeward_policy::Principal;
use lakeward_scheduler::coordinator::Coordinator;
use lakeward_scheduler::error::{QueryError, SqlState};
use lakeward_scheduler::result::Permission;
use lakeward_scheduler::session::{
    ClientInfo, Forget, Outcome, Prepared, Session, Statement, TransactionStatus,
};

/// Opens sessions.
pub(super) trait Engine: Send + Sync + 'static {
    type Session: WireSession;

    fn open(
        &self,
        principal: Principal,
        client: ClientInfo,
    ) -> impl Future<Output = Result<Arc<Self::Session>, QueryError>> + Send;

    /// Writes down a login that failed. `reason` is for operators.
    fn refused_login(&self, user: &str, client: &ClientInfo, state: SqlState, reason: &str);
}

/// What an executed statement gives.
pub(super) enum WireOutcome {
    /// `permission` is asked before rows go out that were read some time ago.
    Rows {
        command: &'static str,
        schema: SchemaRef,
        stream: Batches,
        permission: Permission,
    },
    Done {
        tag: String,
        reported: Vec<(String, String)>,
        warning: Option<String>,
    },
    Forget(Forget),
}

/// Rows on their way; dropping it cancels them.
pub(super) type Batches = BoxStream<'static, Result<RecordBatch, QueryError>>;

/// [`Session`], as far as the wire uses it.
pub(super) trait WireSession: Send + Sync + 'static {
    type Statement: Send + Sync;
    type Prepared: Clone + Send + Sync;

    fn reported_parameters(&self) -> Vec<(String, String)>;
    fn parse(&self, sql: &str) -> Result<Vec<Self::Statement>, QueryError>;
    fn prepare(
        &self,
        statement: &Self::Statement,
        parameter_types: &[Option<DataType>],
    ) -> impl Future<Output = Result<Self::Prepared, QueryError>> + Send;
    fn execute(
        &self,
        prepared: &Self::Prepared,
        parameters: Vec<ScalarValue>,
    ) -> impl Future<Output = Result<WireOutcome, QueryError>> + Send;
    fn parameter_types(prepared: &Self::Prepared) -> Vec<DataType>;
    fn schema(prepared: &Self::Prepared) -> Option<SchemaRef>;
    fn transaction_status(&self) -> TransactionStatus;
    fn mark_failed(&self);
    fn cancel(&self);
    fn close(&self);
    fn shutdown(&self);
}

impl Engine for Arc<Coordinator> {
    type Session = Session;

    async fn open(&self, principal: Principal, client: ClientInfo) -> Result<Arc<Session>, QueryError> {
        self.open_session(principal, client).await
    }

    fn refused_login(&self, user: &str, client: &ClientInfo, state: SqlState, reason: &str) {
        Coordinator::refused_login(self, user, client, state, reason);
    }
}

impl WireSession for Session {
    type Statement = Statement;
    type Prepared = Prepared;

    fn reported_parameters(&self) -> Vec<(String, String)> {
        Self::reported_parameters(self)
    }

    fn parse(&self, sql: &str) -> Result<Vec<Statement>, QueryError> {
        Self::parse(self, sql)
    }

    async fn prepare(
        &self,
        statement: &Statement,
        parameter_types: &[Option<DataType>],
    ) -> Result<Prepared, QueryError> {
        Self::prepare(self, statement, parameter_types).await
    }

    async fn execute(
        &self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
    ) -> Result<WireOutcome, QueryError> {
        Ok(match Self::execute(self, prepared, parameters).await? {
            Outcome::Rows { command, stream } => {
                let (schema, permission) = (stream.schema(), stream.permission());
                WireOutcome::Rows { command, schema, stream: stream.boxed(), permission }
            }
            Outcome::Done { tag, reported, warning } => WireOutcome::Done { tag, reported, warning },
            Outcome::Forget(forget) => WireOutcome::Forget(forget),
        })
    }

    fn parameter_types(prepared: &Prepared) -> Vec<DataType> {
        prepared.parameter_types().to_vec()
    }

    fn schema(prepared: &Prepared) -> Option<SchemaRef> {
        prepared.schema()
    }

    fn transaction_status(&self) -> TransactionStatus {
        Self::transaction_status(self)
    }

    fn mark_failed(&self) {
        Self::mark_failed(self);
    }

    fn cancel(&self) {
        Self::cancel(self);
    }

    fn close(&self) {
        Self::close(self);
    }

    fn shutdown(&self) {
        Self::shutdown(self);
    }
}
