//! Writing one commit, exactly once or not at all, over a store whose answers get lost.

use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};

/// Times that one version is tried.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Why a commit is not (known to be) in.
#[derive(Debug)]
pub(super) enum PutError {
    /// The version is another commit.
    Taken,
    /// The store refused for good, and the version does not exist.
    Refused(Error),
    /// The version did not exist when last looked, but a write of it may be under way.
    Unknown(Box<dyn std::error::Error + Send + Sync>),
}

/// Writes `commit` at `path` if nothing is there.
///
/// Any error may hide a success: the request arrived and its answer was lost, or the store's client
/// tried it twice and the second found the first. So after each error the object is read back; being
/// signed, our commit is like no other. While there is nothing, the same version is tried again,
/// never another one: whichever write arrives first, the others find it.
pub(super) async fn put_commit(
    store: &dyn ObjectStore,
    path: &Path,
    commit: &Bytes,
    timeout: Duration,
) -> Result<(), PutError> {
    let mut pause = FIRST_PAUSE;
    let mut tries = 0;
    loop {
        tries += 1;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = store.put_opts(path, commit.clone().into(), options);
        let failed: Box<dyn std::error::Error + Send + Sync> = match tokio::time::timeout(timeout, put).await
        {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => {
                match read_back(store, path, timeout).await {
                    ReadBack::Found(found) if found == *commit => {
                        tracing::info!(%path, %error, "the commit is in, although the store reported an error");
                        return Ok(());
                    }
                    ReadBack::Found(_) => return Err(PutError::Taken),
                    // An earlier try may still be under way.
                    ReadBack::Nothing if tries == 1 && is_final(&error) => {
                        return Err(PutError::Refused(error));
                    }
                    ReadBack::Nothing | ReadBack::Failed => error.into(),
                }
            }
            Err(elapsed) => match read_back(store, path, timeout).await {
                ReadBack::Found(found) if found == *commit => return Ok(()),
                ReadBack::Found(_) => return Err(PutError::Taken),
                ReadBack::Nothing | ReadBack::Failed => elapsed.into(),
            },
        };
        if tries == TRIES {
            return Err(PutError::Unknown(failed));
        }
        tracing::warn!(%path, error = %failed, tries, "the commit was not confirmed, trying the same version again");
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

enum ReadBack {
    Found(Bytes),
    Nothing,
    Failed,
}

async fn read_back(store: &dyn ObjectStore, path: &Path, timeout: Duration) -> ReadBack {
    let read = async { store.get(path).await?.bytes().await };
    match tokio::time::timeout(timeout, read).await {
        Ok(Ok(found)) => ReadBack::Found(found),
        Ok(Err(Error::NotFound { .. })) => ReadBack::Nothing,
        Ok(Err(_)) | Err(_) => ReadBack::Failed,
    }
}

/// Whether trying again cannot help and the store looked at the request before refusing it.
fn is_final(error: &Error) -> bool {
    matches!(
        error,
        Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. }
            | Error::InvalidPath { .. }
            | Error::UnknownConfigurationKey { .. }
    )
}
