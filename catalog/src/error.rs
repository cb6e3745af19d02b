//! Errors of this crate, named after the caller's situation.

use std::error::Error;

use crate::stores::{StoreFailure, chain};

/// The catalog as configured cannot be opened or refreshed. For operators: may name locations.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Two locations claim one name.
    #[error("table {schema}.{table} is defined twice: by {first} and by {second}")]
    DuplicateTable {
        /// Schema of the name.
        schema: String,
        /// The name.
        table: String,
        /// Location that had the name first.
        first: String,
        /// Location that wants it too.
        second: String,
    },
    /// Two annotations describe one table.
    #[error("table {schema}.{table} is annotated twice")]
    DuplicateAnnotation {
        /// Schema of the table.
        schema: String,
        /// Name of the table.
        table: String,
    },
    /// Opening the stores ended before it was done.
    #[error("the stores could not be opened: the process is shutting down or out of threads")]
    NotOpened,
    /// No store can be opened for this URL.
    #[error("location {location} is not supported: {reason}")]
    UnsupportedLocation {
        /// The URL as configured.
        location: String,
        /// What was expected.
        reason: String,
    },
    /// A table's store did not answer.
    #[error("cannot reach table {table}: {reason}")]
    TableUnreachable {
        /// `schema.table`.
        table: String,
        /// Why.
        reason: String,
    },
    /// The folder of a layer does not exist or cannot be listed.
    #[error("layer {schema}: cannot list {location}: {source}")]
    LayerUnreadable {
        /// Schema that the layer provides.
        schema: String,
        /// Root folder of the layer.
        location: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// A data file that a table's log lists is missing, damaged, or not the size that the log says; or
/// its store did not give it.
///
/// The text names the table only; the cause (with its path) is the [`Error::source`], for logs.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct DataFileError {
    /// `schema.table`.
    pub table: String,
    /// What the store or the reader said.
    pub source: Box<dyn Error + Send + Sync>,
}

impl DataFileError {
    /// The error of `table`; its cause goes to the log, because what follows upwards tells users of the
    /// table alone.
    pub(crate) fn reported(table: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = source.into();
        match StoreFailure::within(source.as_ref()) {
            Some(failure) => tracing::error!(table, reason = %failure, "data of a table cannot be read"),
            None => tracing::error!(table, reason = %source, "data of a table cannot be read"),
        }
        // A store that has not what was asked for gives an error of its own, too: above, that would look
        // like a failure that may pass.
        let source = if did_store_fail(source.as_ref()) { source } else { source.to_string().into() };
        Self { table: table.to_owned(), source }
    }

    /// Whether the file may be well and only its store did not give it.
    pub fn is_store_failure(&self) -> bool {
        chain(self.source.as_ref()).any(|cause| match cause.downcast_ref::<object_store::Error>() {
            Some(error) => !matches!(error, object_store::Error::NotFound { .. }),
            None => false,
        })
    }

    fn text(&self) -> String {
        let table = &self.table;
        match self.is_store_failure() {
            true => format!("the store of table {table} does not give its data"),
            false => format!("a data file of table {table} is missing or damaged"),
        }
    }
}

/// Whether a request came to nothing although what it asked for may be there.
fn did_store_fail(error: &(dyn Error + 'static)) -> bool {
    use std::io::ErrorKind;
    let is_absence = |cause: &(dyn Error + 'static)| {
        matches!(cause.downcast_ref(), Some(object_store::Error::NotFound { .. }))
            || cause.downcast_ref::<StoreFailure>().is_some_and(|failure| failure.kind.is_absence())
    };
    let is_failure = |cause: &(dyn Error + 'static)| {
        let kind = cause.downcast_ref().map(std::io::Error::kind);
        let is_of_file = matches!(
            kind,
            None | Some(ErrorKind::NotFound | ErrorKind::UnexpectedEof | ErrorKind::InvalidInput)
        );
        cause.is::<StoreFailure>() || !is_of_file
    };
    !chain(error).any(is_absence) && chain(error).any(is_failure)
}

/// Something points beyond the end of its file, or nowhere.
#[derive(Debug, thiserror::Error)]
#[error("points beyond the end of the file")]
pub(crate) struct BeyondEnd;

/// The [`DataFileError`] in the chain of causes of `error`, if a scan failed with one.
pub fn data_file_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a DataFileError> {
    chain(error).find_map(|cause| cause.downcast_ref::<DataFileError>())
}

/// Why one table could not be loaded. Its text becomes the operator's reason.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LoadError {
    /// The table needs a feature that is not read correctly yet.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// There is no log at the location.
    #[error("no Delta log at this location")]
    NoLog,
    /// The log cannot be read as the protocol says.
    #[error("broken log: {0}")]
    Broken(String),
    /// Configuration and table do not fit together.
    #[error("{0}")]
    Misconfigured(String),
    /// The store did not answer; worth another try without a change to the table.
    #[error("cannot reach the table: {0}")]
    Unreachable(String),
    /// The store answers, but not to us: no access, no such bucket, credentials that cannot be had.
    /// Worth another try without a change to the table.
    #[error("cannot read the table: {0}")]
    Refused(String),
}

impl LoadError {
    /// Whether the same load may succeed later although nothing at the location changed.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Refused(_))
    }

    /// Whether a version that is loaded stays in use: its store is silent, and will be asked again.
    pub(crate) fn keeps_version(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// The same, if requests to the store failed meanwhile: what seems broken may only be incomplete.
    pub(crate) fn or_store(self, store_failed: bool) -> Self {
        match self {
            Self::Broken(text) if store_failed => Self::Unreachable(text),
            other => other,
        }
    }

    /// What a store's failure in the chain of causes of `error` means for the table.
    fn of_store(error: &(dyn Error + 'static)) -> Option<Self> {
        let failure = StoreFailure::within(error)?;
        Some(match failure.kind {
            kind if kind.is_absence() => Self::Broken(failure.to_string()),
            kind if kind.may_pass() => Self::Unreachable(failure.to_string()),
            _ => Self::Refused(failure.to_string()),
        })
    }
}

impl From<delta_kernel::Error> for LoadError {
    fn from(error: delta_kernel::Error) -> Self {
        use delta_kernel::Error as Kernel;
        if let Some(of_store) = Self::of_store(&error) {
            return of_store;
        }
        match error {
            Kernel::Backtraced { source, .. } => Self::from(*source),
            Kernel::Unsupported(text) => Self::Unsupported(text),
            // What the kernel says of a table whose commits a catalog service must confirm.
            Kernel::MaxCatalogVersion(_) => Self::Unsupported("reader feature catalogManaged".to_owned()),
            Kernel::IOError(_) | Kernel::Reqwest(_) | Kernel::Cancelled | Kernel::JoinFailure(_) => {
                Self::Unreachable(error.to_string())
            }
            Kernel::ObjectStore(source) => Self::from(source),
            // Its text quotes the value.
            Kernel::ParseError(_, data_type) => {
                Self::Broken(format!("a partition value that is no {data_type}"))
            }
            other => Self::Broken(other.to_string()),
        }
    }
}

impl From<arrow::error::ArrowError> for LoadError {
    fn from(error: arrow::error::ArrowError) -> Self {
        if let Some(of_store) = Self::of_store(&error) {
            return of_store;
        }
        Self::Broken(error.to_string())
    }
}

impl From<object_store::Error> for LoadError {
    fn from(error: object_store::Error) -> Self {
        if let Some(of_store) = Self::of_store(&error) {
            return of_store;
        }
        match error {
            object_store::Error::NotFound { .. } => Self::Broken(error.to_string()),
            object_store::Error::NotSupported { source } => Self::Unsupported(source.to_string()),
            other => Self::Unreachable(other.to_string()),
        }
    }
}
